"""`dyn node start`: the settings as flags, the banner, and the one line that scripts wait for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli.arguments import text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.node_config import config_rows
from dynamo_cli.render.plain import shell_word, show
from node.core.limits import PARTITIONS

if TYPE_CHECKING:
    from rich.console import RenderableType

    from node.runtime.config import NodeSettings
    from node.runtime.server import Ready

# The settings of a node; how they are called in a file or the environment is node.runtime.config's -------

Text = str | None
Name = Annotated[Text, typer.Option("--name", metavar="N", parser=text, help="Default nPORT.")]
ClusterName = Annotated[
    Text, typer.Option("--cluster", metavar="NAME", parser=text, help="Cluster to join or found; default dyn.")
]
Listen = Annotated[
    Text, typer.Option("--listen", metavar="IP", parser=text, help="Address to bind; default 127.0.0.1.")
]
Port = Annotated[Text, typer.Option("--port", metavar="PORT", parser=text, help="For clients (RESP); default 7700.")]
PeerPort = Annotated[
    Text, typer.Option("--peer-port", metavar="PORT", parser=text, help="For nodes; default port + 100.")
]
HttpPort = Annotated[
    Text, typer.Option("--http-port", metavar="PORT", parser=text, help="/health, /metrics; default port + 200.")
]
DataDir = Annotated[
    Text,
    typer.Option("--data-dir", metavar="DIR", parser=text, help="Default $XDG_DATA_HOME/dyn/CLUSTER/NAME."),
]
Join = Annotated[
    list[str] | None,
    typer.Option("--join", metavar="HOST:PEERPORT", parser=text, help="A node of the cluster; never found one."),
]
Discover = Annotated[
    Text, typer.Option("--discover", metavar="mdns|none", parser=text, help="Look for nodes; default mdns.")
]
Zone = Annotated[Text, typer.Option("--zone", metavar="Z", parser=text, help="Replicas go to different zones first.")]
Weight = Annotated[Text, typer.Option("--weight", metavar="W", parser=text, help="Share of the ring; default 1.")]
Nrw = Annotated[
    Text, typer.Option("--nrw", metavar="N/R/W", parser=text, help="Quorums of a new cluster; default 3/2/2.")
]
Partitions = Annotated[
    Text,
    typer.Option(
        "--partitions",
        metavar="Q",
        parser=text,
        help="Of a new cluster; default 256. One that has another number is refused.",
    ),
]
Durability = Annotated[
    Text,
    typer.Option(
        "--durability",
        metavar="full|normal|memory",
        parser=text,
        help="full: an ack means fsynced; normal: a power cut may take the last writes; memory: so may a crash.",
    ),
]
MaxValueBytes = Annotated[
    Text, typer.Option("--max-value-bytes", metavar="N", parser=text, help="Largest value; default 1M.")
]
Config = Annotated[
    Text,
    typer.Option("--config", metavar="FILE", parser=text, help="Settings as TOML; default ./dyn.toml if there."),
]
KeyFile = Annotated[
    Text, typer.Option("--key-file", metavar="FILE", parser=text, help="The cluster key, shared by its nodes.")
]
PasswordFile = Annotated[
    Text, typer.Option("--password-file", metavar="FILE", parser=text, help="The password of clients.")
]
LogFormat = Annotated[
    Text, typer.Option("--log-format", metavar="text|json", parser=text, help="Log lines on stderr; default text.")
]
Seat = Annotated[
    Text,
    typer.Option("--seat", metavar="ID", parser=text, help="Take the seat of a member whose data is lost."),
]
Replace = Annotated[
    Text,
    typer.Option("--replace", metavar="NODE", parser=text, help="New node in a dead member's place: its name or id."),
]
LogLevel = Annotated[
    Text,
    typer.Option("--log-level", metavar="info|warn|error", parser=text, help="Log what matters so much; default info."),
]
Ephemeral = Annotated[
    bool, typer.Option("--ephemeral", help="Keep the data in a temporary directory, deleted at a clean stop.")
]
CheckConfig = Annotated[
    bool, typer.Option("--check-config", help="Say what would be used and who says so; start nothing. Exit 2 if wrong.")
]
AllowFaults = Annotated[
    bool, typer.Option("--allow-faults", help="Take DYN.FAULT commands: for tests and demos, loopback only.")
]


@command(
    "node start",
    panel="Node",
    examples=[
        ("dyn node start", "a node on 127.0.0.1:7700"),
        ("dyn node start --port 7701", "in a second terminal: joins the first by itself"),
        ("dyn node start --join :7800 --discover none", "joins through one address only"),
        ("dyn node start --tls-cert n1.pem --tls-key n1.key --tls-ca ca.pem", "with TLS: dyn help node cert"),
        ("dyn node start --name n6 --replace n3", "a new, empty node takes the place of n3, which is dead"),
        ("dyn node start --config /etc/dyn.toml --check-config", "what would be used, and who says so"),
        ("dyn node start --port 7709 --ephemeral", "a node to try something: its data goes when it stops"),
    ],
    exits=[1],
    see=["node config", "cluster status", "node cert"],
    completes={
        "discover": "mdns none",
        "replace": "names",
        "durability": "full normal memory",
        "log_format": "text json",
        "log_level": "info warn error",
        "data_dir": "files",
        "config": "files",
        "key_file": "files",
        "password_file": "files",
    },
)
def node_start(
    call: Call,
    name: Name = None,
    cluster: ClusterName = None,
    listen: Listen = None,
    port: Port = None,
    peer_port: PeerPort = None,
    http_port: HttpPort = None,
    data_dir: DataDir = None,
    join: Join = None,
    discover: Discover = None,
    zone: Zone = None,
    weight: Weight = None,
    nrw: Nrw = None,
    partitions: Partitions = None,
    durability: Durability = None,
    max_value_bytes: MaxValueBytes = None,
    config: Config = None,
    key_file: KeyFile = None,
    password_file: PasswordFile = None,
    log_format: LogFormat = None,
    log_level: LogLevel = None,
    seat: Seat = None,
    replace: Replace = None,
    allow_faults: AllowFaults = False,
    ephemeral: Ephemeral = False,
    check_config: CheckConfig = False,
) -> ExitStatus:
    """Run a node in the foreground. It finds its cluster, or founds it; Ctrl-C or SIGTERM stops it cleanly."""
    flags: dict[str, object] = {
        "name": name, "cluster": cluster, "listen": listen, "port": port, "peer_port": peer_port,
        "http_port": http_port, "data_dir": data_dir, "join": join, "discover": discover, "zone": zone,
        "weight": weight, "nrw": nrw, "partitions": partitions, "durability": durability,
        "max_value_bytes": max_value_bytes, "key_file": key_file, "password_file": password_file,
        "tls_cert": call.options.tls_cert, "tls_key": call.options.tls_key, "tls_ca": call.options.tls_ca,
        "log_format": log_format, "log_level": log_level,
        "seat": seat, "replace": replace, "allow_faults": allow_faults,
    }  # fmt: skip
    if ephemeral and data_dir is not None:
        raise usage("--ephemeral makes a directory of its own, and --data-dir names one", "Leave one away")
    if check_config:
        return _check_config(call, config, {**flags, "data_dir": str(_prefix()) + "…"} if ephemeral else flags)
    if not ephemeral:
        return _run(call, config, flags, None)
    with _temporary(call, quiet=log_format == "json") as directory:
        return _run(call, config, {**flags, "data_dir": directory.path}, directory)


def _check_config(call: Call, config: str | None, flags: dict[str, object]) -> ExitStatus:
    """Show what would be used. Whatever is wrong is an error of usage: nothing was started."""
    from dynamo_cli.node_config import of_settings, unreadable
    from node.runtime.config import StartError, load_settings

    try:
        settings = load_settings(environ=call.env.environ, cwd=Path.cwd(), config=config, **flags)
    except StartError as error:
        raise CliError(ExitStatus.USAGE, error.message, error.hint or "See: dyn help node start") from None
    if why := unreadable(settings):
        raise CliError(ExitStatus.USAGE, why, "See: ls -l, and who runs the node")
    call.emit(of_settings(settings), View(_config_screen, config_rows, lambda d: list(d["settings"])))
    return ExitStatus.OK


class _Directory:
    """A data directory that goes with the node, if it stopped cleanly."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.clean = False


def _prefix() -> Path:
    """How the data directories of ephemeral nodes begin."""
    import tempfile

    return Path(tempfile.gettempdir(), "dyn-node-")


@contextmanager
def _temporary(call: Call, *, quiet: bool) -> Iterator[_Directory]:
    """Make one; say so, and what became of it."""
    import shutil
    import tempfile

    directory = _Directory(tempfile.mkdtemp(prefix=_prefix().name))
    if not quiet:
        call.note(f"ephemeral: the data in {show(directory.path)} is deleted at a clean stop")
    try:
        yield directory
    finally:
        if directory.clean:
            shutil.rmtree(directory.path, ignore_errors=True)
        elif not quiet:
            call.note(f"it did not stop cleanly: {show(directory.path)} stays")


def _run(call: Call, config: str | None, flags: dict[str, object], directory: _Directory | None) -> ExitStatus:
    """Run the node until it stops. One that never started leaves nothing worth keeping."""
    from node.runtime.config import SettingError, StartError, load_settings

    clean = True
    try:
        settings = load_settings(environ=call.env.environ, cwd=Path.cwd(), config=config, **flags)
        from node.runtime.server import serve  # after the settings: a wrong one is told at once

        clean = False
        status = ExitStatus(serve(settings, lambda ready: announce(call, settings, ready)))
        clean = status == ExitStatus.OK
        return status
    except SettingError as error:
        raise CliError(ExitStatus.USAGE, error.message, error.hint or "See: dyn help node start") from None
    except StartError as error:
        clean = True
        raise CliError(ExitStatus.FAILURE, error.message, error.hint, code="NOTSTARTED") from None
    finally:
        if directory is not None:
            directory.clean = clean


def announce(call: Call, settings: NodeSettings, ready: Ready) -> None:
    """Say that the node may be used: one line that begins with `ready`, and for people what it is and what is next."""
    if call.env.stdout_is_terminal and not call.options.quiet:
        call.env.write(banner(settings, ready))
    else:
        call.env.write(f"{show(ready.line())}\n")


def banner(settings: NodeSettings, ready: Ready) -> str:
    """The banner of a node that runs in a terminal."""
    from node import __version__

    n, r, w = settings.nrw
    who = "the first node" if ready.members == 1 else f"{ready.members} nodes"
    facts = (
        ("node", f"{ready.name}", "cluster", f"{ready.cluster}, {who}"),
        ("client", f"{ready.client}  RESP2/RESP3", "http", f"{ready.http}  /health /metrics"),
        ("peers", ready.peer, "found as", f"N/R/W {n}/{r}/{w}, {settings.partitions or PARTITIONS} partitions"),
    )
    lines = [f"dyn {__version__}", ""]
    lines += [f"  {a:<8}{show(b):<28}{c:<9}{show(d)}" for a, b, c, d in facts]
    lines += [f"  {'data':<8}{show(ready.data_dir)}", ""]
    notes = []
    if settings.durability != "full":
        notes.append(f"! durability {settings.durability}: a crash may lose acknowledged writes")
    if ready.members < n:
        counted = min(ready.members, n)
        acts = f"{counted}/{min(r, counted)}/{min(w, counted)}"
        notes.append(f"! {ready.members} of N={n} nodes: N/R/W act as {acts} until more join")
    lines += [*(f"  {note}" for note in notes), *([""] if notes else [])]
    lines += [f"ready in {ready.seconds:.2f} s   (pid {ready.pid}; Ctrl-C stops it cleanly)", ""]
    flag = "" if settings.port == DEFAULT_PORT else f"-n {ready.client} "
    cluster = "" if settings.cluster == "dyn" else f"--cluster {shell_word(settings.cluster.encode())} "
    lines += ["Next, in another terminal:"]
    more, one_more, redis_tls = f"--port {settings.port + 1}", "one more node on this machine", ""
    if settings.tls_ca is not None:
        more, one_more, redis_tls = f"{more} --tls-cert F --tls-key F", "", ' --tls --cacert "$DYN_TLS_CA"'
        lines += [f"  export DYN_TLS_CA={shell_word(str(settings.tls_ca).encode())}"]
    lines += [
        f"  {f'dyn {flag}put hello world':<46}write a key",
        f"  {f'dyn node start {cluster}{more}':<46}{one_more}",
        f"  {f'dyn {flag}cluster status':<46}who is there, and how it is",
        f"  {show(page_address(settings, ready)):<46}the ring in a browser",
        f"  {f'redis-cli -p {settings.port}{redis_tls}':<45} any Redis client works too",
    ]
    return "\n".join(lines) + "\n\n"


def page_address(settings: NodeSettings, ready: Ready) -> str:
    """Where a browser finds the node's page."""
    from node.runtime.auth import is_loopback

    tls = settings.tls_ca is not None and not is_loopback(settings.listen)
    return f"{'https' if tls else 'http'}://{ready.http}/"


DEFAULT_PORT = 7700
"""Where `dyn` looks for a node unless told otherwise."""


def _config_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.node_config import config_screen

    return config_screen(document, origin=True)

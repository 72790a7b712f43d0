"""The facts of this machine, gathered: each is cheap, and what cannot be found out is left unknown."""

from __future__ import annotations

import platform
import resource
import shutil
import socket
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from dynamo_cli.doctor.machine import Machine, Port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dynamo_cli.environment import Environment
    from node.runtime.config import NodeSettings

MDNS_GROUP = "224.0.0.251"
"""Of multicast DNS (RFC 6762)."""

COMPLETION_BYTES_MAX = 1 << 20
"""A larger file is no completion script of ours."""


def machine_facts(env: Environment, is_wanted: Callable[[str], bool]) -> Machine:
    """Look at this machine; what no wanted check goes by is not looked at."""
    from node.storage import probe

    data = env.directory("data")
    encoding = (getattr(env.stdout, "encoding", None) or "").lower().replace("-", "")
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    settings, wrong = _settings(env) if is_wanted("host.config") or is_wanted("host.ports") else (None, None)
    shell = Path(env.environ.get("SHELL", "")).name
    return Machine(
        python=platform.python_version(),
        sqlite=probe.VERSION,
        open_files=1 << 20 if files == resource.RLIM_INFINITY else files,
        utf8=encoding == "utf8",
        columns=env.columns() if env.stdout_is_terminal else None,
        colors=env.has_color("auto"),
        data_dir=_homely(data, env),
        free_bytes=_free(data),
        no_wal=probe.why_no_store(data) if is_wanted("host.store") else None,
        wrong_setting=wrong if is_wanted("host.config") else None,
        ports=_ports(settings) if settings is not None and is_wanted("host.ports") else None,
        no_mdns=_why_no_multicast() if is_wanted("host.mdns") else None,
        exposed=tuple(str(path) for path in secret_files(env) if _is_exposed(path)),
        loose=tuple(str(path) for path in _private_files(env) if _is_exposed(path))
        if is_wanted("host.private")
        else None,
        gone=_gone_demos(env) if is_wanted("host.demos") else None,
        completion=_completion(env, shell) if is_wanted("host.completion") else None,
        shell=shell,
    )


def secret_files(env: Environment) -> Iterator[Path]:
    """The files of keys and passwords that a node or a client here would read."""
    yield env.directory("config") / "cluster.key"
    if env.environ.get("DYN_KEY_FILE"):
        yield Path(env.environ["DYN_KEY_FILE"]).expanduser()
    for found in map(env.layers.find, ("password-file", "tls-key")):
        if found is not None:
            yield Path(str(found.value)).expanduser()


def _private_files(env: Environment) -> Iterator[Path]:
    """The files that are nobody else's business."""
    from dynamo_cli.commands.shell import history_path

    history = history_path(env)
    if history is not None:
        yield history
    yield from sorted((env.directory("config") / "contexts").glob("*.toml"))


def _gone_demos(env: Environment) -> tuple[tuple[str, str], ...]:
    """Name and folder of each kept demo that is listed and not there."""
    from dynamo_cli.demo.registry import entries

    listed = entries(env.directory("state"))
    return tuple((entry.name, str(entry.folder)) for entry in listed if not entry.running and not entry.folder.is_dir())


def _is_exposed(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & 0o077)
    except OSError:
        return False


def _homely(path: Path, env: Environment) -> str:
    """A path as people write it: `~` for the home directory."""
    home = env.environ.get("HOME", "")
    return f"~/{path.relative_to(home)}" if len(home) > 1 and path.is_relative_to(home) else str(path)


def _free(path: Path) -> int | None:
    """Free bytes where `path` is, or will be."""
    try:
        return shutil.disk_usage(next(each for each in (path, *path.parents) if each.exists())).free
    except (OSError, StopIteration):
        return None


def _settings(env: Environment) -> tuple[NodeSettings | None, str]:
    """The settings of a node that is started here without a flag; or what is wrong with them."""
    from node.runtime.config import StartError, load_settings

    try:
        return load_settings(environ=env.environ, cwd=Path.cwd()), ""
    except StartError as error:
        return None, error.message


def settings_with_origins(env: Environment) -> dict[str, dict[str, str]] | str:
    """Each setting of a node that is started here without a flag, and whether it is the environment's, a file's, or the
    default; or what is wrong with them. Secrets are files, which are named and not read."""
    from node.runtime.config import OPTIONS

    settings, wrong = _settings(env)
    if settings is None:
        return wrong
    path = Path(env.environ.get("DYN_CONFIG") or "dyn.toml").expanduser()
    try:
        in_file = set(tomllib.loads(path.read_text("utf-8"))) if path.exists() else set()
    except (OSError, ValueError):
        in_file = set()
    found = {}
    for option in OPTIONS:
        spelled, variable = option.field.replace("_", "-"), f"DYN_{option.field.upper()}"
        origin = variable if env.environ.get(variable) else str(path) if spelled in in_file else "default"
        value = getattr(settings, option.field)
        found[spelled] = {"value": "" if value is None else str(value), "from": origin}
    return found


def _ports(settings: NodeSettings) -> tuple[Port, ...]:
    return tuple(_port(settings, number) for number in (settings.port, settings.peer_port, settings.http_port))


def _port(settings: NodeSettings, number: int) -> Port:
    """Whether a port can be listened on, and if not who has it."""
    from node.runtime import ports

    with socket.socket(socket.AF_INET6 if ":" in settings.listen else socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.listen, number))
            return Port(number, "", node=False)
        except OSError:
            pass
    pid = ports.holder(number)
    told = ports.ask(settings.listen, number) if number == settings.port else {}
    if told:
        return Port(number, f"dyn node {told['node']}" + (f" (pid {pid})" if pid else ""), node=True)
    if pid is None:
        return Port(number, "a process that this user may not see", node=False)
    name = ports.command_of(pid)
    return Port(number, f"{name} (pid {pid})", node=name == "dyn")


def _why_no_multicast() -> str:
    """Why the group cannot be joined, "" if it can. Nothing is sent but the kernel's own word to the router."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            group = socket.inet_aton(MDNS_GROUP) + socket.inet_aton("0.0.0.0")
            probe.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _completion(env: Environment, shell: str) -> tuple[str, bool] | None:
    """The completion file of the caller's shell, if there is one: its path, and whether it is of this release."""
    from dynamo_cli.commands.completion import place
    from dynamo_cli.completions import SHELLS, script

    if shell not in SHELLS:
        return None
    path = Path(place(shell, env.environ))
    try:
        if not path.is_file() or path.stat().st_size > COMPLETION_BYTES_MAX:
            return None
        return _homely(path, env), path.read_text("utf-8") == script(shell)
    except (OSError, UnicodeDecodeError):
        return None

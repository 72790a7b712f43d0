"""`dyn debug bundle`: all that others need to see of a cluster to help with it, in one zip, without secrets."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import bundle as bundles
from dynamo_cli import store
from dynamo_cli.arguments import text
from dynamo_cli.asking import addresses_of, ask
from dynamo_cli.bundle import Entry, as_json
from dynamo_cli.call import Call, Document, View
from dynamo_cli.client import parse_address
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.plain import show
from dynamo_cli.render.rows import size_text
from node.core.limits import EVENTS_MAX

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dynamo_cli.client import Client, Word

DOCUMENTS: dict[str, tuple[Word, ...]] = {
    "STATUS": (), "VIEWS": (), "STATS": (), "HINTS": (), "TRANSFERS": (), "EVENTS": (EVENTS_MAX,),
}  # fmt: skip
"""What each node is asked for, beside its ring, and the words that go with it."""

KEYS_MAX = 100
"""Keys in conflict that `--keys` adds, and where each of them lives."""


@command(
    "debug bundle",
    panel="Help",
    examples=[
        ("dyn debug bundle", "dyn-bundle-….zip in this directory"),
        ("dyn debug bundle bug.zip --log n1.log", "under another name, with the end of a log"),
        ("dyn debug bundle bug.zip --keys", "with the keys that are in conflict; never with their values"),
    ],
    exits=[9],
    see=["doctor", "cluster events"],
    completes={"file": "files", "log": "files"},
)
def debug_bundle(
    call: Call,
    file: Annotated[
        str | None, typer.Argument(metavar="[FILE]", parser=text, help="A new file; default dyn-bundle-TIME.zip.")
    ] = None,
    keys: Annotated[bool, typer.Option("--keys", help="Also which keys are in conflict, and where they live.")] = False,
    log: Annotated[
        list[str] | None,
        typer.Option("--log", metavar="FILE", parser=text, help="Also the end of this log; several."),
    ] = None,
) -> ExitStatus:
    """Put what there is to know of this cluster into a zip that can be given to others.

    What all nodes tell (ring, status, views, figures, events, transfers, hints), settings, versions, the findings of
    `dyn doctor`, and the end of the logs of nodes on this machine.
    Secrets are never in it, nor the values of keys, nor, without --keys, keys.
    """
    document = write_bundle(call, file, keys=keys, logs=tuple(log or ()))
    call.emit(document, View(_screen, _rows, lambda d: list(d["entries"])))
    return ExitStatus.OK


def write_bundle(call: Call, file: str | None, *, keys: bool = False, logs: tuple[str, ...] = ()) -> Document:
    """Gather and write; the dyn.bundle/v1 document that says what is in it. Raises CliError."""
    target = Path(file or time.strftime("dyn-bundle-%Y%m%dT%H%M%SZ.zip", time.gmtime())).expanduser()
    if target.exists() and not call.options.yes:
        raise CliError(ExitStatus.REFUSED, f"{target} exists already", "Name a new file, or overwrite it: --yes")
    entries = [_findings(call), _versions(), _settings(call), _of_client(call)]
    of_nodes, silent = _of_nodes(call)
    entries += of_nodes + [_log(Path(path).expanduser()) for path in logs]
    if keys:
        entries.append(_conflicts(call.client))
    about = {"made by": f"dyn {_version()}", "made at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
    entries.insert(0, bundles.manifest(entries, about, silent, keys=keys))
    _write(target, bundles.zipped(entries, time.localtime()[:6]))
    return {
        "schema": "dyn.bundle/v1",
        "file": str(target),
        "bytes": target.stat().st_size,
        "entries": [{"name": entry.name, "bytes": len(entry.data), "what": entry.what} for entry in entries],
        "silent": [{"node": name, "because": why} for name, why in silent.items()],
        "keys": keys,
    }


def _write(target: Path, data: bytes) -> None:
    """Only its owner may read it, though no secret is in it."""
    try:
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as sink:
            sink.write(data)
    except OSError as error:
        raise CliError(ExitStatus.FAILURE, f"cannot write {target}: {error.strerror}") from None


# What is in it --------------------------------------------------------------------------------------------------------


def _findings(call: Call) -> Entry:
    from dynamo_cli.commands.doctor import document_of, findings
    from dynamo_cli.doctor.hear import hear

    heard = hear(call, keys=False)
    return as_json("doctor.json", document_of(call, findings(call, heard, lambda check: True), heard), "dyn doctor")


def _version() -> str:
    from node import __version__

    return __version__


def _versions() -> Entry:
    from importlib import metadata

    libraries: dict[str, str | None] = {}
    for name in (
        "typer",
        "rich",
        "prompt_toolkit",
        "msgspec",
        "hiredis",
        "uvloop",
        "zeroconf",
        "redis",
        "cryptography",
    ):
        try:
            libraries[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            libraries[name] = None
    facts = {"dyn": _version(), "python": platform.python_version(), "system": platform.platform()}
    return as_json("versions.json", facts | {"libraries": libraries}, "dyn, Python, libraries and system")


def _settings(call: Call) -> Entry:
    """The settings of a node that is started here, each with where it comes from; and the variables of dyn."""
    from dynamo_cli.doctor.here import settings_with_origins

    document = {"node": settings_with_origins(call.env), "environment": bundles.variables(call.env.environ)}
    return as_json("settings.json", document, "settings of a node started here, and where they come from")


def _of_client(call: Call) -> Entry:
    from dynamo_cli.commands.config import settings_document

    return as_json("client.json", settings_document(call), "settings of this command line, and who says so")


def _of_nodes(call: Call) -> tuple[list[Entry], dict[str, str]]:
    """A folder a node; and why those that tell nothing do not."""
    try:
        ring = store.document(call.client, "RING")
    except CliError as error:
        return [], {", ".join(call.env.nodes(call.options)): error.message}
    addresses = addresses_of(ring)
    found: dict[str, list[Entry]] = {}

    def client_of(address: str) -> Client:
        return call.env.client_apart((address,), call.options.timeout_s)

    def more(name: str, client: Client) -> None:
        folder = bundles.file_name(name)
        for kind, words in DOCUMENTS.items():
            found.setdefault(name, []).append(_document(client, folder, kind, words))
        found[name] += _settings_of(client, folder)

    told = ask(addresses, client_of, "RING", more=more)
    entries: list[Entry] = []
    for each in told:
        if each.document is not None:
            folder = bundles.file_name(each.node)
            entries.append(as_json(f"nodes/{folder}/ring.json", each.document, f"DYN.RING of {each.node}"))
        entries += found.get(each.node, [])
        info = next((entry.data for entry in found.get(each.node, ()) if entry.name.endswith("/info.txt")), b"")
        entries += _log_of(each.node, each.address, info)
    return entries, {each.node: each.error.message for each in told if each.error is not None}


def _document(client: Client, folder: str, kind: str, words: tuple[Word, ...]) -> Entry:
    """One document of a node, or why there is none."""
    try:
        document = bundles.without_keys(store.document(client, kind, *words))
    except CliError as error:
        if error.status in (ExitStatus.UNREACHABLE, ExitStatus.UNKNOWN):
            raise
        document = error.document()
    return as_json(f"nodes/{folder}/{kind.lower()}.json", document, f"DYN.{kind} of {folder}")


def _settings_of(client: Client, folder: str) -> list[Entry]:
    from dynamo_cli.doctor.hear import reply_or_none

    reply = reply_or_none(client, "CONFIG", "GET", "*")
    words = (
        [word.decode(errors="replace") for word in reply if isinstance(word, bytes)] if isinstance(reply, list) else []
    )
    settings = dict(zip(words[::2], words[1::2], strict=False))
    info = reply_or_none(client, "INFO")
    lines = info if isinstance(info, bytes) else b""
    return [
        as_json(f"nodes/{folder}/settings.json", settings, f"settings of {folder} (it tells no secret)"),
        Entry(f"nodes/{folder}/info.txt", lines, f"INFO of {folder}"),
    ]


def _log_of(name: str, address: str, info: bytes) -> list[Entry]:
    """The end of the log of a node that runs on this machine and writes it into a file."""
    from dynamo_cli.running import log_of

    told = [line.partition(b":")[2].strip() for line in info.splitlines() if line.startswith(b"process_id:")]
    try:
        path = log_of(parse_address(address), told[0].decode("ascii", "replace") if told else "")
    except CliError:
        return []
    return [_log(path, f"nodes/{bundles.file_name(name)}/log.txt")] if isinstance(path, Path) else []


def _log(path: Path, name: str = "") -> Entry:
    """The end of a log. Raises CliError."""
    try:
        with path.open("rb") as source:
            source.seek(max(0, path.stat().st_size - bundles.LOG_BYTES - 1))
            data = source.read(bundles.LOG_BYTES + 1)
    except OSError as error:
        raise CliError(ExitStatus.NOT_FOUND, f"cannot read the log {path}: {error.strerror}") from None
    return Entry(name or f"logs/{bundles.file_name(path.name)}", bundles.last_lines(data), f"the end of {path}")


def _conflicts(client: Client) -> Entry:
    """Which keys have siblings, and where they live; their values stay out."""
    from dynamo_cli.doctor.hear import in_conflict

    keys, more = in_conflict(client, KEYS_MAX)
    explained = []
    for key in keys:
        document = store.document(client, "EXPLAIN", key)
        kept = {name: document.get(name) for name in ("key", "enc")}
        explained.append(bundles.without_keys(document) | kept)
    document = {"keys": explained, "more": more}
    return as_json("conflicts.json", document, f"DYN.EXPLAIN of {len(keys)} keys in conflict, without values")


# What is said of it ---------------------------------------------------------------------------------------------------


def _rows(document: Document) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    names = ("name", "bytes", "what")
    return names, [tuple(show(str(entry[name])) for name in names) for entry in document["entries"]]


def _screen(document: Document, wide: bool) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from dynamo_cli.render.table import table_of

    table = table_of(("FILE", False), ("SIZE", True), ("WHAT", False))
    nodes: dict[str, list[Document]] = {}
    for entry in document["entries"]:
        folder, slash, _ = entry["name"].rpartition("/")
        if slash:
            nodes.setdefault(f"{folder}/", []).append(entry)
        else:
            table.add_row(
                Text(show(entry["name"]), style="label"), size_text(entry["bytes"]), Text(show(entry["what"]))
            )
    for folder, within in nodes.items():
        names = ", ".join(entry["name"].rpartition("/")[2].partition(".")[0] for entry in within)
        size = size_text(sum(entry["bytes"] for entry in within))
        table.add_row(Text(show(folder), style="label"), size, Text(show(names)))
    table.columns[-1].no_wrap, table.columns[-1].overflow = False, "fold"
    head = Text.assemble(("wrote ", "quiet"), (show(document["file"]), "label"), f"  {size_text(document['bytes'])}")
    silent = [
        Text(f"  ! {show(each['node'])} tells nothing: {show(each['because'])}", style="warn")
        for each in document["silent"]
    ]
    keys = "It names keys that are in conflict." if document["keys"] else "No key is in it."
    tail = Text(f"No secret and no value is in it. {keys} Look: unzip -l {show(document['file'])}")
    return Group(head, Text(), table, *silent, Text(), tail)

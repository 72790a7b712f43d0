"""What of this machine matters to a node or a shell on it: facts in, findings out. `here` gathers the facts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dynamo_cli.doctor.findings import FAIL, OK, WARN, Finding, mended_by

FILES_MIN = 1024
"""Open files with which a node takes some hundred clients."""

FREE_BYTES_MIN = 1 << 30
"""Less free space than this is gone in a day of writes."""

SQLITE_MIN = (3, 38)
"""The oldest that a node starts with."""

COLUMNS_MIN = 80
"""What screens are made for."""


class Port(NamedTuple):
    """A port that a node started here would use. `holder` is who listens on it, "" for nobody; `node` if that is one
    of dyn's."""

    number: int
    holder: str
    node: bool


class Machine(NamedTuple):
    """What is known of this machine. None: not known, and not checked.

    `columns` and `colors` are the terminal's, None where there is none; `no_wal` and `no_mdns` say why something does
    not work, "" that it does; `exposed` are files of secrets that others can read, `loose` those of less; `gone` are
    kept demos whose folder is not there: name and folder; `completion` is the file of the caller's shell: its path, and
    whether it is current.
    """

    python: str
    sqlite: tuple[int, ...]
    open_files: int
    utf8: bool
    columns: int | None
    colors: bool
    data_dir: str
    free_bytes: int | None
    no_wal: str | None
    wrong_setting: str | None
    ports: tuple[Port, ...] | None
    no_mdns: str | None
    exposed: tuple[str, ...]
    loose: tuple[str, ...] | None
    gone: tuple[tuple[str, str], ...] | None
    completion: tuple[str, bool] | None
    shell: str


def machine(known: Machine) -> Iterator[Finding]:
    """What is wrong with this machine, and what is not."""
    for check in (_python, _store, _files, _terminal, _settings, _network, _secrets, _demos, _completion):
        yield from check(known)


def _python(known: Machine) -> Iterator[Finding]:
    sqlite = ".".join(map(str, known.sqlite))
    if known.sqlite < SQLITE_MIN:
        words = f"Python {known.python} has SQLite {sqlite}, and a node needs 3.38"
        yield Finding("host.python", FAIL, words, "install a Python with SQLite 3.38 or later")
    else:
        yield Finding("host.python", OK, f"Python {known.python}, SQLite {sqlite}")


def _store(known: Machine) -> Iterator[Finding]:
    if known.no_wal == "":
        yield Finding("host.store", OK, f"SQLite can keep its log beside its file in {known.data_dir}")
    elif known.no_wal is not None:
        words = f"a node cannot keep its data in {known.data_dir}: {known.no_wal}"
        yield Finding("host.store", FAIL, words, "dyn node start --data-dir DIR, on a local disk")
    if known.free_bytes is not None:
        free = f"{known.free_bytes / (1 << 30):.1f} GiB free for {known.data_dir}"
        low = known.free_bytes < FREE_BYTES_MIN
        yield Finding("host.space", WARN if low else OK, free, "free some, or use --data-dir" if low else "")


def _files(known: Machine) -> Iterator[Finding]:
    if known.open_files < FILES_MIN:
        few = f"{known.open_files} open files are allowed: enough for about {known.open_files // 4} clients"
        yield Finding("host.files", WARN, few, "ulimit -n 8192")
    else:
        yield Finding("host.files", OK, f"{known.open_files:,} open files are allowed")


def _terminal(known: Machine) -> Iterator[Finding]:
    size = "no terminal" if known.columns is None else f"terminal of {known.columns} columns"
    words = f"{size}, {'UTF-8' if known.utf8 else 'no UTF-8'}, {'colours' if known.colors else 'no colours'}"
    if not known.utf8:
        yield Finding("host.text", WARN, f"{words}: some characters are shown as escapes", "export LANG=C.UTF-8")
    elif known.columns is not None and known.columns < COLUMNS_MIN:
        yield Finding("host.text", WARN, f"{words}: screens are made for {COLUMNS_MIN}", "make the window wider")
    else:
        yield Finding("host.text", OK, words)


def _settings(known: Machine) -> Iterator[Finding]:
    if known.wrong_setting:
        yield Finding(
            "host.config", WARN, f"a node started here would be refused: {known.wrong_setting}", "dyn help node start"
        )
    elif known.wrong_setting is not None:
        yield Finding("host.config", OK, "a node started here would take its settings")


def _network(known: Machine) -> Iterator[Finding]:
    if known.ports is not None:
        taken = [port for port in known.ports if port.holder]
        words = ", ".join(f"{port.number} used by {port.holder}" for port in taken)
        numbers = " ".join(str(port.number) for port in known.ports)
        if not taken:
            yield Finding("host.ports", OK, f"ports {numbers} are free")
        elif any(port.node for port in taken):
            yield Finding("host.ports", OK, f"ports {numbers}: {words}")
        else:
            yield Finding(
                "host.ports", WARN, f"ports {numbers}: {words}", f"dyn node start --port {known.ports[0].number + 1}"
            )
    if known.no_mdns == "":
        yield Finding("host.mdns", OK, "multicast can be joined: nodes can find each other")
    elif known.no_mdns is not None:
        words = f"multicast cannot be joined here ({known.no_mdns}); containers often block it"
        yield Finding("host.mdns", WARN, words, "name a node: dyn node start --join HOST:PEERPORT")


def _secrets(known: Machine) -> Iterator[Finding]:
    for path in known.exposed:
        yield mended_by("host.secrets", FAIL, f"{path} can be read by others", "chmod", "600", path)
    if not known.exposed:
        yield Finding("host.secrets", OK, "files of keys and passwords here are for their owner alone")
    for path in known.loose or ():
        yield mended_by("host.private", WARN, f"{path} can be read by others", "chmod", "600", path)
    if known.loose == ():
        yield Finding("host.private", OK, "history and contexts here are for their owner alone")


def _demos(known: Machine) -> Iterator[Finding]:
    for name, folder in known.gone or ():
        words = f"the demo {name} is listed, and its folder is gone: {folder}"
        yield mended_by("host.demos", WARN, words, "dyn", "demo", "rm", name, "-y")
    if known.gone == ():
        yield Finding("host.demos", OK, "no demo is listed whose data is gone")


def _completion(known: Machine) -> Iterator[Finding]:
    if known.completion is None:
        return
    path, current = known.completion
    if current:
        yield Finding("host.completion", OK, f"{path} is current")
    else:
        words = f"{path} is of another release"
        yield mended_by("host.completion", WARN, words, "dyn", "completion", known.shell, "--install")

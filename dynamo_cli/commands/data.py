"""`dyn node data`: a node's store backed up while it serves, a backup looked into, and put back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dynamo_cli import store
from dynamo_cli.arguments import text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.progress import progress
from dynamo_cli.render.carried_rows import backup_rows, info_rows, put_back_rows, restore_rows
from dynamo_cli.render.plain import encode, quoted, shell_word, show
from dynamo_cli.windows import Words, ask_many, windows
from node.core.ids import scan_position
from node.core.limits_backup import BACKUP_WAIT_S

if TYPE_CHECKING:
    from rich.console import RenderableType

    from node.storage.backup_file import Backup

File = Annotated[str, typer.Argument(metavar="FILE", parser=text, help="A backup.")]

ALL = 2**64
"""Positions of keys: how far a scan of a backup is."""

NAMED_MAX = 10
"""Keys that a report names of each sort."""

ITS_OWN = frozenset(("TOOBIG", "ERR"))
"""Errors of one row: the others are merged all the same. Any other error ends the restore."""


# Making one -------------------------------------------------------------------------------------------


@command(
    "node data backup",
    panel="Node",
    examples=[
        ("dyn node data backup /backups/n1.db", "of the node on this machine that is asked"),
        ("dyn -n :7701 node data backup n2.db", "of another one on this machine"),
        ("dyn node data backup /backups/n1.db --json", "how much it was, and how long it took"),
    ],
    exits=[5, 6, 7, 9],
    see=["node data restore", "export"],
    completes={"file": "files"},
)
def backup(
    call: Call,
    file: Annotated[str, typer.Argument(metavar="FILE", parser=text, help="The file to make; it must not exist.")],
) -> ExitStatus:
    """Copy a node's store into one file while it serves: what it held at one moment, checked and on the disk.

    It is the node that writes the file, so it must be on this machine. One node's backup holds what that node holds:
    with as many nodes as N, or fewer, that is everything; else back up enough of them.
    """
    target = os.fsencode(os.path.abspath(file))  # the node's directory is another one
    asked = call.env.nodes(call.options)[:1]  # if it fails, no other one shall write its own store under that name
    client = call.env.client_apart(asked, max(call.options.timeout_s, BACKUP_WAIT_S + 1))
    with closing(client):
        document = store.document(client, "BACKUP", target)
        if document.get("running"):
            with progress(call, "backup", 1.0) as show_done:
                while document.get("running"):
                    show_done(document["done"] / max(1, document["total"]))
                    document = store.document(client, "BACKUP", target)
    call.emit(document, View(_backup_screen, backup_rows))
    return ExitStatus.OK


# Looking into one -------------------------------------------------------------------------------------


@command(
    "node data info",
    panel="Node",
    examples=[
        ("dyn node data info n1.db", "of which node and cluster, when, and how much"),
        ("dyn node data info n1.db --check", "and read all of it: exit 8 if anything is damaged"),
        ("dyn node data info n1.db --json", "for programs"),
    ],
    exits=[8],
    see=["node data backup", "node data restore"],
    completes={"file": "files"},
)
def info(
    call: Call,
    file: File,
    check: Annotated[bool, typer.Option("--check", help="Read every row against its checksum; exit 8 if damaged.")] = (
        False
    ),
) -> ExitStatus:
    """What a backup holds, and of which node and cluster it is. Asks no node."""
    with _opened(file) as found:
        document = _about(found)
        if check:
            with progress(call, "check", ALL) as show_done:
                rows = _checked(found, show_done)
            document |= {"rows_read": rows, "damaged": found.damaged}
    call.emit(document, View(_info_screen, info_rows))
    return ExitStatus.UNHEALTHY if document.get("damaged") else ExitStatus.OK


@contextmanager
def _opened(file: str) -> Iterator[Backup]:
    from node.storage.backup_file import Backup
    from node.storage.errors import StorageError

    try:
        with closing(Backup.open(Path(file))) as found:
            yield found
    except StorageError as error:
        raise CliError(ExitStatus.FAILURE, show(error.message), error.hint, code="BADBACKUP") from None


def _about(found: Backup) -> Document:
    from node.wire.text import as_time

    stamp, source = found.stamp, found.stamp.source
    return {
        "schema": "dyn.backup.info/v1", "file": str(found.path), "node": source.node, "node_id": source.node_id,
        "cluster": source.cluster, "cluster_id": source.cluster_id, "partitions": source.partitions,
        "address": source.address, "version": source.version, "at": as_time(source.at_ms), "keys": stamp.keys,
        "bytes": stamp.bytes, "siblings": stamp.siblings, "tombstones": stamp.tombstones,
        "quarantined": stamp.quarantined, "file_bytes": found.file_bytes, "rows_read": None, "damaged": None,
    }  # fmt: skip


def _checked(found: Backup, show_done: Any) -> int:  # noqa: ANN401  # of `progress`
    """Read everything; return how many rows are intact."""
    found.check()
    rows = 0
    for key, _ in found.rows():
        rows += 1
        if not rows % 1000:
            show_done(int.from_bytes(scan_position(key), "big"))
    return rows


# Putting one back -------------------------------------------------------------------------------------


@command(
    "node data restore",
    panel="Node",
    danger="moderate",
    examples=[
        ("dyn node data restore n1.db", "merge what it holds into the cluster that it is of"),
        ("dyn node data restore n1.db --undelete", "also what may have been deleted since"),
        ("dyn node data restore n1.db --data DIR", "as that node's store, to start it again"),
    ],
    exits=[1, 5, 6, 7, 9],
    see=["node data backup", "node data info", "import"],
    completes={"file": "files", "data": "files"},
)
def restore(
    call: Call,
    file: File,
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="DIR", parser=text, help="Make this empty directory the node's data directory."),
    ] = None,
    undelete: Annotated[
        bool, typer.Option("--undelete", help="Merge also keys that may have been deleted after the backup.")
    ] = False,
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Leave out rows that fail their checksum, instead of all.")
    ] = False,
) -> ExitStatus:
    """Put a backup back: into the running cluster that it is of, row by row, or as the store of its node.

    Into a cluster, rows are merged with their dots and clocks: nothing newer is overwritten, what the backup does not
    know stays, and it may be repeated. A deleted key stays deleted while its tombstone is there. Once that was reaped
    nobody can tell deleted from lost: such rows are refused and counted, unless --undelete says that they shall live.
    As a store (--data, the node not running) it is taken for a copy: a new dot epoch, and out of read quorums until the
    other owners have made it whole.
    """
    if data is not None and undelete:
        raise usage("--undelete is for a restore into a running cluster", "Leave --data or --undelete away")
    with _opened(file) as found:
        with progress(call, "check", ALL) as show_done:
            rows = _checked(found, show_done)
        if found.damaged and not skip_damaged:
            message = f"{show(file)} is damaged: {found.damaged} of its {rows + found.damaged} rows fail their checksum"
            raise CliError(ExitStatus.FAILURE, message, "Take the others all the same: --skip-damaged")
        if data is not None:
            return _put_back(call, found, Path(data))
        call.guard(f"merge {show(file)} into the cluster")
        return _merge(call, found, undelete=undelete)


def _put_back(call: Call, found: Backup, directory: Path) -> ExitStatus:
    from node.storage.backup_file import put_back
    from node.storage.sqlite import FILE

    put_back(found, directory, FILE)
    source = found.stamp.source
    words = {"--name": source.node, "--cluster": source.cluster, "--data-dir": str(directory.absolute())}
    words["--port"] = source.address.rpartition(":")[2]
    start = " ".join(["dyn node start", *(f"{flag} {shell_word(word.encode())}" for flag, word in words.items())])
    document = _about(found) | {"schema": "dyn.put_back/v1", "data_dir": str(directory.absolute()), "start": start}
    call.emit(document, View(_put_back_screen, put_back_rows))
    return ExitStatus.OK


class Merging:
    """What became of the rows: counts, and the first names of those that were refused or failed."""

    def __init__(self) -> None:
        self.counts = dict.fromkeys(("merged", "known", "older", "failed", "untraced"), 0)
        self.older: list[bytes] = []
        self.failed: list[tuple[bytes, str]] = []

    def heard(self, key: bytes, verdict: str, *, traced: bool) -> None:
        """One row more. `untraced` counts those of which the owners held nothing at all."""
        self.counts[verdict] += 1
        self.counts["untraced"] += not traced
        if verdict == "older" and len(self.older) < NAMED_MAX:
            self.older.append(key)

    def fail(self, key: bytes, why: str) -> None:
        """One row that could not be merged."""
        self.counts["failed"] += 1
        if len(self.failed) < NAMED_MAX:
            self.failed.append((key, why))


def _merge(call: Call, found: Backup, *, undelete: bool) -> ExitStatus:
    _check_cluster(call, found)
    merging = Merging()
    with progress(call, "restore", max(1, found.stamp.keys)) as show_done:
        seen = 0
        for window in windows(found.rows(), lambda item: len(item[0]) + len(item[1]), lambda item: item[0]):
            _merge_window(call, found, window, merging, undelete=undelete)
            seen += len(window)
            show_done(seen)
    named = [dict(zip(("key", "enc"), encode(key), strict=True)) for key in merging.older]
    failed = [{**dict(zip(("key", "enc"), encode(key), strict=True)), "why": why} for key, why in merging.failed]
    document = {
        "schema": "dyn.restore/v1", "file": str(found.path), "node": found.stamp.source.node,
        "cluster": found.stamp.source.cluster, "undelete": undelete, "rows": seen, **merging.counts,
        "damaged": found.damaged, "older_keys": named, "failed_keys": failed,
    }  # fmt: skip
    call.emit(document, View(_restore_screen, restore_rows))
    if merging.counts["failed"] or found.damaged:
        return ExitStatus.FAILURE
    return ExitStatus.REFUSED if merging.counts["older"] else ExitStatus.OK


def _check_cluster(call: Call, found: Backup) -> None:
    """Refuse a cluster that the backup is not of: its reap rounds, and its secrets, are others."""
    source = found.stamp.source
    status, ring = store.document(call.client, "STATUS"), store.document(call.client, "RING")
    here = (status["cluster_id"], ring["partitions"])
    if here != (source.cluster_id, source.partitions):
        message = (
            f"{show(str(found.path))} is of cluster {show(source.cluster)} ({source.cluster_id[:8]}, "
            f"{source.partitions} partitions), and {call.client.address} is of cluster {show(str(status['cluster']))} "
            f"({show(str(here[0]))[:8]}, {here[1]} partitions)"
        )
        raise CliError(ExitStatus.REFUSED, message, "Name a node of that cluster: -n HOST:PORT")


def _merge_window(
    call: Call, found: Backup, window: list[tuple[bytes, bytes]], merging: Merging, *, undelete: bool
) -> None:
    cluster_id, rounds = found.stamp.source.cluster_id, found.rounds
    more: Words = ("UNDELETE",) if undelete else ()
    requests: list[Words] = [
        ("DYN.RESTORE", key, row, rounds.of(key), cluster_id, *more, *call.client.timeout_words) for key, row in window
    ]
    for (key, _), reply in zip(window, ask_many(call.client, requests, writes=True), strict=True):
        if isinstance(reply, CliError):
            if reply.code not in ITS_OWN:
                reply.message = f"{quoted(key)}: {reply.message}"
                reply.hint = "What was merged stays; run it again when that is mended: it goes on with the rest"
                raise reply
            merging.fail(key, reply.message)
        else:
            said = store.parsed(reply)
            verdict = said.get("verdict")
            if verdict not in ("merged", "known", "older"):
                raise CliError(ExitStatus.FAILURE, f"the node says {show(str(verdict))[:40]} to a row", code="PROTOCOL")
            merging.heard(key, verdict, traced=bool(said.get("traced")))


def _backup_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.backups import backup_screen

    return backup_screen(document)


def _info_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.backups import info_screen

    return info_screen(document)


def _put_back_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.backups import put_back_screen

    return put_back_screen(document)


def _restore_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.backups import restore_screen

    return restore_screen(document)

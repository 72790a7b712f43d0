"""DYN.BACKUP: one copy of the store at a time, made by a thread of its own, at a bounded pace.

Whoever asks is told within BACKUP_WAIT_S how far it is, and asks again with the same path for as long as it runs: no
connection is held for minutes, and a client that is gone ends no backup. How one ended is told once; after that its
path is a file that exists.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from secrets import token_bytes

import msgspec

from node.core.limits_backup import BACKUP_BYTES_S_MAX, BACKUP_STEP_PAGES, BACKUP_TOLD_S, BACKUP_WAIT_S
from node.storage.backup import SCHEMA, CutShort, Source, Stamp, refusal, write_backup
from node.storage.errors import StorageError
from node.storage.opening import PAGE_BYTES
from node.wire.replies import ErrorReply, Value

Answer = Callable[[Value], None]

STEP_S = BACKUP_STEP_PAGES * PAGE_BYTES / BACKUP_BYTES_S_MAX
"""What one step takes at the bounded pace."""


INTERRUPT_S = 0.05
"""How often a check of a copy is told to end."""


class Run:
    """One backup: how far it is, and how it ended. `done` and `total` are pages, written by the thread."""

    def __init__(self, target: Path, source: Source) -> None:
        self.target = target
        self.source = source
        self.done = self.total = 0
        self.began = time.monotonic()
        self.ended: Value = None
        self.cut = threading.Event()
        self.interrupt: Callable[[], None] = lambda: None
        self.waiting: list[Waiter] = []

    def checking(self, interrupt: Callable[[], None]) -> None:
        """The copy is being checked, and this ends that."""
        self.interrupt = interrupt

    def document(self) -> dict[str, object]:
        """What is true of it at any time."""
        source = self.source
        return {
            "schema": SCHEMA, "node": source.node, "node_id": source.node_id, "cluster": source.cluster,
            "cluster_id": source.cluster_id, "partitions": source.partitions, "file": str(self.target),
            "done": self.done * PAGE_BYTES, "total": self.total * PAGE_BYTES,
            "took_s": round(time.monotonic() - self.began, 3),
        }  # fmt: skip

    def finished(self, stamp: Stamp) -> dict[str, object]:
        """What is told of it when the file is there."""
        return self.document() | {
            "running": False, "at_ms": self.source.at_ms, "keys": stamp.keys, "bytes": stamp.bytes,
            "siblings": stamp.siblings, "tombstones": stamp.tombstones, "quarantined": stamp.quarantined,
            "file_bytes": self.target.stat().st_size,
        }  # fmt: skip


class Waiter:
    """Somebody who asked: answered once, with the end, or after a while with how far it is."""

    def __init__(self, run: Run, answer: Answer, loop: asyncio.AbstractEventLoop, wait_s: float) -> None:
        self._run = run
        self._answer = answer
        self._timer = loop.call_later(wait_s, self._progress)

    def _progress(self) -> None:
        self._run.waiting.remove(self)
        self._answer(msgspec.json.encode(self._run.document() | {"running": True}))

    def ended(self) -> None:
        """It has ended."""
        self._timer.cancel()
        self._answer(self._run.ended)


class Backups:
    """The backups of one store. All methods are called on the loop's thread."""

    def __init__(self, store: Path, loop: asyncio.AbstractEventLoop, *, wait_s: float = BACKUP_WAIT_S) -> None:
        self._store = store
        self._loop = loop
        self._wait_s = wait_s
        self._run: Run | None = None
        self._thread: threading.Thread | None = None
        self._untold: Run | None = None

    def ask(self, target: Path, source: Source, answer: Answer) -> None:
        """Begin a backup into `target`, or hear of the one that runs. `answer` is called once, now or later."""
        if self._untold is not None and self._untold.target == target:
            answer(self._untold.ended)
            self._untold = None
            return
        if self._run is None:
            refused = refusal(self._store, target)
            if refused is not None:
                answer(_error(refused))
                return
            self._begin(Run(target, source))
        run = self._run
        assert run is not None, "just begun"
        if run.target != target:
            answer(ErrorReply("BUSY", f"a backup into {run.target} is under way, one at a time"))
            return
        run.waiting.append(Waiter(run, answer, self._loop, self._wait_s))

    def _begin(self, run: Run) -> None:
        self._run, self._untold = run, None
        self._thread = threading.Thread(target=self._work, args=(run,), name="backup")
        self._thread.start()

    def stop(self) -> None:
        """End what is under way; nothing is left of it. Blocks for a moment. From any thread."""
        run, thread = self._run, self._thread
        if run is not None and thread is not None:
            run.cut.set()
            while thread.is_alive():  # an interruption of what has not begun yet is lost
                with suppress(sqlite3.ProgrammingError):  # it is over
                    run.interrupt()
                thread.join(INTERRUPT_S)

    # The thread ------------------------------------------------------------------------------------------

    def _work(self, run: Run) -> None:
        due = time.monotonic()

        def step(done: int, total: int) -> None:
            nonlocal due
            run.done, run.total = done, total
            due = max(due + STEP_S, time.monotonic())
            if run.cut.wait(max(0.0, due - time.monotonic())):
                raise CutShort

        ended: Value
        try:
            stamp = write_backup(self._store, run.target, run.source, token_bytes, step, run.checking)
            ended = msgspec.json.encode(run.finished(stamp))
        except (CutShort, StorageError, OSError) as error:
            ended = GIVEN_UP if run.cut.is_set() else _error(error)
        except BaseException as error:
            self._tell(run, ErrorReply("ERR", f"a defect ended the backup: {error!r}"))
            raise
        self._tell(run, ended)

    def _tell(self, run: Run, ended: Value) -> None:
        try:
            self._loop.call_soon_threadsafe(self._ended, run, ended)
        except RuntimeError:
            assert run.cut.is_set(), "the loop was closed before the backup was ended"

    def _ended(self, run: Run, ended: Value) -> None:
        run.ended, self._run = ended, None
        waiting, run.waiting = run.waiting, []
        if not waiting:
            self._untold = run
            self._loop.call_later(BACKUP_TOLD_S, self._forget, run)
        for waiter in waiting:
            waiter.ended()

    def _forget(self, run: Run) -> None:
        if self._untold is run:
            self._untold = None


GIVEN_UP = ErrorReply("ERR", "the node stops: the backup was given up, and nothing is left of it")


def _error(error: Exception) -> ErrorReply:
    if not isinstance(error, StorageError):
        return ErrorReply("ERR", str(error))
    return ErrorReply("ERR", f"{error.message}. {error.hint}" if error.hint else error.message)

"""The storage thread: writes are queued from the event loop, done in groups, and told back in one call a group.

A group is whatever waited while the one before was being synced: under load the groups grow by themselves, and an idle
node waits for nothing. Nothing is told before its transaction is committed. A write for which nobody waits any more
when its turn comes is refused instead: it costs no transaction, and those behind it get theirs sooner.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from node.core.limits import GROUP_BYTES_MAX, GROUP_WRITES_MAX, TREE_IDLE_S, TREE_SAVE_S
from node.storage.port import (
    Advance,
    HandOver,
    Merge,
    Outcome,
    Refusal,
    Refused,
    SaveState,
    StorageStopped,
    Write,
    is_late,
)
from node.storage.sqlite import SqliteStorage

Ticketed = tuple[int, Write]

TOO_LATE = "the disk did not come to it in time; nothing was stored, retry in a moment"


class DiskThread:
    """One thread that owns the writing half of a store. `persisted` and `stopped` are called on the loop's thread.

    Every write is answered, once: after the disk failed, or a defect ended the work, with Refused(STOPPED), and those
    that were under way just then with Refused(UNCLEAR). `stopped` is called once with the reason. `stop` ends the
    thread; the store stays open, for its owner to close.
    """

    def __init__(
        self,
        storage: SqliteStorage,
        loop: asyncio.AbstractEventLoop,
        persisted: Callable[[list[tuple[int, Outcome]]], None],
        stopped: Callable[[str], None],
    ) -> None:
        self._storage = storage
        self._loop = loop
        self._persisted = persisted
        self._stopped = stopped
        self._queue: deque[Ticketed] = deque()
        self._wake = threading.Condition()
        self._ending = False
        self._failed: str | None = None
        self._thread = threading.Thread(target=self._run, name="storage", daemon=True)
        self._group: list[Ticketed] = []
        self._groups = self._writes = self._largest = self._late = 0
        self._commit_s = self._commit_s_max = self._idle_s = 0.0

    def start(self) -> None:
        """Begin to work."""
        self._thread.start()

    def submit(self, writes: Sequence[Ticketed]) -> None:
        """Queue writes, in order; `persisted` brings their tickets back."""
        with self._wake:
            self._queue.extend(writes)
            self._wake.notify()

    def stop(self) -> None:
        """Finish what is queued and end the thread. Blocks."""
        with self._wake:
            self._ending = True
            self._wake.notify()
        self._thread.join()

    @property
    def queued(self) -> int:
        """Writes that wait."""
        return len(self._queue)

    def figures(self) -> dict[str, object]:
        """Measured so far: the queue, groups and writes, times of commits in milliseconds, and the store's own."""
        groups = self._groups
        return {
            "queued": len(self._queue),
            "groups": groups,
            "writes": self._writes,
            "late": self._late,
            "group_largest": self._largest,
            "commit_s": round(self._commit_s, 6),
            "commit_ms_mean": round(self._commit_s / groups * 1000, 3) if groups else None,
            "group_mean": round(self._writes / groups, 1) if groups else None,
            "commit_ms_max": round(self._commit_s_max * 1000, 3),
            "failed": self._failed,
        } | self._storage.figures()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            why = f"a defect ended the storage thread: {error!r}"
            self._fail(why)
            group, self._group = self._group, []
            if group:
                self._tell(group, _unclear(why, len(group)))
            self._work()
            raise

    def _work(self) -> None:
        while group := self._take():
            self._group, self._idle_s = group, 0.0
            outcomes = self._do([write for _, write in group])
            self._group = []
            self._tell(group, outcomes)
            self._checkpoint()
            self._background()

    def _take(self) -> list[Ticketed]:
        """Wait for work and take a group of it; nothing when the thread shall end."""
        while True:
            while not self._queue and not self._ending and self._background():
                pass
            idle = False
            with self._wake:
                if not self._queue and not self._ending:
                    idle = not self._wake.wait(TREE_IDLE_S)
                group = self._group_of(self._queue)
                if group or self._ending:
                    return group
            if idle:
                self._idle()

    def _group_of(self, queue: deque[Ticketed]) -> list[Ticketed]:
        group: list[Ticketed] = []
        size = 0
        while queue and len(group) < GROUP_WRITES_MAX and size < GROUP_BYTES_MAX:
            ticketed = queue.popleft()
            group.append(ticketed)
            size += _size(ticketed[1])
        return group

    def _do(self, writes: list[Write]) -> list[Outcome]:
        if self._failed is not None:
            return [Refused(Refusal.STOPPED, self._failed)] * len(writes)
        begun = time.monotonic()
        if any(is_late(write, begun) for write in writes):
            return self._do_in_time(writes, begun)
        try:
            outcomes = self._storage.apply(writes)
        except StorageStopped as error:
            self._fail(str(error))
            return _unclear(str(error), len(writes))
        took_s = time.monotonic() - begun
        self._groups += 1
        self._writes += len(writes)
        self._largest = max(self._largest, len(writes))
        self._commit_s += took_s
        self._commit_s_max = max(self._commit_s_max, took_s)
        return outcomes

    def _do_in_time(self, writes: list[Write], now: float) -> list[Outcome]:
        """Do the writes for which somebody waits; refuse the others."""
        in_time = [write for write in writes if not is_late(write, now)]
        self._late += len(writes) - len(in_time)
        done = iter(self._do(in_time) if in_time else ())
        late = Refused(Refusal.LATE, TOO_LATE)
        return [late if is_late(write, now) else next(done) for write in writes]

    def _background(self) -> bool:
        """Do a slice of the store's own work; whether there was any. Under load one follows every group."""
        if self._failed is not None or not self._storage.work_due:
            return False
        try:
            self._storage.work()
        except StorageStopped as error:
            self._fail(str(error))
        return True

    def _idle(self) -> None:
        """Nothing was written for a while: see how full the disk is, and save the trees when it has become long."""
        if self._failed is not None:
            return
        self._storage.look()
        self._checkpoint()
        self._idle_s += TREE_IDLE_S
        if self._idle_s >= TREE_SAVE_S and self._failed is None:
            self._idle_s = 0.0
            try:
                self._storage.save()
            except StorageStopped as error:
                self._fail(str(error))

    def _checkpoint(self) -> None:
        try:
            if self._failed is None and self._storage.checkpoint_due:
                self._storage.checkpoint()
        except StorageStopped as error:
            self._fail(str(error))

    def _fail(self, why: str) -> None:
        self._failed = why
        self._call(self._stopped, why)

    def _tell(self, group: list[Ticketed], outcomes: list[Outcome]) -> None:
        told = [(ticket, outcome) for (ticket, _), outcome in zip(group, outcomes, strict=True)]
        self._call(self._persisted, told)

    def _call(self, callback: Callable[[Any], None], value: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, value)
        except RuntimeError:
            assert self._ending, "the loop was closed before the storage thread was stopped"


def _size(write: Write) -> int:
    if isinstance(write, Merge | HandOver):
        return len(write.row)
    if isinstance(write, Advance):
        return len(write.value or b"")
    return len(write.data) if isinstance(write, SaveState) else 0


def _unclear(why: str, count: int) -> list[Outcome]:
    """What writes are told that were under way when the disk failed."""
    words = f"the disk failed while this was stored ({why}); the write may still take effect"
    return [Refused(Refusal.UNCLEAR, words)] * count

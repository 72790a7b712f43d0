"""The storage thread: groups, order, refusal for ever after a failure, and nothing left unanswered at the end."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from node.core.limits import GROUP_BYTES_MAX, GROUP_WRITES_MAX
from node.core.merkle import Trees
from node.runtime.disk import TOO_LATE, DiskThread
from node.storage.port import (
    Advanced,
    Outcome,
    Refusal,
    Refused,
    Saved,
    SaveState,
    StorageStopped,
    Unreadable,
    Write,
)
from node.storage.sqlite import SqliteStorage
from tests.helpers.stores import EPOCH, SqliteHandle, write

Told = list[tuple[int, Outcome]]


class Desk:
    """A disk thread, and what it said."""

    def __init__(self, storage: SqliteStorage) -> None:
        self.storage = storage
        self.groups: list[Told] = []
        self.stops: list[str] = []
        self.disk = DiskThread(storage, asyncio.get_running_loop(), self._persisted, self.stops.append)
        self._changed = asyncio.Event()

    def _persisted(self, told: Told) -> None:
        self.groups.append(told)
        self._changed.set()

    @property
    def told(self) -> Told:
        return [one for group in self.groups for one in group]

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


@pytest.fixture
def storage(tmp_path: Path) -> Iterator[SqliteStorage]:
    storage = SqliteStorage.open(tmp_path / "data")
    yield storage
    storage.close()


def advances(count: int, start: int = 1, size: int = 1) -> list[tuple[int, Write]]:
    return [(ticket, write(b"k%d" % ticket, b"v" * size)) for ticket in range(start, start + count)]


def test_every_write_is_answered_once_in_order_and_only_when_durable(storage: SqliteStorage) -> None:
    async def main() -> None:
        desk = Desk(storage)
        desk.disk.start()
        desk.disk.submit([(0, SaveState("ring", b"", EPOCH))])
        for start in range(1, 1001, 10):
            desk.disk.submit(advances(10, start))
        await desk.until(lambda: len(desk.told) == 1001)
        assert [ticket for ticket, _ in desk.told] == list(range(1001))
        assert isinstance(desk.told[0][1], Saved)
        for ticket, outcome in desk.told[1:]:
            assert isinstance(outcome, Advanced)
            assert storage.fetch(b"k%d" % ticket) == outcome.row
        figures = desk.disk.figures()
        assert figures["writes"] == 1001
        assert figures["queued"] == 0
        assert figures["groups"] == len(desk.groups)
        await asyncio.to_thread(desk.disk.stop)

    asyncio.run(main())


def test_what_waited_too_long_is_refused_and_the_rest_is_done(storage: SqliteStorage) -> None:
    """A disk that stood still has no time for those who have given up: it does what somebody still waits for."""

    async def main() -> None:
        desk = Desk(storage)
        desk.disk.submit([(0, SaveState("ring", b"", EPOCH))])
        now = time.monotonic()
        for ticket, until in (1, now), (2, now + 60.0), (3, now), (4, math.inf):
            desk.disk.submit([(ticket, write(b"k%d" % ticket, b"v")._replace(until=until))])
        desk.disk.start()  # so late: the disk stalled
        await desk.until(lambda: len(desk.told) == 5)
        assert [ticket for ticket, _ in desk.told] == [0, 1, 2, 3, 4], "each is answered, in order"
        late = {ticket for ticket, outcome in desk.told if isinstance(outcome, Refused)}
        assert late == {1, 3}
        assert all(outcome.why is Refusal.LATE for _, outcome in desk.told if isinstance(outcome, Refused))
        assert [storage.fetch(b"k%d" % ticket) is None for ticket in range(1, 5)] == [True, False, True, False]
        assert desk.disk.figures()["late"] == 2
        await asyncio.to_thread(desk.disk.stop)

    asyncio.run(main())


def test_a_group_in_which_all_is_late_costs_no_transaction(
    storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def applied(writes: Sequence[Write]) -> list[Outcome]:
        raise AssertionError(f"{writes} were given to the store")

    async def main() -> None:
        desk = Desk(storage)
        monkeypatch.setattr(storage, "apply", applied)
        desk.disk.submit([(1, write(b"k", b"v")._replace(until=time.monotonic()))])
        desk.disk.start()
        await desk.until(lambda: len(desk.told) == 1)
        assert desk.told == [(1, Refused(Refusal.LATE, TOO_LATE))]
        await asyncio.to_thread(desk.disk.stop)

    asyncio.run(main())


def test_what_waits_becomes_one_group(storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []
    apply = storage.apply

    def counted(writes: Sequence[Write]) -> list[Outcome]:
        sizes.append(len(writes))
        return apply(writes)

    monkeypatch.setattr(storage, "apply", counted)

    async def main() -> None:
        desk = Desk(storage)
        desk.disk.submit([(0, SaveState("ring", b"", EPOCH)), *advances(GROUP_WRITES_MAX + 9)])
        desk.disk.start()
        desk.disk.stop()
        await desk.until(lambda: len(desk.told) == GROUP_WRITES_MAX + 10)
        assert sizes == [GROUP_WRITES_MAX, 10]

    asyncio.run(main())


def test_a_group_is_bounded_in_bytes(storage: SqliteStorage) -> None:
    async def main() -> None:
        desk = Desk(storage)
        big = GROUP_BYTES_MAX // 2 - 1000
        desk.disk.submit([(0, SaveState("ring", b"", EPOCH)), *advances(7, size=big)])
        desk.disk.start()
        desk.disk.stop()
        await desk.until(lambda: len(desk.told) == 8)
        assert [len(group) for group in desk.groups] == [4, 3, 1]

    asyncio.run(main())


def test_stop_drains_the_queue(storage: SqliteStorage) -> None:
    async def main() -> None:
        desk = Desk(storage)
        desk.disk.submit([(0, SaveState("ring", b"", EPOCH)), *advances(2000)])
        desk.disk.start()
        desk.disk.stop()
        await desk.until(lambda: len(desk.told) == 2001)
        assert storage.totals().rows == 2000

    asyncio.run(main())


def test_a_failed_disk_is_told_once_and_takes_nothing_any_more(
    storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(writes: Sequence[Write]) -> list[Outcome]:
        raise StorageStopped("disk I/O error")

    async def main() -> None:
        desk = Desk(storage)
        monkeypatch.setattr(storage, "apply", failing)
        desk.disk.start()
        desk.disk.submit(advances(3))
        await desk.until(lambda: len(desk.told) == 3)
        monkeypatch.undo()  # the disk seems well again: it is not believed
        desk.disk.submit(advances(2, start=4))
        await desk.until(lambda: len(desk.told) == 5)
        first, last = [outcome for _, outcome in desk.told[:3]], [outcome for _, outcome in desk.told[3:]]
        assert all(isinstance(outcome, Refused) and outcome.why is Refusal.UNCLEAR for outcome in first)
        assert last == [Refused(Refusal.STOPPED, "disk I/O error")] * 2
        assert desk.stops == ["disk I/O error"]
        assert desk.disk.figures()["failed"] == "disk I/O error"
        await asyncio.to_thread(desk.disk.stop)

    asyncio.run(main())


def test_a_defect_leaves_nobody_waiting(storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: raised.append(str(args.exc_value)))

    def defective(writes: Sequence[Write]) -> list[Outcome]:
        raise AssertionError("tally added twice")

    async def main() -> None:
        desk = Desk(storage)
        monkeypatch.setattr(storage, "apply", defective)
        desk.disk.start()
        desk.disk.submit(advances(3))
        await desk.until(lambda: len(desk.told) == 3)
        desk.disk.submit(advances(2, start=4))
        await desk.until(lambda: len(desk.told) == 5)
        whys = [outcome.why for _, outcome in desk.told if isinstance(outcome, Refused)]
        assert whys == [Refusal.UNCLEAR] * 3 + [Refusal.STOPPED] * 2
        assert len(desk.stops) == 1
        assert "tally added twice" in desk.stops[0]
        await asyncio.to_thread(desk.disk.stop)

    asyncio.run(main())
    assert raised == ["tally added twice"]


def test_the_log_is_folded_between_groups(storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.storage.space.CHECKPOINT_BYTES", 100_000)

    async def main() -> None:
        desk = Desk(storage)
        desk.disk.start()
        desk.disk.submit([(0, SaveState("ring", b"", EPOCH))])
        for at in range(10):
            desk.disk.submit(advances(20, start=1 + 20 * at, size=2000))
            await desk.until(lambda at=at: len(desk.told) == 21 + 20 * at)
        await asyncio.to_thread(desk.disk.stop)
        figures = desk.disk.figures()
        checkpoints, stall_ms = figures["checkpoints"], figures["checkpoint_ms_max"]
        assert isinstance(checkpoints, int)
        assert checkpoints >= 3
        assert isinstance(stall_ms, float)
        assert stall_ms > 0

    asyncio.run(main())
    log = storage.path.with_name(storage.path.name + "-wal")
    assert log.stat().st_size < 400_000, "a folded log is written from its beginning again"


async def soon(condition: Callable[[], bool]) -> None:
    """Wait for something that the thread does without a word."""
    for _ in range(2000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not happen")


def test_after_a_crash_the_thread_scans_the_rows_beside_its_writes(tmp_path: Path) -> None:
    handle = SqliteHandle(tmp_path / "data")
    handle.store.apply([SaveState("ring", b"", EPOCH), *(write for _, write in advances(2000))])
    before = handle.store.digests(0, 0, 0)
    handle.crash()
    assert handle.store.digests(0, 0, 0) == b""

    async def main() -> None:
        desk = Desk(handle.store)
        desk.disk.start()
        desk.disk.submit(advances(5, start=5000))
        await desk.until(lambda: len(desk.told) == 5)
        await soon(lambda: not handle.store.work_due)
        await asyncio.to_thread(desk.disk.stop)

    asyncio.run(main())
    assert handle.store.digests(0, 0, 0) not in (b"", before)
    handle.close()


def test_damage_that_a_reader_found_is_set_aside_without_a_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.runtime.disk.TREE_IDLE_S", 0.01)
    handle = SqliteHandle(tmp_path / "data")
    handle.store.apply([SaveState("ring", b"", EPOCH), write(b"k", b"v")])

    async def main() -> None:
        desk = Desk(handle.store)
        desk.disk.start()
        handle.corrupt(b"k")
        assert isinstance(handle.store.fetch(b"k"), Unreadable)
        await soon(lambda: handle.store.totals().quarantined == 1 and not handle.store.work_due)
        await asyncio.to_thread(desk.disk.stop)

    asyncio.run(main())
    assert handle.store.digests(0, 0, 0) == Trees(known=True).digests(0, 0, 0)
    handle.close()


def test_the_trees_are_saved_in_a_quiet_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.runtime.disk.TREE_IDLE_S", 0.01)
    monkeypatch.setattr("node.runtime.disk.TREE_SAVE_S", 0.05)
    handle = SqliteHandle(tmp_path / "data")

    async def main() -> None:
        desk = Desk(handle.store)
        desk.disk.start()
        desk.disk.submit([(0, SaveState("ring", b"", EPOCH)), *advances(50)])
        await desk.until(lambda: len(desk.told) == 51)
        await soon(lambda: handle.execute("SELECT COUNT(*) FROM trees") == [(256,)])
        await asyncio.to_thread(desk.disk.stop)

    asyncio.run(main())
    handle.crash()
    assert not handle.store.work_due
    handle.close()


def test_a_failed_disk_answers_for_ever_though_nobody_can_look_how_full_it_is(
    storage: SqliteStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A volume that is gone: statvfs fails at each idle look, and the second one ended the thread."""
    monkeypatch.setattr("node.runtime.disk.TREE_IDLE_S", 0.02)
    monkeypatch.setattr(threading, "excepthook", lambda args: None)

    def look() -> None:
        raise OSError(116, "Stale file handle")

    async def main() -> None:
        monkeypatch.setattr(storage, "look", look)
        desk = Desk(storage)
        desk.disk.start()
        for _ in range(15):
            await asyncio.sleep(0.02)
            assert desk.disk._thread.is_alive()
        assert len(desk.stops) == 1
        desk.disk.submit(advances(1))
        await desk.until(lambda: bool(desk.told))
        assert isinstance(desk.told[0][1], Refused)
        await asyncio.to_thread(desk.disk.stop)

    asyncio.run(main())

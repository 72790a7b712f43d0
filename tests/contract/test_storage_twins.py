"""The two stores side by side: the same writes and the same mishaps, the same answers to the last byte."""

from __future__ import annotations

import tempfile
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.merkle import Trees, leaf_of_key
from node.core.row import Clock, Dot, Row, Version
from node.core.version import add, join, own_clock
from node.storage.port import Advance, Merge, SaveState, Unreadable, Write
from node.storage.records import Names, digest_of
from node.wire.rows import decode_row, encode_row
from tests.helpers.campaign import scale
from tests.helpers.stores import EPOCH, MEMORY, Handle, SimHandle, SqliteHandle

KEYS = (b"a", b"b", b"c")

keys = st.sampled_from(KEYS)
epochs = st.sampled_from([EPOCH] * 9 + [EPOCH + 1])
advances = st.tuples(
    st.just("advance"), keys, st.sampled_from([b"v", b"", None]), st.booleans(), st.integers(0, 3), epochs
)
merges = st.tuples(st.just("merge"), keys, st.integers(1, 3), st.booleans(), epochs)
strays = st.tuples(st.just("stray"), keys, st.integers(1, 9))
saves = st.tuples(st.just("save"), st.sampled_from([None, EPOCH]))
batches = st.lists(st.one_of(advances, merges, saves, strays), min_size=1, max_size=6)
mishaps = st.tuples(st.sampled_from(["crash", "corrupt", "drop", "save", "work"]), keys)
steps = st.lists(st.one_of(batches, batches, mishaps), min_size=1, max_size=12)


def as_write(plan: tuple[object, ...], sim: SimHandle, at: int) -> Write:
    """Make the write of a plan, with what the simulated store holds as its past. `at` numbers all writes of a run."""
    match plan:
        case ("advance", bytes(key), value, bool(cover), int(seen), int(epoch)):
            assert value is None or isinstance(value, bytes)
            return Advance(key, value, context_of(sim, key, seen), cover, epoch, 5, "w")
        case ("merge", bytes(key), int(n), bool(knows), int(epoch)):
            past = context_of(sim, key, 3) if knows else ()
            dot = Dot(0x2222, at, n)  # every merge brings another write, as a dot has one past
            return Merge(key, encode_row(Row(add(past, dot), (Version(dot, past, b"p", 1, ""),))), epoch)
        case ("stray", bytes(key), int(ahead)):
            names = sim.store.names
            dot = Dot(names.epoch, names.births + ahead, ahead)
            return Merge(key, encode_row(Row(add((), dot), (Version(dot, (), b"stray", 1, ""),))), EPOCH)
        case ("save", epoch):
            assert epoch is None or isinstance(epoch, int)
            return SaveState("state", b"%r" % epoch, epoch)
    raise AssertionError(plan)


def context_of(sim: SimHandle, key: bytes, seen: int) -> Clock:
    """What a client saw: the clocks of the first `seen` versions."""
    row = sim.store.durable_rows().get(key)
    clock: Clock = ()
    for version in decode_row(row).versions[:seen] if row else ():
        clock = join(clock, own_clock(version))
    return clock


def strike(handle: Handle, kind: str, key: bytes) -> None:
    match kind:
        case "crash":
            handle.crash()
        case "corrupt":
            handle.corrupt(key)
            handle.store.fetch(key)
            handle.store.apply([SaveState("noticed", b"")])
        case "drop":
            handle.drop(key)
        case "save":
            handle.store.save()
        case "work":
            settle(handle)


def settle(handle: Handle) -> None:
    """Let the store scan and set aside what waits for that."""
    while handle.store.work_due:
        handle.store.work()


def look(handle: Handle) -> object:
    """All that can be seen of a store from outside."""
    store = handle.store
    rows = [store.fetch(key) for key in KEYS]
    seen = [Unreadable("") if isinstance(row, Unreadable) else row for row in rows]
    return seen, store.scan(0, 1, b"", 100), store.load_state(), store.identity.epochs


@settings(max_examples=scale(60, 500))
@given(steps)
def test_twins(plans: list[object]) -> None:
    epochs: list[int] = []
    source = Random(1)

    def entropy(count: int) -> bytes:
        data = source.randbytes(count)
        if count == 8:
            epochs.append(int.from_bytes(data, "big"))
        return data

    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        real = SqliteHandle(Path(directory) / "data", entropy=entropy)
        sim = SimHandle(epochs.pop())
        sim.store.names = Names(sim.store.names.epochs, 0, lambda: epochs.pop(0))  # draws what the real one drew
        try:
            play(plans, real, sim)
        finally:
            real.close()


def play(plans: list[object], real: SqliteHandle, sim: SimHandle) -> None:
    at = 0
    for plan in [[("save", EPOCH)], *plans]:
        if isinstance(plan, list):
            writes = [as_write(one, sim, at + number) for number, one in enumerate(plan, 1)]
            at += len(plan)
            assert real.store.apply(writes) == sim.store.apply(writes)
        else:
            kind, key = plan
            if key in sim.store.durable_rows():
                strike(real, kind, key)
                strike(sim, kind, key)
        assert look(real) == look(sim)
    rows = sim.store.durable_rows()
    assert real.store.totals().quarantined == sim.store.totals().quarantined
    assert sim.store.totals().rows == len(rows)
    settle(real)
    settle(sim)
    assert real.store.digests(0, 0, 0) == sim.store.digests(0, 0, 0) == root_of(sim)


def root_of(sim: SimHandle) -> bytes:
    """The root of the trees, computed from the rows."""
    trees = Trees(known=True)
    trees.toggle((leaf_of_key(key), digest_of(key, row)) for key, row in sim.store.durable_rows().items())
    return trees.digests(0, 0, 0)

"""When the scrubber reads, and what it tells: the engine decides, the store reads."""

from __future__ import annotations

import msgspec

from node.core.limits import FOREGROUND_P99_MS_MAX, SCRUB_PAUSE_S, SCRUB_PERIOD_S, SCRUB_ROWS
from node.core.merkle import CHUNK_LEAVES, CHUNKS, LEAVES
from node.engine.events import Measured, Persisted, Reached
from node.storage.port import Outcome, Refusal, Refused, Scrub, Scrubbed
from node.wire.requests import Document, Inspect
from tests.helpers.engine import Engine

EVERY_S = SCRUB_PERIOD_S / CHUNKS


def slices(engine: Engine) -> list[tuple[int, Scrub]]:
    """The slices that wait for the disk."""
    return [(ticket, write) for ticket, write in engine.out.persists if isinstance(write, Scrub)]


def answer(engine: Engine, outcome: Outcome) -> None:
    """The disk did the slice."""
    ((ticket, _),) = slices(engine)
    engine.out.persists.clear()
    engine.step(Persisted([(ticket, outcome)]))


def chunk_of(write: Scrub) -> int:
    return write.leaf // CHUNK_LEAVES


def next_chunk(write: Scrub) -> int:
    return (chunk_of(write) + 1) * CHUNK_LEAVES % LEAVES


def test_a_chunk_is_read_slice_by_slice_and_the_next_one_waits_for_its_time() -> None:
    engine = Engine()
    engine.out.persists.clear()
    engine.wait(EVERY_S - 1)
    assert not slices(engine)
    engine.wait(2)
    ((_, first),) = slices(engine)
    assert first.rows == SCRUB_ROWS
    assert first.leaf % CHUNK_LEAVES == 0
    engine.wait(10)
    assert len(slices(engine)) == 1, "one at a time"
    answer(engine, Scrubbed(first.leaf + 5, 256, 0, 0, ""))
    assert not slices(engine)
    engine.wait(SCRUB_PAUSE_S + 0.01)
    ((_, second),) = slices(engine)
    assert second.leaf == first.leaf + 5
    answer(engine, Scrubbed(next_chunk(first), 100, 0, 0, ""))
    engine.wait(EVERY_S - 15)
    assert not slices(engine), "the next chunk waits, as long as this one took less"
    engine.wait(10)
    ((_, third),) = slices(engine)
    assert third.leaf == next_chunk(first)


def stats(engine: Engine) -> dict[str, object]:
    """What DYN.STATS tells of the scrub."""
    ticket = engine.ask(Inspect("stats"))
    engine.step(Measured(engine.out.measures[-1], {}))
    result = engine.replies[ticket]
    assert isinstance(result, Document)
    (found,) = [task for task in msgspec.json.decode(result.json)["background"] if task["task"] == "scrub"]
    return dict(found)


def test_a_pass_takes_in_every_chunk_once_and_one_period() -> None:
    engine = Engine()
    began, seen = engine.now, []
    for number in range(CHUNKS):
        engine.out.persists.clear()
        engine.wait(EVERY_S)
        ((_, write),) = slices(engine)
        seen.append(chunk_of(write))
        if number == CHUNKS // 2:
            assert stats(engine)["done"] == 0.5
        answer(engine, Scrubbed(next_chunk(write), 10, int(number == 3), 0, ""))
    assert sorted(seen) == list(range(CHUNKS))
    assert abs(engine.now - began - SCRUB_PERIOD_S) < 1
    told = stats(engine)
    assert told["last_pass"] == {"rows": 10 * CHUNKS, "damaged": 1, "untrue_leaves": 0}
    assert (told["done"], told["damaged"]) == (0, 0)


def test_it_gives_way_to_clients() -> None:
    engine = Engine()
    engine.wait(EVERY_S)
    for _ in range(20):
        engine.step(Reached(looked=True, p99_ms=FOREGROUND_P99_MS_MAX + 1.0))
    ((_, write),) = slices(engine)
    answer(engine, Scrubbed(write.leaf + 1, 200, 0, 0, ""))
    engine.wait(3.9)  # 200 rows at the floor of 50 a second
    assert not slices(engine)
    engine.wait(0.2)
    assert slices(engine)
    assert "at the floor" in str(stats(engine)["because"])


def test_what_it_finds_is_an_event() -> None:
    engine = Engine()
    engine.wait(EVERY_S)
    ((_, write),) = slices(engine)
    answer(engine, Scrubbed(next_chunk(write), 10, 2, 1, ""))
    (event,) = [event for event in engine.node.cluster.events if event["kind"] == "rot_found"]
    assert (event["damaged"], event["untrue_leaves"]) == (2, 1)


def test_what_cannot_be_read_is_told_until_the_node_restarts() -> None:
    engine = Engine()
    engine.wait(EVERY_S)
    ((_, write),) = slices(engine)
    answer(engine, Scrubbed(next_chunk(write), 0, 0, 0, "malformed"))
    assert stats(engine)["unreadable"] == "malformed"


def test_a_disk_that_takes_nothing_is_asked_again_later() -> None:
    engine = Engine()
    engine.wait(EVERY_S)
    ((_, write),) = slices(engine)
    answer(engine, Refused(Refusal.STOPPED, ""))
    engine.wait(EVERY_S - 1)
    assert not slices(engine)
    engine.wait(2)
    ((_, again),) = slices(engine)
    assert again == write


def test_two_lives_begin_with_different_chunks() -> None:
    firsts = set()
    for seed in range(20):
        engine = Engine(seed=seed)
        engine.wait(EVERY_S)
        firsts.add(slices(engine)[0][1].leaf)
    assert len(firsts) > 10

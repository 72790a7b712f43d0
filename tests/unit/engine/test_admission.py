"""Background work beside clients: less while they wait, never nothing, and always with the reason."""

from __future__ import annotations

import msgspec

from node.core.limits import BACKGROUND_ROWS_S_MAX, BACKGROUND_ROWS_S_MIN, FOREGROUND_P99_MS_MAX, HANDOFF_ROWS
from node.engine.admission import Admission
from node.engine.events import Measured, OwedHere, Reached
from node.storage.port import Handed
from node.wire.messages import Replicate, Replicated
from node.wire.requests import Document, Inspect
from node.wire.rows import encode_row
from tests.helpers.engine import Engine, node_id, row_of

SLOW_MS = FOREGROUND_P99_MS_MAX + 1.0


def test_it_gives_way_down_to_the_floor_and_comes_back() -> None:
    admission = Admission()
    assert admission.pause_s(1000) == 0.0
    granted = [admission.rows_s]
    for _ in range(20):
        admission.look(SLOW_MS)
        granted.append(admission.rows_s)
    assert granted == sorted(granted, reverse=True)
    assert granted[-1] == BACKGROUND_ROWS_S_MIN
    assert admission.pause_s(BACKGROUND_ROWS_S_MIN) == 1.0
    assert admission.because == f"clients' p99 is 51 ms, the threshold {FOREGROUND_P99_MS_MAX} ms: at the floor"
    admission.look(1.0)
    assert "slowed down" in admission.because
    admission.look(None)
    assert admission.because == "clients had to wait a moment ago: faster again every second"
    for _ in range(20):
        admission.look(None)
    assert admission.rows_s == BACKGROUND_ROWS_S_MAX
    assert admission.because == "no client asks"


def test_stats_tell_what_each_task_is_granted_and_why() -> None:
    engine = Engine()
    engine.step(Reached(looked=True, p99_ms=SLOW_MS))
    ticket = engine.ask(Inspect("stats"))
    engine.step(Measured(engine.out.measures[-1], {}))
    result = engine.replies[ticket]
    assert isinstance(result, Document)
    background = msgspec.json.decode(result.json)["background"]
    assert [task["task"] for task in background] == ["hints", "repair", "scrub"]
    assert all(task["granted"] == BACKGROUND_ROWS_S_MAX / 2 for task in background)
    assert all("slowed down" in task["because"] for task in background)


def test_a_hand_over_rests_between_batches_while_clients_wait() -> None:
    """It goes on after the rest, and says meanwhile why it is slow."""
    engine = Engine(nodes=5)
    for _ in range(20):
        engine.step(Reached(looked=True, p99_ms=SLOW_MS))
    engine.down("n2")
    engine.clear()
    engine.up("n2")
    keys = (b"key%d" % i for i in range(1000))
    key = next(key for key in keys if node_id("n2") in engine.owners(key))
    ticket = next(owed[0] for owed in engine.out.owed if owed[1] == node_id("n2"))
    engine.step(OwedHere(ticket, ((key, encode_row(row_of(b"v"))),), b"\0" * 8))
    (replicate,) = [m for m in engine.sent("n2") if isinstance(m, Replicate)]
    engine.receive("n2", Replicated(replicate.rid, True, None, ""))
    engine.clear_owed()
    engine.handed_over(Handed(done=True, dropped=False))
    assert not engine.out.owed, "the next page is read at once"
    because = engine.node.handoffs.waits_because(node_id("n2"))
    assert because.startswith("being delivered slowly: clients' p99 is 51 ms")
    engine.wait(1 / BACKGROUND_ROWS_S_MIN + 0.02)
    assert [owed[2:] for owed in engine.out.owed if owed[1] == node_id("n2")] == [(b"\0" * 8, HANDOFF_ROWS)]

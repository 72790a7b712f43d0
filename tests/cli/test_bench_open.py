"""`dyn bench` with a rate, with faults and with what it keeps, against scripted nodes."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.cli import Result, dyn
from tests.helpers.documents import ring, stats, status
from tests.helpers.fake_node import HANG_UP, Err, FakeNode, fake_node

STALL_S = 0.4


def test_a_node_that_stands_still_is_felt_by_all_that_was_due() -> None:
    """Coordinated omission: one request in a hundred waits long, but forty were due in that time, and waited, too."""
    asked = iter(range(10_000))

    def put(*words: bytes) -> bytes:
        if next(asked) == 20:
            threading.Event().wait(STALL_S)
        return b"OK"

    with fake_node(SET=put) as node:
        result = dyn("bench", "--json", "--op", "put", "--rate", "100", "--count", "100", "--clients", "1", node=node)
    assert result.status == 0, result.err
    figures = json.loads(result.out)["ops"]["put"]
    assert figures["count"] == 100
    assert figures["p95_ms"] > STALL_S * 1000 / 2
    assert figures["service"]["p95_ms"] < STALL_S * 1000 / 4
    assert figures["service"]["max_ms"] > STALL_S * 900


def test_what_was_due_and_never_sent_is_told_and_counts() -> None:
    """A node that takes 100 ms for each of the 100 that are due each second."""

    def put(*words: bytes) -> bytes:
        threading.Event().wait(0.1)
        return b"OK"

    with fake_node(SET=put) as node:
        result = dyn("bench", "--json", "--op", "put", "--rate", "100", "--duration", "0.6", "--clients", "1",
                     "--assert", "unsent=0", node=node)  # fmt: skip
        screen = dyn("bench", "--op", "put", "--rate", "100", "--duration", "0.3", "--clients", "1", node=node,
                     terminal=True)  # fmt: skip
    document = json.loads(result.out)
    assert result.status == 8
    assert "does not hold: unsent=0 (found" in result.err
    assert document["requests"] + document["unsent"] == pytest.approx(60, abs=2)
    assert document["requests"] == document["ops"]["put"]["count"] < 15
    assert document["ops"]["put"]["p50_ms"] > 150
    assert "were due and never sent" in screen.out


# Faults --------------------------------------------------------------------------------------------------


@pytest.fixture
def two() -> Iterator[tuple[FakeNode, FakeNode]]:
    """Two nodes that know each other, obey faults, and store what they are told."""
    faults: dict[str, Any] = {"schema": "dyn.fault/v1", "faults": [], "note": ""}
    document = ring(2, 16)
    replies = {"SET": b"OK", "GET": b"v", "DYN.RING": document, "DYN.FAULT": faults, "DYN.STATUS": status(),
               "DYN.STATS": stats(), "DYN.EVENTS": {"schema": "dyn.events/v1", "events": []},
               "CONFIG": [b"cluster", b"dyn", b"data-dir", b"/nonexistent/n1"]}  # fmt: skip
    with fake_node(dict(replies)) as one, fake_node(dict(replies)) as other:
        for member, node in zip(document["members"], (one, other), strict=True):
            member["address"] = node.address
        yield one, other


def faulted(node: FakeNode) -> list[str]:
    return [b" ".join(words[1:]).decode() for words in node.asked if words[0] == b"DYN.FAULT"]


def test_faults_are_given_to_their_nodes_at_their_time(two: tuple[FakeNode, FakeNode]) -> None:
    """Each one to both ends of its link; the report says when, and what each second was like."""
    one, other = two
    result = dyn("bench", "--json", "--op", "put", "--rate", "200", "--duration", "1.2", "--clients", "2",
                 "--fault", "heal @1s; cut n1 n2 @200ms; skew n2 -3 @0.4", node=one)  # fmt: skip
    assert result.status == 0, result.err
    assert faulted(one) == ["CUT n1 n2", "HEAL"]
    assert faulted(other) == ["CUT n1 n2", "SKEW -3", "HEAL"]
    document = json.loads(result.out)
    assert [fault["fault"] for fault in document["faults"]] == ["cut n1 n2", "skew n2 -3", "heal"]
    assert [fault["at_s"] for fault in document["faults"]] == pytest.approx([0.2, 0.4, 1.0], abs=0.15)
    assert len(document["seconds"]) == 1
    assert document["seconds"][0]["ops"] == pytest.approx(200, abs=20)
    assert {each["node"] for each in document["by_node"]} == {"n1", "n2"}


def test_a_fault_that_is_refused_is_told_and_the_run_goes_on(two: tuple[FakeNode, FakeNode]) -> None:
    """And what was broken and not healed is said at the end."""
    one, other = two
    other.replies["DYN.FAULT"] = Err("DENIED start the node with --allow-faults")
    result = dyn("bench", "--op", "put", "--count", "150", "--rate", "200", "--clients", "2", "--color", "never",
                 "--fault", "pause n2 50 @0.1s; cut n1 n2 @0.2s; slow n1 5 @0.3s", node=one, terminal=True)  # fmt: skip
    assert "0.1 s  pause n2 50: failed, n2: start the node" in " ".join(result.out.split()).replace("0.1 s ", "0.1 s  ")
    assert max(map(len, result.out.splitlines())) <= 80
    other.replies["DYN.FAULT"] = one.replies["DYN.FAULT"]
    result = dyn("bench", "--op", "put", "--count", "20", "--rate", "200", "--fault", "slow n1 5 @0", node=one)
    assert "still in force: slow n1 5" in result.err


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("kill n2 @1s", "only a demo's processes"), ("kill n7 @1s", "no node 'n7'"), ("cut n1 n1 @1s", "on both sides"),
        ("partition n1,n2 @1s", "one side of the cut has no node"), ("bomb n1 @1s", "no fault 'bomb'"),
        ("drop n1 n2 101 @1s", "'101' is not a number"), ("slow n1 @1s", "Write: slow NODE MS"),
        ("disk n1 broken @1s", "none of full, error, ok"),
    ],
)  # fmt: skip
def test_a_schedule_that_cannot_be_kept_breaks_nothing(two: tuple[FakeNode, FakeNode], fault: str, words: str) -> None:
    """A usage error, or a node that is not there, before anything is sent."""
    result = dyn("bench", "--fault", fault, node=two[0])
    assert result.status == (3 if words.startswith("no node") else 2)
    assert words in result.err
    assert not any(words[0] == b"SET" for node in two for words in node.asked)


def test_a_connection_that_ends_goes_on_at_the_next_node(two: tuple[FakeNode, FakeNode]) -> None:
    """While faults are injected: its request is LOST, and the rest of the run is not."""
    one, other = two
    left = iter(range(10))
    other.replies["SET"] = lambda *words: b"OK" if next(left, None) is not None else HANG_UP
    result = dyn("bench", "--json", "--op", "put", "--rate", "200", "--count", "150", "--clients", "2",
                 "--fault", "heal @0.1s", "--assert", "errors<100", node=one)  # fmt: skip
    assert result.status == 0, result.err
    document = json.loads(result.out)
    assert document["errors"]["LOST"] > 0
    assert document["requests"] + document["errors"]["LOST"] == 150
    assert document["by_node"][0]["requests"] != document["by_node"][1]["requests"]


# Where, and what is kept ---------------------------------------------------------------------------------


def measured(*words: str, node: FakeNode, home: Path, terminal: bool = False) -> Result:
    return dyn("bench", "--op", "put", "--count", "40", *words, node=node, terminal=terminal,
               environ={"HOME": str(home), "NO_COLOR": "1"})  # fmt: skip


def test_all_members_are_measured_unless_only_the_named_are_wanted(two: tuple[FakeNode, FakeNode]) -> None:
    """Members that do not answer are left out, and named."""
    one, other = two
    assert len(json.loads(dyn("bench", "--json", "--count", "20", "--op", "put", node=one).out)["nodes"]) == 2
    only = dyn("bench", "--json", "--count", "20", "--op", "put", "--no-spread", node=one)
    assert json.loads(only.out)["nodes"] == [one.address]
    other.close()
    rest = dyn("bench", "--json", "--count", "20", "--op", "put", node=one)
    assert json.loads(rest.out)["nodes"] == [one.address]
    assert f"n2 at {other.address} does not answer and is left out" in rest.err


def test_runs_are_kept_and_compared(two: tuple[FakeNode, FakeNode], tmp_path: Path) -> None:
    """With the last one of the same plan unasked; with another one by its name."""
    one, _ = two
    assert measured("--compare", "last", node=one, home=tmp_path).status == 3
    first = json.loads(measured("--json", node=one, home=tmp_path).out)
    assert json.loads(Path(first["saved"]).read_text())["ops"] == first["ops"]
    assert first["compared"] is None
    second = json.loads(measured("--json", "--no-save", node=one, home=tmp_path).out)
    assert second["compared"]["with"] == Path(first["saved"]).name
    assert second["saved"] is None
    other = measured("--pipeline", "2", "--compare", first["saved"], node=one, home=tmp_path, terminal=True)
    assert "another pipeline there" in " ".join(other.out.split())
    assert max(map(len, other.out.splitlines())) <= 80
    assert "kept  ~/.local/state/dyn/bench/" in other.err
    nowhere = measured("--json", node=one, home=Path("/proc/nonexistent"))
    assert nowhere.status == 0
    assert json.loads(nowhere.out)["saved"] is None


def test_no_terminal_is_commanded_by_a_nodes_name(two: tuple[FakeNode, FakeNode], tmp_path: Path) -> None:
    """Nor by an error reply, or by what a node says of faults."""
    one, _ = two
    evil = "\x1b]0;evil\x07\u202e"
    for member in one.replies["DYN.RING"]["members"]:
        member["name"] += evil
    one.replies["SET"] = Err(f"BUSY{evil} no")
    one.replies["DYN.FAULT"] = Err(f"DENIED {evil}")
    noted = [{"at": "2026-11-23T12:03:12.402Z", "kind": "peer_down", "node": evil}]
    events = iter([[], noted])
    one.replies["DYN.EVENTS"] = lambda *count: {"schema": "dyn.events/v1", "events": next(events, noted)}
    for output in ("table", "plain", "json"):
        result = measured("-q", "-o", output, "--fault", f"cut n1{evil} n2{evil} @0", node=one, home=tmp_path,
                          terminal=True)  # fmt: skip
        assert not {c for c in result.out + result.err if not (c.isprintable() or c == "\n")}, result.out


def test_effects_are_differences_of_what_nodes_say(two: tuple[FakeNode, FakeNode]) -> None:
    """Reads that found several versions, rows delivered, who was called down: before and after."""
    one, other = two
    before, after = stats("n1"), stats("n1")
    after["versions_per_read"] = {**before["versions_per_read"], "2": before["versions_per_read"]["2"] + 5, "3": 2}
    looks = iter([before, before, after])
    one.replies["DYN.STATS"] = lambda: next(looks, after)
    other.replies["DYN.STATS"] = stats("n2") | {"ops": {}}
    noted = [{"at": "2026-11-23T12:03:11.402Z", "kind": "hints_delivered", "node": "n2", "rows": 7},
             {"at": "2026-11-23T12:03:12.402Z", "kind": "peer_down", "node": "n2"}]  # fmt: skip
    events = iter([[], noted])
    one.replies["DYN.EVENTS"] = lambda *count: {"schema": "dyn.events/v1", "events": next(events)}
    found = json.loads(dyn("bench", "--json", "--op", "put", "--count", "20", node=one).out)["effects"]
    assert found["reads_with_siblings"] == 7
    assert found["rows_delivered"] == 7
    assert found["called_down"] == ["n2"]


def test_the_nodes_cpu_time_is_told_if_they_tell_it(two: tuple[FakeNode, FakeNode]) -> None:
    """Per request only if all of them do; a node that was started again counts anew, and is left out."""
    one, other = two

    def told(before: dict[str, Any], after: dict[str, Any]) -> Any:
        looks = iter([before, before, after])
        return lambda: next(looks, after)

    def cpu_of(first: Any, last: Any) -> Any:
        one.replies["DYN.STATS"] = told(stats("n1") | {"cpu_s": 10.0}, stats("n1") | {"cpu_s": 10.25})
        other.replies["DYN.STATS"] = told(stats("n2") | first, stats("n2") | last)
        done = dyn("bench", "--json", "--op", "put", "--count", "1000", node=one)
        screen = dyn("bench", "--op", "put", "--count", "10", node=one, terminal=True)
        assert "CPU of nodes" in screen.out
        return json.loads(done.out)["nodes_cpu"]

    assert cpu_of({"cpu_s": 1.0}, {"cpu_s": 1.75}) == {"of": ["n1", "n2"], "s": 1.0, "us_per_request": 1000.0}
    assert cpu_of({"cpu_s": 9.0}, {"cpu_s": 1.0}) == {"of": ["n1"], "s": 0.25, "us_per_request": None}
    assert cpu_of({}, {"cpu_s": "much"}) == {"of": ["n1"], "s": 0.25, "us_per_request": None}
    one.replies["DYN.STATS"] = other.replies["DYN.STATS"] = stats("n1")
    assert json.loads(dyn("bench", "--json", "--op", "put", "--count", "10", node=one).out)["nodes_cpu"] is None


def test_a_log_gets_a_line_now_and_then(two: tuple[FakeNode, FakeNode], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no terminal shows a bar."""
    monkeypatch.setattr("dynamo_cli.progress.LINE_EVERY_S", 0.2)
    result = dyn("bench", "--op", "put", "--duration", "0.7", "--rate", "50", node=two[0])
    lines = [line for line in result.err.splitlines() if line.startswith("put  ")]
    assert 2 <= len(lines) <= 3
    assert all("%" in line and "/s" in line for line in lines)

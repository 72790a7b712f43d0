"""`dyn cluster transfers`: who has taken in how much, what waits for what, and how it goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dynamo_cli.render.rows import spans_text
from tests.helpers.cli import Result, dyn
from tests.helpers.documents import ring, settled, transfers
from tests.helpers.fake_node import HANG_UP, fake_node


def shown(document: dict[str, Any], *more: str) -> list[str]:
    with fake_node(DYN_TRANSFERS=document) as node:
        result = dyn("cluster", "transfers", "--color", "never", *more, node=node, terminal=True)
    assert result.status == 0, result.err
    return result.out.splitlines()


def test_a_row_a_node_and_what_waits_by_reason() -> None:
    lines = shown(transfers())
    assert lines[0] == "transfers  leave n3   epoch 9 is moving"
    assert "n1         2/2  1,234      5s ago  holds its part" in lines
    assert "n2         1/4      7  1m 11s ago  n1: n3; n3 does not answer n2" in lines
    assert "n3x          ?      ?           ?  it does not answer" in lines
    assert "no progress for 71 s because n1: n3; n3 does not answer n2: partitions 4-5" in lines
    assert "no progress for 71 s because n3 does not answer n2: partition 9" in lines
    assert max(map(len, lines)) <= 80


def test_what_waits_for_a_moment_is_no_alarm() -> None:
    lines = shown(transfers(idle_s=59.9))
    assert "waits because n3 does not answer n2: partition 9" in lines
    assert not [line for line in lines if "no progress" in line]


def test_nothing_moves_in_one_line() -> None:
    assert shown(settled()) == ["nothing moves: ring epoch 10 is settled (leave n3)"]
    assert shown(settled(3, None)) == ["nothing moves: ring epoch 3 is settled"]
    assert shown(transfers(takers=[], moves=[]))[-1] == "nobody has anything to take in: about to settle"


def test_every_partition_in_the_wide_screen() -> None:
    lines = shown(transfers(), "-o", "wide")
    rows = [line.split()[0] for line in lines[lines.index("") + 1 :] if line.strip()[:1].isdigit()]
    assert rows == ["4", "5", "9", "11"]
    assert "       11  n1 n3  n2       1/2  -" in lines


def test_states_of_a_taker() -> None:
    """What has not begun, what hands over hints, and a node that tells of some of its partitions only."""
    taker = {"node": "n1", "holds": False, "todo": 0, "total": 0, "rows": 0, "idle_s": 0.0}
    one = transfers(takers=[{**taker, "rows": None, "idle_s": None}], moves=[])
    assert shown(one)[3].split() == ["n1", "?", "?", "?", "it", "has", "not", "begun"]
    assert shown(transfers(takers=[taker], moves=[]))[3].endswith("it hands over what it keeps for others")
    goes = {**taker, "todo": 3, "total": 4, "rate_bps": 2_621_440, "eta_s": 12.0}
    assert "2.5 MiB/s, 12s left" in shown(transfers(takers=[goes], moves=[]))[3]
    many = shown(transfers(takers=[{**taker, "todo": 3000, "total": 512}], moves=[]))
    assert many[3].startswith("n1    3,000 to go")


def test_the_screen_of_a_large_cluster_fits_80_columns() -> None:
    name = "node-with-a-rather-long-name-of-its-own-{}".format
    takers = [{"node": name(i), "holds": False, "todo": 4096, "total": 4096, "rows": 10**9, "idle_s": 90_000.0}
              for i in range(64)]  # fmt: skip
    moves = [{"partition": p, "from": name(1), "sources": [name(1), name(2)], "to": name(p % 64), "done": 0, "total": 2,
              "waits_because": f"{name(1)} does not answer {name(p % 64)}"} for p in range(0, 4096, 2)]  # fmt: skip
    assert max(map(len, shown(transfers(takers=takers, moves=moves)))) <= 80


def test_for_programs() -> None:
    with fake_node(DYN_TRANSFERS=transfers()) as node:
        assert json.loads(dyn("cluster", "transfers", "--json", node=node).out) == transfers()
        rows = [line.split("\t") for line in dyn("cluster", "transfers", node=node).out.splitlines()]
        items = dyn("cluster", "transfers", "-o", "jsonl", node=node).out.splitlines()
    names = "epoch node holds todo total rows bytes rate_bps eta_s idle_s waits_because paused_s limit_bps"
    assert rows[0] == names.split()
    assert rows[2] == [
        "9",
        "n2",
        "false",
        "3",
        "4",
        "7",
        "7168",
        "2048",
        "30.0",
        "71.4",
        "n1: n3; n3 does not answer n2",
        "",
        "",
    ]
    assert rows[3] == ["9", "n3x", "false", *[""] * 10]
    assert [json.loads(line)["node"] for line in items] == ["n1", "n2", "n3x"]


@pytest.mark.parametrize(
    ("numbers", "most", "text"),
    [((), None, ""), ((7,), 1, "7"), ((0, 1, 2, 5, 8, 9), None, "0-2, 5, 8-9"), ((1, 3, 5), 2, "1, 3, …")],
)
def test_spans(numbers: tuple[int, ...], most: int | None, text: str) -> None:
    assert spans_text(numbers, most) == text


# --watch ----------------------------------------------------------------------------------------------


def watched(*looks: Any, output: str, terminal: bool = False) -> Result:
    left = list(looks)
    with fake_node(DYN_RING=ring(3, 8), DYN_TRANSFERS=lambda *words: left.pop(0)) as node:
        words = ("cluster", "transfers", "--watch", "--color", "never", "-o", output)
        return dyn(*words, node=node, terminal=terminal)


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynamo_cli.watching.pause", lambda seconds: None)


def test_watch_draws_in_the_same_place_until_nothing_moves() -> None:
    result = watched(transfers(), transfers(idle_s=1), settled(), output="table", terminal=True)
    assert result.status == 0
    assert "no progress for 71 s" in result.out
    assert "nothing moves: ring epoch 10 is settled (leave n3)" in result.out.split("no progress for 71 s")[-1]


def test_watch_in_a_pipe_says_what_has_changed() -> None:
    result = watched(transfers(), transfers(), transfers(idle_s=1), settled(), output="jsonl")
    assert [json.loads(line) for line in result.out.splitlines()] == [transfers(), transfers(idle_s=1), settled()]
    plain = watched(transfers(), settled(), output="plain").out.splitlines()
    assert [line.split("\t")[1] for line in plain] == ["node", "n1", "n2", "n3x"]
    assert watched(settled(), output="json").status == 2


def test_watch_bears_a_node_that_is_gone_for_a_moment() -> None:
    result = watched(transfers(), HANG_UP, settled(), output="jsonl")
    assert (result.status, len(result.out.splitlines())) == (0, 2)
    assert result.err.startswith("no answer: ")

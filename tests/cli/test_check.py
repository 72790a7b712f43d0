"""`dyn check`: one figure against two thresholds, in every form that monitoring reads; unknown is never fine."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from dynamo_cli.checking import CRITICAL, KINDS, OK, UNKNOWN, WARNING, Figure, level_of, threshold
from dynamo_cli.doctor.cluster import Heard, Node
from tests.cli.test_settling import fine
from tests.helpers.cli import Result, dyn
from tests.helpers.documents import EVIL, hints, joining, ring, settled, stats, status, transfers, views
from tests.helpers.fake_node import HANG_UP, fake_node

GIB = 1 << 30


def node(*, free: int | None = 50 * GIB, ahead_s: float | None = 0.0, stopped: str = "") -> Node:
    told = stats()
    told["storage"] |= {"free_bytes": free, "stopped": stopped or None, "failed": None}
    return Node(told, {}, 1.0, ahead_s, "full", 0)


def heard(**more: Any) -> Heard:
    """Three nodes that are as they should be."""
    nodes = {f"n{i}": node() for i in (1, 2, 3)}
    found = Heard(fine(r=2, w=2), ring(3, 8), views(agree=True), {"held": []}, settled(), nodes, {})
    return found._replace(**more)


def level(name: str, told: Heard) -> int:
    kind = KINDS[name]
    return level_of(kind, kind.figure(told), kind.warn, kind.critical)


def down(*names: str) -> dict[str, Any]:
    told = fine()
    for each in told["nodes"]:
        each["state"] = "down" if each["name"] in names else "up"
    return told


def hinted(oldest_s: float) -> dict[str, Any]:
    return {"held": [{"by": "n1", "for": "n3", "keys": 2, "bytes": 9, "oldest_s": oldest_s, "waits_because": "x"}]}


@pytest.mark.parametrize("name", KINDS)
def test_what_is_as_it_should_be_is_ok(name: str) -> None:
    assert level(name, heard()) == OK


@pytest.mark.parametrize(
    ("name", "wrong", "found"),
    [
        ("quorum", {"status": down("n3")}, WARNING),
        ("quorum", {"status": down("n2", "n3")}, CRITICAL),
        ("quorum", {"ring": None}, UNKNOWN),
        ("quorum", {"ring": {"n": 3, "r": 2, "w": 2, "preference": 7}}, UNKNOWN),
        ("quorum", {"ring": {"n": 3, "r": 2, "w": 2, "preference": []}}, UNKNOWN),
        ("disk", {"nodes": {"n1": node(free=GIB - 1), "n2": node()}}, WARNING),
        ("disk", {"nodes": {"n1": node(free=GIB // 8 - 1), "n2": node()}}, CRITICAL),
        ("disk", {"nodes": {"n1": node(stopped="the disk failed"), "n2": node()}}, CRITICAL),
        ("disk", {"nodes": {"n1": node(free=None)}}, UNKNOWN),
        ("disk", {"silent": {"n4": "refused"}}, WARNING),
        ("hints", {"hints": hinted(60.0)}, OK),
        ("hints", {"hints": hinted(60.1)}, WARNING),
        ("hints", {"hints": hinted(3601.0)}, CRITICAL),
        ("hints", {"hints": None}, UNKNOWN),
        ("hints", {"silent": {"n4": "refused"}}, WARNING),
        ("siblings", {"status": fine(siblings=1)}, WARNING),
        ("siblings", {"status": fine(siblings=1001)}, CRITICAL),
        ("siblings", {"status": fine(siblings=None)}, UNKNOWN),
        ("clock", {"nodes": {"n1": node(), "n2": node(ahead_s=0.6)}}, WARNING),
        ("clock", {"nodes": {"n1": node(), "n2": node(ahead_s=-6.0)}}, CRITICAL),
        ("clock", {"nodes": {"n1": node(), "n2": node(ahead_s=None)}}, UNKNOWN),
        ("clock", {"nodes": {"n1": node()}}, OK),
        ("convergence", {"status": fine(hints=3)}, WARNING),
        ("convergence", {"transfers": transfers()}, WARNING),
        ("convergence", {"transfers": None}, UNKNOWN),
    ],
)
def test_what_is_wrong_has_its_level(name: str, wrong: dict[str, Any], found: int) -> None:
    assert level(name, heard(**wrong)) == found


def test_a_newcomer_owns_nothing_yet() -> None:
    told = fine(nodes=[{**fine()["nodes"][0], "name": f"n{i}"} for i in (1, 2, 3)])
    assert level("quorum", heard(ring=joining(4, 8), status=told)) == OK


def test_thresholds_hold_beyond_themselves_and_unknown_is_worst() -> None:
    low, high = KINDS["disk"], KINDS["hints"]
    assert [level_of(low, Figure(value, ""), 10, 5) for value in (10, 9, 5, 4)] == [OK, WARNING, WARNING, CRITICAL]
    assert [level_of(high, Figure(value, ""), 10, 20) for value in (10, 11, 20, 21)] == [OK, WARNING, WARNING, CRITICAL]
    assert level_of(high, Figure(99, ""), 10, None) == WARNING
    assert level_of(high, Figure(0, "", WARNING), 10, 20) == WARNING
    assert level_of(high, Figure(None, ""), 10, 20) == UNKNOWN


@pytest.mark.parametrize(
    ("word", "unit", "value"),
    [("5", "", 5), ("-1", "", -1), ("10m", "s", 600), ("1.5", "s", 1.5), ("2G", "B", 2 * GIB), ("2g", "B", 2 * GIB)],
)
def test_thresholds_as_they_are_typed(word: str, unit: str, value: float) -> None:
    assert threshold(word, unit) == value


@pytest.mark.parametrize(("word", "unit"), [("", ""), ("5m", ""), ("x", "s"), ("nan", "s"), ("1e99", "B"), ("G", "B")])
def test_no_thresholds(word: str, unit: str) -> None:
    with pytest.raises(ValueError, match="is no threshold"):
        threshold(word, unit)


# On the line ----------------------------------------------------------------------------------------------------------


def check(*words: str, terminal: bool = False, **replies: Any) -> Result:
    answers = {"DYN.STATUS": fine(), "DYN.RING": {}, "DYN.VIEWS": views(), "DYN.HINTS": hints()}
    with fake_node({**answers, "DYN.TRANSFERS": settled()}, **replies) as made:
        return dyn("check", *words, "--color", "never", node=made, terminal=terminal)


Told = Callable[..., dict[str, Any]]


def test_a_plugin_of_monitoring_ends_by_its_own_numbers() -> None:
    held = {"held": [{**hints()["held"][0], "waits_because": "a|b", "oldest_s": 171}]}
    result = check("hints", "--format", "nagios", DYN_HINTS=held)
    assert (result.status, result.err) == (1, "")
    assert result.out == (
        "DYN HINTS WARNING - 1,234 rows wait, the oldest for n3, kept by n1: a/b | hints=171s;60;3600\n"
    )
    assert check("hints", "--format", "nagios", "--warn", "5m").status == 0
    assert check("hints", "--format", "nagios", "--critical", "100").status == 2
    unknown = check("siblings", "--format", "nagios", DYN_STATUS=fine(siblings=None))
    assert (unknown.status, unknown.out) == (3, "DYN SIBLINGS UNKNOWN - no node tells of siblings\n")
    for wrong in ("--warn", "x"), ("--warn", "9", "--critical", "5"):
        result = check("hints", "--format", "nagios", *wrong)
        assert (result.status, result.out[:18]) == (3, "DYN HINTS UNKNOWN "), "2 would be taken for critical"
    assert check("quorum", "--format", "nagios", DYN_RING=ring(3, 8)).out.endswith("| quorum=1;1:;0:\n")


def test_where_no_node_answers() -> None:
    for words, code in (((), 5), (("--format", "nagios"), 3), (("--format", "prometheus"), 5)):
        result = dyn("check", "quorum", *words)
        assert result.status == code
        assert bool(result.out) == (code == 3)
    assert check("hints", DYN_STATUS=HANG_UP).status == 5


def test_other_formats_end_as_commands_of_dyn_do() -> None:
    result = check("siblings", "--format", "json", DYN_STATUS=fine(siblings=2))
    told = json.loads(result.out)
    assert (result.status, told["level"], told["value"], told["exit"]) == (8, "warning", 2, 1)
    assert check("siblings").status == 0
    assert check("siblings", "--json").status == 0
    assert check("siblings").out.splitlines()[1].split("\t")[:3] == ["siblings", "ok", "0"]
    metrics = check("siblings", "--format", "prometheus", DYN_STATUS=fine(siblings=2))
    assert metrics.status == 8
    assert 'dyn_check_level{check="siblings"} 1\n' in metrics.out
    assert metrics.out.endswith('dyn_check_value{check="siblings"} 2\n')
    assert "dyn_check_value" not in check("siblings", "--format", "prometheus", DYN_STATUS=fine(siblings=None)).out


def test_prometheus_reads_the_metrics() -> None:
    out = check("siblings", "--format", "prometheus", DYN_STATUS=fine(siblings=2)).out
    found = {sample.name: sample.value for family in text_string_to_metric_families(out)
             for sample in family.samples}  # fmt: skip
    assert found == {"dyn_check_level": 1.0, "dyn_check_value": 2.0}


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        (),
        ("hints", "--warn", "x"),
        ("hints", "--warn", "9", "--critical", "5"),
        ("quorum", "--warn", "0", "--critical", "1"),
        ("siblings", "--critical", "5m"),
    ],
)
def test_what_makes_no_sense_is_exit_2(words: tuple[str, ...]) -> None:
    assert check(*words).status == 2


@pytest.mark.parametrize("name", KINDS)
def test_a_hostile_cluster_commands_no_terminal_and_no_monitoring(name: str) -> None:
    evil = f"{EVIL}\n|{EVIL}"
    for words, terminal in (((), True), ((), False), (("--format", "nagios"), False)):
        out = check(
            name, *words, terminal=terminal, DYN_STATUS=status(evil), DYN_HINTS=hints(evil),
            DYN_TRANSFERS=transfers(evil), DYN_RING=ring(3, 8),
        ).out  # fmt: skip
        assert all(char.isprintable() or char in "\n\t" for char in out)
        if words:
            assert out.count("\n") == 1
            assert out.count("|") <= 1

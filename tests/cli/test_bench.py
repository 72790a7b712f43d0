"""`dyn bench` against a scripted node: what it sends, what it counts, how it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.helpers.cli import dyn
from tests.helpers.fake_node import HANG, HANG_UP, Err, FakeNode, fake_node


@pytest.fixture
def node() -> Iterator[FakeNode]:
    """A node that takes and gives everything."""
    fake = FakeNode({"GET": b"v" * 10, "SET": b"OK", "AUTH": b"OK"})
    yield fake
    fake.close()


def run(node: FakeNode, *words: str) -> dict[str, object]:
    """Run a short measurement; returns its JSON document."""
    result = dyn("bench", "--json", "--keys", "50", *words, node=node)
    assert result.status == 0, result.err
    document: dict[str, object] = json.loads(result.out)
    return document


def test_a_count_is_kept_and_every_request_measured(node: FakeNode) -> None:
    """Neither one more nor one less."""
    document = run(node, "--op", "put", "--count", "200", "--clients", "4", "--size", "10")
    assert document["schema"] == "dyn.bench/v1"
    sets = [words for words in node.asked if words[0] == b"SET"]
    assert document["requests"] == len(sets)
    assert len(sets) == 200
    assert {len(words[2]) for words in sets} == {10}
    assert {words[1] for words in sets} <= {b"key:%012d" % number for number in range(50)}


def test_reads_find_keys_that_were_written_first(node: FakeNode) -> None:
    """Every key once, before anything is measured; the writing is not part of the figures."""
    document = run(node, "--op", "get", "--count", "100")
    written = [words[1] for words in node.asked if words[0] == b"SET"]
    assert sorted(written) == [b"key:%012d" % number for number in range(50)]
    assert list(document["ops"]) == ["get"]  # type: ignore[call-overload]  # a JSON object


def test_no_fill_writes_nothing(node: FakeNode) -> None:
    """For a cluster that has its keys."""
    run(node, "--op", "get", "--count", "50", "--no-fill")
    assert not [words for words in node.asked if words[0] == b"SET"]


def test_mixed_keeps_its_share_of_reads(node: FakeNode) -> None:
    """80 percent gets, give or take chance; the same seed draws the same."""
    document = run(node, "--count", "1000", "--reads", "80", "--no-fill")
    ops = document["ops"]
    assert isinstance(ops, dict)
    assert 700 < ops["get"]["count"] < 900


def test_a_pipeline_is_sent_at_once(node: FakeNode) -> None:
    """And each of its replies is counted."""
    document = run(node, "--op", "put", "--count", "160", "--clients", "2", "--pipeline", "16")
    assert document["requests"] == len([words for words in node.asked if words[0] == b"SET"])


def merging(*reads: object, put: object = b"c") -> FakeNode:
    """A node that takes DYN.PUT, and answers DYN.GET with these in turn, the last one again and again."""
    left = list(reads)
    return FakeNode({"DYN.GET": lambda *words: left.pop(0) if len(left) > 1 else left[0], "DYN.PUT": put})


def test_a_merge_makes_siblings_and_settles_them() -> None:
    """Two writes without a context, a read, and a write in the context that it gave: for one key after the other."""
    fake = merging([b"seen", [b"a", b"b"]])
    try:
        document = run(fake, "--op", "merge", "--count", "80", "--clients", "1", "--size", "5")
    finally:
        fake.close()
    asked = [words for words in fake.asked if words[0] in (b"DYN.PUT", b"DYN.GET")]
    assert not [words for words in fake.asked if words[0] == b"SET"], "nothing is written before"
    for at in range(0, 80, 4):
        one, other, read, merge = asked[at : at + 4]
        key = read[1]
        assert (one[:3], other[:3], merge[:3]) == (
            (b"DYN.PUT", key, b""), (b"DYN.PUT", key, b""), (b"DYN.PUT", key, b"seen")
        )  # fmt: skip
        assert {len(words[3]) for words in (one, other, merge)} == {5}
        assert len({one[3], other[3], merge[3]}) == 3
    assert len({words[1] for words in asked}) > 5
    ops = document["ops"]
    assert isinstance(ops, dict)
    assert {op: figures["count"] for op, figures in ops.items()} == {"put": 40, "get": 20, "merge": 20}
    assert document["merges"] == {"settled": 20, "values": 40, "found_one": 0}


def test_a_merge_rests_on_what_was_read() -> None:
    """One value is merged, too, and counted apart; where nothing can be merged another round begins."""
    fake = merging([b"seen", [b"a"]], [b"", []], [b"nonsense"], [b"seen", [b"a", b"b", b"c"]])
    try:
        document = run(fake, "--op", "merge", "--count", "60", "--clients", "1", "--size", "0")
    finally:
        fake.close()
    merges = document["merges"]
    assert isinstance(merges, dict)
    assert merges["found_one"] == 1
    assert merges["values"] == 3 * merges["settled"] > 0
    settling = [words for words in fake.asked if words[0] == b"DYN.PUT" and words[2] != b""]
    assert {words[2] for words in settling} == {b"seen"}
    ends = [words[0] for words in fake.asked if words[0] in (b"DYN.PUT", b"DYN.GET")]
    assert ends[:13] == [*[b"DYN.PUT"] * 2, b"DYN.GET", b"DYN.PUT", *([b"DYN.PUT"] * 2 + [b"DYN.GET"]) * 3]


def test_a_merge_that_is_refused_begins_anew() -> None:
    """The error is counted, and no read rests on a write that was not taken."""
    fake = merging([b"seen", [b"a", b"b"]], put=Err("TOOMANYSIBLINGS 100"))
    try:
        result = dyn("bench", "--json", "--op", "merge", "--count", "20", "--keys", "50", node=fake)
    finally:
        fake.close()
    assert result.status == 8
    assert json.loads(result.out)["errors"] == {"TOOMANYSIBLINGS": 20}
    assert not [words for words in fake.asked if words[0] == b"DYN.GET"]


def test_errors_are_counted_by_prefix_and_fail_the_run() -> None:
    """A figure that hides errors is no figure: exit 8."""
    fake = FakeNode({"SET": Err("UNAVAILABLE 1 of the 2 owners")})
    try:
        result = dyn("bench", "--json", "--op", "put", "--count", "20", node=fake)
        plain = dyn("bench", "--op", "put", "--count", "20", node=fake)
    finally:
        fake.close()
    assert result.status == plain.status == 8
    assert "requests failed: 20 UNAVAILABLE. See them: dyn bench -o table\n" in plain.err
    document = json.loads(result.out)
    assert document["errors"]["UNAVAILABLE"] >= 20
    assert document["ops"] == {}


def test_siblings_are_counted_and_are_no_failure() -> None:
    """Blind writes race, and both values are kept: that is what is measured, unless errors=0 is claimed."""
    with fake_node(SET=b"OK", GET=Err("SIBLINGS 2 versions")) as fake:
        words = ("bench", "--json", "--op", "get", "--count", "20", "--keys", "5")
        result, strict = dyn(*words, node=fake), dyn(*words, "--assert", "errors=0", node=fake)
    assert (result.status, strict.status) == (0, 8)
    assert json.loads(result.out)["errors"] == {"SIBLINGS": 20}


def test_nobody_there() -> None:
    """Exit 5, one line."""
    result = dyn("bench", "--count", "1", "-n", "127.0.0.1:1")
    assert result.status == 5
    assert "cannot reach 127.0.0.1:1" in result.err
    for host in ("\u202ex", "a" * 300, "a\x00b"):
        result = dyn("bench", "--count", "1", "-n", f"{host}:1")
        assert (result.status, "(no such host)" in result.err) == (5, True), result.err


def test_a_node_that_goes_away_ends_the_run() -> None:
    """In the middle of it: exit 5, and which node."""
    fake = FakeNode({"SET": HANG_UP})
    try:
        result = dyn("bench", "--op", "put", "--count", "10", node=fake)
    finally:
        fake.close()
    assert result.status == 5
    assert "is gone in the middle of the run" in result.err


def test_a_node_that_says_nothing_ends_the_run() -> None:
    """A measurement does not hang: exit 7."""
    fake = FakeNode({"SET": HANG})
    try:
        result = dyn("bench", "--op", "put", "--count", "10", "--timeout", "0.1", node=fake)
    finally:
        fake.close()
    assert result.status == 7
    assert "no reply from any connection" in result.err


@pytest.mark.parametrize(
    "words",
    [
        ("--clients", "1001"),
        ("--reads", "101"),
        ("--op", "scan"),
        ("--op", "merge", "--pipeline", "2"),
        ("--pipeline", "0"),
        ("--keys", "10000001"),
        ("--rate", "0"),
        ("--rate", "200001"),
        ("--rate", "fast"),
        ("--dist", "normal"),
        ("--assert", "p98<1"),
        ("--assert", "p99"),
        ("--assert", "get.errors=0"),
        ("--fault", "heal"),
        ("--fault", "kill n2 @soon"),
        ("--fault", ";"),
    ],
)
def test_bad_options(words: tuple[str, ...]) -> None:
    """Exit 2, before anything is sent."""
    assert dyn("bench", *words).status == 2


def test_the_table_has_a_row_an_operation(node: FakeNode) -> None:
    """For people, within 80 columns."""
    result = dyn("bench", "--keys", "10", "--count", "100", "--color", "never", node=node, terminal=True)
    assert result.status == 0
    assert "OPS/S" in result.out
    assert "total" in result.out
    assert max(map(len, result.out.splitlines())) <= 80


def test_with_another_node_it_goes_on_as_a_client_would() -> None:
    """What was under way is told as lost; errors are exit 8."""
    gone, left = FakeNode({"SET": HANG_UP}), FakeNode({"SET": b"OK"})
    try:
        nodes = f"{gone.address},{left.address}"
        words = ("--op", "put", "--count", "200", "--clients", "2", "--no-spread", "--no-save", "--json")
        result = dyn("bench", *words, environ={"DYN_NODES": nodes})
    finally:
        gone.close()
        left.close()
    told = json.loads(result.out)
    assert result.status == 8
    assert told["requests"] + told["errors"]["LOST"] == 200
    assert 0 < told["errors"]["LOST"] < 100

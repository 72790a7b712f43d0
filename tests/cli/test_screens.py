"""Every command in every format: nothing but the result on stdout, no escape in a pipe, no line over 80 columns."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.helpers.cli import dyn
from tests.helpers.documents import (
    EVIL,
    backup,
    change,
    delivery,
    explain,
    hints,
    history,
    hot_keys,
    joining,
    kept_traces,
    key_repair,
    pace,
    pass_document,
    plan,
    ring,
    stats,
    status,
    trace,
    transfers,
    views,
)
from tests.helpers.fake_node import RECEIPT, FakeNode, fake_node, reading, version


def repair(*words: bytes) -> dict[str, Any]:
    """What a hostile node says to DYN.REPAIR."""
    return key_repair(EVIL) if words else pass_document(EVIL)


@pytest.fixture
def node() -> Iterator[FakeNode]:
    """A node whose every string is hostile."""
    value = version(EVIL.encode(), {EVIL: 1}, writer=EVIL)
    documents: dict[str, Any] = {
        "DYN.RING": joining(4, 256, EVIL),
        "DYN.STATUS": status(EVIL),
        "DYN.EXPLAIN": explain(EVIL),
        "DYN.HISTORY": history(EVIL, node=EVIL),
    }
    documents |= {"DYN.HINTS": hints(EVIL), "DYN.VIEWS": views(EVIL)}
    documents["DYN.RING"]["members"][0] |= {"address": EVIL, "zone": EVIL}
    documents["DYN.STATS"] = stats(EVIL)
    documents["DYN.HOT"] = lambda *words: hot_keys(EVIL)
    documents["DYN.TRACES"] = lambda *words: trace(EVIL) if words else kept_traces(EVIL)
    documents["DYN.BACKUP"] = backup(EVIL)
    documents["DYN.TRANSFERS"] = transfers(EVIL)
    documents["DYN.CLUSTER"] = lambda verb, *rest: plan(EVIL) if verb == b"PLAN" else change(f"leave {EVIL}")
    documents["DYN.BACKGROUND"] = lambda verb, *rest: {
        b"CANCEL": {"schema": "dyn.repair.cancel/v1", "node": EVIL, "cancelled": True},
        b"REPAIR": pass_document(EVIL, partitions=[0, 1], cancelled=True),
        b"DELIVER": delivery(EVIL),
    }.get(verb, pace(EVIL))
    documents["DYN.EVENTS"] = {"schema": "dyn.events/v1", "events": [
        {"at": "2026-11-23T12:03:11.402Z", "node": EVIL, "kind": kind, "address": EVIL} for kind in ("peer_up", EVIL)
    ]}  # fmt: skip
    keys = [b"0", [EVIL.encode(), b"\xff\xfe", b"cart:1", b"back\\slash"]]
    about = {"deleted_at": EVIL, "age_s": 1, "writer": EVIL, "behind": [EVIL], "lacking": [EVIL], "versions": 1}
    keys += [[json.dumps(about).encode()] * 4, []]
    with fake_node(
        documents, DYN_REPAIR=repair, DYN_GET=reading(value), DYN_PUT=RECEIPT, DYN_DEL=b"c", DYN_KEYS=keys
    ) as made:
        documents["DYN.RING"]["members"][1] |= {"address": made.address}
        yield made


COMMANDS = [
    ("get", EVIL),
    ("get", EVIL, "b"),
    ("get", EVIL, "--all", "--from", "n2"),
    ("put", EVIL, "v"),
    ("del", EVIL),
    ("merge", EVIL, "--value", "v"),
    ("keys",),
    ("keys", "--tombstones"),
    ("keys", "--stale"),
    ("export",),
    ("key", "explain", EVIL),
    ("key", "repair", EVIL),
    ("key", "locate", EVIL, "b"),
    ("key", "history", EVIL),
    ("key", "compare", EVIL, "A", "n4:1"),
    ("cluster", "status"),
    ("cluster", "status", "--views"),
    ("cluster", "hints"),
    ("cluster", "settings"),
    ("cluster", "views"),
    ("cluster", "plan", "leave", EVIL),
    ("cluster", "leave", EVIL, "-y"),
    ("cluster", "remove", EVIL, "--dry-run"),
    ("cluster", "zone", EVIL, EVIL, "-y"),
    ("cluster", "abandon", "-y"),
    ("cluster", "rotate", "-y"),
    ("cluster", "transfers"),
    ("cluster", "repair"),
    ("cluster", "repair", "0"),
    ("cluster", "repair", "--cancel"),
    ("cluster", "events"),
    ("ring", "show"),
    ("ring", "owner", EVIL, "b"),
    ("ring", "diff", "now", "next"),
    ("ring", "simulate", "--add", "1"),
    ("ring", "export"),
    ("ring", "show", "--by", "node"),
    ("ring", "show", "--by", "partition"),
    ("ring", "show", "--by", "zone"),
    ("ring", "show", "--strip"),
    ("ring", "show", "--as-of", "next"),
    ("node", "stats"),
    ("stat", "--count", "1", "--interval", "0.1"),
    ("slo",),
    ("hot",),
    ("trace", "ls"),
    ("trace", "show", "n2-1"),
    ("trace", "export", "n2-1"),
    ("node", "info"),
    ("node", "config"),
    ("node", "logs", "--file", "/dev/null"),
    ("node", "unit"),
    ("node", "data", "backup", EVIL),
    ("demo", "ls"),
    ("doctor",),
    ("doctor", "--explain", "data.hints"),
    ("explain", "quorum"),
    ("explain",),
    ("debug", "bundle", "/dev/null", "-y"),
    (),
    ("version",),
    ("help",),
    ("help", "put"),
]
FORMATS = ["table", "wide", "plain", "json", "jsonl", "csv"]


def hostile(text: str) -> set[str]:
    return {c for c in text if not (c.isprintable() or c in "\n\t")}


@pytest.mark.parametrize("output", FORMATS)
@pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
def test_no_terminal_is_ever_commanded(node: FakeNode, argv: tuple[str, ...], output: str) -> None:
    for terminal in (False, True):
        result = dyn(*argv, "-o", output, node=node, terminal=terminal, environ={"NO_COLOR": "1"})
        assert result.status == 0, result.err
        raw_value = argv[:1] == ("get",) and output == "plain" and len(argv) == 2
        if not raw_value:  # interface: the value's own bytes
            assert hostile(result.out) == set()
        assert hostile(result.err) == set()


@pytest.mark.parametrize("argv", COMMANDS, ids=" ".join)
def test_a_pipe_gets_no_remark_and_no_escape(node: FakeNode, argv: tuple[str, ...]) -> None:
    for member in node.replies["DYN.RING"]["members"]:  # (that one cannot be reached is no remark)
        member["address"] = node.address
    result = dyn(*argv, node=node)
    assert result.err == ""
    if argv != ("get", EVIL):
        assert "\x1b" not in result.out


@pytest.mark.parametrize("argv", [argv for argv in COMMANDS if argv[:1] not in (("help",), ("export",))], ids=" ".join)
def test_json_is_one_document_with_a_schema(node: FakeNode, argv: tuple[str, ...]) -> None:
    for line in dyn(*argv, "--json", node=node).out.splitlines():
        assert json.loads(line)["schema"].startswith("dyn.")


@pytest.mark.parametrize("argv", [("keys",), ("key", "explain", "k"), ("cluster", "status"), ("cluster", "hints"),
    ("cluster", "views"), ("cluster", "repair"), ("key", "repair", "k"), ("ring", "show"),
    ("key", "locate", "k"), ("key", "history", "k"), ("key", "compare", "k", "A", "B"),
    ("ring", "owner", "k"), ("ring", "diff", "now", "next"), ("cluster", "plan", "leave", "n3"),
    ("cluster", "transfers")], ids=" ".join)  # fmt: skip
def test_rows_have_as_many_cells_as_the_header(node: FakeNode, argv: tuple[str, ...]) -> None:
    for table in (
        [line.split("\t") for line in dyn(*argv, "-o", "plain", node=node).out.splitlines()],
        list(csv.reader(io.StringIO(dyn(*argv, "-o", "csv", node=node).out))),
    ):
        assert len({len(cells) for cells in table}) == 1
        assert len(table) > 1


@pytest.mark.parametrize("nodes", [1, 2, 3, 5, 24, 70])
@pytest.mark.parametrize("partitions", [16, 256, 4096])
def test_the_ring_fits_80_columns(nodes: int, partitions: int) -> None:
    with fake_node(DYN_RING=ring(nodes, partitions)) as node:
        for argv in (("ring", "show"), ("ring", "owner", "k" * 200)):
            result = dyn(*argv, "--color", "never", node=node, terminal=True)
            assert result.status == 0
            assert max(map(len, result.out.splitlines())) <= 80


def test_other_screens_fit_80_columns() -> None:
    long = [version(b"x" * 500, {f"node-{i}": i + 1 for i in range(4)}, writer="w" * 64) for _ in range(2)]
    with fake_node(DYN_STATUS=status("node-with-a-rather-long-name" * 2), DYN_EXPLAIN=explain("y" * 300),
                   DYN_REPAIR=lambda *words: key_repair("y" * 300) if words else pass_document("z" * 30),
                   DYN_HISTORY=history("y" * 300, node="node-with-a-rather-long-name"), DYN_RING=ring(70, 16),
                   DYN_GET=reading(*long)) as node:  # fmt: skip
        for argv in (("key", "history", "k"), ("key", "compare", "k", "A", "B"), ("key", "locate", "k" * 200),
                     ("cluster", "status"), ("key", "explain", "k"), ("get", "k"), ("cluster", "repair"),
                     ("key", "repair", "k")):  # fmt: skip
            result = dyn(*argv, "--color", "never", node=node, terminal=True)
            assert max(map(len, result.out.splitlines())) <= 80, result.out
    for page in ((), ("put",), ("node", "start"), ("exit-codes",), ("ctx",), ("formats",), ("environment",)):
        assert max(map(len, dyn("help", *page).out.splitlines())) <= 80


def test_the_strip_shows_every_partition_once() -> None:
    with fake_node(DYN_RING=ring(3, 256)) as node:
        lines = dyn("ring", "show", "--color", "never", node=node, terminal=True).out.splitlines()
    strip = "".join("".join(line.split()[1:]) for line in lines[2:6])
    assert strip == ("abc" * 86)[:256]


def test_ring_checks_count_what_is_wrong() -> None:
    broken = ring(3, 16)
    broken["preference"][3] = ["n1", "n1", "n2"]
    with fake_node(DYN_RING=broken) as node:
        out = dyn("ring", "show", "--color", "never", node=node, terminal=True).out
    assert " !  15/16 partitions have 3 distinct owners" in out


def test_ring_owner_is_the_top_bits_of_md5() -> None:
    with fake_node(DYN_RING=ring(3, 256)) as node:
        [place] = json.loads(dyn("ring", "owner", "hello", "--json", node=node).out)["keys"]
    assert place["md5"] == "5d41402abc4b2a76b9719d911017c592"
    assert place["partition"] == 0x5D
    assert place["owners"] == ["n1", "n2", "n3"]


# cluster status ---------------------------------------------------------------------------------------


def test_status_shows_what_it_does_not_know_as_unknown() -> None:
    with fake_node(DYN_STATUS=status()) as node:
        out = dyn("cluster", "status", "--color", "never", node=node, terminal=True).out
        rows = dyn("cluster", "status", "--no-header", node=node).out.splitlines()
    assert "DEGRADED  2 of 3 nodes up" in out
    [down] = [line for line in out.splitlines() if line.startswith("down")]
    assert down.split()[3:] == ["33.6%", "?", "?", "?", "?", "0/2"]
    assert rows[2].split("\t") == ["n5", "127.7.7.7:7705", "", "down", "", "", "", "86", "", "", ""]


@pytest.mark.parametrize(("health", "code"), [("healthy", 0), ("degraded", 8), ("critical", 8)])
def test_check_is_the_exit_code(health: str, code: int) -> None:
    with fake_node(DYN_STATUS=status(health=health)) as node:
        assert dyn("cluster", "status", node=node).status == 0
        assert dyn("cluster", "status", "--check", node=node).status == code
        assert dyn("cluster", "status", "--wait", "healthy", "--for", "0.01", node=node).status == code


def test_wait_asks_until_it_is_healthy() -> None:
    answers = iter(["critical", "degraded", "healthy"])
    with fake_node(DYN_STATUS=lambda: status(health=next(answers))) as node:
        result = dyn("cluster", "status", "--wait", "healthy", "--for", "30", "--json", node=node)
    assert (result.status, json.loads(result.out)["health"]) == (0, "healthy")


def test_key_explain_exits_by_its_verdict() -> None:
    for verdict, code in (("ok", 0), ("stale", 0), ("conflict", 4), ("absent", 3), ("deleted", 3), ("unreachable", 6)):
        with fake_node(DYN_EXPLAIN=explain() | {"verdict": verdict}) as node:
            assert dyn("key", "explain", "k", node=node).status == code


# keys -------------------------------------------------------------------------------------------------


def pages(*words: bytes) -> list[Any]:
    """Five keys in pages of two, one page empty."""
    turn = int(words[words.index(b"CURSOR") + 1])
    page = [[b"a", b"b"], [], [b"c", b"d"], [b"e"]][turn]
    return [b"%d" % ((turn + 1) % 4), page]


@pytest.mark.parametrize(
    ("argv", "out"),
    [
        ((), "a\nb\nc\nd\ne\n"),
        (("--limit", "3"), "a\nb\nc\n"),
        (("--limit", "0"), "a\nb\nc\nd\ne\n"),
        (("-0",), "a\0b\0c\0d\0e\0"),
        (("-o", "csv"), "key\na\nb\nc\nd\ne\n"),
    ],
)
def test_keys_reads_all_pages(argv: tuple[str, ...], out: str) -> None:
    with fake_node(DYN_KEYS=pages) as node:
        assert dyn("keys", *argv, node=node).out == out


def test_keys_sends_prefix_and_siblings() -> None:
    with fake_node(DYN_KEYS=[b"0", []]) as node:
        dyn("keys", "cart:", "--siblings", node=node)
    assert node.asked == [(b"DYN.KEYS", b"PREFIX", b"cart:", b"CURSOR", b"0", b"LIMIT", b"1000", b"SIBLINGS")]


# The start page ---------------------------------------------------------------------------------------


def test_the_start_page_says_where_we_are_and_never_fails() -> None:
    with fake_node(DYN_STATUS=status()) as node:
        here = dyn(node=node)
    assert (here.status, here.err) == (0, "")
    assert "cluster carts" in here.out
    nowhere = dyn()
    assert (nowhere.status, nowhere.err) == (0, "")
    assert "cannot reach 127.0.0.1:1" in nowhere.out
    for page in (here, nowhere):
        lines = [line for line in page.out.splitlines() if line.startswith("  ")]
        assert 3 <= len(lines) <= 5
        assert all(line.strip().startswith(("dyn ", "redis-cli")) for line in lines)


def test_hints_say_for_whom_how_many_since_when_and_why() -> None:
    with fake_node(DYN_HINTS=hints()) as node:
        result = dyn("cluster", "hints", "--color", "never", node=node, terminal=True)
        assert "1,235 rows wait for their owners" in result.out
        (line,) = [line for line in result.out.splitlines() if " n1 " in line]
        assert line.split() == ["n3", "n1", "1,234", "120.6", "KiB", "2m", "51s", "n3", "does", "not", "answer", "n1"]
        assert max(map(len, result.out.splitlines())) <= 80
    with fake_node(DYN_HINTS={"schema": "dyn.hints/v1", "held": []}) as node:
        result = dyn("cluster", "hints", node=node, terminal=True)
        assert "no hints" in result.out


def test_views_stand_side_by_side() -> None:
    with fake_node(DYN_VIEWS=views()) as node:
        result = dyn("cluster", "views", "--color", "never", node=node, terminal=True)
        assert "DIFFER" in result.out
        assert [line.split() for line in result.out.splitlines()[-2:]] == [
            ["n1", "7", "up", "up", "down"],
            ["n2", "7", "up", "up", "up"],
        ]


def test_what_a_node_did_is_told_in_words_and_by_figure() -> None:
    """No share is rounded to all: the paper's own figure is 99.94 % (section 6.3)."""
    with fake_node(DYN_STATS=stats(), DYN_RING=ring(3, 8)) as node:
        screen = dyn("node", "stats", "--color", "never", node=node, terminal=True).out
        plain = dict(line.split("\t") for line in dyn("node", "stats", "-o", "plain", node=node).out.splitlines())
        unknown = dyn("node", "stats", "n9", node=node)
        document = node.replies["DYN.RING"]
        document["members"][2]["address"] = node.address
        other = dyn("node", "stats", "n3", "-o", "plain", node=node)
    assert "get       2,123,456  0.1 ms  9.0 ms  30.1 ms" in screen
    assert "nothing 0.001%, one version 99.996%, 2 versions 0.003%" in screen
    assert "1 of at most 1,024 requests, 7 refused so far" in screen
    assert max(map(len, screen.splitlines())) <= 80
    assert (plain["latency_ms.get.p99"], plain["latency_ms.del.p99"]) == ("8.9595", "")
    assert (plain["background.scrub.done"], plain["storage.trees_unknown"]) == ("0.42", "true")
    assert unknown.status == 3
    assert "There are n1, n2, n3" in unknown.err
    assert other.status == 0


@pytest.mark.parametrize("columns", [40, 60])
def test_on_a_narrow_terminal_columns_are_hidden_and_counted(columns: int) -> None:
    names = [f"node-{i:02d}" for i in range(24)]
    each = [{"of": name, "epoch": 7, "sees": dict.fromkeys(names, "up")} for name in names]
    sees = {"schema": "dyn.views/v1", "views": each, "agree": True}
    narrow = {"COLUMNS": str(columns)}
    with fake_node(DYN_VIEWS=sees, DYN_STATUS=status(), DYN_HINTS=hints()) as node:
        for name in ("views", "status", "hints"):
            out = dyn("cluster", name, "--color", "never", node=node, terminal=True, environ=narrow).out
            assert max(map(len, out.splitlines())) <= columns
            assert ("hidden: -o wide)" in out) == (name != "hints" or columns == 40), out

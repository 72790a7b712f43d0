"""`dyn get`, `put`, `del`: what is printed where, in which format, and what travels to the node."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.cli import dyn
from tests.helpers.fake_node import RECEIPT, Err, FakeNode, fake_node, reading, version

ONE = reading(version(b"milk", {"n1": 1}))
TWO = reading(version(b"milk", {"n1": 2}), version(b"beer", {"n1": 1, "n2": 1}, writer="bob"))
NONE = reading()
DELETED = reading(version(None, {"n1": 2}))


@pytest.fixture
def node() -> Iterator[FakeNode]:
    """A node on which every key is `milk`."""
    with fake_node(DYN_GET=ONE, DYN_PUT=RECEIPT, DYN_DEL=b"c0ntext2") as made:
        yield made


# get --------------------------------------------------------------------------------------------------


def test_get_on_a_pipe_is_the_value_and_a_newline(node: FakeNode) -> None:
    assert dyn("get", "k", node=node) == (0, "milk\n", "", b"milk\n")
    assert node.asked == [(b"DYN.GET", b"k", b"TIMEOUT", b"3000")]


def test_get_value_is_the_value_alone(node: FakeNode) -> None:
    assert dyn("get", "k", "-o", "value", node=node).raw == b"milk"


@pytest.mark.parametrize("value", [b"", b"\x00\xff\n", b"\x1b[31m", "ü".encode() * 1000])
def test_get_on_a_pipe_changes_no_byte(value: bytes) -> None:
    with fake_node(DYN_GET=reading(version(value, {"n1": 1}))) as node:
        assert dyn("get", "k", node=node).raw == value + b"\n"


def test_get_on_a_terminal_shows_clock_writer_and_time(node: FakeNode) -> None:
    shown = dyn("get", "k", "--color", "never", node=node, terminal=True).out
    assert shown == "milk\n{n1:1}  by ada@host  2026-11-23 12:03:11.402  4 B\n"


def test_get_sends_quorum_strict_and_timeout(node: FakeNode) -> None:
    dyn("get", "k", "-r", "3", "--strict", "--timeout", "0.5", node=node)
    assert node.asked == [(b"DYN.GET", b"k", b"R", b"3", b"STRICT", b"TIMEOUT", b"500")]


def test_get_json_is_the_document_of_the_interface(node: FakeNode) -> None:
    document = json.loads(dyn("get", "k", "--json", node=node).out)
    assert {name: document[name] for name in ("schema", "key", "enc", "context")} == {
        "schema": "dyn.get/v1",
        "key": "k",
        "enc": "utf8",
        "context": "c0ntext",
    }
    [value] = document["values"]
    assert value["value"] == "milk"
    assert value["enc"] == "utf8"
    assert value["clock"] == {"n1": 1}
    assert value["writer"] == "ada@host"
    assert value["written_at"] == "2026-11-23T12:03:11.402Z"


def test_get_json_of_what_is_not_text_is_base64() -> None:
    with fake_node(DYN_GET=reading(version(b"\xff\x00", {"n1": 1}))) as node:
        document = json.loads(dyn("get", "\udcff", "-o", "json", node=node).out)
    assert (document["key"], document["enc"]) == ("/w==", "base64")
    assert (document["values"][0]["value"], document["values"][0]["enc"]) == ("/wA=", "base64")
    assert node.asked[0][1] == b"\xff"


def test_get_of_several_keys_as_json_is_one_object_a_line(node: FakeNode) -> None:
    lines = dyn("get", "a", "b", "-o", "json", node=node).out.splitlines()
    assert [json.loads(line)["key"] for line in lines] == ["a", "b"]


def test_get_of_several_keys_on_a_pipe_is_a_table(node: FakeNode) -> None:
    first, *rest = dyn("get", "a", "b", node=node).out.splitlines()
    assert first == "key\tvalue\tclock\twriter\twritten_at"
    assert rest[1] == "b\tmilk\t{n1:1}\tada@host\t2026-11-23T12:03:11.402Z"
    assert dyn("get", "a", "b", "--no-header", node=node).out.splitlines() == rest


def test_get_csv() -> None:
    with fake_node(DYN_GET=reading(version(b'a,"b"\n', {"n1": 1}))) as node:
        rows = list(csv.reader(io.StringIO(dyn("get", "k", "-o", "csv", node=node).out)))
    assert rows[0][:2] == ["key", "value"]
    assert rows[1][:3] == ["k", 'a,"b"\\n', "{n1:1}"]


def test_get_goes_on_after_a_missing_key() -> None:
    with fake_node(DYN_GET=lambda key, *rest: (NONE if key == b"a" else ONE)(*rest)) as node:
        result = dyn("get", "a", "b", "--json", node=node)
    assert result.status == 3
    assert json.loads(result.out)["key"] == "b"
    assert json.loads(result.err)["error"]["exit"] == 3


def test_get_ctx_prints_the_context_too(node: FakeNode) -> None:
    assert dyn("get", "k", "--ctx", node=node).out == "milk\nc0ntext\n"


@pytest.mark.parametrize("replies", [NONE, DELETED])
def test_get_of_nothing_is_not_found(replies: object) -> None:
    with fake_node(DYN_GET=replies) as node:
        result = dyn("get", "k", node=node)
    assert (result.status, result.out) == (3, "")
    assert result.err.startswith('dyn: no key "k"')


# Siblings ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("argv", [(), ("--one",), ("-o", "plain"), ("-o", "value"), ("-o", "csv")])
def test_siblings_on_a_pipe_are_an_error(argv: tuple[str, ...]) -> None:
    with fake_node(DYN_GET=TWO) as node:
        result = dyn("get", "k", *argv, node=node)
    assert (result.status, result.out) == (4, "")
    assert "2 siblings" in result.err
    assert "dyn merge k" in result.err


def test_siblings_on_a_terminal_are_all_shown() -> None:
    with fake_node(DYN_GET=TWO) as node:
        result = dyn("get", "k", "--color", "never", node=node, terminal=True)
        assert dyn("get", "k", "--one", node=node, terminal=True).status == 4
    assert result.status == 0
    assert result.out.splitlines() == [
        "! 2 siblings: their writers did not see each other   2026-11-23",
        "   VALUE  CLOCK         WRITER    WRITTEN       SIZE",
        "A  milk   {n1:2}        ada@host  12:03:11.402   4 B",
        "B  beer   {n1:1, n2:1}  bob       12:03:11.402   4 B",
    ]
    assert "dyn merge k --take A" in result.err


@pytest.mark.parametrize("columns", [60, 72, 80, 92, 120])
def test_siblings_keep_labels_clocks_and_times_whatever_the_width(columns: int) -> None:
    clocks = [{"n1": 12, "n2": 1}, {"n1": 11, "n2": 1, "n3": 1}]
    long = [b'["milk","a value that is as long as a whole line of a terminal, or even a little longer"]', b"x"]
    found = [version(value, clock) for value, clock in zip(long, clocks, strict=True)]
    with fake_node(DYN_GET=reading(*found)) as node:
        result = dyn("get", "k", "--color", "never", node=node, terminal=True, environ={"COLUMNS": str(columns)})
    *_, head, a, b = result.out.splitlines()
    assert max(map(len, (head, a, b))) <= columns
    assert a.startswith('A  ["mil')
    assert "…" in a
    assert "{n1:12, n2:1}" in a
    assert "{n1:11, n2:1, n3:1}" in b
    assert "12:03:11.402" in b
    assert ("SIZE" in head) is (columns > 80)


def test_siblings_of_two_days_tell_the_dates() -> None:
    days = [version(b"a", {"n1": 1}), version(b"b", {"n2": 1}, written_at="2026-11-24T00:00:00.000Z")]
    with fake_node(DYN_GET=reading(*days)) as node:
        out = dyn("get", "k", "--color", "never", node=node, terminal=True).out.splitlines()
    assert out[0] == "! 2 siblings: their writers did not see each other"
    assert "2026-11-23 12:03:11.402" in out[2]
    assert "2026-11-24 00:00:00.000" in out[3]


def test_siblings_as_json_are_all_there_and_still_a_conflict() -> None:
    with fake_node(DYN_GET=TWO) as node:
        result = dyn("get", "k", "--json", node=node)
    assert result.status == 4
    assert [value["value"] for value in json.loads(result.out)["values"]] == ["milk", "beer"]


@pytest.mark.parametrize(
    ("pasts", "words"),
    [
        (({"n1": 1}, {"n1": 1}), "both follow {n1:1}"),
        (({"n1": 2, "n2": 1}, {"n1": 1}), "both follow {n1:1}"),
        (({"n1": 1}, {}), "they have no common past"),
        (({"n1": 1}, None), None),
    ],
)
def test_siblings_name_their_common_past_where_it_is_known(pasts: tuple[object, object], words: str | None) -> None:
    two = [version(b"v%d" % i, {"n1": 2 + i}, past=past) for i, past in enumerate(pasts)]
    with fake_node(DYN_GET=reading(*two)) as node:
        last = dyn("get", "k", "--color", "never", node=node, terminal=True).out.splitlines()[-1]
    assert last == f"{words}:  A is event n1:2, B is event n1:3" if words else last.startswith("B  ")


# put --------------------------------------------------------------------------------------------------


def put_words(node: FakeNode) -> tuple[bytes, ...]:
    [words] = [asked for asked in node.asked if asked[0] == b"DYN.PUT"]
    return words


def test_put_reads_first_and_writes_over_what_it_read(node: FakeNode) -> None:
    assert dyn("put", "k", "v", node=node) == (0, "OK\n", "", b"OK\n")
    assert node.asked[0][:2] == (b"DYN.GET", b"k")
    assert put_words(node) == (b"DYN.PUT", b"k", b"c0ntext", b"v", b"TIMEOUT", b"3000", b"RECEIPT")


def test_put_refuses_when_the_read_shows_siblings() -> None:
    with fake_node(DYN_GET=TWO, DYN_PUT=RECEIPT) as node:
        result = dyn("put", "k", "v", node=node)
        assert not [asked for asked in node.asked if asked[0] == b"DYN.PUT"]
    assert result.status == 4
    assert "dyn merge k" in result.err


@pytest.mark.parametrize(("ctx", "sent", "reads"), [("none", b"", 0), ("t0ken", b"t0ken", 0), ("last", b"c0ntext", 1)])
def test_put_takes_a_context(node: FakeNode, ctx: str, sent: bytes, reads: int) -> None:
    assert dyn("put", "k", "v", "--ctx", ctx, node=node).status == 0
    assert put_words(node)[2] == sent
    assert len(node.asked) == 1 + reads


def test_put_sends_quorum(node: FakeNode) -> None:
    dyn("put", "k", "v", "-w", "2", "--strict", node=node)
    assert put_words(node)[4:7] == (b"W", b"2", b"STRICT")


def test_put_takes_standard_input_and_files(node: FakeNode, tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_bytes(b"\x00\xff\n")
    for argv, stdin, value in (
        (("-",), b"\x00in\n", b"\x00in\n"),
        ((), b"in", b"in"),
        ((f"@{file}",), b"", b"\x00\xff\n"),
        (("",), b"", b""),
        (("--", "-x"), b"", b"-x"),
    ):
        node.asked.clear()
        assert dyn("put", "k", *argv, stdin=stdin, node=node).status == 0
        assert put_words(node)[3] == value


def test_put_of_no_file_is_not_found(node: FakeNode) -> None:
    result = dyn("put", "k", "@/nonexistent", node=node)
    assert result.status == 3
    assert "cannot read /nonexistent: No such file" in result.err


def test_put_without_a_value_on_a_terminal_is_a_usage_error(node: FakeNode) -> None:
    assert dyn("put", "k", node=node, terminal=True).status == 2


def test_put_as_json_has_the_new_context_and_the_acks(node: FakeNode) -> None:
    document = json.loads(dyn("put", "k", "v", "--json", node=node).out)
    assert document == {
        "schema": "dyn.put/v1",
        "key": "k",
        "enc": "utf8",
        "context": "c0ntext2",
        "acks": [{"node": "n1", "durable": True, "hint_for": None}],
        "w": 1,
        "siblings": 1,
    }


def test_put_value_is_the_new_context(node: FakeNode) -> None:
    assert dyn("put", "k", "v", "-o", "value", node=node).raw == b"c0ntext2"


def test_put_on_a_terminal_says_what_it_replaced_and_who_holds_it(node: FakeNode) -> None:
    assert dyn("put", "k", "v", node=node, terminal=True).out.startswith("OK  replaces {n1:1}    W 1/1  n1  ")
    assert dyn("put", "k", "v", "-q", node=node).out == ""


# del --------------------------------------------------------------------------------------------------


def test_del_deletes_what_it_read(node: FakeNode) -> None:
    assert dyn("del", "k", node=node).status == 0
    assert node.asked[1] == (b"DYN.DEL", b"k", b"c0ntext", b"TIMEOUT", b"3000")


def test_del_of_nothing_is_not_found() -> None:
    with fake_node(DYN_GET=NONE, DYN_DEL=b"c") as node:
        assert dyn("del", "k", node=node).status == 3
        assert len(node.asked) == 1


def test_del_of_siblings_deletes_both() -> None:
    with fake_node(DYN_GET=TWO, DYN_DEL=b"c") as node:
        assert dyn("del", "k", node=node).status == 0


def test_del_needs_a_context(node: FakeNode) -> None:
    assert dyn("del", "k", "--ctx", "none", node=node).status == 2
    assert dyn("del", "a", "b", "--ctx", "t0ken", node=node).status == 2
    assert not node.asked


def test_our_writes_carry_our_name(node: FakeNode) -> None:
    dyn("put", "k", "v", node=node, environ={"DYN_WRITER": "till 7"})
    assert node.introductions[-1] == (b"CLIENT", b"SETNAME", b"till7")


def test_a_server_error_is_an_error(node: FakeNode) -> None:
    node.replies["DYN.PUT"] = Err("TOOBIG the value is 2 MiB; this cluster takes 1 MiB")
    result = dyn("put", "k", "v", node=node)
    assert result.status == 9
    assert result.err == "dyn: the value is 2 MiB; this cluster takes 1 MiB\n"


def test_words_that_a_node_cannot_take_are_explained_by_the_commands_page(node: FakeNode) -> None:
    node.replies["DYN.PUT"] = Err("ERR W must be 1 to 3, the cluster's N")
    result = dyn("put", "k", "v", "-w", "9", node=node)
    assert result.err == "dyn: W must be 1 to 3, the cluster's N. See: dyn help put\n"

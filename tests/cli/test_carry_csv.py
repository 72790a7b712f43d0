"""Exports and imports as csv, with contexts, of a prefix, and at a pace."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo_cli import csvrows
from dynamo_cli.commands.import_keys import CONTEXT, decide
from dynamo_cli.jsonl import BadLine, Entry
from dynamo_cli.store import Reading, Version
from dynamo_cli.windows import Pace
from node.core.limits_backup import RESTORE_ROWS
from tests.helpers.carry import ROWS, store_of
from tests.helpers.cli import dyn
from tests.helpers.documents import status
from tests.helpers.fake_node import Err, fake_node

BYTES = st.one_of(st.binary(max_size=12), st.text('a,"\r\n\t\x00ü', max_size=8).map(str.encode))


def read(data: bytes) -> list[Entry]:
    return list(csvrows.CsvRows(io.BytesIO(data)).entries())


@given(
    st.dictionaries(BYTES.filter(len), st.tuples(st.lists(BYTES, min_size=1, max_size=3), st.sampled_from([b"", b"c"])))
)
def test_what_is_written_is_read(held: dict[bytes, tuple[list[bytes], bytes]]) -> None:
    """Any bytes: quotes, ends of lines, control characters, what is no text."""
    entries = [Entry(key, tuple(values), 0, context) for key, (values, context) in held.items()]
    data = csvrows.header(contexts=True) + b"".join(csvrows.rows_of(entry, contexts=True) for entry in entries)
    assert [entry._replace(number=0) for entry in read(data)] == entries


def test_a_csv_is_carried_from_one_cluster_into_another(tmp_path: Path) -> None:
    file, into = tmp_path / "all.csv", {b"key:3": [b"value 3"]}
    with store_of(dict(ROWS)) as node:
        assert dyn("export", "--format", "csv", "--to", str(file), node=node).status == 0
    assert file.read_bytes().startswith(b"key,enc,value,value_enc\n")
    with store_of(into) as node:
        result = dyn("import", str(file), "--format", "csv", "--json", node=node)
    assert {key: sorted(values) for key, values in into.items()} == {k: sorted(v) for k, v in ROWS.items()}
    assert (json.loads(result.out)["new"], json.loads(result.out)["same"]) == (11, 1)


def test_a_csv_from_elsewhere_needs_no_more_than_key_and_value() -> None:
    data = '\ufeffvalue,key\r\n"a ""cup""\nof tea",k1\r\n\r\n,k2\r\n'.encode()
    assert read(data) == [Entry(b"k1", (b'a "cup"\nof tea',), 2), Entry(b"k2", (b"",), 5)]


def test_values_may_be_as_long_as_values_are() -> None:
    """The reader of the standard library stops at 128 KiB a cell by itself."""
    entry = Entry(b"k", (b"v" * 300_000,), 2)
    assert read(csvrows.header(contexts=False) + csvrows.rows_of(entry, contexts=False)) == [entry]


@pytest.mark.parametrize(
    ("data", "number", "why"),
    [
        (b"", 1, "the first row names the columns"),
        (b"key,val\n", 1, "no column 'val'"),
        (b"key,key,value\n", 1, "the first row"),
        (b"key,value\nk\n", 2, "it has 1 cells"),
        (b"key,value\nk,v,w\n", 2, "it has 3 cells"),
        (b"key,value\n,v\n", 2, "its key has 0 bytes"),
        (b"key,value\nk,v\nk2,\xff\n", 3, "not UTF-8"),
        (b"key,enc,value\nk,base64,v\n", 2, "is not base64"),
        (b"key,enc,value\nk,latin1,v\n", 2, "neither utf8 nor base64"),
        (b'key,value\nk,"v\n', 2, "unexpected end"),
        (b"key,value,context\nk,v,a\nk,w,b\n", 2, "several contexts"),
        (b"key,value,context\nk,v,\xc3\xbc\n", 2, "its context is none"),
        (b"key,value\n" + b"k,v\n" * 101, 2, "its key has 101 values"),
    ],
)
def test_a_row_that_makes_no_sense_is_named(data: bytes, number: int, why: str) -> None:
    with pytest.raises(BadLine) as caught:
        read(data)
    assert caught.value.message.startswith(f"line {number} ")
    assert why in caught.value.message


def test_what_stands_before_a_bad_row_is_imported() -> None:
    rows: dict[bytes, list[bytes]] = {}
    with store_of(rows) as node:
        result = dyn("import", "-", "--format", "csv", stdin=b"key,value\na,1\nb,2\nc\n", node=node)
    assert result.status == 1
    assert rows == {b"a": [b"1"], b"b": [b"2"]}


def test_a_csv_can_be_gone_on_with_at_a_line_and_an_export_of_one_not() -> None:
    rows: dict[bytes, list[bytes]] = {}
    with store_of(rows) as node:
        dyn("import", "-", "--format", "csv", "--resume", "3", stdin=b"key,value\na,1\nb,2\n", node=node)
    assert rows == {b"b": [b"2"]}
    assert dyn("export", "--format", "csv", "--to", "x", "--resume").status == 2


def test_a_csv_that_is_taken_for_json_lines_is_said_to_be_one() -> None:
    with store_of({}) as node:
        assert "If it is csv: --format csv" in dyn("import", "-", stdin=b"key,value\na,1\n", node=node).err


def test_the_prefix_as_an_option() -> None:
    with store_of(dict(ROWS)) as node:
        assert dyn("export", "--prefix", "key:", node=node).raw == dyn("export", "key:", node=node).raw
        assert dyn("export", "a", "--prefix", "b", node=node).status == 2
        exported = dyn("export", node=node).raw
    into: dict[bytes, list[bytes]] = {}
    with store_of(into) as node:
        result = dyn("import", "-", "--prefix", "key:", "--json", stdin=exported, node=node)
        again = dyn("import", "-", "--prefix", "key:", stdin=exported, node=node, terminal=True)
    told = json.loads(result.out)
    assert (result.status, told["keys"], told["passed_over"]) == (0, len(ROWS), len(ROWS) - len(into))
    assert f"{told['passed_over']}  were passed over" in again.out
    assert set(into) == {key for key in ROWS if key.startswith(b"key:")}


def test_what_ends_an_import_says_how_to_go_on_in_the_same_way(tmp_path: Path) -> None:
    file = tmp_path / "all.csv"
    file.write_bytes(b"key,value,context\nk1,1,c\n")
    argv = ("import", str(file), "--format", "csv", "--prefix", "k")
    with fake_node(DYN_GET=[b"", []], DYN_PUT=Err("UNAVAILABLE no"), DYN_STATUS=status()) as node:
        for more in (("--with-ctx",), ("--existing", "beside")):
            words = " ".join(("dyn import", str(file), "--format csv", *more, "--prefix k --resume 2"))
            assert f"Go on: {words}" in dyn(*argv, *more, node=node).err


# Contexts -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_contexts_travel_and_are_written_with(form: str) -> None:
    with store_of({b"a": [b"1", b"2"]}) as node:
        exported = dyn("export", "--with-ctx", "--format", form, node=node).raw
    edited = exported.replace(b"1", b"9") if form == "csv" else exported.replace(b'"value":"1"', b'"value":"9"')
    assert exported.count(b"seen") == (2 if form == "csv" else 1)
    with store_of({b"a": [b"1", b"2"]}) as node:
        done = dyn("import", "-", "--with-ctx", "--format", form, "--json", stdin=edited, node=node)
    assert json.loads(done.out)["replaced"] == 1
    written = [words[1:4] for words in node.asked if words[0] == b"DYN.PUT"]
    assert written == [(b"a", b"seen", b"9"), (b"a", b"seen", b"2")]


def held(context: bytes, *values: bytes) -> Reading:
    return Reading(b"k", context, tuple(Version(value) for value in values))


@pytest.mark.parametrize(
    ("reading", "what", "values"),
    [
        (held(b"old", b"1"), "replaced", (b"2", b"3")),
        (held(b"newer", b"1", b"x"), "added", (b"2", b"3")),
        (held(b"newer", b"2", b"x"), "added", (b"3",)),  # a part of it was imported before
        (held(b"newer", b"2", b"3", b"x"), "same", ()),
        (held(b"newer", b"2", b"3"), "same", ()),
    ],
)
def test_what_was_written_since_stays(reading: Reading, what: str, values: tuple[bytes, ...]) -> None:
    step = decide(Entry(b"k", (b"2", b"3"), 2, b"old"), reading, CONTEXT, cut_off=False)
    assert (step.what, step.values) == (what, values)
    assert not values or step.context == b"old"


def test_contexts_of_another_cluster_or_of_none_are_refused_before_anything_is_written() -> None:
    with store_of({b"a": [b"1"]}) as node:
        without = dyn("export", node=node).raw
        exported = dyn("export", "--with-ctx", node=node).raw
    elsewhere = status() | {"cluster_id": "e" * 32}
    with store_of({}, **{"DYN.STATUS": elsewhere}) as node:
        assert dyn("import", "-", "--with-ctx", stdin=without, node=node).status == 2
        refused = dyn("import", "-", "--with-ctx", stdin=exported, node=node)
        assert dyn("import", "-", "--with-ctx", "--existing", "skip", stdin=exported, node=node).status == 2
    assert refused.status == 9
    assert "this is another one" in refused.err
    assert not [words for words in node.asked if words[0] == b"DYN.PUT"]


def test_an_export_is_gone_on_with_as_it_was_begun(tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    with store_of(dict(ROWS)) as node:
        assert dyn("export", "--to", str(file), node=node).status == 0
        result = dyn("export", "--to", str(file), "--with-ctx", "--resume", node=node)
    assert result.status == 9
    assert "begun without contexts" in result.err


# The pace -------------------------------------------------------------------------------------------------


class Clock:
    """A clock that is moved by pauses alone."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s

    def pause(self, seconds: float) -> None:
        self.now_s += seconds


@pytest.mark.parametrize(("rate", "window"), [(0.5, 1), (1.0, 1), (10.0, 10), (1e5, RESTORE_ROWS)])
def test_so_many_keys_a_second(rate: float, window: int) -> None:
    clock = Clock()
    pace = Pace(rate, clock.pause, clock)
    assert pace.window == window
    keys = 0
    for _ in range(50):
        pace.wait(window)
        keys += window
    assert clock.now_s == pytest.approx((keys - window) / rate)


def test_a_slow_node_is_not_made_up_for_by_a_burst() -> None:
    clock = Clock()
    pace = Pace(10.0, clock.pause, clock)
    pace.wait(10)
    clock.now_s += 100
    for _ in range(2):
        pace.wait(10)
    assert clock.now_s == 101


@pytest.mark.parametrize("command", ["export", "import"])
def test_the_pace_is_kept(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    waited: list[int] = []
    monkeypatch.setattr(Pace, "wait", lambda self, keys: waited.append(keys))
    with store_of(dict(ROWS)) as node:
        exported = dyn("export", node=node).raw
        waited.clear()
        assert (
            dyn(command, *(["-"] if command == "import" else []), "--rate", "2", stdin=exported, node=node).status == 0
        )
    assert sum(waited) == len(ROWS)
    assert max(waited) == 2


def test_no_pace_is_no_wait() -> None:
    def never(seconds: float) -> None:
        raise AssertionError("it paused")

    clock: Callable[[], float] = lambda: 0.0  # shorter than a function
    pace: Any = Pace(None, never, clock)
    for _ in range(3):
        pace.wait(10**6)
    assert pace.window == RESTORE_ROWS
    with fake_node(DYN_KEYS=[b"0", []], DYN_STATUS=status()) as node:
        assert dyn("export", "--rate", "0", node=node).status == 2

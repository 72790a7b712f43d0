"""`dyn export`, `import` against a node with scripted answers: what is asked, and what is made of it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dynamo_cli import windows
from dynamo_cli.commands.import_keys import POLICIES, decide
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.jsonl import BadLine, Counts, Entry, Header, lines_of, read_line
from dynamo_cli.store import Reading, Version
from node.core.ids import scan_position
from node.core.limits import KEY_BYTES_MAX
from node.core.limits_backup import BUSY_TRIES, RESTORE_BYTES, RESTORE_ROWS
from tests.helpers.carry import ROWS, exported, store_of
from tests.helpers.cli import dyn
from tests.helpers.documents import EVIL, status
from tests.helpers.fake_node import HANG_UP, Err, fake_node

ENDED = Err("UNAVAILABLE 1 of the 2 owners needed answer")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "BUSY_S", 0.0)


# Lines --------------------------------------------------------------------------------------------------------


def test_an_export_is_what_it_says(tmp_path: Path) -> None:
    lines = [read_line(n, line) for n, line in lines_of(io.BytesIO(exported()))]
    assert lines[0] == Header("carts", "ab", b"")
    entries = [line for line in lines[1:-1] if isinstance(line, Entry)]
    assert {entry.key: list(entry.values) for entry in entries} == ROWS
    assert [entry.key for entry in entries] == sorted(ROWS, key=scan_position)
    size = sum(len(key) + sum(map(len, values)) for key, values in ROWS.items())
    assert lines[-1] == Counts(12, 13, 1, size)


@pytest.mark.parametrize(
    "data", [b"", b"text", 'ü\n\t"\\'.encode(), b"\x00\x01", b"\x7f", b"\xff", EVIL.encode(), b"\r"]
)
def test_every_value_comes_back_as_it_was(data: bytes) -> None:
    entry = Entry(data or b"k", (data, b"x"), 7)
    line = entry.line()
    assert read_line(7, line) == entry
    assert not {c for c in line.decode() if not (c.isprintable() or c == "\n")}, "a terminal is not commanded"
    assert len(line) <= 2 * entry.size_bytes + 100


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"key":"k"', "it has no end"),
        (b"no json\n", "it is not JSON"),
        (b"[" * 100_000 + b"\n", "it is not JSON"),
        (b"[]\n", "no JSON object"),
        (b'{"schema":"dyn.get/v1"}\n', "has the schema 'dyn.get/v1'"),
        (b'{"schema":"dyn.export/v1"}\n', 'no text "cluster"'),
        (b'{"schema":"dyn.export.end/v1","keys":-1}\n', 'no number "keys"'),
        (b'{"key":"","enc":"utf8","values":[]}\n', "its key has 0 bytes"),
        (b'{"key":"%b","enc":"utf8","values":[]}\n' % (b"k" * (KEY_BYTES_MAX + 1)), "its key has 4097 bytes"),
        (b'{"key":"k","enc":"utf8","values":[]}\n', "its key has 0 values"),
        (b'{"key":"k","enc":"utf8","values":[1]}\n', "a value is no JSON object"),
        (b'{"key":"k","enc":"utf8","values":[{"value":"?","enc":"base64"}]}\n', '"value" is not base64'),
        (b'{"key":"k","enc":"hex","values":[{"value":"","enc":"utf8"}]}\n', '"enc" is neither utf8 nor base64'),
        (b'{"key":"\\ud800","enc":"utf8","values":[{"value":"","enc":"utf8"}]}\n', "surrogates not allowed"),
        (b'{"key":1,"enc":"utf8","values":[{"value":"","enc":"utf8"}]}\n', 'no text "key"'),
    ],
)
def test_a_line_that_is_none_of_ours_is_named_by_its_number(line: bytes, why: str) -> None:
    with pytest.raises(BadLine) as caught:
        read_line(7, line)
    assert caught.value.message.startswith("line 7 is no line of an export: ")
    assert why in caught.value.message


def test_a_line_without_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynamo_cli.jsonl.EXPORT_LINE_BYTES_MAX", 100)
    assert list(lines_of(io.BytesIO(b"x" * 99 + b"\n"))) == [(1, b"x" * 99 + b"\n")]
    with pytest.raises(BadLine, match="it is longer than 100 bytes"):
        list(lines_of(io.BytesIO(b"x" * 101)))


# Windows ------------------------------------------------------------------------------------------------------


def cut(items: list[tuple[bytes, int]]) -> list[int]:
    return [len(window) for window in windows.windows(items, lambda item: item[1], lambda item: item[0])]


def test_windows_are_bounded_in_number_and_bytes_and_have_no_key_twice() -> None:
    assert cut([(b"%d" % n, 1) for n in range(RESTORE_ROWS * 2 + 1)]) == [RESTORE_ROWS, RESTORE_ROWS, 1]
    assert cut([(b"%d" % n, RESTORE_BYTES // 2) for n in range(5)]) == [2, 2, 1]
    assert cut([(b"%d" % n, RESTORE_BYTES * 2) for n in range(3)]) == [1, 1, 1]
    assert cut([(b"a", 1), (b"b", 1), (b"a", 1), (b"a", 1)]) == [2, 1, 1]
    assert cut([]) == []


def test_what_breaks_behind_a_window_does_not_lose_it() -> None:
    def items() -> Iterator[int]:
        yield from (1, 2)
        raise CliError(ExitStatus.FAILURE, "broken")

    found = windows.windows(items(), lambda item: 1, lambda item: b"%d" % item)
    assert next(found) == [1, 2]
    with pytest.raises(CliError, match="broken"):
        next(found)


def test_what_a_busy_node_had_no_time_for_is_said_again_and_nothing_else() -> None:
    left = {b"a": 2, b"c": 1}

    def get(key: bytes, *words: bytes) -> Any:
        if left.get(key):
            left[key] -= 1
            return Err("BUSY later")
        return [b"", [key]]

    with fake_node(DYN_GET=get, DYN_STATUS=status(), DYN_KEYS=[b"0", [b"a", b"b", b"c"]]) as node:
        result = dyn("export", node=node)
    assert result.status == 0
    assert [words[1] for words in node.asked if words[0] == b"DYN.GET"] == [b"a", b"b", b"c", b"a", b"c", b"a"]


def test_a_node_that_stays_busy_ends_it() -> None:
    with fake_node(DYN_GET=Err("BUSY later"), DYN_STATUS=status(), DYN_KEYS=[b"0", [b"a"]]) as node:
        result = dyn("export", node=node)
    assert (result.status, result.err.count("\n")) == (1, 1)
    assert len([words for words in node.asked if words[0] == b"DYN.GET"]) == BUSY_TRIES + 1


# Export -------------------------------------------------------------------------------------------------------


def test_an_export_that_fails_says_how_to_go_on_and_goes_on(tmp_path: Path) -> None:
    """Its last whole line is what counts, not what was asked for."""
    file = tmp_path / "all.jsonl"
    rows, asked = dict(ROWS), []

    def get(key: bytes, *words: bytes) -> Any:
        asked.append(key)
        return ENDED if len(asked) > 7 else [b"", rows[key]]

    with store_of(rows, DYN_GET=get) as node:
        failed = dyn("export", "--to", str(file), node=node)
    assert failed.status == 6
    assert f"Go on: dyn export --to {file} --resume" in failed.err
    assert not file.read_bytes().endswith(exported()[-20:])
    with store_of(rows) as node:
        result = dyn("export", "--to", str(file), "--resume", "--json", node=node)
    assert json.loads(result.out)["keys"] == 12
    assert file.read_bytes() == exported()
    kept = [words[1] for words in node.asked if words[0] == b"DYN.GET"]
    assert len(kept) < 12, "what is there is not read again"


@pytest.mark.parametrize("size", [0, 1, 60, 200, 333, 10_000])
def test_wherever_it_was_cut_the_rest_is_the_same(tmp_path: Path, size: int) -> None:
    file, whole = tmp_path / "all.jsonl", exported()
    file.write_bytes(whole[:size])
    with store_of(dict(ROWS)) as node:
        assert dyn("export", "--to", str(file), "--resume", node=node).status == 0
    assert file.read_bytes() == whole


def test_what_was_damaged_before_its_end_is_not_gone_on_with(tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    lines = exported().splitlines(keepends=True)
    file.write_bytes(b"".join([*lines[:3], b"nonsense\n", *lines[3:6]]))
    before = file.read_bytes()
    with store_of(dict(ROWS)) as node:
        result = dyn("export", "--to", str(file), "--resume", node=node)
    assert (result.status, file.read_bytes()) == (1, before)
    assert "line 4 is no line of an export" in result.err


def test_keys_that_are_deleted_meanwhile_are_left_out() -> None:
    with store_of({b"a": [b"1"], b"b": []}) as node:
        lines = dyn("export", node=node).out.splitlines()
    assert [json.loads(line).get("key") for line in lines] == [None, "a", None]


def test_resume_needs_a_file() -> None:
    assert dyn("export", "--resume").status == 2


# Import -------------------------------------------------------------------------------------------------------


def reading(*values: bytes, context: bytes = b"seen") -> Reading:
    return Reading(b"k", context, tuple(Version(value) for value in values))


FILE = (b"a", b"b")


@pytest.mark.parametrize(
    ("held", "policy", "what", "context", "values"),
    [
        ((), "skip", "new", b"seen", FILE),
        ((), "replace", "new", b"seen", FILE),
        ((), "beside", "new", b"seen", FILE),
        ((b"b", b"a"), "skip", "same", b"", ()),
        ((b"b", b"a"), "replace", "same", b"", ()),
        ((b"x",), "skip", "left", b"", ()),
        ((b"a",), "skip", "left", b"", ()),
        ((b"x",), "replace", "replaced", b"seen", FILE),
        ((b"x",), "beside", "added", b"", FILE),
        ((b"a", b"x"), "beside", "added", b"", (b"b",)),
        ((b"a", b"b", b"x"), "beside", "same", b"", ()),
        ((b"a", b"a"), "beside", "added", b"", (b"b",)),
    ],
)
def test_what_becomes_of_a_key(
    held: tuple[bytes, ...], policy: str, what: str, context: bytes, values: tuple[bytes, ...]
) -> None:
    step = decide(Entry(b"k", FILE), reading(*held), policy, cut_off=False)
    assert (step.what, step.context, step.values) == (what, context, values)


def test_what_an_import_that_was_cut_off_wrote_is_completed_and_nobody_elses() -> None:
    entry = Entry(b"k", FILE)
    assert decide(entry, reading(b"a"), "skip", cut_off=True)[1:] == ("added", b"", (b"b",))
    assert decide(entry, reading(b"a", b"x"), "skip", cut_off=True).what == "left"
    assert decide(entry, reading(b"x"), "skip", cut_off=True).what == "left"


@pytest.mark.parametrize("policy", POLICIES)
def test_an_import_may_be_repeated(policy: str) -> None:
    rows: dict[bytes, list[bytes]] = {}
    with store_of(rows) as node:
        first = json.loads(dyn("import", "-", "--existing", policy, "--json", node=node, stdin=exported()).out)
        assert {key: sorted(values) for key, values in rows.items()} == ROWS
        again = json.loads(dyn("import", "-", "--existing", policy, "--json", node=node, stdin=exported()).out)
    assert (first["new"], again["same"], again["new"]) == (12, 12, 0)
    assert {key: sorted(values) for key, values in rows.items()} == ROWS


def test_a_dry_run_writes_nothing() -> None:
    rows: dict[bytes, list[bytes]] = {b"key:1": [b"other"]}
    with store_of(rows) as node:
        result = dyn("import", "-", "--dry-run", "--json", node=node, stdin=exported())
    told = json.loads(result.out)
    assert (result.status, told["new"], told["left"], rows) == (4, 11, 1, {b"key:1": [b"other"]})
    assert not [words for words in node.asked if words[0] == b"DYN.PUT"]


def test_keys_that_the_cluster_will_not_have_are_named_and_the_others_written() -> None:
    def put(key: bytes, *words: bytes) -> Any:
        return Err("TOOBIG the value has 9 bytes, max-value-bytes is 1") if key == b"key:3" else b"new"

    with store_of({}, DYN_PUT=put) as node:
        result = dyn("import", "-", "--json", node=node, stdin=exported())
    told = json.loads(result.out)
    assert (result.status, told["new"], told["failed"]) == (1, 11, 1)
    assert told["failed_keys"] == [
        {"key": "key:3", "enc": "utf8", "why": "the value has 9 bytes, max-value-bytes is 1"}
    ]


@pytest.mark.parametrize(("answer", "code"), [(ENDED, 6), (HANG_UP, 7), (Err("DISKFULL full"), 1)])
def test_what_ends_an_import_names_the_line_to_go_on_at(tmp_path: Path, answer: Any, code: int) -> None:
    file = tmp_path / "all.jsonl"
    file.write_bytes(exported())
    with store_of({}, DYN_PUT=answer) as node:
        result = dyn("import", str(file), node=node)
    assert (result.status, result.out, result.err.count("\n")) == (code, "", 1)
    assert result.err.startswith("dyn: line 2: ")
    assert result.err.endswith(f"Go on: dyn import {file} --resume 2\n")


def test_resume_begins_at_its_line() -> None:
    rows: dict[bytes, list[bytes]] = {}
    with store_of(rows) as node:
        told = json.loads(dyn("import", "-", "--resume", "5", "--json", node=node, stdin=exported()).out)
    assert (told["keys"], told["new"], len(rows)) == (12, 9, 9)


@pytest.mark.parametrize(
    ("change", "words", "new"),
    [
        (lambda lines: lines[1:], "line 1 is no line of an export: the first line says what it is", 0),
        (lambda lines: lines[:-1], "has no last line: its export was cut off", 12),
        (lambda lines: [*lines[:3], lines[3][:-5]], "line 4 is no line of an export: it has no end", 2),
        (lambda lines: [*lines[:3], *lines[4:]], "it counts 12 keys, and 11 were there", 11),
        (lambda lines: [*lines, lines[1]], "stands after the end of one", 12),
        (lambda lines: [*lines[:3], lines[0], *lines[3:]], "line 4 is no line of an export: the first line says", 2),
        (lambda lines: [], "has no last line", 0),
    ],
)
def test_a_file_that_is_not_whole_is_told_and_what_it_holds_is_imported(change: Any, words: str, new: int) -> None:
    rows: dict[bytes, list[bytes]] = {}
    stdin = b"".join(change(exported().splitlines(keepends=True)))
    with store_of(rows) as node:
        result = dyn("import", "-", "--json", node=node, stdin=stdin)
    assert result.status == 1
    assert words in json.loads(result.err)["error"]["message"]
    assert (json.loads(result.out)["new"], len(rows)) == (new, new)

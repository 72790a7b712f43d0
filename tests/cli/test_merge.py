"""`dyn merge`: what it writes, over which context, and what it refuses."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pexpect
import pytest

from dynamo_cli.merging import SCISSORS, CannotMerge, edit_text, edited, settle_hint, union
from dynamo_cli.store import Reading, Version
from tests.helpers.cli import dyn
from tests.helpers.fake_node import RECEIPT, Err, FakeNode, fake_node, reading, version

CARTS = reading(version(b'["milk","eggs"]', {"n3": 2}), version(b'["milk","beer"]', {"n3": 1, "n4": 1}))


def written(node: FakeNode) -> tuple[bytes, bytes] | None:
    """Context and value of the one write that the node was asked for."""
    puts = [(asked[2], asked[3]) for asked in node.asked if asked[0] == b"DYN.PUT"]
    return puts[0] if puts else None


@pytest.mark.parametrize(
    ("argv", "value"),
    [
        (("--take", "A"), b'["milk","eggs"]'),
        (("--take", "b"), b'["milk","beer"]'),
        (("--union",), b'["milk","eggs","beer"]'),
        (("--value", "x"), b"x"),
        (("--value", "-"), b"from stdin"),
    ],
)
def test_merge_writes_over_all_that_it_read(argv: tuple[str, ...], value: bytes) -> None:
    with fake_node(DYN_GET=CARTS, DYN_PUT=RECEIPT) as node:
        assert dyn("merge", "k", *argv, node=node, stdin=b"from stdin").status == 0
        assert written(node) == (b"c0ntext", value)


@pytest.mark.parametrize(("argv", "status"), [(("--take", "C"), 2), (("--take", "A", "--value", "x"), 2), ((), 4)])
def test_merge_refuses(argv: tuple[str, ...], status: int) -> None:
    with fake_node(DYN_GET=CARTS, DYN_PUT=RECEIPT) as node:
        assert dyn("merge", "k", *argv, node=node).status == status
        assert written(node) is None


def test_merge_of_one_value_has_nothing_to_do() -> None:
    with fake_node(DYN_GET=reading(version(b"x", {"n1": 1})), DYN_PUT=RECEIPT) as node:
        assert dyn("merge", "k", "--union", node=node).status == 0
        assert written(node) is None


def test_merge_of_nothing_is_not_found() -> None:
    with fake_node(DYN_GET=reading()) as node:
        assert dyn("merge", "k", "--union", node=node).status == 3


@pytest.mark.parametrize(
    ("values", "united"),
    [
        ([b"[1,2]", b"[2,3]", b"[1]"], b"[1,2,3]"),
        ([b'[{"a":1,"b":2}]', b'[{"b":2,"a":1}]'], b'[{"a":1,"b":2}]'),
        ([b'{"a":1}', b'{"b":[]}'], b'{"a":1,"b":[]}'),
        ([b'{"a":1}', b'{"a":1}'], b'{"a":1}'),
        ([b'["\xc3\xbc"]', b"[]"], b'["\xc3\xbc"]'),
    ],
)
def test_union(values: list[bytes], united: bytes) -> None:
    assert union(values) == united


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ([b"milk", b"beer"], "A is no JSON"),
        ([b"[]", b"\xff"], "B is no JSON"),
        ([b"[]", b"{}"], "not all JSON arrays"),
        ([b"1", b"2"], "not all JSON arrays"),
        ([b'{"a":1}', b'{"a":2}'], "differ in 'a'"),
    ],
)
def test_what_has_no_union(values: list[bytes], why: str) -> None:
    with pytest.raises(CannotMerge, match=why):
        union(values)
    with fake_node(DYN_GET=reading(*(version(v, {f"n{i}": 1}) for i, v in enumerate(values))), DYN_PUT=RECEIPT) as node:
        assert dyn("merge", "k", "--union", node=node).status == 4
        assert written(node) is None


def test_the_hint_offers_a_union_only_where_there_is_one() -> None:
    assert settle_hint(b"k", [b"[1]", b"[2]"]) == "settle it:  dyn merge k --take A  ·  --union  ·  --edit"
    assert settle_hint(b"a b", [b"milk", b"beer"]) == "settle it:  dyn merge 'a b' --take A  ·  --edit"


# The last writer wins ---------------------------------------------------------------------------------


def at(time: str, node: str, value: bytes) -> tuple[object, ...]:
    return version(value, {node: 1}, written_at=f"2026-11-23T{time}Z")


@pytest.mark.parametrize(
    ("first", "second", "value", "words"),
    [
        (at("12:03:14.977", "n3", b"x"), at("12:03:11.402", "n4", b"y"), b"x",
         "A was written last, 3.575 s after B, unless the clocks of n3 and n4 differ by more"),
        (at("09:00:00.000", "n3", b"x"), at("10:00:00.001", "n3", b"y"), b"y",
         "B was written last, 3600.001 s after A, by the clock of n3, unless that was set"),
    ],
)  # fmt: skip
def test_lww_says_whose_clock_decided(
    first: tuple[object, ...], second: tuple[object, ...], value: bytes, words: str
) -> None:
    with fake_node(DYN_GET=reading(first, second), DYN_PUT=RECEIPT) as node:
        result = dyn("merge", "k", "--lww", node=node)
        assert (result.status, result.err.strip()) == (0, words)
        assert written(node) == (b"c0ntext", value)


@pytest.mark.parametrize("second", [at("12:00:00.000", "n4", b"y"), version(b"y", {"n4": 1}, written_at=None)])
def test_lww_does_not_guess(second: tuple[object, ...]) -> None:
    with fake_node(DYN_GET=reading(at("12:00:00.000", "n3", b"x"), second), DYN_PUT=RECEIPT) as node:
        result = dyn("merge", "k", "--lww", node=node)
        assert (result.status, written(node)) == (4, None)
        assert "none is the last" in result.err


# In an editor, and by a command -----------------------------------------------------------------------


def editor(tmp_path: Path, body: str) -> dict[str, str]:
    """An editor that does this to the file `$1`; temporary files are made where the test can see them."""
    script = tmp_path / "editor"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    return {"EDITOR": f"{script} --wait", "PATH": "/usr/bin:/bin"}


@pytest.fixture(autouse=True)
def drafts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "drafts"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def test_edit_shows_the_siblings_and_writes_what_is_left(tmp_path: Path, drafts: Path) -> None:
    """The editor gets its own arguments first, and a file that nobody else can read."""
    environ = editor(
        tmp_path, f'stat -c %a "$2" > {tmp_path}/mode; cp "$2" {tmp_path}/seen; printf \'# both\\n\' > "$2"'
    )
    with fake_node(DYN_GET=CARTS, DYN_PUT=RECEIPT) as node:
        result = dyn("merge", "k", "--edit", node=node, environ=environ)
        assert (result.status, written(node)) == (0, (b"c0ntext", b"# both")), result.err
    text = (tmp_path / "seen").read_text()
    head, body = text.split("# ------------------------ >8 ------------------------\n")
    assert all(line.startswith("#") for line in head.splitlines())
    assert "A  n3:2  by ada@host" in head
    assert body == '<<<<<<< A\n["milk","eggs"]\n======= B\n["milk","beer"]\n>>>>>>> end\n'
    assert (tmp_path / "mode").read_text() == "600\n"
    assert list(drafts.iterdir()) == []


@pytest.mark.parametrize(
    ("body", "status", "why", "kept"),
    [
        ("", 4, "the line <<<<<<< A is still in the text", 0),
        (': > "$2"', 4, "nothing is left of the text", 0),
        ("printf '  \\n' > \"$2\"", 4, "nothing is left of the text", 0),
        ("sed -i '/^<<</d' \"$2\"", 4, "the line ======= B is still in the text", 1),
        ('printf x > "$2"; exit 3', 1, "ended with 3", 0),
        ('rm "$2"', 1, "cannot read", 0),
    ],
)
def test_an_edit_that_is_not_finished_writes_nothing(
    body: str, status: int, why: str, kept: int, tmp_path: Path, drafts: Path
) -> None:
    with fake_node(DYN_GET=CARTS, DYN_PUT=RECEIPT) as node:
        result = dyn("merge", "k", "--edit", node=node, environ=editor(tmp_path, body))
        assert (result.status, written(node)) == (status, None)
    assert why in result.err
    assert len(list(drafts.iterdir())) == kept
    assert (str(drafts) in result.err) == bool(kept) or "cannot read" in result.err


def test_what_was_edited_is_kept_if_it_cannot_be_written(tmp_path: Path, drafts: Path) -> None:
    environ = editor(tmp_path, 'printf both > "$2"')
    with fake_node(DYN_GET=CARTS, DYN_PUT=Err("UNAVAILABLE 1 of 2")) as node:
        result = dyn("merge", "k", "--edit", node=node, environ=environ)
    (kept,) = drafts.iterdir()
    assert (result.status, kept.read_bytes()) == (6, b"both")
    assert f"dyn merge k --value @{kept}" in result.err


@pytest.mark.parametrize("name", ["/nonexistent/editor", "'"])
def test_an_editor_that_is_not_there_writes_nothing(name: str, drafts: Path) -> None:
    with fake_node(DYN_GET=CARTS, DYN_PUT=RECEIPT) as node:
        result = dyn("merge", "k", "--edit", node=node, environ={"VISUAL": name, "EDITOR": "true"})
        assert (result.status, written(node)) == (1, None)
    assert "Set EDITOR" in result.err
    assert list(drafts.iterdir()) == []


def test_what_is_no_text_is_not_edited() -> None:
    with fake_node(DYN_GET=reading(version(b"\xff", {"n3": 1}), version(b"x", {"n4": 1})), DYN_PUT=RECEIPT) as node:
        result = dyn("merge", "k", "--edit", node=node, environ={"EDITOR": "true"})
        assert (result.status, written(node)) == (4, None)
    assert "A is no UTF-8 text" in result.err


@pytest.mark.parametrize("values", [(b"a\n", b"b"), (b"# a", b"b"), (b"", b"\n\nb"), (b"<<<<<<< A", b"x")])
def test_an_editor_that_takes_away_the_marks_alone_keeps_every_byte(values: tuple[bytes, bytes]) -> None:
    found = Reading(b"k", b"", tuple(Version(value, {"n1": 1}, "n1:1") for value in values))
    text = edit_text(found)
    assert text.count(SCISSORS) == 1
    body = text.rpartition(SCISSORS)[2].split(b"\n======= B\n" if values[0][-1:] != b"\n" else b"======= B\n")
    assert body[0] == b"<<<<<<< A\n" + values[0]
    assert edited(SCISSORS + b"one\n", values) == (b"one\n" if values[0].endswith(b"\n") else b"one")


def test_with_gives_siblings_as_json_and_takes_what_is_printed() -> None:
    command = 'python3 -c \'import json,sys; print(*(v["value"] for v in json.load(sys.stdin)["values"]))\''
    with fake_node(DYN_GET=CARTS, DYN_PUT=RECEIPT) as node:
        result = dyn("merge", "k", "--with", command, node=node, environ={"PATH": "/usr/bin:/bin"})
        assert (result.status, written(node)) == (0, (b"c0ntext", b'["milk","eggs"] ["milk","beer"]')), result.err


@pytest.mark.parametrize(
    ("command", "status", "why"),
    [("printf x; exit 5", 1, "ended with 5"), ("true", 4, "printed nothing"), ("kill -9 $$", 1, "ended with -9")],
)
def test_a_command_that_fails_writes_nothing(command: str, status: int, why: str) -> None:
    with fake_node(DYN_GET=CARTS, DYN_PUT=RECEIPT) as node:
        result = dyn("merge", "k", "--with", command, node=node)
        assert (result.status, written(node)) == (status, None)
    assert why in result.err


def test_a_command_that_prints_without_end_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynamo_cli.outside.VALUE_BYTES_CEILING", 1000)
    with fake_node(DYN_GET=CARTS, DYN_PUT=RECEIPT) as node:
        result = dyn("merge", "k", "--with", "exec yes", node=node, environ={"PATH": "/usr/bin:/bin"})
        assert (result.status, written(node)) == (9, None)


def test_a_line_end_is_kept_where_siblings_have_one() -> None:
    two = reading(version(b"a\n", {"n3": 1}), version(b"b\n", {"n4": 1}))
    with fake_node(DYN_GET=two, DYN_PUT=RECEIPT) as node:
        assert dyn("merge", "k", "--with", "echo c", node=node, environ={"PATH": "/bin:/usr/bin"}).status == 0
        assert written(node) == (b"c0ntext", b"c\n")


# The choice -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("keys", "value"),
    [("\x1b[B\r", b'["milk","beer"]'), ("u", b'["milk","eggs","beer"]'), ("\x1b[B" * 4 + "\r", None), ("\x1b", None)],
)  # fmt: skip
def test_a_person_chooses_with_the_arrow_keys_or_a_letter(keys: str, value: bytes | None) -> None:
    with fake_node(DYN_GET=CARTS, DYN_PUT=RECEIPT) as node:
        argv = [sys.executable, "-m", "dynamo_cli", "-n", node.address, "merge", "k"]
        child = pexpect.spawn(argv[0], argv[1:], dimensions=(24, 80), timeout=20, env={**os.environ, "TERM": "xterm"})
        child.expect("What replaces them")
        child.expect("leave them as they are")
        child.send(keys)
        child.expect(pexpect.EOF)
        child.close()
        assert (child.exitstatus, written(node)) == ((4, None) if value is None else (0, (b"c0ntext", value)))

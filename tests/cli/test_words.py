"""The words of a line, against what Python's shlex makes of them; and what a long text costs."""

from __future__ import annotations

import shlex
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynamo_cli.repl.words import commands_in, is_open, pieces, spans, split, split_pipe

TEXTS = st.text(st.sampled_from("ab'\"\\| \t\n=-é"), max_size=40)
WITH_COMMENTS = st.text(st.sampled_from("a#'\"\\| \n"), max_size=40)


def by_shlex(text: str) -> list[str] | None:
    """What shlex says; None for what is open."""
    try:
        return shlex.split(text)
    except ValueError:
        return None


@given(TEXTS)
def test_words_are_those_of_a_posix_shell(text: str) -> None:
    """shlex keeps a line end after a backslash, which sh removes: those texts are left out."""
    if "\\\n" in text:
        return
    expected = by_shlex(text)
    if expected is None:
        with pytest.raises(ValueError, match="no "):
            split(text)
    else:
        assert split(text) == expected
    if text.strip() != "\\":
        assert is_open(text) == (expected is None)


@given(WITH_COMMENTS)
def test_nothing_is_lost(text: str) -> None:
    assert "".join(text[start:end] for _, start, end in pieces(text)) == text
    assert "".join(part for _, part in spans(text)) == text
    assert "".join(commands_in(text)) == text


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("del user#1", ["del", "user#1"]),  # not a delete of `user`
        ("del user #1", ["del", "user"]),
        ("get k # it's", ["get", "k"]),
        ("# all of it", []),
        ("put k '# no'", ["put", "k", "# no"]),
        ("put k a\\\nb", ["put", "k", "ab"]),
        ("put k ''", ["put", "k", ""]),
        ("a''b\"c\"", ["abc"]),
    ],
)
def test_where_a_comment_begins_and_a_word_ends(line: str, words: list[str]) -> None:
    assert split(line) == words


@pytest.mark.parametrize(
    ("text", "commands"),
    [
        ("a\nb\n", ["a\n", "b\n"]),
        ("a 'x\ny'\nb", ["a 'x\ny'\n", "b"]),
        ("a # it's\nb", ["a # it's\n", "b"]),
        ("a\n\n  b", ["a\n", "\n", "  b"]),
        ("a \\\nb", ["a \\\nb"]),
        ("", []),
    ],
)
def test_where_a_command_ends(text: str, commands: list[str]) -> None:
    assert commands_in(text) == commands


def test_a_long_value_costs_what_its_length_is() -> None:
    """A pasted one of many lines: each keystroke reads it again."""
    small, large = ("put k '" + "\n".join(["line of a value"] * count) for count in (1_000, 16_000))

    def cost_s(text: str) -> float:
        begun = time.process_time()
        assert commands_in(text) == [text]
        assert split_pipe(text)[1] is None
        assert is_open.__wrapped__(text)
        return time.process_time() - begun

    assert min(cost_s(large) for _ in range(3)) < 100 * max(min(cost_s(small) for _ in range(3)), 1e-4)

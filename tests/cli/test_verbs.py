"""The shell's own verbs: one table for what they take, who has them, help, completion and colours."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence

import pytest

from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import Options
from dynamo_cli.repl.complete import Sources, suggest
from dynamo_cli.repl.highlight import styled
from dynamo_cli.repl.session import Session, ShellEnvironment
from dynamo_cli.repl.verbs import VERBS, Facility, parts_of, verb
from dynamo_cli.repl.words import is_open
from tests.helpers.cli import dyn, environment

TOLD: list[Sequence[str]] = []


class Lab(Facility):
    """What the verbs of these tests need."""

    where = "the shell of a test"


@pytest.fixture(autouse=True)
def table() -> Iterator[None]:
    """Three verbs more, for one test."""
    TOLD.clear()

    def tell(shell: Session, words: Sequence[str]) -> int:
        TOLD.append(words)
        return ExitStatus.OK

    verb("blow", usage="NODE [HOW]", summary="End it.", needs=Lab, completes=lambda shell, words: ["n1", "n2"][
        : 2 * (not words)], writes=True)(tell)  # fmt: skip
    verb("say", usage="WORD…", summary="Say it.", also=["tell"], completes="names")(tell)
    verb("raw", usage="LINE", summary="As typed.", takes_line=True, completes="commands")(tell)
    yield
    for name in ("blow", "say", "raw"):
        del VERBS[name]


def session(*facilities: Facility, read_only: bool = False) -> tuple[Session, io.BytesIO, io.BytesIO]:
    outer, out, err = environment()
    made = Session(ShellEnvironment(outer, Options()), facilities=facilities, read_only=read_only)
    return made, out, err


@pytest.mark.parametrize(
    ("line", "parts"),
    [("\\kill n2", ("kill", "n2")), ("  \\say  'n 2' ", ("say", "'n 2'")), ("\\q", ("q", "")), ("\\", ("", ""))],
)
def test_a_line_that_begins_with_a_backslash_is_a_verb_and_what_follows(line: str, parts: tuple[str, str]) -> None:
    assert parts_of(line) == parts
    assert not is_open(line)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("\\blow n2", ["n2"]),
        ("\\blow n2 'at once'", ["n2", "at once"]),
        ("\\say a b c # why", ["a", "b", "c"]),
        ("\\tell a", ["a"]),
        ("\\raw  get 'a b' # c", ["get 'a b' # c"]),
    ],
)
def test_a_verb_is_run_with_what_follows_it(line: str, words: list[str]) -> None:
    shell, _, _ = session(Lab())
    assert shell.run(line) == ExitStatus.OK
    assert TOLD == [words]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("\\blow", "\\blow takes NODE [HOW]. Write: \\blow NODE [HOW]"),
        ("\\blow a b c", "\\blow takes NODE [HOW]"),
        ("\\say", "\\say takes WORD…"),
        ("\\q now", "\\q takes nothing. Write: \\q"),
        ("\\blwo n1", "no verb \\blwo. Did you mean \\blow? See what there is: \\help"),
        ("\\zzzzz", "no verb \\zzzzz. See what there is: \\help"),
        ("\\say 'a", "no closing quotation"),
    ],
)
def test_what_is_wrong_is_told_in_a_line(line: str, told: str) -> None:
    shell, _, err = session(Lab())
    assert shell.run(line) == ExitStatus.USAGE
    assert told in err.getvalue().decode()
    assert err.getvalue().count(b"\n") == 1
    assert TOLD == []


def test_a_verb_is_there_only_where_its_facility_is() -> None:
    shell, out, err = session()
    assert shell.run("\\blow n1") == ExitStatus.USAGE
    assert "\\blow is for the shell of a test" in err.getvalue().decode()
    shell.run("\\help")
    assert "\\blow" not in out.getvalue().decode()
    shell.provide(Lab())
    shell.run("\\help")
    assert "  \\blow NODE [HOW]        End it." in out.getvalue().decode()


def test_the_verbs_of_the_demo_are_named_elsewhere_too() -> None:
    """Whoever read of them in the README is told where they are."""
    shell, _, err = session()
    assert shell.run("\\kill n2") == ExitStatus.USAGE
    assert "\\kill is for a shell that speaks to a demo of this machine" in err.getvalue().decode()


def test_a_read_only_shell_refuses_verbs_that_write() -> None:
    shell, _, err = session(Lab(), read_only=True)
    assert shell.run("\\blow n1") == ExitStatus.REFUSED
    assert "read-only" in err.getvalue().decode()
    assert shell.run("\\say a") == ExitStatus.OK


def test_help_of_one_verb_and_of_none() -> None:
    shell, out, _ = session(Lab())
    assert shell.run("\\? \\say") == ExitStatus.OK
    assert out.getvalue().decode() == "\\say WORD…   also  \\tell\n  Say it.\n"
    assert shell.run("\\help nonsense") == ExitStatus.USAGE
    assert max(map(len, out.getvalue().decode().splitlines())) < 80


def test_verbs_run_in_scripts() -> None:
    assert dyn("shell", "-e", "\\say a", "-e", "\\q", "-e", "\\say b").status == 0
    assert TOLD == [["a"]]
    assert dyn("shell", stdin=b"\\say c\n\\nonsense\n").status == 2
    assert TOLD[-1] == ["c"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("\\bl", ["\\blow"]),
        ("\\blow ", ["n1", "n2"]),
        ("\\blow n1 ", []),
        ("\\say n", ["n7"]),
        ("\\raw rin", ["ring"]),
        ("\\raw 2 get cart", ["cart:1"]),
        ("\\nonsense ", []),
    ],
)
def test_verbs_are_completed(line: str, expected: list[str]) -> None:
    shell, _, _ = session(Lab())
    sources = Sources(lambda word: ["cart:1"], list, lambda: ["n7"], shell)
    *given, word = line.split(" ")
    assert [suggestion.word for suggestion in suggest([w for w in given if w], word, sources)] == expected


def test_a_verb_is_not_red() -> None:
    """Where it is known."""
    assert styled("\\blow n2", ["\\blow"])[0] == ("bold", "\\blow")
    assert styled("\\blow n2")[0] == ("ansired", "\\blow")

"""What may come next on a line of the shell: words, keys of the cluster, colours and hints while it is typed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document

import dynamo_cli.demo.verbs  # noqa: F401  # enters the verbs of the demo
from dynamo_cli.client import Client, parse_address
from dynamo_cli.options import Options
from dynamo_cli.repl.complete import ShellCompleter, Sources, files_like, suggest
from dynamo_cli.repl.finder import BUDGET_S, KeyFinder
from dynamo_cli.repl.fuzzy import fit
from dynamo_cli.repl.highlight import (
    CHANGES,
    COMMAND,
    JSON_STYLES,
    OPTION,
    PIPE,
    QUOTED,
    UNKNOWN,
    ShellLexer,
    styled,
)
from dynamo_cli.repl.hints import NOW, hint
from dynamo_cli.repl.session import Session, ShellEnvironment
from tests.helpers.cli import environment
from tests.helpers.fake_node import FakeNode, fake_node
from tests.helpers.shell_node import shell_node


@pytest.fixture
def node() -> Iterator[FakeNode]:
    with shell_node() as fake:
        yield fake


# Completion --------------------------------------------------------------------------------------------

SOURCES = Sources(lambda word: ["cart:1", "cart:2"], lambda: ["127.0.0.1:7701"], names=lambda: ["n1", "n2"])


def words(line: str) -> list[str]:
    """What may follow."""
    found = ShellCompleter(SOURCES).get_completions(Document(line), CompleteEvent())
    return [completion.text for completion in found]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ge", ["get"]),
        ("ring ", ["show", "owner"]),
        ("ring sh", ["show"]),
        ("get cart:", ["cart:1", "cart:2"]),
        ("get cart:1 ca", ["cart:1", "cart:2"]),
        ("put cart:1 ca", []),
        ("get -n ", ["127.0.0.1:7701"]),
        ("get k -o j", ["json", "jsonl"]),
        ("exi", ["exit"]),
        ("cluster plan ", ["leave", "remove", "replace", "weight"]),
        ("cluster plan leave ", ["n1", "n2"]),
        ("cluster plan replace n1 ", ["n1", "n2"]),
        ("put k v via=", ["via=n1", "via=n2"]),
        ("cluster remove n", ["n1", "n2"]),
        ("cluster plan repl", ["replace"]),
        ("cluster plan rplc", ["replace"]),
        ("GET cart:", ["cart:1", "cart:2"]),
        ("dyn get cart:", ["cart:1", "cart:2"]),
        ("-q get cart:", ["cart:1", "cart:2"]),
        ("get c2", ["cart:2"]),
        ("stat", ["cluster status"]),
        ("get k output=j", ["output=json", "output=jsonl"]),
        ("get k -o jl", ["jsonl"]),
        ("nonsense ", []),
        ("put k v", []),
        ("help ex", ["exit-codes"]),
        ("get k | gr", []),
    ],
)
def test_suggestions_by_position(line: str, expected: list[str]) -> None:
    """Commands, options, keys and nodes where they belong."""
    assert [word for word in words(line) if word in expected] == expected
    assert not expected or set(words(line)) >= set(expected)
    assert expected or not words(line)


@pytest.mark.parametrize(
    ("typed", "candidate", "rank"),
    [
        ("cart", "cart", -1), ("ca", "cart", 0), ("", "cart", 0), ("CA", "cart", 1), ("st", "cluster status", 1),
        ("art", "cart", 2),
        ("c2", "cart:2", 3), ("u7", "user:7", 3), ("r", "cart", None), ("tc", "cart", None), ("rt7", "cart:7", None),
    ],
)  # fmt: skip
def test_how_a_word_fits(typed: str, candidate: str, rank: int | None) -> None:
    """As its beginning, at a part's, within, strewn, or not at all."""
    found = fit(typed, candidate)
    assert (found.rank if found else None) == rank
    assert found is None or [candidate[at].lower() for at in found.at] == list(typed.lower())


def test_beginnings_come_first_and_keys_are_quoted_where_they_must_be() -> None:
    names = ["my cart", "other:cart", "cart:1", "c-a-r-t", "evil\x1b", ""]
    sources = Sources(lambda word: names, list, about=lambda key: f"about {key}")
    found = suggest(["get"], "cart", sources)
    assert [suggestion.word for suggestion in found] == ["cart:1", "my cart", "other:cart", "c-a-r-t"]
    assert [suggestion.typed for suggestion in found if suggestion.typed] == ["'my cart'"]
    assert found[0].meaning == "about cart:1"


def test_files_are_completed_a_folder_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    for name in ("file", ".hidden", "with space"):
        (tmp_path / name).touch()
    assert files_like(f"{tmp_path}/f") == [f"{tmp_path}/file", f"{tmp_path}/folder/"]
    assert files_like(f"{tmp_path}/.") == [f"{tmp_path}/.hidden"]
    assert files_like(f"{tmp_path}/no/such/") == []


# Keys --------------------------------------------------------------------------------------------------


def test_keys_are_asked_for_once_and_few(node: FakeNode) -> None:
    """What an answer covers is not asked again, also for a longer word."""
    finder = KeyFinder(lambda seconds: client_of(node, seconds), lambda: (b"old", b"new"))
    assert finder.find(b"") == [b"new", b"old", b"cart:1", b"cart:2", b"user:7"]
    assert finder.find(b"cart") == [b"new", b"old", b"cart:1", b"cart:2", b"user:7"]
    asked = [words for words in node.asked if words[0] == b"DYN.KEYS"]
    assert asked == [(b"DYN.KEYS", b"PREFIX", b"", b"CURSOR", b"0", b"LIMIT", b"50")]


def test_keys_of_a_silent_node_are_not_waited_for() -> None:
    """Longer than the budget; what was seen is there, and an answer that comes late serves the next one."""
    gate = threading.Event()

    def late(*words: bytes) -> Any:
        gate.wait(5)
        return [b"0", [b"cart:9"]]

    with fake_node({"DYN.KEYS": late}) as node:
        told = threading.Event()
        finder = KeyFinder(lambda seconds: client_of(node, 5.0), lambda: (b"cart:1",), told.set)
        begun = time.monotonic()
        assert finder.find(b"cart") == [b"cart:1"]
        assert BUDGET_S * 0.9 <= time.monotonic() - begun < BUDGET_S + 1
        gate.set()
        assert told.wait(10), "nobody was told of the late answer"
        assert finder.find(b"cart") == [b"cart:1", b"cart:9"]


def test_keys_of_nobody() -> None:
    """A node that refuses."""
    finder = KeyFinder(lambda seconds: Client([parse_address("127.0.0.1:1")], timeout_s=seconds), lambda: ())
    assert finder.find(b"") == []


def client_of(node: FakeNode, seconds: float) -> Client:
    return Client([parse_address(node.address)], timeout_s=seconds)


# What is offered ---------------------------------------------------------------------------------------


def test_the_shell_does_not_offer_what_it_refuses() -> None:
    """`shell` and `node start` do not run inside."""
    assert "shell" not in words("")
    assert "start" not in words("node ")


def style_of(line: str, word: str, *known: str) -> str:
    return next(style for style, text, *_ in styled(line, known) if text.strip() == word)


@pytest.mark.parametrize(
    ("line", "word", "style"),
    [
        ("gett k", "gett", UNKNOWN),
        ("ge", "ge", COMMAND),  # it may become one
        ("get k", "get", COMMAND),
        ("GET k", "GET", COMMAND),
        ("put k v", "put", CHANGES),
        ("-q put k v", "put", CHANGES),
        ("cluster statsu", "statsu", UNKNOWN),
        ("cluster sta", "sta", COMMAND),
        ("cluster leave n3", "leave", CHANGES),
        ("get k --strict", "--strict", OPTION),
        ("put k 'a b'", "'a b'", QUOTED),
        ("get k | jq .", "| jq .", PIPE),
        ("\\say k", "\\say", COMMAND),
        ("\\sayy k", "\\sayy", UNKNOWN),
        ("exit", "exit", COMMAND),
        ("mine k", "mine", COMMAND),
    ],
)
def test_colours_before_enter(line: str, word: str, style: str) -> None:
    assert style_of(line, word, "\\say", "mine") == style


@pytest.mark.parametrize(
    "text", ["", "  get 'a b' --ctx none", 'put k "unfin', "a | b", "put k 'x\ny' | wc\nget\n", "a\\"]
)
def test_the_pieces_are_the_text(text: str) -> None:
    """Also over several lines, each command by itself."""
    lexed = ShellLexer().lex_document(Document(text))
    lines = ["".join(piece[1] for piece in lexed(number)) for number in range(len(text.split("\n")))]
    assert lines == text.split("\n")


@pytest.mark.parametrize(
    ("word", "coloured"),
    [
        ("""'{"a": [1, -2.5e3, true]}'""", {"name": '"a"', "figure": "1-2.5e3true", "mark": "{:[,,]}"}),
        (r'''"{\"a\": \"b\"}"''', {"name": r"\"a\"", "text": r'"\"b\""', "mark": "{:}"}),
        ("""'["milk","eg""", {"text": """'"milk""eg""", "mark": "[,"}),
        ("""'{"a\\"b":null""", {"name": '"a\\"b"', "figure": "null", "mark": "{:", "text": "'"}),
        ("'truest [1]'", {"text": "'truest [1]'"}),
    ],
)
def test_json_is_coloured_within_its_quotes(word: str, coloured: dict[str, str]) -> None:
    """Names, strings, figures and marks, also before it is finished; other values are as they were."""
    line = f"put k {word}"
    found = [(style, text) for style, text, *_ in styled(line)]
    assert "".join(text for _, text in found) == line
    value = found[4:]
    for kind, expected in coloured.items():
        assert "".join(text for style, text in value if style == JSON_STYLES[kind]) == expected


def test_pasted_commands_are_coloured_each() -> None:
    lexed = ShellLexer().lex_document(Document("get k\ngett k"))
    assert (UNKNOWN, "gett") in lexed(1)


# Hints -------------------------------------------------------------------------------------------------


def hinted(line: str, columns: int = 200) -> tuple[str, str]:
    """The hint, and what stands out in it."""
    outer, _, _ = environment()
    pieces = hint(line, Session(ShellEnvironment(outer, Options())).verbs, columns)
    return "".join(piece[1] for piece in pieces), "".join(text for style, text, *_ in pieces if style == NOW)


@pytest.mark.parametrize(
    ("line", "now"),
    [
        ("get", ""), ("get ", "KEY…"), ("get k", "KEY…"), ("put k ", "[VALUE|-|@FILE]"), ("put k v", "[VALUE|-|@FILE]"),
        ("put k v ", ""), ("put k -w ", "-w W"), ("put -w 2 k ", "[VALUE|-|@FILE]"), ("put k w=2 ", "[VALUE|-|@FILE]"),
        ("SET k ", "[VALUE|-|@FILE]"), ("\\set ", "[NAME]"), ("\\set timing ", "[on|off]"), ("nonsense ", ""), ("", ""),
    ],
)  # fmt: skip
def test_what_comes_next_stands_out(line: str, now: str) -> None:
    assert hinted(line)[1] == now


def test_a_hint_names_options_and_fits_the_line() -> None:
    text, _ = hinted("put k ")
    assert text.startswith(" put KEY [VALUE|-|@FILE]  -w W  --strict  --ctx ")
    assert "status hints" in hinted("cluster ")[1]
    for columns in (3, 20, 40, 60):
        assert len(hinted("put k ", columns)[0]) <= columns
    assert hinted("put k ", 40)[0].endswith("…")

"""The shell: its language, what it completes and remembers, how it ends; on a pipe and on a pretended terminal."""

from __future__ import annotations

import json
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prompt_toolkit.auto_suggest import Suggestion as HistorySuggestion
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

import dynamo_cli.demo.verbs  # noqa: F401  # enters the verbs of the demo
from dynamo_cli.client import Client, parse_address
from dynamo_cli.errors import CliError
from dynamo_cli.options import Options
from dynamo_cli.repl.complete import Sources, files_like, suggest
from dynamo_cli.repl.finder import BUDGET_S, KeyFinder
from dynamo_cli.repl.fuzzy import fit
from dynamo_cli.repl.highlight import styled
from dynamo_cli.repl.history import CarefulSuggest, is_private, open_history
from dynamo_cli.repl.loop import WATCH_S, Terminal
from dynamo_cli.repl.parse import arguments, is_open, split
from dynamo_cli.repl.session import Session, ShellEnvironment
from dynamo_cli.repl.toolbar import prompt, toolbar
from dynamo_cli.repl.verbs import VERBS
from dynamo_cli.repl.watch import State
from dynamo_cli.store import Memory, Reading, Version
from tests.helpers.cli import dyn, environment
from tests.helpers.cluster import eventually
from tests.helpers.fake_node import HANG, FakeNode, fake_node

STATUS: dict[str, Any] = {
    "schema": "dyn.status/v1", "cluster": "dyn", "cluster_id": "c1", "epoch": 3, "n": 3, "r": 2, "w": 2,
    "health": "degraded", "reasons": ["n2 is down"], "answered_by": "n1", "siblings": 0, "hints": 0, "transfers": 0,
    "views_agree": True, "repair": {"last_pass_s_ago": None, "divergent": None},
    "nodes": [
        {"name": f"n{i}", "address": f"127.0.0.1:770{i}", "zone": "", "state": "down" if i == 2 else "up",
         "seen_by": ["n1"], "keys": 1, "bytes": 1, "partitions": 85, "hints": 0, "p99_ms": None, "uptime_s": 1.0}
        for i in (1, 2, 3)
    ],
}  # fmt: skip
CLOCKS = json.dumps(
    {"dot": "n1:1", "clock": {"n1": 1}, "written_at": "2026-01-01T00:00:00.000Z", "writer": "w"}
).encode()


def found(*words: bytes) -> Any:  # a scripted reply
    """One value, with its clock where asked for."""
    parts: list[Any] = [b"token", [b"milk"]]
    return [*parts, [CLOCKS]] if b"WITHCLOCKS" in words else parts


@pytest.fixture
def node() -> Iterator[FakeNode]:
    """A node that knows one key."""
    fake = FakeNode({
        "DYN.GET": found,
        "DYN.PUT": [b"token2", b'{"acks":[{"node":"n1","durable":true,"hint_for":null}],"w":1}'],
        "DYN.STATUS": json.dumps(STATUS).encode(),
        "DYN.KEYS": [b"0", [b"cart:1", b"cart:2", b"user:7"]],
    })  # fmt: skip
    yield fake
    fake.close()


# Language ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "argv"),
    [
        ("get k", ["get", "k"]),
        ("GET k", ["get", "k"]),
        ("SET k v", ["put", "k", "v"]),
        ("dyn get k", ["get", "k"]),
        ("get k r=3", ["get", "k", "-r", "3"]),
        ("put k a=b", ["put", "k", "a=b"]),
        ("put k v ctx=none", ["put", "k", "v", "--ctx", "none"]),
        ("put k 'two words'", ["put", "k", "two words"]),
        ("ring show output=json", ["ring", "show", "--output", "json"]),
        ("get k # why", ["get", "k"]),
        ("gett k", ["gett", "k"]),
    ],
)
def test_a_line_means_a_command_line(line: str, argv: list[str]) -> None:
    """The same words without dyn; name=value is the option of that name, where there is one."""
    assert arguments(split(line)) == argv


@pytest.mark.parametrize("line", ["shell", "node start", "demo"])
def test_what_makes_no_sense_inside_is_refused(line: str) -> None:
    """It would hold up the shell."""
    with pytest.raises(CliError, match="does not run within the shell"):
        arguments(split(line))


@pytest.mark.parametrize("line", ["put k v", "del k", "merge k", "SET k v", "bench", "cluster leave n3"])
def test_a_read_only_shell_writes_nothing(line: str) -> None:
    """Whatever the name of the writing command."""
    with pytest.raises(CliError, match="read-only"):
        arguments(split(line), read_only=True)


@pytest.mark.parametrize(
    ("text", "unfinished"), [("put k 'a", True), ("put k 'a'", False), ("put k a\\", True), ("", False)]
)
def test_open_quotes_go_on_in_the_next_line(text: str, unfinished: bool) -> None:
    """A value may have several lines."""
    assert is_open(text) is unfinished


# Completion --------------------------------------------------------------------------------------------

SOURCES = Sources(lambda word: ["cart:1", "cart:2"], lambda: ["127.0.0.1:7701"], names=lambda: ["n1", "n2"])


def words(line: str) -> list[str]:
    """What may follow."""
    *given, word = line.split(" ")
    return [suggestion.word for suggestion in suggest([w for w in given if w], word, SOURCES)]


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
        ("ca", "cart", 0), ("", "cart", 0), ("CA", "cart", 1), ("st", "cluster status", 1), ("art", "cart", 2),
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
        finder = KeyFinder(lambda seconds: client_of(node, 5.0), lambda: (b"cart:1",))
        begun = time.monotonic()
        assert finder.find(b"cart") == [b"cart:1"]
        assert BUDGET_S * 0.9 <= time.monotonic() - begun < BUDGET_S + 1
        gate.set()
        eventually(lambda: finder.find(b"cart") == [b"cart:1", b"cart:9"], "the late answer")


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


def test_an_unknown_command_is_red_before_enter() -> None:
    """And the pieces are the line."""
    assert styled("gett k")[0] == ("ansired", "gett")
    assert styled("get k")[0] == ("bold", "get")
    for line in ("", "  get 'a b' --ctx none", 'put k "unfinished'):
        assert "".join(piece[1] for piece in styled(line)) == line


# History -----------------------------------------------------------------------------------------------


def test_the_history_file_is_the_owners_alone(tmp_path: Path) -> None:
    """0600 whatever the umask; secrets and lines with a leading space never reach it."""
    path = tmp_path / "state" / "history"
    history = open_history(path)
    for line in ("get k", " put secretly v", "auth hunter2", "get my-password"):
        history.append_string(line)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert "get k" in text
    assert "secretly" not in text
    assert "hunter2" not in text
    assert "my-password" not in text


def test_a_history_that_cannot_be_had_is_no_error(tmp_path: Path) -> None:
    """The shell works without; a link is not followed."""
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    assert isinstance(open_history(tmp_path / "link"), InMemoryHistory)
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(("line", "private"), [("get k", False), (" get k", True), ("AUTH x", True)])
def test_private_lines(line: str, private: bool) -> None:
    """What is not remembered."""
    assert is_private(line) is private


def suggested(typed: str) -> HistorySuggestion | None:
    """What the history offers."""
    history = InMemoryHistory()
    for line in ("del user:7", "SET k v", "dyn del k", "cluster leave n3", "-q cluster remove n3",
                 "cluster plan leave n3", "cluster commit X", "get user:7", "put user:7 x", "\\kill n3", "\\nodes",
                 "\\nonsense now"):  # fmt: skip
        history.append_string(line)
    return CarefulSuggest().get_suggestion(Buffer(history=history), Document(typed))


def test_a_line_that_reads_is_suggested() -> None:
    """The rest of the newest line that began like this."""
    suggestion = suggested("get u")
    assert suggestion is not None
    assert suggestion.text == "ser:7"


def test_a_verb_is_suggested_by_what_its_table_says() -> None:
    """Importing the demo's verbs enters them."""
    assert VERBS["kill"].danger
    assert suggested("\\ki") is None
    assert suggested("\\nons") is None
    suggestion = suggested("\\nod")
    assert suggestion is not None
    assert suggestion.text == "es"


def test_a_plan_is_suggested_and_what_carries_it_out_is_not() -> None:
    suggestion = suggested("cluster pl")
    assert suggestion is not None
    assert suggestion.text == "an leave n3"


@pytest.mark.parametrize(
    "typed", ["d", "del", "pu", "put ", "SE", "dyn d", "cluster l", "cluster leave n", "-q cluster", "cluster co"]
)
def test_a_line_that_writes_is_never_suggested(typed: str) -> None:
    """One keystroke too many must not delete."""
    assert suggested(typed) is None


# Prompt and toolbar ------------------------------------------------------------------------------------


def test_the_prompt_counts_nodes_and_conflicts() -> None:
    """`dyn 2/3 !1> `."""
    memory = Memory()
    memory.learn(Reading(b"k", b"c", (Version(b"a"), Version(b"b"))), 0.0)
    assert "".join(piece[1] for piece in prompt(State(STATUS, ""), memory)) == "dyn 2/3 !1> "
    assert "".join(piece[1] for piece in prompt(State(None, "refused"), Memory())) == "dyn ?> "


def test_the_toolbar_shows_the_context_of_the_last_read() -> None:
    """So that nobody wonders what the next put replaces."""
    memory = Memory()
    memory.learn(Reading(b"user:7", b"c", (Version(b"a", {"n3": 2, "n1": 1}),)), 10.0)
    line = toolbar(State(STATUS, ""), memory, 19.0, 200)
    assert "degraded  2/3 up  N3 R2 W2  epoch 3" in line
    assert "ctx user:7 {n1:1,n3:2} 9 s" in line
    assert len(toolbar(State(STATUS, ""), memory, 19.0, 30)) == 30
    assert "no node answers: refused" in toolbar(State(None, "refused"), memory, 19.0, 80)


# Scripts -----------------------------------------------------------------------------------------------


def test_exec_runs_commands_over_one_connection(node: FakeNode) -> None:
    """The second put uses what the get read, and says nothing to a prompt."""
    result = dyn("shell", "-e", "get k", "-e", "put k v", node=node)
    assert result.status == 0, result.err
    assert result.out.startswith("milk\n")
    assert len(node.introductions) == 1
    put = next(words for words in node.asked if words[0] == b"DYN.PUT")
    assert put[2] == b"token"


def test_a_script_stops_at_its_first_error_and_says_where(node: FakeNode) -> None:
    """Exit status of the line that failed."""
    result = dyn("shell", node=node, stdin=b"get k\nnonsense\nget k\n")
    assert result.status == 2
    assert "stopped at stdin:2: nonsense" in result.err
    assert result.out.count("milk") == 1


def test_keep_going_runs_the_rest(node: FakeNode) -> None:
    """And still ends with the first failure's status."""
    result = dyn("shell", "--keep-going", node=node, stdin=b"nonsense\nget k\n")
    assert result.status == 2
    assert result.out.count("milk") == 1


def test_a_script_file(node: FakeNode, tmp_path: Path) -> None:
    """Values over several lines, comments, and an end by exit."""
    script = tmp_path / "a.dyn"
    script.write_text("# setup\nput k 'two\nlines'\nexit\nnonsense\n")
    assert dyn("shell", "-f", str(script), node=node).status == 0
    assert next(words for words in node.asked if words[0] == b"DYN.PUT")[3] == b"two\nlines"
    missing = dyn("shell", "-f", str(tmp_path / "no"), node=node)
    assert missing.status == 1
    assert "cannot read the script" in missing.err


# On a terminal -----------------------------------------------------------------------------------------


def typed(node: FakeNode, keys: str, *, terminal_input: bytes = b"") -> tuple[str, str]:
    """Type into a shell; returns what it wrote."""
    outer, out, err = environment(stdin=terminal_input, terminal=True, environ={"DYN_NODES": node.address})
    env = ShellEnvironment(outer, Options())
    with create_pipe_input() as keyboard:
        keyboard.send_text(keys)
        Terminal(Session(env), None, keyboard=keyboard, screen=DummyOutput()).run()
    env.hang_up()
    return out.getvalue().decode(), err.getvalue().decode()


def test_lines_run_until_exit(node: FakeNode) -> None:
    """The welcome says how the cluster is; results follow."""
    out, _ = typed(node, "get k\nexit\n")
    assert "2 of 3 nodes up" in out
    assert "milk" in out


def test_the_first_prompt_does_not_wait_for_a_silent_node() -> None:
    """It says so, and what is typed runs."""
    with fake_node({"CLIENT": HANG}) as silent:
        begun = time.monotonic()
        out, _ = typed(silent, "exit\n")
    assert time.monotonic() - begun < WATCH_S
    assert "no node has answered yet" in out


def test_ctrl_d_leaves_and_ctrl_c_does_not(node: FakeNode) -> None:
    """Ctrl-C drops the line."""
    out, _ = typed(node, "put k v\x03get k\n\x04")
    assert "milk" in out
    assert not [words for words in node.asked if words[0] == b"DYN.PUT"]


def test_a_typo_is_told_and_the_shell_lives(node: FakeNode) -> None:
    """With what was probably meant."""
    out, err = typed(node, "gett k\nget k\nexit\n")
    assert "gett" in err
    assert "get" in err
    assert "milk" in out


def test_pasted_lines_run_only_when_confirmed(node: FakeNode) -> None:
    """A paste is not an Enter."""
    paste = "\x1b[200~get k\nget k\x1b[201~\r"
    out, err = typed(node, f"{paste}exit\n", terminal_input=b"n\n")
    assert "2 commands were pasted" in err
    assert "milk" not in out
    out, _ = typed(node, f"{paste}exit\n", terminal_input=b"y\n")
    assert out.count("milk") == 2

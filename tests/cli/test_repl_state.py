"""What the shell remembers and never suggests; its prompt and its toolbar."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from prompt_toolkit.auto_suggest import Suggestion as HistorySuggestion
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.document import Document
from prompt_toolkit.history import InMemoryHistory

import dynamo_cli.demo.verbs  # noqa: F401  # enters the verbs of the demo
from dynamo_cli.options import Options
from dynamo_cli.repl.history import CarefulSuggest, is_private, open_history
from dynamo_cli.repl.session import Session, ShellEnvironment
from dynamo_cli.repl.toolbar import prompt, took, toolbar
from dynamo_cli.repl.verbs import VERBS, Facility
from dynamo_cli.repl.watch import State, news
from dynamo_cli.store import Memory, Reading, Version
from tests.helpers.cli import environment
from tests.helpers.fake_node import FakeNode
from tests.helpers.shell_node import STATUS, shell_node


@pytest.fixture
def node() -> Iterator[FakeNode]:
    with shell_node() as fake:
        yield fake


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


def test_what_verbs_have_done_is_in_the_prompt(node: FakeNode) -> None:
    """As `\\partition` of the demo does: CUT."""

    class Cutter(Facility):
        where = "a test"

        def mark(self) -> str:
            return "CUT"

    outer, _, _ = environment()
    session = Session(ShellEnvironment(outer, Options()), facilities=[Cutter()])
    assert "".join(piece[1] for piece in prompt(State(STATUS, ""), Memory(), session.marks)) == "dyn 2/3 CUT> "


def test_the_right_prompt_needs_room() -> None:
    assert took(None, 200) == took(0.5, 99) == []
    assert [text for _, text, *_ in [*took(0.0123, 100), *took(2.5, 100)]] == ["12.3 ms", "2.50 s"]


def test_the_toolbar_tells_of_hints_and_modes() -> None:
    document = {**STATUS, "hints": 49, "siblings": 2}
    line = toolbar(State(document, ""), Memory(), 0.0, 80, ["vi", "read-only"])
    assert line == " n1  degraded  2/3 up  N3 R2 W2  epoch 3  hints 49  siblings 2  vi read-only "


def test_the_toolbar_shows_the_context_of_the_last_read() -> None:
    """So that nobody wonders what the next put replaces."""
    memory = Memory()
    memory.learn(Reading(b"user:7", b"c", (Version(b"a", {"n3": 2, "n1": 1}),)), 10.0)
    line = toolbar(State(STATUS, ""), memory, 19.0, 200)
    assert "degraded  2/3 up  N3 R2 W2  epoch 3" in line
    assert "ctx user:7 {n1:1,n3:2} 9 s" in line
    assert toolbar(State(STATUS, ""), memory, 19.0, 30) == " n1  degraded  2/3 up "  # what is least missed goes first
    assert len(toolbar(State(STATUS, ""), memory, 19.0, 8)) == 8
    memory.learn(Reading(b"plain", b"c", (Version(b"a"),)), 10.0)
    assert "ctx plain 9 s" in toolbar(State(STATUS, ""), memory, 19.0, 200)  # read without its clocks
    assert "no node answers: refused" in toolbar(State(None, "refused"), memory, 19.0, 80)


# Events ------------------------------------------------------------------------------------------------


def state(health: str = "healthy", epoch: int = 3, siblings: int = 0, **states: str) -> State:
    nodes = [{"name": name, "state": state} for name, state in {"n1": "up", "n2": "up", **states}.items()]
    document = {"answered_by": "n1", "health": health, "epoch": epoch, "siblings": siblings, "nodes": nodes}
    return State({**document, "nodes": [node for node in nodes if node["state"] != "gone"]}, "")


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (State(None, ""), state(), []),
        (state(), state(), []),
        (state(), state("degraded", n2="down"), ["n2 is down", "the cluster is degraded"]),
        (state("degraded", n2="down"), state(), ["n2 is up", "the cluster is healthy"]),
        (state(), state(epoch=4, n3="up"), ["n3 has joined", "ring epoch 4"]),
        (state(), state(epoch=4, n2="gone"), ["n2 has left", "ring epoch 4"]),
        (state(), state(siblings=2), ["siblings: 2 (keys --siblings)"]),
        (state(siblings=2), state(siblings=3), []),
        (state(), State(None, "refused"), ["no node answers: refused"]),
        (State(None, "refused"), State(None, "refused"), []),
        (State(None, "refused"), state(), ["n1 answers again"]),
    ],
)
def test_what_happened_between_two_looks(before: State, after: State, told: list[str]) -> None:
    assert news(before, after) == told

"""Lines: one a fact, readable, bounded, and thinned when a kind repeats."""

from __future__ import annotations

import ast
import io
import json
from pathlib import Path

import pytest

from node.core.limits import LOG_BURST, LOG_FIELD_CHARS_MAX, LOG_KINDS_MAX
from node.runtime.log import Log
from node.words import ERRORS, WARNINGS, WORDS

ROOT = Path(__file__).parents[3]


class Listening:
    def __init__(self, *, as_json: bool = False) -> None:
        self.now = 0.0
        self.stream = io.StringIO()
        self.log = Log(self.stream, lambda: 1_795_435_387.4125, lambda: self.now, form="json" if as_json else "text")

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@pytest.mark.parametrize(
    ("kind", "fields", "line"),
    [
        ("peer_up", {"node": "n2", "address": "127.0.0.1:7802"}, "INFO  n2 is up (127.0.0.1:7802)"),
        ("peer_down", {"node": "n2", "address": "a:1"}, "WARN  n2 is down (a:1)"),
        ("storage-stopped", {"why": "EIO"}, "ERROR the disk failed and nothing more is stored until a restart: EIO"),
        ("never_heard_of", {"a": 1, "b": b"\xff"}, "INFO  never-heard-of a=1 b=\\xff"),
        ("peer_up", {"node": "n2"}, "INFO  peer-up node=n2"),
        ("waiting", {"because": "a\nb\x1b[31m"}, "INFO  waits for a seat: a\\nb\\x1b[31m"),
        ("waiting", {"because": "{0} %s"}, "INFO  waits for a seat: {0} %s"),
    ],
)
def test_a_fact_in_words(kind: str, fields: dict[str, object], line: str) -> None:
    listening = Listening()
    listening.log.fact(kind, fields)
    assert listening.lines == [f"2026-11-23T12:03:07.412Z {line}"]


def test_a_fact_as_json() -> None:
    listening = Listening(as_json=True)
    listening.log.fact("peer_down", {"node": "n\n2", "seconds": 1.5, "address": None})
    assert json.loads(listening.lines[0]) == {
        "at": "2026-11-23T12:03:07.412Z", "level": "warn", "kind": "peer_down", "node": "n\\n2", "seconds": 1.5,
        "address": None,
    }  # fmt: skip


def test_a_long_word_is_cut() -> None:
    listening = Listening()
    listening.log.fact("waiting", {"because": "x" * 10_000})
    assert len(listening.lines[0]) < LOG_FIELD_CHARS_MAX + 60


def test_a_kind_that_repeats_is_thinned_and_counted() -> None:
    listening = Listening()
    for _ in range(LOG_BURST + 25):
        listening.log.fact("peer_up", {"node": "n2", "address": "a"})
    listening.log.fact("waiting", {"because": "other kinds are not thinned with it"})
    assert len(listening.lines) == LOG_BURST + 1
    listening.now = 1.5
    listening.log.fact("peer_up", {"node": "n2", "address": "a"})
    assert listening.lines[-1].endswith("(25 more of these not shown)")
    listening.now = 1000.0
    listening.log.fact("peer_up", {"node": "n2", "address": "a"})
    assert "not shown" not in listening.lines[-1]


def test_kinds_without_end_take_no_memory_without_end() -> None:
    listening = Listening()
    for number in range(LOG_KINDS_MAX + 10):
        listening.log.fact(f"kind{number}", {})
    assert len(listening.lines) == LOG_KINDS_MAX


def test_a_closed_stream_does_not_stop_the_node() -> None:
    listening = Listening()
    listening.stream.close()
    listening.log.fact("peer_up", {"node": "n2", "address": "a"})
    listening.log.fact("peer_up", {"node": "n2", "address": "a"})


def test_every_kind_that_is_ever_noted_has_words() -> None:
    said = set()
    for path in [*(ROOT / "node/engine").glob("*.py"), *(ROOT / "node/runtime").glob("*.py")]:
        for call in ast.walk(ast.parse(path.read_text())):
            if isinstance(call, ast.Call) and getattr(call.func, "attr", "") in ("fact", "note", "_fact", "_on_fact"):
                words = [arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
                said |= set(words[:1])
    assert len(said) > 15
    assert said <= WORDS.keys(), said - WORDS.keys()
    assert WARNINGS | ERRORS <= WORDS.keys()

"""`dyn node logs`: lines of either form are read back, chosen by level and time, and followed as they come."""

from __future__ import annotations

import io
import json
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from dynamo_cli.commands import logs
from dynamo_cli.commands.logs import Tail
from dynamo_cli.loglines import Filter, Line, parsed
from node.runtime.log import Log
from tests.helpers.cli import dyn
from tests.helpers.documents import EVIL

WALL_S = 1_795_000_000.25


def written(*facts: tuple[str, dict[str, object]], as_json: bool) -> str:
    """What a node writes of these facts."""
    sink = io.StringIO()
    log = Log(sink, lambda: WALL_S, lambda: 0.0, form="json" if as_json else "text")
    for kind, fields in facts:
        log.fact(kind, fields)
    return sink.getvalue()


FACTS: tuple[tuple[str, dict[str, object]], ...] = (
    ("founded", {"cluster": "dyn", "cluster_id": "ab"}),
    ("peer_down", {"node": "n2", "address": "127.0.0.1:7802"}),
    ("bug", {"error": "x"}),
)
SAID = ["founded cluster dyn (ab)", "n2 is down (127.0.0.1:7802)", "a bug in dyn ends this node: x"]


@pytest.mark.parametrize("as_json", [False, True])
def test_what_a_node_writes_is_read_back(as_json: bool) -> None:
    lines = [parsed(line) for line in written(*FACTS, as_json=as_json).splitlines()]
    assert [(line.level, line.text) for line in lines] == list(zip(("info", "warn", "error"), SAID, strict=True))
    assert {line.at for line in lines} == {"2026-11-18T11:06:40.250Z"}


@pytest.mark.parametrize("line", ["", "Traceback (most recent call last):", "{", "[1]", '{"at":1}', "2026 INFO x", EVIL,
                                  '{"at":"x","level":[],"kind":"y"}'])  # fmt: skip
def test_any_other_line_is_text(line: str) -> None:
    assert parsed(line) == Line(None, None, line)


def test_a_line_without_a_level_goes_with_the_one_before() -> None:
    lines = [Line("2026-11-18T11:06:40Z", level, level) for level in ("info", "error")]
    lines[1:1] = lines[2:2] = [Line(None, None, "after info")]
    lines += [Line(None, None, "after error")]
    assert [line.text for line in Filter()(lines)] == ["info", "after info", "after info", "error", "after error"]
    assert [line.text for line in Filter(level="warn")(lines)] == ["error", "after error"]
    late = Filter(since=datetime(2026, 11, 19, tzinfo=UTC))
    assert list(late(lines)) == []
    assert list(Filter(since=datetime(2026, 11, 18, tzinfo=UTC))(lines)) == lines


def test_a_log_is_shown_by_number_level_and_time(tmp_path: Path) -> None:
    path = tmp_path / "n1.log"
    recent = (datetime.now(UTC) - timedelta(minutes=1)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    path.write_text(written(*FACTS, as_json=False) * 30 + f"{recent} WARN  of late\n")
    shown = dyn("node", "logs", "--file", str(path), "--no-header").out.splitlines()
    assert len(shown) == logs.LAST
    assert shown[-1].split("\t") == [recent, "warn", "of late"]
    some = json.loads(dyn("node", "logs", "--file", str(path), "--level", "error", "--last", "2", "--json").out)
    assert [line["text"] for line in some["lines"]] == [SAID[2]] * 2
    late = dyn("node", "logs", "--file", str(path), "--since", "1h", "--no-header").out
    assert late.splitlines() == [f"{recent}\twarn\tof late"]
    screen = dyn("node", "logs", "--file", str(path), terminal=True, environ={"NO_COLOR": "1"}).out
    assert max(map(len, screen.splitlines())) <= 80
    assert dyn("node", "logs", "--file", str(tmp_path / "no")).status == 3
    assert dyn("node", "logs", "n1", "--file", str(path)).status == 2
    assert dyn("node", "logs", "-f", "--json", "--file", str(path)).status == 2


def test_a_tail_brings_whole_lines_once_and_begins_anew_with_its_file(tmp_path: Path) -> None:
    path = tmp_path / "n1.log"
    path.write_text("one\ntw")
    tail = Tail(path)
    assert list(tail.more()) == ["one"]
    with path.open("a") as sink:
        sink.write("o\nthree\n")
    assert list(tail.more()) == ["two", "three"]
    assert list(tail.more()) == []
    path.write_text("new\n")
    assert list(tail.more()) == ["new"], "it was cut off"
    other = tmp_path / "other"
    other.write_text("rotated, and longer\n")
    os.replace(other, path)
    assert list(tail.more()) == ["rotated, and longer"]


def test_of_a_large_log_the_end_is_read_from_a_whole_line_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "BYTES_MAX", 64)
    path = tmp_path / "n1.log"
    path.write_text("".join(f"line {number:04}\n" for number in range(100)))
    assert list(Tail(path).more()) == [f"line {number:04}" for number in range(94, 100)]


def test_it_goes_on_with_what_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "n1.log"
    path.write_text(written(*FACTS, as_json=True))
    looks = iter(range(3))

    def look(seconds: float) -> None:
        if next(looks) == 2:
            raise KeyboardInterrupt
        with path.open("a") as sink:
            sink.write(written(FACTS[1], FACTS[0], as_json=True))

    monkeypatch.setattr("dynamo_cli.commands.logs.time.sleep", look)
    told = dyn("node", "logs", "--file", str(path), "-f", "--level", "warn", "-o", "jsonl")
    assert told.status == 130
    assert [json.loads(line)["text"] for line in told.out.splitlines()] == [SAID[1], SAID[2], SAID[1], SAID[1]]

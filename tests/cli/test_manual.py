"""The manual page, examples to copy, and that what the wire has and what the command line has are told alike."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from dynamo_cli.catalog import catalog, find
from dynamo_cli.manual import page
from node.wire.table import TABLE
from tests.helpers.cli import dyn
from tests.helpers.generated import stale
from tests.helpers.terminal import Screen
from tests.helpers.tools import need

ROOT = Path(__file__).parents[2]


def test_what_is_made_from_the_command_tree_is_fresh() -> None:
    assert stale() == [], "write them anew: python -m tests.helpers.generated"


def test_the_page_has_every_command_option_and_code() -> None:
    told = page().replace("\\-", "-")
    for spec in catalog():
        if spec.runs and spec.path:
            assert f'.SS "\\fB{spec.name}\\fR' in told, spec.name
        for option in spec.parameters:
            assert all(f"\\fB{flag}\\fR" in told for flag in option.flags), (spec.name, option.flags)
    assert told.isascii()


def test_groff_has_nothing_to_say_about_it(tmp_path: Path) -> None:
    groff = need("groff", package="groff-base")
    pages = {"dyn": page()} | {
        "-".join(("dyn", *spec.path)): page((spec,)) for spec in catalog() if spec.runs and spec.path
    }
    for name, source in pages.items():
        (tmp_path / name).write_text(source, "ascii")
    done = subprocess.run(
        [groff, "-ww", "-man", "-z", *(str(tmp_path / name) for name in pages)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""


def test_a_hostile_word_is_text_to_roff() -> None:
    from dynamo_cli.manual import _text

    assert _text(".so /etc/passwd") == "\\&.so /etc/passwd"
    assert _text("a\\b-c 'd' \"e\" …☃") == "a\\eb\\-c \\(aqd\\(aq \\(dqe\\(dq ...\\[u2603]"


def test_man_shows_it_on_a_terminal() -> None:
    need("man", package="man-db")
    environ = {"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "HOME": "/nonexistent", "LC_ALL": "C.UTF-8"}
    with Screen([sys.executable, "-m", "dynamo_cli", "man", "get", "--no-pager"], ROOT, environ) as screen:
        screen.process.expect(pexpect.EOF, timeout=30)
        assert re.search(r"dyn get - read keys", screen.process.before or "")


def test_elsewhere_it_is_plain_text() -> None:
    assert dyn("man", "get").out == dyn("help", "get").out
    assert dyn("man").out.count("Exit codes") >= sum(spec.runs for spec in catalog()) - 1
    assert dyn("man", "nonsense").status == 2
    assert json.loads(dyn("man", "ring", "show", "--json").out)["command"] == "ring show"


def test_examples_to_copy_are_lines_for_a_shell() -> None:
    lines = dyn("cheat").out.splitlines()
    assert all(line == "" or line.startswith("#") or "dyn " in line for line in lines)
    assert {line.removeprefix("## ") for line in lines if line.startswith("## ")} == {
        spec.panel for spec in catalog() if spec.examples
    }
    assert "ring show" in dyn("cheat", "ring").out
    assert "put" not in dyn("cheat", "ring").out
    assert dyn("cheat", "nonsense").status == 2


@pytest.mark.parametrize("path", ["", "put", "cluster", "exit-codes"])
def test_help_is_a_document_too(path: str) -> None:
    told = json.loads(dyn("help", *path.split(), "--json").out)
    if path == "exit-codes":
        assert "Ctrl-C" in told["text"]
        return
    names = [command["command"] for command in told["commands"]]
    assert names == [
        " ".join(s.path) for s in catalog() if s.runs and s.path[: len(path.split())] == tuple(path.split())
    ]


# The wire and the command line ------------------------------------------------------------------------

ON_THE_LINE = {
    "DYN.GET": "get", "DYN.PUT": "put", "DYN.DEL": "del", "DYN.KEYS": "keys", "DYN.EXPLAIN": "key explain",
    "DYN.HISTORY": "key history", "DYN.RING": "ring show", "DYN.STATUS": "cluster status", "DYN.VIEWS": "cluster views",
    "DYN.STATS": "node stats", "DYN.HINTS": "cluster hints", "DYN.TRANSFERS": "cluster transfers",
    "DYN.EVENTS": "cluster events", "DYN.CLUSTER": "cluster leave", "DYN.REPAIR": "cluster repair",
    "DYN.BACKGROUND": "cluster transfers pause", "DYN.HOT": "hot", "DYN.MONITOR": "monitor", "DYN.TRACES": "trace ls",
    "DYN.BACKUP": "node data backup", "DYN.RESTORE": "node data restore", "DYN.FAULT": "fault cut",
}  # fmt: skip
"""The command of `dyn` that asks each command of the wire."""

FOR_OPERATORS = {"DYN.BACKUP", "DYN.HOT", "DYN.MONITOR", "DYN.TRACES"}
"""On the wire these are for operators, for what they show or cost; in the cluster they change nothing."""


def test_every_command_of_ours_on_the_wire_has_one_on_the_line() -> None:
    """… which is as dangerous as COMMAND DOCS and COMMAND INFO say."""
    ours = {command.name: command for command in TABLE if command.group == "dyn"}
    assert set(ours) - {"DYN.TRACE"} == set(ON_THE_LINE)
    for name, path in ON_THE_LINE.items():
        spec = find(tuple(path.split()))
        assert spec is not None and spec.runs, path
        assert bool(spec.danger) == ("readonly" not in ours[name].flags) or name in FOR_OPERATORS, name
        assert ours[name].summary

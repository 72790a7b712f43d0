"""What holds for every command: formats, streams, files, help, schemas; and that none is left out."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from dynamo_cli.catalog import CommandSpec, catalog, find
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.schemas.notation import json_schema
from dynamo_cli.schemas.table import ERROR_NAME, SCHEMAS
from tests.cli import test_screens
from tests.helpers.cli import Result, dyn
from tests.helpers.fake_node import FakeNode
from tests.helpers.schemas import validator

node = test_screens.node

LOCAL: list[tuple[str, ...]] = [
    ("context", "add", "made", "-n", ":1"), ("context", "ls"), ("context", "show", "a"), ("context", "check", "a"),
    ("context", "use", "a"), ("context", "-"), ("context", "copy", "a", "copied"), ("context", "rename", "b", "c"),
    ("context", "rm", "a"), ("config", "show"), ("config", "get", "timeout"), ("config", "set", "timeout", "2"),
    ("config", "unset", "timeout"), ("config", "path"), ("alias", "set", "st", "status"), ("alias", "ls"),
    ("alias", "rm", "own"), ("completion", "bash"), ("schema", "ls"), ("schema", "show", "status"), ("man",),
    ("man", "get"), ("man", "--roff"), ("cheat",), ("cheat", "ring"), ("status",), ("help", "shell-keys"),
]  # fmt: skip
"""Command lines beside those of test_screens."""

ELSEWHERE = {
    "top": "takes a terminal",
    "latency": "takes its time; test_latency",
    "monitor": "has no end; test_hot",
    "watch": "has no end; test_watch_keys",
    "shell": "test_repl",
    "export": "prints JSON lines in every format; test_export, test_carry",
    "import": "test_carry",
    "cluster commit": "test_changes",
    "cluster rotate": "waits for the change that the fake is in for ever; test_changes",
    "cluster replace": "test_changes",
    "cluster weight": "test_changes",
    "ring export": "has formats of its own; test_export",
    "node start": "test_node",
    "node stop": "ends a process; test_process",
    "node ping": "test_process",
    "check": "ends by what it finds; test_check",
    "node drain": "ends a process; test_draining",
    "node data path": "test_draining",
    "node data verify": "test_draining",
    "node data compact": "test_draining",
    "cluster transfers pause": "test_steering",
    "cluster transfers resume": "test_steering",
    "cluster transfers limit": "test_steering",
    "node cert": "makes files; test_cert",
    "node data info": "test_backups",
    "node data restore": "test_backups",
    "bench": "takes its time; test_bench",
    "context edit": "takes a terminal; test_context",
    "config edit": "takes a terminal",
    "completion": "prints a script; test_completions",
    "debug bundle": "writes a file; test_debug",
    "get": "a value's bytes are the result; test_values",
}
ELSEWHERE |= {" ".join(spec.path): "test_demo*" for spec in catalog() if spec.runs and spec.path[:1] == ("demo",)}
ELSEWHERE |= {" ".join(spec.path): "test_fault" for spec in catalog() if spec.runs and spec.path[:1] == ("fault",)}
"""Commands that are not run here in all formats, and why, or which tests do."""

TABLE = [argv for argv in [*test_screens.COMMANDS, *LOCAL] if argv[:1] not in (("get",), ("export",), ("completion",))]
TABLE = [argv for argv in TABLE if argv[:2] not in (("ring", "export"), ("debug", "bundle"), ("cluster", "rotate"))]
FORMATS = ("table", "wide", "plain", "json", "jsonl", "csv", "value")


def spec_of(argv: tuple[str, ...]) -> CommandSpec:
    return next(spec for n in (3, 2, 1, 0) if len(argv[:n]) == n and (spec := find(argv[:n])) is not None)


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, node: FakeNode) -> dict[str, str]:
    """An environment in which only the XDG directories may be written to."""
    (tmp_path / "home").mkdir()
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    environ = {f"XDG_{kind}_HOME": str(tmp_path / "xdg" / kind) for kind in ("CONFIG", "DATA", "STATE")}
    environ |= {"HOME": str(tmp_path / "home"), "DYN_NODES": ""}
    for name in ("a", "b"):
        assert dyn("context", "add", name, "-n", node.address, environ=environ).status == 0
    assert dyn("context", "use", "a", environ=environ).status == 0
    assert dyn("context", "use", "b", environ=environ).status == 0
    assert dyn("alias", "set", "own", "status", environ=environ).status == 0
    for member in node.replies["DYN.RING"]["members"]:
        member["address"] = node.address
    return environ


def test_every_command_is_in_a_table() -> None:
    """A new command is run here in every format, or says where it is tested."""
    run = {" ".join(spec_of(argv).path) for argv in TABLE}
    every = {" ".join(spec.path) for spec in catalog() if spec.runs}
    assert every - run - set(ELSEWHERE) == set()
    assert set(ELSEWHERE) <= every


@pytest.mark.parametrize("argv", TABLE, ids=" ".join)
def test_every_format_of_every_command(away: dict[str, str], argv: tuple[str, ...], tmp_path: Path) -> None:
    for output in FORMATS:
        if output != FORMATS[0] and argv[:1] in (("context",), ("config",), ("alias",)) and _changes(argv):
            break  # it is done, and would not be a second time
        result = dyn(*argv, "-o", output, environ=away)
        if output == "value" and result.status == ExitStatus.USAGE:
            continue
        assert (result.status, result.err) == (0, ""), output
        assert "\x1b" not in result.out
        if output in ("json", "jsonl"):
            _is_json(result, output)
        elif output == "csv" and argv[:1] not in (("help",), ("man",), ("schema",)):
            rows = list(csv.reader(io.StringIO(result.out)))
            assert len({len(row) for row in rows}) <= 1 or argv[:1] in ((), ("explain",), ("version",), ("node",)), rows
    assert list((tmp_path / "home").iterdir()) == []
    assert list((tmp_path / "cwd").iterdir()) == []


def _changes(argv: tuple[str, ...]) -> bool:
    return argv[1] in ("add", "use", "-", "copy", "rename", "rm", "set", "unset")


def _is_json(result: Result, output: str) -> None:
    lines = result.out.splitlines()
    documents = [json.loads(line) for line in lines]
    assert all(isinstance(document, dict) for document in documents)
    if output == "json" and documents:
        assert len(documents) == 1
        assert "schema" in documents[0] or "$schema" in documents[0]


@pytest.mark.parametrize("spec", [spec for spec in catalog() if spec.runs], ids=lambda spec: spec.name)
def test_errors_have_the_same_code_in_every_format(spec: CommandSpec) -> None:
    for output in FORMATS:
        result = dyn(*spec.path, "--no-such-option", "-o", output)
        assert (result.status, result.out) == (2, "")
        if output in ("json", "jsonl"):
            Draft202012Validator(json_schema(ERROR_NAME, SCHEMAS[ERROR_NAME])).validate(json.loads(result.err))
        else:
            assert result.err.count("\n") == 1


@pytest.mark.parametrize("spec", [spec for spec in catalog() if spec.runs and spec.path], ids=lambda spec: spec.name)
def test_every_command_has_a_page_with_examples(spec: CommandSpec) -> None:
    page = dyn(*spec.path, "--help").out
    assert page.startswith(spec.name)
    assert max(map(len, page.splitlines())) <= 80
    assert len(spec.examples) >= 3
    for line, _ in spec.examples:
        assert "dyn " in line, line


# Schemas ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_a_json_schema_and_can_be_shown(name: str) -> None:
    Draft202012Validator.check_schema(json_schema(name, SCHEMAS[name]))
    shown = json.loads(dyn("schema", "show", name).out)
    assert shown == json_schema(name, SCHEMAS[name])
    assert SCHEMAS[name].meaning.endswith(".")
    assert json.loads(dyn("schema", "show", name, "--json").out) == shown


def test_a_schema_goes_by_its_short_name_too() -> None:
    assert json.loads(dyn("schema", "show", "ring.owner").out)["title"] == "dyn.ring.owner/v1"
    assert dyn("schema", "show", "nothing").status == 3


@pytest.mark.parametrize(
    ("change", "valid"),
    [
        ({}, True),
        ({"more": 1}, True),
        ({"epoch": "7"}, False),
        ({"health": "fine"}, False),
        ({"hints": None}, True),
        ({"epoch": None}, False),
        ({"nodes": [{}]}, False),
        ({"schema": "dyn.other/v1"}, False),
    ],
)
def test_a_schema_sees_what_is_wrong(change: dict[str, Any], valid: bool) -> None:
    from tests.helpers.documents import status

    assert validator("dyn.status/v1").is_valid({**status(), **change}) == valid

"""The pages say what is true: commands, variables, paths, packages and schema are compared with the code.

The command table of dynamo_cli/COMMANDS.md is generated: `python -m tests.helpers.commands` writes it anew.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlite_utils

from dynamo_cli.catalog import find
from dynamo_cli.layers import OF_CONTEXT, variable
from dynamo_cli.settings import SETTINGS
from node.runtime.config import OPTIONS
from tests.helpers.commands import commands_block, generate

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
MAP = (ROOT / "node" / "ARCHITECTURE.md").read_text()
COMMANDS = (ROOT / "dynamo_cli" / "COMMANDS.md").read_text()
PAGES = {
    name: (ROOT / name).read_text()
    for name in (
        "README.md", "node/ARCHITECTURE.md", "node/OPERATING.md", "dynamo_cli/COMMANDS.md", "tests/README.md",
        "CHANGELOG.md",
    )
}  # fmt: skip

VARIABLE = re.compile(r"\bDYN_[A-Z][A-Z_]*\b")


def sources(*folders: str) -> Iterator[tuple[str, str]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), path.read_text()


def test_the_set_up_commands_are_the_promised_ones() -> None:
    assert re.findall(r"^    (python3 -m venv .*?) +#", README, re.MULTILINE) == [
        "python3 -m venv .venv && .venv/bin/pip install -q . && .venv/bin/dyn demo",
        "python3 -m venv .venv && .venv/bin/pip install -q '.[test]' && .venv/bin/pytest",
    ]


def test_the_command_table_is_current() -> None:
    assert commands_block(COMMANDS) == generate(), "run python -m tests.helpers.commands"


def test_every_variable_is_documented_and_exists() -> None:
    used = dict.fromkeys(VARIABLE.findall((ROOT / ".ci" / "run").read_text()), ".ci/run")
    for path, text in sources("node", "dynamo_cli", "tests"):
        for item in ast.walk(ast.parse(text)):
            if isinstance(item, ast.Constant) and isinstance(item.value, str) and VARIABLE.fullmatch(item.value):
                used.setdefault(item.value, path)
    used |= {f"DYN_{option.field.upper()}": "node/runtime/config.py" for option in OPTIONS} | {"DYN_KEY": "the same"}
    used |= {variable(setting.name): "dynamo_cli/settings.py" for setting in SETTINGS if setting.name not in OF_CONTEXT}
    rows = "\n".join(line for line in COMMANDS.split("## Environment")[1].splitlines() if line.startswith("|"))
    told = set(VARIABLE.findall(rows))
    assert {name: path for name, path in used.items() if name not in told} == {}
    assert told - used.keys() == set()


def examples(page: str) -> Iterator[list[str]]:
    """Yield the words of every `dyn …` line of a page's indented blocks."""
    for line in re.findall(r"^    (?:\.venv/bin/)?dyn (.*)$", page, re.MULTILINE):
        yield shlex.split(line, comments=True)


def test_every_example_is_a_command() -> None:
    """Its words are a command, and its options are that command's."""
    found = []
    for page in PAGES.values():
        for words in examples(page):
            while words and words[0].startswith("-"):
                words = words[2:]
            spec = next(filter(None, (find(tuple(words[:count])) for count in (3, 2, 1))), None)
            known = {flag for parameter in spec.parameters for flag in parameter.flags} if spec else set()
            if spec is None or not spec.runs or not {word for word in words if word.startswith("-")} <= known:
                found.append("dyn " + " ".join(words))
    assert found == []


@pytest.mark.parametrize("page", PAGES)
def test_every_path_exists(page: str) -> None:
    """Links, and names of files in backquotes: relative to the page, to the root, or to node/."""
    named = re.findall(r"\]\(([^)#:]+)\)", PAGES[page]) + re.findall(r"`([\w.]+(?:/[\w.*]+)+(?:\.\w+)?)`", PAGES[page])
    bases = [(ROOT / page).parent, ROOT, ROOT / "node"]
    assert [name for name in named if not any((base / name).exists() for base in bases)] == []


def test_every_module_on_the_map_exists() -> None:
    for name in re.findall(r"`((?:node|dynamo_cli)(?:\.\w+)*)`", MAP):
        path = ROOT / name.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").exists(), name


def test_ci_installs_the_packages_that_tests_need() -> None:
    """Every package that a test names in `need` is installed, and every installed one is named by a test."""
    listed = re.search(r"^packages=\(([^)]*)\)", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)
    assert listed is not None
    needed, named = set(), set()
    for path, text in sources("tests"):
        if not path.startswith("tests/arch/"):
            for item in ast.walk(ast.parse(text)):
                if isinstance(item, ast.Constant):
                    named.add(item.value)
                elif isinstance(item, ast.keyword) and item.arg == "package" and isinstance(item.value, ast.Constant):
                    needed.add(item.value.value)
    assert needed <= set(listed[1].split()) <= named


def test_the_schema_is_documented() -> None:
    """The tables of a fresh file are those of the page, column by column, in order."""
    from node.storage.schema import migrations

    database = sqlite_utils.Database(memory=True)
    migrations.apply(database)
    ours = [table for table in database.tables if not table.name.startswith("_")]
    block = MAP.split("<!-- schema -->")[1].split("<!-- /schema -->")[0]
    told: dict[str, list[str]] = {}
    for table, column in re.findall(r"^\| (?:`(\w+)`)? ?\| (?:`(\w+)`)? ?\|", block, re.MULTILINE):
        if table:
            told[table] = []
        elif column:
            told[list(told)[-1]].append(column)
    assert told == {table.name: [column.name for column in table.columns] for table in ours}
    database.close()


def test_the_conflict_of_the_readme_has_the_union_it_promises() -> None:
    from dynamo_cli.merging import union

    writes = [shlex.split(line, comments=True) for line in README.splitlines() if "--ctx $CONTEXT" in line]
    assert union([words[3].encode() for words in writes]) == b'["milk","eggs","beer"]'

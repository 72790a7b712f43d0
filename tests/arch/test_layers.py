"""Who may import whom. The table below is the law; node/ARCHITECTURE.md draws it.

`OURS` says which of our packages a module may import, `PURE` which modules see nothing of the world: they may import
only the standard modules of `VALUES` (no clock, no randomness, no files, no log). The longest matching name decides.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]

CORE, WIRE, ENGINE, STORAGE = "node.core", "node.wire", "node.engine", "node.storage"

OURS: dict[str, list[str]] = {
    "node": [],
    "node.__main__": ["node.runtime"],
    "node.client": [CORE, WIRE],
    "node.core": [CORE],
    "node.wire": [CORE, WIRE],
    "node.engine": [
        CORE,
        "node.wire.change_messages",
        "node.wire.messages",
        "node.wire.requests",
        "node.wire.rows",
        "node.wire.errors",
        "node.wire.clocks",
        "node.wire.text",
        "node.wire.traced",
        "node.storage.port",
        ENGINE,
    ],
    "node.storage": [CORE, "node.wire.rows", "node.wire.errors", STORAGE],
    "node.storage.port": [CORE],
    "node.storage.records": [CORE, "node.wire.rows", "node.wire.errors", "node.storage.port"],
    "node.runtime": [CORE, WIRE, ENGINE, STORAGE, "node.runtime", "node.tls", "node.words"],
    "node.sim": [CORE, WIRE, ENGINE, "node.storage.port", "node.storage.records", "node.sim"],
    "node.tls": [],
    "node.words": [CORE],
    "dynamo_cli": [
        "node.core.cluster",
        "node.core.ids",
        "node.core.labels",
        "node.core.limits",
        "node.core.limits_backup",
        "node.core.moves",
        "node.core.ring",
        "node.core.roles",
        "node.wire.requests",
        "node.wire.errors",
        "node.tls",
        "node.words",
        "dynamo_cli",
    ],
    "dynamo_cli.commands.data": [
        "node.core.ids",
        "node.core.limits_backup",
        "node.storage.backup_file",
        "node.storage.errors",
        "node.storage.sqlite",
        "node.wire.text",
        "dynamo_cli",
    ],
    "dynamo_cli.commands.upkeep": ["node.storage.upkeep", "node.storage.errors", "dynamo_cli"],
    "dynamo_cli.node_config": ["node.runtime.config", "dynamo_cli"],
    "dynamo_cli.commands.node": ["node.core", "node.wire", "node.runtime", "dynamo_cli"],
    "dynamo_cli.demo": ["node.runtime.config", "node.runtime.ports", "dynamo_cli"],
    "dynamo_cli.doctor.here": [
        "node.runtime.config",
        "node.runtime.ports",
        "node.storage.probe",
        "dynamo_cli",
    ],
    "dynamo_cli.running": ["node.runtime.ports", "dynamo_cli"],
    "dynamo_cli.render": ["node.core.limits", "dynamo_cli.render", "dynamo_cli.told"],
}

PURE = ["node.core", "node.wire", "node.engine", "node.storage.port", "node.storage.records"]
VALUES = [
    "__future__",
    "abc",
    "base64",
    "binascii",
    "bisect",
    "collections",
    "collections.abc",
    "dataclasses",
    "enum",
    "functools",
    "hashlib",
    "heapq",
    "hmac",
    "itertools",
    "json",
    "math",
    "operator",
    "re",
    "string",
    "struct",
    "types",
    "typing",
    "zlib",
]
ALLOWED: dict[str, list[str]] = {
    "node.wire": ["msgspec", "hiredis"],
    "node.wire.text": ["msgspec", "datetime.datetime", "datetime.UTC"],
    "node.engine": ["msgspec", "random.Random"],
}
"""What a pure package may import beyond VALUES; `random.Random` is the type of an argument, never a source."""

FORBIDDEN: dict[str, list[str]] = {
    "node": ["typer", "rich", "prompt_toolkit", "pickle", "marshal", "shelve"],
    "node.storage": ["asyncio", "socket", "uvloop"],
    "node.sim": ["asyncio", "socket", "threading", "sqlite3", "uvloop", "zeroconf", "subprocess", "secrets", "uuid"],
    "dynamo_cli": ["asyncio", "uvloop", "sqlite3", "pickle", "marshal", "shelve"],
    "dynamo_cli.demo": ["node.runtime.config", "node.runtime.ports", "dynamo_cli"],
    "dynamo_cli.render": ["socket", "time", "os", "sys", "subprocess", "prompt_toolkit"],
}


class Import(NamedTuple):
    """One name that a module imports: `name` is absolute, `line` where, `eager` when it runs at import."""

    name: str
    line: int
    eager: bool


def imports(source: str, module: str, *, package: bool = False) -> Iterator[Import]:
    """Yield what `source` imports, also inside functions, with relative names resolved against `module`."""
    tree = ast.parse(source)
    deferred = {
        id(inner)
        for outer in ast.walk(tree)
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef) or is_typing_only(outer)
        for inner in ast.walk(outer)
    }
    for item in ast.walk(tree):
        eager = id(item) not in deferred
        if isinstance(item, ast.Import):
            for alias in item.names:
                yield Import(alias.name, item.lineno, eager)
        elif isinstance(item, ast.ImportFrom):
            base = item.module or ""
            if item.level:
                parents = module.split(".")
                parents = parents[: len(parents) - item.level + (1 if package else 0)]
                base = ".".join([*parents, base] if base else parents)
            for alias in item.names:
                yield Import(f"{base}.{alias.name}", item.lineno, eager)


def is_typing_only(item: ast.AST) -> bool:
    return isinstance(item, ast.If) and isinstance(item.test, ast.Name) and item.test.id == "TYPE_CHECKING"


def within(name: str, prefixes: list[str]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def rule(table: dict[str, list[str]], module: str) -> list[str]:
    """Return the entry of `table` with the longest name that holds `module`."""
    found = [name for name in table if within(module, [name])]
    return table[max(found, key=len)] if found else []


def violations(source: str, module: str, *, package: bool = False) -> list[str]:
    """Return one line for each import of `source` that the tables do not allow to `module`."""
    found = []
    for name, line, _ in imports(source, module, package=package):
        where = f"{module}:{line}"
        if name.split(".")[0] in ("node", "dynamo_cli", "tests"):
            if not within(name, [*rule(OURS, module), "node.__version__"]):
                found.append(f"{where} may not import {name}")
        elif within(module, PURE):
            if not within(name, VALUES + rule(ALLOWED, module)):
                found.append(f"{where} is pure and imports {name}")
        elif any(within(name, banned) for prefix, banned in FORBIDDEN.items() if within(module, [prefix])):
            found.append(f"{where} may not import {name}")
    return found


def clock_reads(source: str, module: str) -> list[str]:
    """Return one line for each call in a pure module that asks what time it is: datetime is there to convert only."""
    return [
        f"{module}:{item.lineno} reads a clock"
        for item in ast.walk(ast.parse(source))
        if isinstance(item, ast.Attribute)
        and item.attr in ("now", "utcnow", "today")
        and within(module, PURE)
        and isinstance(item.value, ast.Name)
        and item.value.id in ("datetime", "date", "time")
    ]


def modules() -> Iterator[tuple[str, Path]]:
    """Yield the name and the path of every module of the distribution."""
    for top in ("node", "dynamo_cli"):
        for path in sorted((ROOT / top).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def test_every_import_is_allowed() -> None:
    found = []
    for module, path in modules():
        found += violations(path.read_text(), module, package=path.name == "__init__.py")
        found += clock_reads(path.read_text(), module)
    assert not found, "\n".join(found)


def test_the_walk_sees_a_clock_that_is_read() -> None:
    assert clock_reads("from datetime import UTC, datetime\nx = datetime.now(UTC)", "node.wire.text")
    assert not clock_reads("from datetime import UTC, datetime\nx = datetime.fromtimestamp(y, UTC)", "node.wire.text")


@pytest.mark.parametrize(
    ("module", "line", "verdict"),
    [
        ("node.core.ring", "import time", "pure"),
        ("node.core.ring", "import random", "pure"),
        ("node.core.ring", "from random import Random", "pure"),
        ("node.core.ring", "from datetime import datetime", "pure"),
        ("node.core.ring", "import msgspec", "pure"),
        ("node.core.ring", "from node.wire.rows import encode", "may not"),
        ("node.core.ring", "from ..engine import node", "may not"),
        ("node.core.ring", "from . import version", ""),
        ("node.core.ring", "from hashlib import md5", ""),
        ("node.wire.codec", "import msgspec", ""),
        ("node.wire.codec", "import os", "pure"),
        ("node.wire.codec", "from node.engine import node", "may not"),
        ("node.engine.put", "from random import Random", ""),
        ("node.engine.put", "from random import random", "pure"),
        ("node.engine.put", "import logging", "pure"),
        ("node.engine.put", "import threading", "pure"),
        ("node.engine.put", "def f():\n    import sqlite3", "pure"),
        ("node.engine.put", "def f():\n    from ..storage import sqlite", "may not"),
        ("node.engine.put", "from node.storage.port import Advance", ""),
        ("node.engine.put", "from node.wire.codec import decode", "may not"),
        ("node.storage.port", "from node.wire.rows import encode", "may not"),
        ("node.storage.port", "import sqlite3", "pure"),
        ("node.storage.sqlite", "import sqlite3", ""),
        ("node.storage.sqlite", "import asyncio", "may not"),
        ("node.storage.sqlite", "from node.engine import node", "may not"),
        ("node.sim.world", "from node.runtime import driver", "may not"),
        ("node.sim.world", "from node.storage.sqlite import SqliteStorage", "may not"),
        ("node.sim.world", "import asyncio", "may not"),
        ("node.runtime.server", "from node.sim import world", "may not"),
        ("node.runtime.server", "import dynamo_cli", "may not"),
        ("node.runtime.server", "import rich", "may not"),
        ("dynamo_cli.client", "import asyncio", "may not"),
        ("dynamo_cli.client", "from node.engine import node", "may not"),
        ("dynamo_cli.client", "from node.runtime import server", "may not"),
        ("dynamo_cli.commands.node", "def f():\n    from node.runtime import server", ""),
        ("dynamo_cli.render.values", "from dynamo_cli import client", "may not"),
        ("dynamo_cli.render.values", "import socket", "may not"),
    ],
)
def test_the_walk_sees(module: str, line: str, verdict: str) -> None:
    found = violations(line, module)
    assert bool(found) == bool(verdict)
    assert verdict in "".join(found)


def test_the_walk_resolves_relative_imports_of_a_package() -> None:
    assert violations("from .engine import node", "node.core", package=True) == []  # node.core.engine
    assert violations("from ..engine import node", "node.core", package=True) == [
        "node.core:1 may not import node.engine.node"
    ]


def test_packages_import_nothing_on_their_own() -> None:
    """An `__init__` that imports would make every arrow point to everything in its package."""
    busy = [
        f"{module} imports {item.name}"
        for module, path in modules()
        if path.name == "__init__.py"
        for item in imports(path.read_text(), module)
        if not within(item.name, ["__future__"])
    ]
    assert busy == []


@pytest.mark.parametrize("heavy", ["rich", "prompt_toolkit", "redis", "zeroconf", "sqlite_utils", "prometheus_client"])
def test_the_command_line_imports_what_is_slow_only_where_it_is_needed(heavy: str) -> None:
    eager = [
        f"{module}:{item.line}"
        for module, path in modules()
        if module.startswith("dynamo_cli")
        and not (heavy == "rich" and module.startswith("dynamo_cli.render"))
        and not (heavy in ("rich", "prompt_toolkit") and module.startswith("dynamo_cli.repl"))
        for item in imports(path.read_text(), module)
        if item.eager and within(item.name, [heavy])
    ]
    assert eager == [], f"import {heavy} inside the function that needs it"


def loaded(code: str) -> list[str]:
    """Return the modules that are loaded after `code` ran in a fresh interpreter."""
    command = [sys.executable, "-c", f"{code}\nimport sys; sys.stderr.write(' '.join(sys.modules))"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr.split()


def test_the_version_is_told_without_loading_anything() -> None:
    code = "import sys; sys.argv = ['dyn', '--version']\nfrom dynamo_cli.__main__ import main\nassert not main()"
    names = loaded(code)
    assert "dynamo_cli.__main__" in names
    assert not {"typer", "rich", "prompt_toolkit", "asyncio", "socket", "msgspec"} & set(names)


def test_the_engine_loads_no_part_of_the_world() -> None:
    everything = "\n".join(
        f"import {module}" for module, _ in modules() if within(module, ["node.core", "node.engine"])
    )
    assert not {"asyncio", "socket", "sqlite3", "logging", "threading", "subprocess"} & set(loaded(everything))

"""Sizes and manners that ruff does not check. The limits have no exceptions; a list of them could only grow."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60

SOURCES = sorted(path for top in ("node", "dynamo_cli") for path in (ROOT / top).rglob("*.py"))
DECIDING = [path for path in SOURCES if path.parts[len(ROOT.parts) + 1] in ("core", "wire", "engine", "storage", "sim")]
"""Where an order may reach another node, a file or a trace. (Elsewhere sets of tasks and sockets are closed in any.)"""
LOOPED = [path for path in SOURCES if path.parts[len(ROOT.parts)] == "node" and path.name != "switches.py"]
"""What runs in a node. (Its switches stop the loop on purpose, as a fault that a person asked for.)"""
TESTS = sorted((ROOT / "tests").rglob("*.py"))

ORDERLESS_CONSUMERS = {"sorted", "any", "all", "sum", "len", "min", "max", "set", "frozenset"}


def long_file(source: str) -> Iterator[str]:
    """A file is at most FILE_LINES_MAX lines long."""
    if (count := source.count("\n")) > FILE_LINES_MAX:
        yield f"{count} lines, at most {FILE_LINES_MAX}: split it where its theory splits"


def long_function(source: str) -> Iterator[str]:
    """A function is at most FUNCTION_LINES_MAX lines long, decorators not counted."""
    for item in ast.walk(ast.parse(source)):
        if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef):
            count = (item.end_lineno or item.lineno) - item.lineno + 1
            if count > FUNCTION_LINES_MAX:
                yield f"{item.lineno}: {item.name} has {count} lines, at most {FUNCTION_LINES_MAX}"


def hash_order(source: str) -> Iterator[str]:
    """Nothing iterates over a set: its order is an accident of hashing, and differs between two nodes."""
    tree = ast.parse(source)
    names = set_names(tree)
    harmless = {
        id(argument)
        for item in ast.walk(tree)
        if isinstance(item, ast.Call) and isinstance(item.func, ast.Name) and item.func.id in ORDERLESS_CONSUMERS
        for argument in item.args
    }
    for item in ast.walk(tree):
        if isinstance(item, ast.For | ast.AsyncFor):
            looped = [item.iter]
        elif isinstance(item, ast.ListComp | ast.GeneratorExp | ast.DictComp) and id(item) not in harmless:
            looped = [generator.iter for generator in item.generators]
        elif (
            isinstance(item, ast.Call) and isinstance(item.func, ast.Name) and item.func.id in ("list", "tuple", "iter")
        ):
            looped = [] if id(item) in harmless else item.args
        elif isinstance(item, ast.Starred) and isinstance(item.ctx, ast.Load):
            looped = [item.value]
        else:
            continue
        for value in looped:
            if is_set(value, names):
                yield f"{value.lineno}: iterates over a set; sort it, or keep a dict"


def set_names(tree: ast.AST) -> set[str]:
    """Return the names (also attribute names) that are annotated or assigned as sets anywhere in the file."""
    found = set()
    for item in ast.walk(tree):
        if isinstance(item, ast.AnnAssign) and is_set_type(item.annotation):
            found.add(name_of(item.target))
        elif isinstance(item, ast.Assign) and is_set(item.value, set()):
            found |= {name_of(target) for target in item.targets}
        elif isinstance(item, ast.arg) and item.annotation is not None and is_set_type(item.annotation):
            found.add(item.arg)
    return found - {""}


def name_of(item: ast.AST) -> str:
    return item.id if isinstance(item, ast.Name) else item.attr if isinstance(item, ast.Attribute) else ""


def is_set_type(annotation: ast.AST) -> bool:
    base = annotation.value if isinstance(annotation, ast.Subscript) else annotation
    return name_of(base) in ("set", "frozenset", "Set", "AbstractSet")


def is_set(value: ast.AST, names: set[str]) -> bool:
    if isinstance(value, ast.Set | ast.SetComp):
        return True
    if isinstance(value, ast.Call):
        return isinstance(value.func, ast.Name) and value.func.id in ("set", "frozenset")
    if isinstance(value, ast.BinOp):
        return is_set(value.left, names) or is_set(value.right, names)
    return name_of(value) in names


def builtin_hash(source: str) -> Iterator[str]:
    """Neither hash() nor id() decides anything: both differ from process to process."""
    for item in ast.walk(ast.parse(source)):
        if isinstance(item, ast.Call) and isinstance(item.func, ast.Name) and item.func.id in ("hash", "id"):
            yield f"{item.lineno}: {item.func.id}() differs between processes"


def absent_header(source: str) -> Iterator[str]:
    """A file opens with its theory."""
    if source.strip() and not ast.get_docstring(ast.parse(source)):
        yield "no docstring at the top"


def fixed_sleep(source: str) -> Iterator[str]:
    """A test waits for a condition, in short steps with a deadline; it never waits and hopes."""
    tree = ast.parse(source)
    polls = {id(inner) for loop in ast.walk(tree) if isinstance(loop, ast.While | ast.For) for inner in ast.walk(loop)}
    for item in ast.walk(tree):
        if isinstance(item, ast.Call) and name_of(item.func) == "sleep" and id(item) not in polls:
            yield f"{item.lineno}: sleep outside a loop that polls"


def blocking_sleep(source: str) -> Iterator[str]:
    """A node sleeps by its loop alone: time.sleep holds up everybody, and fails where a wall clock is set meanwhile.

    (CPython 3.11 computes its end by a clock that libfaketime may fake, and raises EINVAL.)
    """
    tree = ast.parse(source)
    for item in ast.walk(tree):
        if isinstance(item, ast.Attribute) and item.attr == "sleep" and name_of(item.value) == "time":
            yield f"{item.lineno}: time.sleep"
        elif isinstance(item, ast.ImportFrom) and item.module == "time":
            yield from (f"{item.lineno}: time.sleep" for alias in item.names if alias.name == "sleep")


RULES: list[tuple[Callable[[str], Iterator[str]], list[Path], str]] = [
    (long_file, SOURCES + TESTS, "x = 1\n" * (FILE_LINES_MAX + 1)),
    (long_function, SOURCES + TESTS, "def f():\n" + "    x = 1\n" * FUNCTION_LINES_MAX),
    (hash_order, DECIDING, "def f(down: set[str]):\n    return [name for name in down]\n"),
    (builtin_hash, SOURCES, "def f(key):\n    return hash(key) % 8\n"),
    (absent_header, SOURCES + TESTS, "x = 1\n"),
    (blocking_sleep, LOOPED, "import time\ndef f():\n    time.sleep(1)\n"),
    (blocking_sleep, LOOPED, "from time import monotonic, sleep\n"),
    (fixed_sleep, TESTS, "import time\ndef f():\n    time.sleep(1)\n"),
]


@pytest.mark.parametrize(("check", "paths", "planted"), RULES, ids=[check.__name__ for check, _, _ in RULES])
def test_tidy(check: Callable[[str], Iterator[str]], paths: list[Path], planted: str) -> None:
    assert list(check(planted)), "the check does not see the planted violation"
    assert list(check('"""Fine."""\n\n\ndef f(names):\n    return sorted(names)\n')) == []
    found = [f"{path.relative_to(ROOT)}: {text}" for path in paths for text in check(path.read_text())]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("source", "seen"),
    [
        ("for x in {1, 2}: pass", True),
        ("for x in set(y): pass", True),
        ("for x in sorted({1, 2}): pass", False),
        ("a: set[int] = f()\nfor x in a: pass", True),
        ("self.down = set()\nfor x in self.down: pass", True),
        ("a = {1} | b\nfor x in a - c: pass", True),
        ("a = {1}\nb = list(a)", True),
        ("a = {1}\nb = [*a]", True),
        ("a = {1}\nb = sorted(list(a))", False),
        ("a = {1}\nb = any(x > 1 for x in a)", False),
        ("a = {1: 2}\nfor x in a: pass", False),
        ("def f(a: frozenset[int]):\n    return {x: 1 for x in a}", True),
    ],
)
def test_hash_order_sees(source: str, seen: bool) -> None:
    assert bool(list(hash_order(source))) is seen

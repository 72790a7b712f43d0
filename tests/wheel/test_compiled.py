"""The compiled build is the same machine as the source, and a build that cannot compile still installs."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from node.build_hook import AUTO, COMPILED, MODE, PURE, Hook, has_compiler, modules, wanted
from tests.helpers import wheel
from tests.helpers.campaign import scale
from tests.helpers.tools import need
from tests.helpers.wheel import ROOT, SUFFIX, build

FILES = [name for group in modules(ROOT, COMPILED).values() for name in group]


@pytest.fixture(scope="module", autouse=True)
def compiler() -> None:
    need("cc", package="gcc")


def run(tree: Path, folder: Path, *arguments: str) -> str:
    """Run Python with `node` from `tree`; return what it printed."""
    command, environ = [sys.executable, *arguments], {"PYTHONPATH": str(tree)}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.long
@pytest.mark.timeout(600)
def test_every_pure_module_is_compiled(compiled_simulator: Path, tmp_path: Path) -> None:
    """New files, too: the rule is a pattern, with the exceptions named."""
    names = [name.removesuffix(".py").replace("/", ".") for name in FILES]
    code = f"from importlib import import_module\nfor name in {names}:\n    print(import_module(name).__file__)"
    assert run(compiled_simulator, tmp_path, "-c", code).split() == [
        f"{compiled_simulator}/{name.removesuffix('.py')}{SUFFIX}" for name in FILES
    ]
    assert {"node/core/version.py", "node/engine/put.py", "node/wire/rows.py", "node/sim/host.py"} <= {*FILES}


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(1, scale(6, 20)))
def test_a_simulated_cluster_does_the_same_compiled(seed: int, compiled_simulator: Path, tmp_path: Path) -> None:
    """Every event and every effect of a run, in their order, go into its trace."""
    told = [run(tree, tmp_path, "-m", "node.sim", "--seed", str(seed)) for tree in (ROOT, compiled_simulator)]
    assert "trace: " in told[0]
    assert told[0] == told[1]


def test_no_class_that_is_not_compiled_inherits_from_one_that_is() -> None:
    """It could not be made: a TypeError, at the first instance (as of the reader of faulty links, once)."""
    compiled = {module_of(name): classes(name) for name in FILES}
    sources = [
        path.relative_to(ROOT).as_posix() for top in ("node", "dynamo_cli") for path in (ROOT / top).rglob("*.py")
    ]
    found = []
    for source in sorted(set(sources) - set(FILES)):
        tree = ast.parse((ROOT / source).read_text())
        ours = {
            alias.asname or alias.name
            for item in ast.walk(tree)
            if isinstance(item, ast.ImportFrom) and item.module in compiled
            for alias in item.names
            if alias.name in compiled[item.module]
        }
        found += [
            f"{source}:{item.lineno}"
            for item in ast.walk(tree)
            if isinstance(item, ast.ClassDef) and any(ast.unparse(base) in ours for base in item.bases)
        ]
    assert found == []


def module_of(name: str) -> str:
    return name.removesuffix(".py").replace("/", ".")


def classes(name: str) -> set[str]:
    return {item.name for item in ast.walk(ast.parse((ROOT / name).read_text())) if isinstance(item, ast.ClassDef)}


def test_what_msgspec_builds_is_not_compiled() -> None:
    found = [
        f"{name}:{item.lineno}"
        for name in FILES
        for item in ast.walk(ast.parse((ROOT / name).read_text()))
        if isinstance(item, ast.ClassDef) and any("Struct" in ast.unparse(base) for base in item.bases)
    ]
    assert found == []


@pytest.mark.long
def test_without_a_working_compiler_plain_python_is_shipped(tmp_path: Path) -> None:
    path, words = build(tmp_path, CC="false")
    assert path.name.endswith("-py3-none-any.whl")
    assert words.startswith("dyn: not compiled, plain Python is installed, which is slower (")
    assert words.count("\n") == 1


@pytest.mark.long
def test_who_demands_a_compiled_build_gets_that_or_none(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="BuildFailed"):
        build(tmp_path, CC="false", DYN_BUILD=COMPILED)


def test_what_is_installed_is_not_built_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain installation is compiled but for the simulator; who wants nodes takes it, in each lane of the tests."""

    class Installed:
        files = (f"node/engine/put{SUFFIX}", "node/sim/host.py")

        def locate_file(self, name: str) -> Path:
            return tmp_path / name

    built: list[Path] = []

    def build(folder: Path, **environ: str) -> tuple[Path, str]:
        built.append(folder)
        raise NotImplementedError

    monkeypatch.setattr(wheel, "distribution", lambda name: Installed())
    monkeypatch.setattr(wheel, "build", build)
    assert wheel.compiled_tree(tmp_path) == tmp_path
    with pytest.raises(NotImplementedError):
        wheel.compiled_tree(tmp_path, simulator=True)
    assert built == [tmp_path]


def test_the_mode_decides() -> None:
    assert wanted({MODE: COMPILED, "CC": "no-such-compiler"})
    assert not wanted({MODE: PURE})
    assert not wanted({MODE: AUTO, "CC": "no-such-compiler"})
    assert wanted({}) == has_compiler({})
    assert not {name for group in modules(ROOT, AUTO).values() for name in group if name.startswith("node/sim/")}
    with pytest.raises(ValueError, match="DYN_BUILD is 'fast'"):
        wanted({MODE: "fast"})


def test_an_editable_install_stays_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MODE, COMPILED)
    build_data: dict[str, object] = {}
    Hook.initialize(Hook.__new__(Hook), "editable", build_data)
    assert build_data == {}

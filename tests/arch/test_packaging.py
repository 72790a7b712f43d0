"""What is shipped: the wheel holds the code and nothing else, names its dependencies, and starts with `dyn`."""

from __future__ import annotations

import ast
import email.parser
import re
import sys
import tomllib
import zipfile
from importlib.metadata import entry_points, packages_distributions
from pathlib import Path

import pytest

from node.build_hook import BUILD_NEEDS
from tests.conftest import NOT_SHIPPED
from tests.helpers.wheel import build

ROOT = Path(__file__).parents[2]
TABLES = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = TABLES["project"]


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(requirements: list[str]) -> set[str]:
    return {canonical(re.split(r"[<>=!~ \[;]", requirement, maxsplit=1)[0]) for requirement in requirements}


def imported(*places: str) -> dict[str, str]:
    """Return the top-level packages that are neither ours nor Python's, each with a file that imports it."""
    found: dict[str, str] = {}
    for place in places:
        paths = [ROOT / place] if place.endswith(".py") else sorted((ROOT / place).rglob("*.py"))
        for path in paths:
            if str(path.relative_to(ROOT)) in NOT_SHIPPED and not place.endswith(".py"):
                continue
            for item in ast.walk(ast.parse(path.read_text())):
                if isinstance(item, ast.Import):
                    names = [alias.name for alias in item.names]
                else:
                    names = [item.module or ""] if isinstance(item, ast.ImportFrom) else []
                for top in (name.split(".")[0] for name in names):
                    if top not in sys.stdlib_module_names and top not in ("", "node", "dynamo_cli", "tests"):
                        found.setdefault(top, str(path.relative_to(ROOT)))
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """The wheel of plain Python, which is the same for every machine."""
    path, _ = build(tmp_path_factory.mktemp("source"), DYN_BUILD="pure")
    assert path.name.endswith("-py3-none-any.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_every_module_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    sources = {str(path.relative_to(ROOT)) for top in ("node", "dynamo_cli") for path in (ROOT / top).rglob("*.py")}
    shared = {name.split(".data/data/share/")[1] for name in names if ".data/data/share/" in name}
    extra = {name for name in names - sources if ".data/data/share/" not in name}
    assert sources - names == NOT_SHIPPED
    page = {f"node/runtime/page/{path.name}" for path in (ROOT / "node" / "runtime" / "page").iterdir()}
    assert shared == {"man/man1/dyn.1", "bash-completion/completions/dyn", "zsh/site-functions/_dyn",
                      "fish/vendor_completions.d/dyn.fish"}  # fmt: skip
    told = {"node/ARCHITECTURE.md", "node/OPERATING.md", "dynamo_cli/COMMANDS.md"}
    assert extra == {"node/py.typed", "dynamo_cli/py.typed", *told} | page


def test_the_wheel_says_who_it_is(wheel: zipfile.ZipFile) -> None:
    (name,) = [name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")]
    about = email.parser.Parser().parsestr(wheel.read(name).decode())
    code = ast.parse((ROOT / "node" / "__init__.py").read_text())
    (version,) = [item.value for item in code.body if isinstance(item, ast.Assign)]
    assert about["Name"] == "dyn-kv"
    assert about["Version"] == ast.literal_eval(version)
    assert about["License-Expression"] == "MIT"
    assert any(name.endswith("licenses/LICENSE") for name in wheel.namelist())


def test_dyn_is_the_entry_point(wheel: zipfile.ZipFile) -> None:
    (name,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "dyn = dynamo_cli.__main__:main" in wheel.read(name).decode()
    (script,) = entry_points(group="console_scripts", name="dyn")
    assert callable(script.load())


def test_what_is_imported_is_declared() -> None:
    distributions = packages_distributions()
    for folders, requirements in (
        (("node", "dynamo_cli"), PROJECT["dependencies"] + PROJECT["optional-dependencies"]["tls"]),
        (("node/build_hook.py",), TABLES["build-system"]["requires"] + BUILD_NEEDS),
        (("tests",), PROJECT["dependencies"] + PROJECT["optional-dependencies"]["test"]),
    ):
        for top, path in imported(*folders).items():
            owners = {canonical(name) for name in distributions.get(top, [top])}
            assert owners & declared(requirements), f"{path} imports {top}, which pyproject.toml does not declare"


def test_no_dependency_is_exact() -> None:
    """Lower bounds only: an upper bound or a pin breaks whoever installs dyn beside something else."""
    for requirement in PROJECT["dependencies"]:
        assert re.fullmatch(r"[A-Za-z_-]+>=[0-9.]+", requirement), requirement


def test_assertions_stay_on() -> None:
    """Assertions are the node's own checks; nothing in the project switches them off with -O."""
    assert __debug__
    pattern = re.compile(r"python[0-9.]* -O|PYTHONOPTIMIZE\s*=")
    files = [ROOT / ".ci" / "run", ROOT / "README.md", ROOT / "pyproject.toml"]
    files += [path for top in ("node", "dynamo_cli") for path in (ROOT / top).rglob("*.py")]
    assert [str(path) for path in files if pattern.search(path.read_text())] == []

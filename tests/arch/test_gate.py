"""The gate: format, lint and types are tests, so that `pytest` alone says whether a change may enter.

Each checker is also shown a planted violation, under the very same configuration: a gate that cannot close is none.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / "pyproject.toml")
HEADER = '"""Planted."""\n\nfrom __future__ import annotations\n\n\n'


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)


def passes(*arguments: str) -> None:
    done = run(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr


def test_format() -> None:
    passes("ruff", "format", "--check", ".")


def test_lint() -> None:
    passes("ruff", "check", "--output-format=concise", ".")


@pytest.mark.timeout(300)
def test_types() -> None:
    passes("mypy")


def test_format_sees_a_violation(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(HEADER + "x = {'a':1}\n")
    assert run("ruff", "format", "--check", "--no-cache", "--config", CONFIG, str(planted)).returncode == 1


@pytest.mark.parametrize(
    ("code", "source"),
    [
        ("I002", "x = 1\n"),
        ("D103", HEADER + "def f() -> None:\n    return\n"),
        ("ANN201", HEADER + 'def f():\n    """Do."""\n'),
        ("BLE001", HEADER + "try:\n    x = 1\nexcept Exception:\n    x = 2\n"),
        ("E722", HEADER + "try:\n    x = 1\nexcept:\n    x = 2\n"),
        ("B006", HEADER + 'def f(x: list[int] = []) -> None:\n    """Do."""\n    x.append(1)\n'),
        ("T201", HEADER + 'print("x")\n'),
        ("FIX002", HEADER + "# TODO: later\n"),
        ("TID251", HEADER + "import time\n\nx = time.time()\n"),
        ("TID251", HEADER + "import random\n\nx = random.random()\n"),
        ("TID252", HEADER + "from . import x\n"),
        ("S301", HEADER + "import pickle\n\nx = pickle.loads(b'')\n"),
        ("DTZ005", HEADER + "from datetime import datetime\n\nx = datetime.now()\n"),
        ("PGH003", HEADER + "x: int = f()  # type: " + "ignore\n"),
        ("E501", HEADER + f"x = '{'x' * 120}'\n"),
    ],
)
def test_lint_sees_a_violation(code: str, source: str, tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(source)
    done = run("ruff", "check", "--no-cache", "--output-format=concise", "--config", CONFIG, str(planted))
    assert done.returncode == 1
    assert f" {code} " in done.stdout


@pytest.mark.timeout(300)
def test_types_see_a_violation(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text(
        HEADER + "def untyped(x):\n    return x\n\n\ny: int = 'text'\n\n\ndef bare(x: list) -> None:\n    return None\n"
    )
    done = run("mypy", "--config-file", CONFIG, "--cache-dir", str(tmp_path / "cache"), str(planted))
    assert done.returncode == 1
    for code in ("no-untyped-def", "assignment", "type-arg"):
        assert f"[{code}]" in done.stdout


@pytest.mark.long
@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import warnings\n\ndef test_it():\n    warnings.warn('old', DeprecationWarning)\n", "DeprecationWarning"),
        ("def test_it():\n    open('/dev/null')\n    import gc\n    gc.collect()\n", "ResourceWarning"),
        ("import pytest\n\n@pytest.mark.nosuch\ndef test_it():\n    pass\n", "'nosuch' not found"),
        ("import pytest\n\n@pytest.mark.xfail\ndef test_it():\n    pass\n", "XPASS(strict)"),
        ("import time\n\ndef test_it():\n    time.sleep(30)\n", "Timeout"),
    ],
    ids=["warning", "leak", "marker", "xpass", "hang"],
)
def test_the_test_runner_is_strict(source: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "test_planted.py").write_text(source)
    done = run(
        "pytest", "-c", CONFIG, "--rootdir", str(tmp_path), "-p", "no:cacheprovider", "--timeout=2", str(tmp_path)
    )
    assert done.returncode != 0
    assert words in done.stdout + done.stderr


def test_nothing_is_excused() -> None:
    """No `noqa` without a code, no `type: ignore` without a code and a reason on the same line."""
    found = []
    for top in ("node", "dynamo_cli", "tests"):
        for path in sorted((ROOT / top).rglob("*.py")):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                if excuse(line):
                    found.append(f"{path.relative_to(ROOT)}:{number} gives no code or no reason")
    assert not found, "\n".join(found)


def excuse(line: str) -> bool:
    """Whether `line` silences a checker without saying which rule, or silences mypy without saying why."""
    ignored = re.search(r"# type: ?ignore(\[[\w, -]+\])?(?:\s*#\s*(\w.*))?", line)
    silenced = re.search(r"# no" + r"qa(: ?[A-Z]+[0-9]+)?", line)
    return bool(ignored and not (ignored[1] and ignored[2])) or bool(silenced and not silenced[1])


@pytest.mark.parametrize(
    ("line", "silent"),
    [
        ("x = f()  # type: " + "ignore", True),
        ("x = f()  # type: " + "ignore[attr-defined]", True),
        ("x = f()  # type: " + "ignore[attr-defined]  # the stubs lag behind", False),
        ("x = f()  # no" + "qa", True),
        ("x = f()  # no" + "qa: S301", False),
        ("x = f()", False),
    ],
)
def test_excuse_sees(line: str, silent: bool) -> None:
    assert excuse(line) is silent

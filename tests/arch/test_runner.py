"""What tests/conftest.py promises of every run: tools named, skips forbidden on demand, a home of its own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests import conftest
from tests.helpers.tools import need

ROOT = Path(__file__).parents[2]
HEADER = "import os, pytest\nfrom tests.helpers.tools import need\n"
ABSENT = 'need("no-such-tool", package="no-such-package")\n'


def outcome(tmp_path: Path, source: str, *options: str, **environ: str) -> tuple[int, str]:
    """Run pytest on one planted file under our conftest; return its exit status and what it printed."""
    planted = tmp_path / "test_planted.py"
    planted.write_text(HEADER + source)
    command = [sys.executable, "-m", "pytest", "-c", "pyproject.toml", "-p", "tests.conftest", "-p", "no:cacheprovider"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DYN_")}
    done = subprocess.run(
        [*command, *options, str(planted)], cwd=ROOT, env=kept | environ, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.long
@pytest.mark.parametrize(
    "source",
    [f"def test_it():\n    {ABSENT}", f"{ABSENT}\ndef test_it():\n    pass\n"],
    ids=["in a test", "at the top"],
)
def test_a_missing_tool_is_named_and_forbidden_on_demand(source: str, tmp_path: Path) -> None:
    source += "\ndef test_other():\n    pass\n"
    status, words = outcome(tmp_path, source)
    assert status in (0, 5)  # 5: the skip at the top left nothing to run
    assert "no-such-tool: 1 skipped, install it with: apt-get install no-such-package" in words
    status, words = outcome(tmp_path, source, DYN_REQUIRE_ALL="1")
    assert status not in (0, 5)
    assert "skipped although DYN_REQUIRE_ALL=1: needs no-such-tool" in words


def test_every_skip_is_forbidden_on_demand(tmp_path: Path) -> None:
    source = '@pytest.fixture\ndef broken():\n    pytest.skip("why not")\n\ndef test_it(broken):\n    pass\n'
    assert outcome(tmp_path, source)[0] == 0
    status, words = outcome(tmp_path, source, DYN_REQUIRE_ALL="1")
    assert status == 1
    assert "skipped although DYN_REQUIRE_ALL=1: why not" in words


def test_an_expected_failure_is_no_skip(tmp_path: Path) -> None:
    source = "@pytest.mark.xfail(reason='known')\ndef test_it():\n    raise AssertionError\n"
    assert outcome(tmp_path, source, DYN_REQUIRE_ALL="1")[0] == 0


@pytest.mark.long
def test_the_callers_settings_do_not_reach_the_tests(tmp_path: Path) -> None:
    source = (
        "def test_it():\n    assert 'DYN_PORT' not in os.environ\n    assert os.environ['HOME'] != '/nowhere'\n"
        "    assert os.environ['XDG_CONFIG_HOME'].startswith(os.environ['HOME'])\n"
    )
    assert outcome(tmp_path, source, DYN_PORT="1", HOME="/nowhere", XDG_CONFIG_HOME="/nowhere")[0] == 0


@pytest.mark.long
def test_the_longer_campaigns_are_longer(tmp_path: Path) -> None:
    source = (
        "from hypothesis import settings\nfrom tests.helpers.campaign import scale\n\n"
        "def test_it():\n    assert (scale(1, 2), settings().max_examples) == {}\n"
    )
    assert outcome(tmp_path, source.replace("{}", "(1, 100)"))[0] == 0
    assert outcome(tmp_path, source.replace("{}", "(2, 1000)"), DYN_LONG="1")[0] == 0


@pytest.mark.long
@pytest.mark.parametrize("lanes", ["auto", "0"])
def test_what_takes_long_is_left_out_of_the_whole_gate_and_said_so(tmp_path: Path, lanes: str) -> None:
    source = "import pytest\n\n@pytest.mark.long\ndef test_long():\n    pass\n\ndef test_short():\n    pass\n"
    (tmp_path / "test_planted.py").write_text(source)
    command = [sys.executable, "-m", "pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", ".", "-n", lanes]
    command += ["-p", "tests.conftest", "-p", "no:cacheprovider", "-o", "testpaths=."]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("DYN_")} | {
        "PYTHONPATH": str(ROOT)
    }

    def words(*more: str, **environ: str) -> str:
        done = subprocess.run(
            [*command, *more], cwd=tmp_path, env=kept | environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert re.search(r"not run: 1 tests that take long; DYN_LONG=1 runs them, too.*\n.*1 passed", words(), re.DOTALL)
    for whole in (words(DYN_LONG="1"), words("test_planted.py")):
        assert "2 passed" in whole
        assert "not run" not in whole


def test_a_part_of_the_tests_runs_in_one_process(tmp_path: Path) -> None:
    source = "def test_it(pytestconfig):\n    assert not hasattr(pytestconfig, 'workerinput')\n"
    assert outcome(tmp_path, source)[0] == 0


@pytest.mark.long
def test_all_files_with_nodes_run_in_one_lane() -> None:
    """Three files of the suite, of each of which two workers run one quick test."""
    files = ["tests/unit/helpers/test_lanes.py", "tests/campaigns/test_kills.py", "tests/campaigns/test_stops.py"]
    chosen = "run_nodes_are_known or no_kill_touched or has_to_do_with_a_write"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-n", "2", "-v", "-k", chosen, *files]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    lanes = {file: lane for lane, file in re.findall(r"^\[(gw\d)\].* PASSED ([\w/.]+)::", done.stdout, re.MULTILINE)}
    assert sorted(lanes) == sorted(files), done.stdout
    assert lanes[files[1]] == lanes[files[2]] != lanes[files[0]]


def test_need_returns_the_path() -> None:
    assert need("sh", package="dash") == shutil.which("sh")


def test_a_stale_installation_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether installed in place or copied, the installation is this checkout; a copy that differs is not."""
    assert conftest.stale_files() == []
    for name in ("node", "dynamo_cli"):
        shutil.copytree(ROOT / name, tmp_path / name)
    files = [Installed(path, tmp_path) for path in sorted(tmp_path.rglob("*.py"))]
    monkeypatch.setattr(conftest, "distribution", lambda _: type("Distribution", (), {"files": files}))
    assert conftest.stale_files() == []
    (tmp_path / "node" / "core" / "ids.py").write_text("x = 1\n")
    assert conftest.stale_files() == ["node/core/ids.py"]
    del files[files.index(next(file for file in files if str(file) == "node/core/limits.py"))]
    assert conftest.stale_files() == ["node/core/ids.py", "node/core/limits.py"]


class Installed:
    """A file of an installed distribution, as importlib.metadata shows it."""

    def __init__(self, path: Path, base: Path) -> None:
        self.path, self.name, self.suffix = path, str(path.relative_to(base)), path.suffix

    def __str__(self) -> str:
        return self.name

    def locate(self) -> Path:
        return self.path


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP], ids=["background", "nohup"])
def test_the_programs_under_test_hear_signals_that_the_runner_ignores(number: signal.Signals, tmp_path: Path) -> None:
    source = (
        "import subprocess, sys\n"
        "def test_it():\n"
        f"    code = 'import os, time; os.kill(os.getpid(), {number:d}); time.sleep(9)'\n"
        "    assert subprocess.run([sys.executable, '-c', code], stderr=subprocess.DEVNULL).returncode == -{number:d}\n"
    ).replace("{number:d}", f"{number:d}")
    before = signal.signal(number, signal.SIG_IGN)
    try:
        assert outcome(tmp_path, source)[0] == 0
    finally:
        signal.signal(number, before)


@pytest.mark.long
def test_generated_cases_are_the_same_in_every_run_unless_asked_for_others(tmp_path: Path) -> None:
    source = "from hypothesis import settings\ndef test_it():\n    assert settings().derandomize\n"
    assert outcome(tmp_path, source)[0] == 0
    assert outcome(tmp_path, source, PYTEST_ADDOPTS="--hypothesis-profile=search")[0] == 1

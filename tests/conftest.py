"""What every test run has: its own home directory, a Hypothesis profile, a summary of the tools that were missing."""

from __future__ import annotations

import filecmp
import os
import signal
import tempfile
from collections.abc import Generator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.helpers import wheel
from tests.helpers.campaign import LONG
from tests.helpers.tools import REASON, require_all

pytest_plugins = ["tests.lanes"]
ROOT = Path(__file__).parents[1]
NOT_SHIPPED = {"node/build_hook.py"}
KEPT = ("DYN_LONG", "DYN_REQUIRE_ALL")
"""Variables that steer the tests; all other DYN_* of the caller's shell would steer the program under test."""
LEFT_OUT = "left out"
LEFT_OUT_KEY = pytest.StashKey[int]()

# A gate gives one answer for one checkout; who looks for more asks for it: --hypothesis-profile=search.
settings.register_profile("short", max_examples=100, deadline=None, derandomize=True)
settings.register_profile("long", max_examples=1000, deadline=None, derandomize=True)
settings.register_profile("search", max_examples=5000, deadline=None, derandomize=False, print_blob=True)


def pytest_configure(config: pytest.Config) -> None:
    from tests import lanes  # not above: pytest loads a plugin itself, or asserts in it are not explained

    settings.load_profile(config.getoption("hypothesis_profile", None) or ("long" if LONG else "short"))
    home = tempfile.TemporaryDirectory(prefix="dyn-tests-")
    config.add_cleanup(home.cleanup)
    for name in [name for name in os.environ if name.startswith("DYN_") and name not in KEPT]:
        del os.environ[name]
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "NOTIFY_SOCKET"):
        os.environ.pop(name, None)
    os.environ["HOME"] = home.name
    if not lanes.is_lane(config):
        os.environ[lanes.FOLDER] = home.name
    for name, folder in (
        ("CONFIG", ".config"),
        ("DATA", ".local/share"),
        ("STATE", ".local/state"),
        ("CACHE", ".cache"),
    ):
        os.environ[f"XDG_{name}_HOME"] = str(Path(home.name, folder))
    # A job in the background ignores Ctrl-C, under nohup a hang-up; so would its children, and tests send both.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)
    if stale := stale_files():
        raise pytest.UsageError(
            f"the installed dyn-kv is not this checkout ({stale[0]} differs, {len(stale)} files in all): "
            "run .venv/bin/pip install '.[test]' again, or once: .venv/bin/pip install -e '.[test]'"
        )


def stale_files() -> list[str]:
    """Source files whose installed copy differs: in-process tests would test the checkout, `dyn` the old copy."""
    try:
        installed = distribution("dyn-kv")
    except PackageNotFoundError:
        raise pytest.UsageError("dyn-kv is not installed: run .venv/bin/pip install '.[test]'") from None
    copies = {str(file): Path(str(file.locate())) for file in installed.files or [] if file.suffix == ".py"}
    if not any(name.startswith("node/") for name in copies):
        return []  # an editable install: the checkout itself
    sources = {
        str(path.relative_to(ROOT)): path for top in ("node", "dynamo_cli") for path in (ROOT / top).rglob("*.py")
    }
    ours = {name for name in copies if name.split("/")[0] in ("node", "dynamo_cli")}
    same = {name for name in ours & sources.keys() if filecmp.cmp(copies[name], sources[name], shallow=False)}
    return sorted((ours | sources.keys()) - same - NOT_SHIPPED)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a compiled build of this checkout: the installed one, or one that is built here and now."""
    return wheel.compiled_tree(tmp_path_factory.mktemp("compiled"))


@pytest.fixture(scope="session")
def compiled_simulator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, of a build in which the simulator is compiled, too: mostly one that is built here and now."""
    return wheel.compiled_tree(tmp_path_factory.mktemp("simulator"), simulator=True)


def pytest_report_header() -> str:
    return f"dyn: DYN_LONG={int(LONG)} DYN_REQUIRE_ALL={int(require_all())}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what takes long, if the whole gate is wanted soon; whoever names a part of the tests gets all of it."""
    from tests import lanes

    if LONG or not lanes.is_whole(config):
        return
    left_out = [item for item in items if item.get_closest_marker("long") is not None]
    items[:] = [item for item in items if item.get_closest_marker("long") is None]
    config.hook.pytest_deselected(items=left_out)
    if lanes.is_lane(config):
        config.workeroutput[LEFT_OUT] = len(left_out)  # type: ignore[attr-defined]  # xdist's own, in its lanes
    else:
        config.stash[LEFT_OUT_KEY] = len(left_out)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """A lane has ended: each has collected the same tests, and tells how many of them it left out."""
    node.config.stash[LEFT_OUT_KEY] = getattr(node, "workeroutput", {}).get(LEFT_OUT, 0)


def forbid_skip(report: Any) -> None:
    """Turn a skip into a failure where nothing may be skipped."""
    if require_all() and report.outcome == "skipped" and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped although DYN_REQUIRE_ALL=1: {skip_reason(report)}"


def skip_reason(report: Any) -> str:
    """Return the words given to pytest.skip."""
    return str(report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr).removeprefix("Skipped: ")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, Any]:
    report = yield
    forbid_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, Any, Any]:
    report = yield
    forbid_skip(report)
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if left_out := terminalreporter.config.stash.get(LEFT_OUT_KEY, 0):
        terminalreporter.section(f"not run: {left_out} tests that take long; DYN_LONG=1 runs them, too", sep="-")
    missing: dict[tuple[str, str], int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        if found := REASON.search(skip_reason(report)):
            missing[found["package"], found["tool"]] = missing.get((found["package"], found["tool"]), 0) + 1
    if missing:
        terminalreporter.section("not tested: these tools are missing")
        for (package, tool), count in sorted(missing.items()):
            terminalreporter.line(f"{tool}: {count} skipped, install it with: apt-get install {package}")

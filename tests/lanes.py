"""The whole gate runs in two lanes, one a core: what runs real nodes in one, all else in the other.

Real nodes wait for most of their time, and computing tests for none of it, so side by side they take little more than
the longer of the two. Real nodes never run beside other tests' real nodes: they would compete for ports and multicast.
A test with `pytestmark = pytest.mark.alone` measures time, and has the machine to itself.

A part of the tests (a path on the command line) runs in one process, as if this were not here; so does `-n 0`.
"""

from __future__ import annotations

import fcntl
import functools
import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

LANES = 2
FOLDER = "PYTEST_DYN_LANES"
"""The variable by which the run tells its lanes where their locks are."""

REAL_FOLDERS = ("e2e", "campaigns")
REAL_HELPERS = ("tests.helpers.cluster", "tests.helpers.demo")
"""Which of our helpers a test module imports if it runs nodes."""


def is_lane(config: pytest.Config) -> bool:
    """Whether this process is one of the lanes, not the run that has begun them."""
    return hasattr(config, "workerinput")


def is_whole(config: pytest.Config) -> bool:
    """Whether this is the whole gate: no part of the tests was named."""
    return list(config.args) == list(config.getini("testpaths"))


@functools.cache
def runs_nodes(path: Path) -> bool:
    """Whether the tests of a file run real nodes: by where it is, or by what it imports."""
    return path.parent.name in REAL_FOLDERS or any(helper in path.read_text() for helper in REAL_HELPERS)


class Lanes(LoadScopeScheduling):
    """Hands out files as a whole, since their tests share fixtures, and all files with real nodes as one."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.split("::", maxsplit=1)[0]
        return "nodes" if runs_nodes(self.config.rootpath / path) else path


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Lanes:
    """Schedule by files, the largest part first. (`--dist loadgroup` and this pytest do not get on.)"""
    return Lanes(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two for the whole gate, none for a part of it."""
    return LANES if is_whole(config) else 0


@contextmanager
def _locked(path: Path, how: int) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, how)
        yield


@contextmanager
def turn(folder: Path, *, alone: bool) -> Iterator[None]:
    """Run beside others, or alone: who waits to be alone holds back all that come after it, so it gets its turn."""
    with ExitStack() as held:
        with _locked(folder / "next", fcntl.LOCK_EX):
            held.enter_context(_locked(folder / "running", fcntl.LOCK_EX if alone else fcntl.LOCK_SH))
        yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Wait for the test's turn, before the clock of its time-out starts."""
    folder = os.environ[FOLDER] if is_lane(item.config) else None
    alone = item.get_closest_marker("alone") is not None
    with turn(Path(folder), alone=alone) if folder else nullcontext():
        return (yield)

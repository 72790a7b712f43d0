"""Contract tests run against every implementation: sockets under both event loops, storage real and simulated."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from node.runtime.certificates import Tls
from tests.helpers.authority import Authority
from tests.helpers.peers import LOOPS, Run
from tests.helpers.stores import Handle, Scribe, SimHandle, SqliteHandle


@pytest.fixture(params=LOOPS)
def run(request: pytest.FixtureRequest) -> Run:
    def runner(main: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as loop:
            loop.run(main)

    return runner


@pytest.fixture(params=["sqlite", "sim"])
def handle(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Handle]:
    handle: Handle = SqliteHandle(tmp_path / "data") if request.param == "sqlite" else SimHandle()
    yield handle
    handle.close()


@pytest.fixture
def scribe(handle: Handle) -> Scribe:
    return Scribe(handle)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A CA that signs the certificates of nodes and clients."""
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Another one, of which nobody here knows."""
    return Authority(tmp_path_factory.mktemp("other"))


@pytest.fixture(scope="module")
def good(authority: Authority) -> Tls:
    """The files of a node as it should be."""
    return authority.issue().tls()

"""Contract tests run against every implementation: sockets under both event loops, storage real and simulated."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

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

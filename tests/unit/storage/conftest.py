"""A real store, and somebody who writes to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.stores import Scribe, SqliteHandle


@pytest.fixture
def handle(tmp_path: Path) -> Iterator[SqliteHandle]:
    handle = SqliteHandle(tmp_path / "data")
    yield handle
    handle.close()


@pytest.fixture
def scribe(handle: SqliteHandle) -> Scribe:
    return Scribe(handle)

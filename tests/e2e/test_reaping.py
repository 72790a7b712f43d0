"""Deleted keys on three real nodes: forgotten when all confirmed, and not before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.cluster import Cluster, Node, eventually

KEYS = [b"cart:%d" % number for number in range(300)]
REAPED_WITHIN_S = 60.0


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(3, tmp_path) as cluster:
        yield cluster


def status(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = node.document("STATUS")
    return found


def rows(node: Node) -> list[int | None]:
    """How many rows each node holds, deleted keys among them."""
    return [one["keys"] for one in status(node)["nodes"]]


@pytest.mark.long
def test_deleted_keys_are_forgotten_by_all_and_only_together(three: Cluster) -> None:
    one, two, away = three
    for key in KEYS:
        one.send("SET", key, "v")
    one.send("SET", "kept", "v")
    away.kill()
    for key in KEYS:
        assert two.send("DEL", key) == 1
    waits = f"{len(KEYS)} deleted keys wait to be reaped until {away.name} can confirm"
    eventually(lambda: waits in status(one)["reasons"], "status to name who is away")
    assert status(one)["tombstones"] == len(KEYS)
    assert status(one)["health"] == "degraded"
    away.start().ready()
    three.settle()
    eventually(lambda: rows(one) == [1, 1, 1], "all rows to go", seconds=REAPED_WITHIN_S)
    assert status(two)["tombstones"] == 0
    assert status(two)["health"] == "healthy"
    for node in three:
        assert node.send("GET", "kept") == b"v"
        assert node.send("MGET", *KEYS[:100]) == [None] * 100
    away.kill()
    away.start().ready()
    three.settle()
    assert away.send("SET", KEYS[0], "again") == b"OK", "rounds outlive a restart, and stop no write"
    assert one.send("GET", KEYS[0]) == b"again"

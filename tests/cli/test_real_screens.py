"""Screens of a real cluster on a real terminal, at 80 and at 120 columns: nothing is cut that fits, nothing wraps."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.cluster import ROOT, Cluster
from tests.helpers.terminal import Screen, environ_of

ROWS = 80
"""All of it is on one screen."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Three nodes, and a key with two values."""
    with Cluster(3, tmp_path_factory.mktemp("screens")) as made:
        for value in ('["milk","eggs"]', '["milk","beer"]'):
            made.send(0, "DYN.PUT", "cart:1042", "", value)
        yield made


@pytest.mark.parametrize("columns", [80, 120])
def test_screens_are_whole(cluster: Cluster, tmp_path: Path, columns: int) -> None:
    port = cluster[0].port
    environ = environ_of(tmp_path, PYTHONPATH=str(ROOT), DYN_NODES=f"127.0.0.1:{port}")
    lines = ("cluster status", "ring show", "get cart:1042", "doctor --only cluster")
    words = [word for line in lines for word in ("-e", line)]
    command = [sys.executable, "-m", "dynamo_cli", "shell", *words]
    with Screen(command, tmp_path, environ, columns=columns, rows=ROWS) as screen:
        assert screen.end() == 0
        seen = [line for line in screen.lines if line]
    told = "\n".join(seen)
    for part in (
        "HEALTHY  3 of 3 nodes up", f"127.0.0.1:{port}", "1 key has siblings",
        "ring epoch", "n3",
        "2 siblings", '["milk","eggs"]', '["milk","beer"]', ":1}", ":2}",
        "3 of 3 nodes asked", "256 partitions on 3 nodes, 3 copies of each", "0 failures, 1 warning",
    ):  # fmt: skip
        assert part in told, told
    assert len(seen) < ROWS, "nothing has scrolled away"
    assert len([line for line in seen if re.match(r"up +n[123] +127.0.0.1:\d+ .* 3/3$", line)]) == 3, "rows are whole"
    assert len([line for line in seen if re.match(r"[AB]  \[.*:\d\d\.\d\d\d  15 B$", line)]) == 2

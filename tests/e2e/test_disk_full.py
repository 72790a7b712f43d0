"""Nodes whose disk fills up: they read on, take what makes room, and come back by themselves when there is space."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.cluster import Cluster, Connection, ReplyError, eventually
from tests.helpers.disks import MIB, TMPFS, fill, small_disk

BACK_S = 10.0
"""After so long with space a node takes writes again, and what it missed has come (acceptance plan, D5)."""


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path, TMPFS, 16 * MIB) as at:
        yield at


def room(client: Connection) -> str:
    """How much room a node says its disk has."""
    import json

    found: str = json.loads(client("DYN.STATS"))["storage"]["room"]
    return found


def fill_up(client: Connection) -> int:
    """SET until that is refused; how many were taken."""
    taken, refused = 0, ""
    while not refused:
        try:
            client("SET", f"k{taken}", bytes([taken % 251]) * 5000)
            taken += 1
        except ReplyError as error:
            refused = str(error)
    assert refused.startswith("DISKFULL "), refused
    assert taken > 500
    return taken


def test_a_node_alone_reads_and_deletes_on_a_full_disk_and_recovers(disk: Path, tmp_path: Path) -> None:
    with Cluster(1, tmp_path / "cluster", "--data-dir", str(disk / "data")) as cluster, cluster[0].connect() as client:
        taken = fill_up(client)
        assert room(client) == "little"
        foreign = fill(disk)
        assert client("DEL", *[f"k{number}" for number in range(50)]) == 50
        with pytest.raises(ReplyError, match=r"^DISKFULL "):
            client("SET", "more", "v")
        for number in range(50, taken):
            assert client("GET", f"k{number}") == bytes([number % 251]) * 5000
        foreign.unlink()
        began = time.monotonic()
        eventually(lambda: room(client) != "none", "the node to see that there is space")
        assert client("DEL", *[f"k{number}" for number in range(50, 300)]) == 250
        eventually(lambda: room(client) == "own", "the node to count what was deleted")
        assert client("SET", "k0", "small") == b"OK"
        assert time.monotonic() - began < BACK_S
        cluster[0].kill()
        cluster[0].start().ready()
        with cluster[0].connect() as again:
            assert again("GET", "k0") == b"small"
            assert again("GET", "k50") is None
            for number in range(300, taken):
                assert again("GET", f"k{number}") == bytes([number % 251]) * 5000


def test_the_others_write_for_a_node_whose_disk_is_full_and_it_gets_what_it_missed(disk: Path, tmp_path: Path) -> None:
    cluster = Cluster(3, tmp_path / "cluster", start=False)
    cluster[1].flags += ("--data-dir", str(disk / "data"))
    with cluster.start():
        one, two, _ = cluster
        one.send("SET", "sealed", "yes")
        with one.connect() as near, two.connect() as full:
            foreign = fill(disk)
            for number in range(100):
                client = full if number % 2 else near
                assert client("SET", f"k{number}", bytes([number]) * 1000) == b"OK", number
            assert room(full) in ("none", "reserved")
            assert [client("GET", f"k{number}") for number in range(100) for client in (near, full)] == [
                bytes([number]) * 1000 for number in range(100) for _ in range(2)
            ]
            assert any(held["for"] == "n2" for held in one.document("HINTS")["held"])
            foreign.unlink()
            began = time.monotonic()
            eventually(lambda: not one.document("HINTS")["held"], "what n2 missed to be delivered")
            assert time.monotonic() - began < BACK_S
            assert room(full) == "ample"
            assert two.send("DBSIZE") == 101

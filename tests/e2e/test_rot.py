"""Bits that flipped in a node's file while it was down: never served, and brought back by the other owners."""

from __future__ import annotations

from pathlib import Path

from tests.helpers.cluster import Cluster, Node, eventually

KEYS = 60


def value(number: int) -> bytes:
    return b"value of key %03d " % number * 20


def held(asked: Node, node: str, key: str) -> bool:
    """Whether `node` holds the key's only version, unharmed."""
    explained = asked.document("EXPLAIN", key)
    (replica,) = [replica for replica in explained["replicas"] if replica["node"] == node]
    return len(replica["versions"]) == 1 and explained["verdict"] == "ok"


def test_flipped_bits_are_never_served_and_come_back_from_the_other_owners(tmp_path: Path) -> None:
    with Cluster(3, tmp_path) as cluster:
        one, _, three = cluster
        for number in range(KEYS):
            one.send("SET", f"k{number}", value(number))
        three.stop()
        (file,) = three.folder.rglob("node.db")
        data = bytearray(file.read_bytes())
        damaged = 0
        for number in range(0, KEYS, 2):
            at = data.find(value(number)[:60])
            if at >= 0:
                data[at + 7] ^= 0x10
                damaged += 1
        assert damaged > KEYS // 4
        file.write_bytes(data)
        three.start().ready()
        cluster.settle()
        for number in range(KEYS):
            assert three.send("GET", f"k{number}") == value(number)
        for number in range(0, KEYS, 2):
            eventually(lambda key=f"k{number}": held(one, "n3", key), f"n3 to hold k{number} again")
        assert "Traceback" not in three.log

"""A killed node comes back to what it missed, without anybody reading it: owners compare their trees."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.cluster import Cluster, eventually

KEYS = 300


@pytest.mark.long
def test_a_node_that_was_away_is_brought_up_to_date(tmp_path: Path) -> None:
    with Cluster(3, tmp_path) as cluster:
        for at in range(KEYS):
            cluster.send(0, "SET", f"before:{at}", "v")
        cluster[2].kill()
        for at in range(KEYS):
            cluster.send(0, "SET", f"missed:{at}", "v")
            cluster.send(0, "SET", f"before:{at}", "w")
        cluster[2].start()
        cluster[2].ready()
        cluster.settle()

        def keys_of_n3() -> bool:
            nodes = {node["name"]: node for node in cluster[0].document("STATUS")["nodes"]}
            return bool(nodes["n3"]["keys"] == nodes["n1"]["keys"] == 2 * KEYS)

        eventually(keys_of_n3, "n3 to hold what it missed", seconds=60)
        eventually(lambda: clean(cluster), "a pass that finds no difference", seconds=60)
        for at in range(0, KEYS, 37):
            explained = cluster[0].document("EXPLAIN", f"before:{at}")
            assert explained["verdict"] == "ok", explained
        eventually(lambda: told(cluster) is not None, "all nodes to tell of a full pass", seconds=60)


def told(cluster: Cluster) -> object:
    """What the status says of the last full pass."""
    return cluster[0].document("STATUS")["repair"]["last_pass_s_ago"]


def clean(cluster: Cluster) -> bool:
    """Whether a pass of the node that was away compares everything and finds nothing."""
    done = cluster[2].document("REPAIR")
    return not done["running"] and not done["left_out"] and done["differing"] == 0 and done["compared"] == done["total"]

"""A node whose data is gone takes its old seat with an empty store, and counts only once it was rebuilt."""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from node.core.cluster import Member
from node.engine.kept import STATE_MEMBERS
from tests.helpers.cluster import Cluster, Node, eventually

KEYS = [b"key:%d" % number for number in range(150)]


def data(node: Node) -> Path:
    return node.folder / ".local" / "share" / "dyn"


def rows(node: Node, asked: Node) -> int:
    found: int = next(n["keys"] for n in asked.document("STATUS")["nodes"] if n["name"] == node.name)
    return found


def changes(name: str, asked: Node) -> int:
    """How often a row of `name` had changed when the file of `asked` last wrote down what it knows of members."""
    (file,) = data(asked).rglob("node.db")
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True)) as connection:
        (told,) = connection.execute("SELECT data FROM state WHERE name = ?", (STATE_MEMBERS,)).fetchone()
    return next(m.changes for m in msgspec.msgpack.decode(told, type=tuple[Member, ...]) if m.name == name)


def stops_and_is_rebuilt(put_back: Node, other: Node) -> None:
    """Start a node whose disk was put back: it hears of it and ends, and its next start ends in a rebuild."""
    put_back.start()
    eventually(lambda: "its disk was put back to an earlier state" in put_back.log, "it to notice")
    assert put_back.wait() == 1
    put_back.start().ready()
    eventually(lambda: other.document("STATUS")["health"] == "healthy", "the rebuild")


@pytest.mark.long
def test_a_wiped_node_is_rebuilt_under_its_old_seat(tmp_path: Path) -> None:
    with Cluster(3, tmp_path) as cluster:
        one, two, three = cluster
        for key in KEYS:
            one.send("SET", key, b"v")
        seat = next(m["id"] for m in one.document("RING")["members"] if m["name"] == three.name)
        three.kill()
        shutil.rmtree(data(three))
        eventually(lambda: one.document("VIEWS")["views"][0]["sees"][three.name] == "down", "n3 to be missed")

        three.start()
        wanted = rf"the name {three.name} is taken .* take its seat with --seat {seat}"
        eventually(lambda: re.search(wanted, three.log), "the refusal, and the way out")
        assert not three.ready_line
        three.stop()

        shutil.rmtree(data(three))
        two.kill()  # who is rebuilt needs every other owner: until then its word counts for nothing
        three.start("--seat", seat)
        eventually(lambda: any("n3 is being rebuilt" in r for r in one.document("STATUS")["reasons"]), "it to say so")
        eventually(lambda: rows(three, one) >= len(KEYS) // 2, "it to take what n1 has")
        assert any("n3 is being rebuilt" in reason for reason in one.document("STATUS")["reasons"])
        two.start().ready()
        three.ready()
        eventually(lambda: one.document("STATUS")["health"] == "healthy", "the rebuild")
        assert rows(three, one) >= len(KEYS)
        one.kill()
        for key in KEYS[::10]:
            assert three.send("DYN.GET", key, "STRICT")[1] == [b"v"], "R=2 of n2 and n3: its word counts again"
        three.kill()
        three.start().ready()
        eventually(lambda: three.document("STATUS")["nodes"], "it to start again without --seat")


def test_a_seat_in_use_and_one_that_nobody_has_are_refused(tmp_path: Path) -> None:
    """With the reason in the log; nothing is founded, and no member is made."""
    with Cluster(3, tmp_path) as cluster:
        one, two, three = cluster
        seats = {m["name"]: m["id"] for m in one.document("RING")["members"]}
        three.stop()
        shutil.rmtree(data(three))
        three.start("--seat", seats[two.name])
        eventually(lambda: f"{two.name} has this node's id, and answers" in three.log, "the reason")
        three.stop()
        shutil.rmtree(data(three))
        three.start("--seat", "0" * 32)
        eventually(lambda: "no member has the id " + "0" * 32 in three.log, "the reason")
        assert not three.ready_line
        assert "founded" not in three.log
        assert {m["name"]: m["id"] for m in one.document("RING")["members"]} == seats
        assert two.send("PING")


@pytest.mark.long
def test_a_data_directory_that_is_put_back_brings_back_nothing_deleted(tmp_path: Path) -> None:
    """A copy from before a delete that is reaped by now; and the other keys of its partitions are all there again."""
    with Cluster(3, tmp_path) as cluster:
        one, two, three = cluster
        for key in (*KEYS, b"gone"):
            one.send("SET", key, b"v")
        three.stop()
        copied = tmp_path / "copied"
        shutil.copytree(data(three), copied)
        three.start().ready()
        two.send("DEL", b"gone", *KEYS[:50])
        eventually(lambda: not any(n["tombstones"] for n in one.document("STATUS")["nodes"]), "the reap")
        three.stop()
        shutil.rmtree(data(three))
        shutil.copytree(copied, data(three))
        three.start().ready()
        eventually(lambda: "knows the deletions it missed" in three.log, "it to learn what was reaped")
        eventually(lambda: one.document("STATUS")["health"] == "healthy", "the rebuild")
        for node in cluster:
            assert node.send("DYN.GET", b"gone", "R", b"3")[1] == []
            assert node.send("DYN.GET", KEYS[0], "R", b"3")[1] == []
            assert node.send("DYN.GET", KEYS[-1], "R", b"3")[1] == [b"v"]
        assert rows(three, one) == len(KEYS) - 50


@pytest.mark.long
@pytest.mark.parametrize("forgotten", [1, 2])
def test_a_machine_that_is_put_back_is_found_out_by_the_others(tmp_path: Path, forgotten: int) -> None:
    """Inodes, lock and token are as they were, so that the node itself sees nothing: but others knew those runs."""
    with Cluster(3, tmp_path) as cluster:
        one, _, three = cluster
        one.send("SET", KEYS[0], b"v")
        three.stop()
        snapshot = {path: path.read_bytes() for path in data(three).rglob("*") if path.is_file()}
        for _ in range(forgotten):
            three.start().ready()
            three.send("SET", KEYS[1], b"later")
            three.kill()
        for path in data(three).rglob("*"):
            if path.is_file() and path not in snapshot:
                path.unlink()
        for path, content in snapshot.items():
            path.write_bytes(content)
        stops_and_is_rebuilt(three, one)
        assert "writes go on under a new dot epoch" in three.log
        assert three.send("DYN.GET", KEYS[1], "R", b"3")[1] == [b"later"]


@pytest.mark.long
def test_a_copy_of_a_running_node_that_is_put_back_is_found_out(tmp_path: Path) -> None:
    """It knows each of its starts; but the others have heard since how often its rows had changed."""
    with Cluster(3, tmp_path) as cluster:
        one, _, three = cluster
        one.send("SET", KEYS[0], b"v")
        copied = {path: path.read_bytes() for path in data(three).rglob("*") if path.is_file()}
        for key in KEYS:
            one.send("SET", key, b"later")
        eventually(lambda: changes(three.name, one) > len(KEYS), "n1 to write down how much n3 has changed")
        three.kill()
        for path, content in copied.items():
            path.write_bytes(content)
        stops_and_is_rebuilt(three, one)
        assert three.send("DYN.GET", KEYS[0], "R", b"3")[1] == [b"later"]


@pytest.mark.long
def test_a_whole_cluster_moved_elsewhere_goes_on(tmp_path: Path) -> None:
    """Every store is a copy of unknown age, and so nobody's word counts: they compare what they hold, and serve."""
    with Cluster(3, tmp_path) as cluster:
        for key in KEYS[:20]:
            cluster[0].send("SET", key, b"v")
        for node in cluster:
            node.stop()
            moved = tmp_path / f"moved-{node.name}"
            shutil.copytree(data(node), moved)
            shutil.rmtree(data(node))
            shutil.copytree(moved, data(node))
        for node in cluster:
            node.start()
        for node in cluster:
            node.ready()
        eventually(lambda: cluster[0].document("STATUS")["health"] == "healthy", "them to be whole")
        assert all(node.send("DYN.GET", key, "STRICT")[1] == [b"v"] for node in cluster for key in KEYS[:20])

"""Backups, exports and imports of real clusters: made under load, cut off, damaged, and put back where they belong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from node.storage.backup_file import Backup
from tests.helpers.cli import Result, dyn
from tests.helpers.cluster import ROOT, Cluster, Node, ReplyError, dying_with_us, eventually

PORTS = range(25700, 25780)
OTHER_PORTS = range(25780, 25800)

KEYS = [b"key:%d" % number for number in range(200)]
BINARY = b"\xff\x00bin"


def at(node: Node, *argv: str, stdin: bytes = b"") -> Result:
    """A command line at a node."""
    return dyn("-n", f"127.0.0.1:{node.port}", "--timeout", "10", *argv, stdin=stdin)


def document(result: Result) -> Any:
    assert result.status == 0, result.err
    return json.loads(result.out)


def fill(node: Node, keys: list[bytes] = KEYS, value: bytes = b"v") -> None:
    with node.connect() as connection:
        for key in keys:
            connection("SET", key, value)


def data(node: Node) -> Path:
    return node.folder / ".local" / "share" / "dyn"


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster(3, tmp_path / "cluster", ports=PORTS) as made:
        yield made


@pytest.fixture
def lone(tmp_path: Path) -> Iterator[Cluster]:
    """Another cluster."""
    with Cluster(1, tmp_path / "lone", ports=OTHER_PORTS) as made:
        yield made


class Writer(threading.Thread):
    """Writes new keys, one after the other, until it is told to end. `written` were acknowledged."""

    def __init__(self, node: Node) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.end = threading.Event()
        self._node = node

    def run(self) -> None:
        with self._node.connect() as connection:
            while not self.end.is_set():
                key = b"load:%d" % len(self.written)
                connection("SET", key, b"w" * 500)
                self.written.append(key)


@pytest.mark.long
def test_a_backup_under_load_holds_what_was_acknowledged_before_it_and_serves_meanwhile(
    cluster: Cluster, tmp_path: Path
) -> None:
    """Of three nodes each holds everything; n2 has acknowledged what a STRICT W=3 write returned for."""
    one, two, _ = cluster
    fill(one)
    one.send("DYN.PUT", "siblings", "", "a")
    one.send("DYN.PUT", "siblings", "", "b", "W", 3)
    for key in (BINARY, *KEYS[:10]):
        one.send("DYN.PUT", key, one.send("DYN.GET", key)[0], b"\xfe", "W", 3, "STRICT")
    writer = Writer(one)
    writer.start()
    try:
        eventually(lambda: len(writer.written) > 50, "some load")
        told = document(at(two, "node", "data", "backup", str(tmp_path / "two.db"), "--json"))
        before = len(writer.written)
        eventually(lambda: len(writer.written) > before + 50, "the load to go on")
    finally:
        writer.end.set()
        writer.join()
    assert (told["node"], told["running"]) == ("n2", False)
    assert not list(tmp_path.glob("two.db?*"))
    about = document(at(two, "node", "data", "info", str(tmp_path / "two.db"), "--check", "--json"))
    assert (about["node"], about["damaged"], about["rows_read"]) == ("n2", 0, told["keys"])
    with closing(Backup.open(tmp_path / "two.db")) as backup:
        rows = dict(backup.rows())
    assert {BINARY, *KEYS[:10]} <= set(rows)
    assert b"\xc4\x01a" in rows[b"siblings"]
    assert b"\xc4\x01b" in rows[b"siblings"]
    assert {key for key in rows if key.startswith(b"load:")} <= set(writer.written)


@pytest.mark.long
def test_a_node_whose_disk_is_lost_starts_again_from_its_backup(cluster: Cluster, tmp_path: Path) -> None:
    """It takes its seat, learns what was written and deleted since, and is out of read quorums until then."""
    one, two, three = cluster
    fill(one)
    document(at(three, "node", "data", "backup", str(tmp_path / "three.db"), "--json"))
    fill(one, KEYS[:20], b"later")
    one.send("DEL", *KEYS[100:120])
    three.kill()
    shutil.rmtree(data(three))
    told = at(three, "node", "data", "restore", str(tmp_path / "three.db"), "--data", str(tmp_path / "again"), "--json")
    assert document(told)["start"].startswith("dyn node start --name n3 --cluster dyn --data-dir ")
    three.start("--data-dir", str(tmp_path / "again")).ready()
    assert "writes go on under a new dot epoch" in three.log
    eventually(lambda: one.document("STATUS")["health"] == "healthy", "the rebuild")
    two.kill()
    for key, values in ((KEYS[0], [b"later"]), (KEYS[50], [b"v"]), (KEYS[110], [])):
        assert three.send("DYN.GET", key, "STRICT")[1] == values
    three.send("SET", KEYS[50], b"mine")
    assert one.send("DYN.GET", KEYS[50], "R", 2)[1] == [b"mine"]


@pytest.mark.long
def test_a_backup_merged_into_its_cluster_brings_back_what_was_lost_and_nothing_deleted(
    cluster: Cluster, tmp_path: Path
) -> None:
    one, two, three = cluster
    fill(one)
    one.send("DYN.PUT", "siblings", "", "a")
    one.send("DYN.PUT", "siblings", "", "b", "W", 3)
    document(at(one, "node", "data", "backup", str(tmp_path / "one.db"), "--json"))
    fill(one, KEYS[:20], b"newer")
    one.send("DEL", KEYS[100])
    known = document(at(two, "node", "data", "restore", str(tmp_path / "one.db"), "--json"))
    assert (known["rows"], known["known"], known["untraced"]) == (201, 201, 0)
    assert one.send("DYN.GET", KEYS[0], "R", 3)[1] == [b"newer"]
    assert one.send("DYN.GET", KEYS[100], "R", 3)[1] == []

    eventually(lambda: not any(n["tombstones"] for n in one.document("STATUS")["nodes"]), "the reap")
    late = at(three, "node", "data", "restore", str(tmp_path / "one.db"), "--json")
    assert late.status == 9
    refused = json.loads(late.out)
    assert (refused["known"], refused["older"], refused["untraced"]) == (200, 1, 1)
    assert refused["older_keys"] == [{"key": KEYS[100].decode(), "enc": "utf8"}]
    assert one.send("DYN.GET", KEYS[100], "R", 3)[1] == []

    undeleted = document(at(three, "node", "data", "restore", str(tmp_path / "one.db"), "--undelete", "--json"))
    assert (undeleted["known"], undeleted["merged"], undeleted["untraced"]) == (200, 1, 1)
    for node in cluster:
        assert node.send("DYN.GET", KEYS[100], "R", 3)[1] == [b"v"]
        assert sorted(node.send("DYN.GET", "siblings", "R", 3)[1]) == [b"a", b"b"]
    again = document(at(two, "node", "data", "restore", str(tmp_path / "one.db"), "--json"))
    assert again["known"] == 201


@pytest.mark.long
def test_what_all_nodes_lost_comes_back_from_a_backup(cluster: Cluster, tmp_path: Path) -> None:
    """Somebody dropped rows behind the back of every node: the backup is all that is left of them."""
    one = cluster[0]
    fill(one, KEYS)
    eventually(lambda: all(n["keys"] == len(KEYS) for n in one.document("STATUS")["nodes"]), "all to hold all")
    document(at(one, "node", "data", "backup", str(tmp_path / "one.db"), "--json"))
    for node in cluster:
        node.stop()
        (file,) = data(node).rglob("node.db")
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            connection.execute("DELETE FROM rows WHERE key = ?", (KEYS[7],))
    for node in cluster:
        node.start()
    for node in cluster:
        node.ready()
    cluster.settle()
    assert one.send("DYN.GET", KEYS[7], "R", 3)[1] == []
    told = document(at(one, "node", "data", "restore", str(tmp_path / "one.db"), "--json"))
    assert (told["merged"], told["known"], told["untraced"]) == (1, len(KEYS) - 1, 1)
    assert one.send("DYN.GET", KEYS[7], "R", 3)[1] == [b"v"]


@pytest.mark.long
def test_a_damaged_backup_and_one_of_another_cluster_are_refused_in_one_line(
    cluster: Cluster, lone: Cluster, tmp_path: Path
) -> None:
    one, path = cluster[0], tmp_path / "one.db"
    fill(one)
    document(at(one, "node", "data", "backup", str(path), "--json"))

    foreign = at(lone[0], "node", "data", "restore", str(path))
    assert (foreign.status, foreign.out, foreign.err.count("\n")) == (9, "", 1)
    ids = [node.document("STATUS")["cluster_id"][:8] for node in (one, lone[0])]
    assert f"is of cluster dyn ({ids[0]}, 256 partitions), and" in foreign.err
    assert f"is of cluster dyn ({ids[1]}, 256 partitions)" in foreign.err
    row = b"\x92\x90\x90"
    with pytest.raises(ReplyError, match=f"the row is of cluster {ids[0]}"):
        lone[0].send("DYN.RESTORE", "k", row, 0, one.document("STATUS")["cluster_id"])

    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE rows SET row = x'00' WHERE key = ?", (KEYS[3],))
    result = at(one, "node", "data", "restore", str(path))
    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert f"1 of its {len(KEYS)} rows fail their checksum. Take the others all the same: --skip-damaged" in result.err
    assert at(one, "node", "data", "info", str(path), "--check").status == 8
    rest = at(one, "node", "data", "restore", str(path), "--skip-damaged", "--json")
    assert (rest.status, json.loads(rest.out)["damaged"], json.loads(rest.out)["known"]) == (1, 1, len(KEYS) - 1)

    with path.open("r+b") as file:
        file.seek(2048 * 8)
        file.write(b"\xff" * 2048)
    for argv in (("restore", str(path)), ("restore", str(path), "--data", str(tmp_path / "new")), ("info", str(path))):
        broken = at(one, "node", "data", *argv, *(["--check"] if argv[0] == "info" else []))
        assert (broken.status, broken.out, broken.err.count("\n")) == (1, "", 1)
        assert f"{path} is damaged" in broken.err
    assert not (tmp_path / "new").exists()


@pytest.mark.long
def test_a_node_that_stops_leaves_no_half_backup(cluster: Cluster, tmp_path: Path) -> None:
    """Its copy is longer than a node takes to stop."""
    one = cluster[0]
    with one.connect() as connection:
        for number in range(80):
            connection("SET", b"big:%d" % number, os.urandom(1_000_000))
    with one.connect() as connection:
        connection("PING")
        asking = threading.Thread(target=lambda: at(one, "node", "data", "backup", str(tmp_path / "one.db")))
        asking.start()
        eventually((tmp_path / "one.db.part").exists, "the copy to begin")
    assert one.stop() == 0
    asking.join()
    assert not list(tmp_path.glob("one.db*"))


# Exports ------------------------------------------------------------------------------------------------------


def test_from_one_cluster_into_another_with_siblings_and_binary_keys(
    cluster: Cluster, lone: Cluster, tmp_path: Path
) -> None:
    one, other = cluster[0], lone[0]
    fill(one)
    one.send("DYN.PUT", "siblings", "", "a")
    one.send("DYN.PUT", "siblings", "", "\x00b")
    one.send("SET", BINARY, b"\xfe")
    one.send("SET", 'quote"\n', "ü\n\t\x1b[31m\u200b")
    one.send("SET", "empty", b"")
    one.send("DEL", KEYS[0])
    file = str(tmp_path / "all.jsonl")
    told = document(at(one, "export", "--to", file, "--json"))
    assert (told["keys"], told["values"], told["siblings"]) == (len(KEYS) + 3, len(KEYS) + 4, 1)
    assert Path(file).stat().st_mode & 0o777 == 0o600
    assert Path(file).read_bytes() == at(cluster[1], "export").raw, "whichever node is asked"
    assert len(at(one, "export", "key:1").out.splitlines()) == 2 + sum(key.startswith(b"key:1") for key in KEYS)

    tried = document(at(other, "import", file, "--dry-run", "--json"))
    assert (tried["new"], tried["dry_run"], other.send("DBSIZE")) == (told["keys"], True, 0)
    assert document(at(other, "import", file, "--json"))["new"] == told["keys"]
    assert sorted(other.send("DYN.GET", "siblings")[1]) == [b"\x00b", b"a"]
    assert other.send("GET", BINARY) == b"\xfe"
    assert other.send("GET", 'quote"\n') == "ü\n\t\x1b[31m\u200b".encode()
    assert other.send("GET", "empty") == b""
    assert other.send("GET", KEYS[0]) is None
    assert document(at(other, "import", file, "--json"))["same"] == told["keys"]
    ours, theirs = (at(node, "export").out.splitlines()[1:-1] for node in (one, other))
    assert [json.loads(line)["key"] for line in ours] == [json.loads(line)["key"] for line in theirs]

    other.send("SET", KEYS[1], b"other")
    left = at(other, "import", "-", "--json", stdin=Path(file).read_bytes())
    assert (left.status, json.loads(left.out)["left_keys"]) == (4, [{"key": "key:1", "enc": "utf8"}])
    assert other.send("GET", KEYS[1]) == b"other"
    assert document(at(other, "import", file, "--existing", "beside", "--json"))["added"] == 1
    assert sorted(other.send("DYN.GET", KEYS[1])[1]) == [b"other", b"v"]
    assert document(at(other, "import", file, "--existing", "replace", "--json"))["replaced"] == 1
    assert other.send("GET", KEYS[1]) == b"v"


@pytest.mark.long
def test_an_export_that_is_killed_is_gone_on_with(cluster: Cluster, tmp_path: Path) -> None:
    one, file = cluster[0], tmp_path / "all.jsonl"
    with one.connect() as connection:
        for first in range(0, 6000, 500):
            connection("MSET", *(word for n in range(first, first + 500) for word in (f"key:{n}", f"value {n}" * 20)))
    whole = at(one, "export").raw
    command = [*dying_with_us(), sys.executable, "-m", "dynamo_cli", "-n", f"127.0.0.1:{one.port}", "export", "--to"]
    process = subprocess.Popen([*command, str(file)], cwd=ROOT, stdout=subprocess.DEVNULL)
    eventually(lambda: file.exists() and file.stat().st_size > 100_000, "a part of the export")
    process.send_signal(signal.SIGKILL)
    process.wait()
    part = file.read_bytes()
    assert len(part) < len(whole)
    file.write_bytes(part + b'{"key":"key:')  # a kill may leave half a line
    assert document(at(one, "export", "--to", str(file), "--resume", "--json"))["keys"] == 6000
    assert file.read_bytes() == whole
    assert document(at(one, "export", "--to", str(file), "--resume", "--json"))["keys"] == 6000, "it was complete"
    assert file.read_bytes() == whole


@pytest.mark.long
def test_an_export_of_another_cluster_is_not_gone_on_with(cluster: Cluster, lone: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "all.jsonl"
    fill(cluster[0], KEYS[:3])
    document(at(cluster[0], "export", "--to", str(file), "--json"))
    before = file.read_bytes()
    for node, argv in ((lone[0], ("--resume",)), (cluster[0], ("key:", "--resume")), (cluster[0], ())):
        result = at(node, "export", "--to", str(file), *argv)
        assert (result.status, result.out, result.err.count("\n")) == (9, "", 1)
    assert file.read_bytes() == before


@pytest.mark.long
def test_an_import_that_fails_names_the_line_to_go_on_at(cluster: Cluster, lone: Cluster, tmp_path: Path) -> None:
    """The cluster loses its quorum on the way; what was written before stays, and nothing is written twice."""
    file = str(tmp_path / "all.jsonl")
    fill(cluster[0])
    cluster[0].send("DYN.PUT", "siblings", "", "a")
    cluster[0].send("DYN.PUT", "siblings", "", "b")
    document(at(cluster[0], "export", "--to", file, "--json"))
    assert document(at(lone[0], "import", file, "--json"))["new"] == len(KEYS) + 1
    for node in cluster:
        node.send("DEL", *KEYS)
    cluster[1].kill()
    cluster[2].kill()
    eventually(lambda: cluster[0].document("STATUS")["health"] == "critical", "it to notice")
    failed = dyn("-n", f"127.0.0.1:{cluster[0].port}", "import", file)
    assert failed.status == 6
    assert failed.err.startswith("dyn: line 2: ")
    assert failed.err.rstrip().endswith(f"Go on: dyn import {file} --resume 2")
    for node in cluster.nodes[1:]:
        node.start().ready()
    cluster.settle()
    told = document(at(cluster[0], "import", file, "--resume", "2", "--json"))
    assert (told["new"], told["same"]) == (len(KEYS), 1)

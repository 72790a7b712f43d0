"""`dyn node data` against a node with scripted answers, and the screens of all that is carried in or out."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from dynamo_cli.jsonl import Entry, Header
from node.storage.backup import Source, write_backup
from node.storage.port import Merge
from node.storage.sqlite import FILE as STORE
from tests.helpers.carry import exported, store_of
from tests.helpers.cli import dyn
from tests.helpers.documents import EVIL, backup, status
from tests.helpers.fake_node import HANG_UP, Err, fake_node
from tests.helpers.stores import EPOCH, Scribe, SqliteHandle, peer_row

ENDED = Err("UNAVAILABLE 1 of the 2 owners needed answer")

MADE = backup("n1", cluster="carts", file="/b.db")


def test_a_backup_is_asked_for_until_it_is_there_and_under_an_absolute_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    answers = iter([{**MADE, "running": True, "done": 1, "total": 4}, {**MADE, "running": True, "done": 0, "total": 0}])
    with fake_node(DYN_BACKUP=lambda path: next(answers, MADE)) as node:
        result = dyn("node", "data", "backup", "b.db", "--json", node=node)
        screen = dyn("node", "data", "backup", "b.db", node=node, terminal=True, environ={"NO_COLOR": "1"}).out
    assert json.loads(result.out) == MADE
    assert node.asked == [(b"DYN.BACKUP", str(tmp_path / "b.db").encode())] * 4
    for words in ("n1 of cluster carts", "5 keys", "2 of them deleted", "1 of them in conflict", "3 damaged rows"):
        assert words in screen


def test_no_other_node_writes_its_store_under_that_name() -> None:
    """The node that was asked fails: the next one of the list is not asked."""
    with fake_node(DYN_BACKUP=HANG_UP) as first, fake_node(DYN_BACKUP=MADE) as second:
        result = dyn("node", "data", "backup", "b.db", environ={"DYN_NODES": f"{first.address},{second.address}"})
    assert result.status in (5, 7)
    assert second.asked == []


def test_errors_of_a_backup_are_one_line() -> None:
    with fake_node(DYN_BACKUP=Err("ERR /b.db exists, and no backup overwrites anything. Choose another file")) as node:
        result = dyn("node", "data", "backup", "/b.db", node=node)
    assert (result.status, result.err.count("\n")) == (1, 1)


def test_a_shell_that_only_reads_imports_and_restores_nothing() -> None:
    for line in ("import all.jsonl", "node data restore b.db"):
        result = dyn("shell", "--read-only", "-e", line)
        assert result.status == 9
        assert "this shell is read-only" in result.err


# Screens ------------------------------------------------------------------------------------------------------

FORMATS = ["table", "wide", "plain", "json", "jsonl", "csv"]


def hostile(text: str) -> set[str]:
    return {c for c in text if not (c.isprintable() or c in "\n\t")}


@pytest.fixture
def evil_backup(tmp_path: Path) -> Path:
    """A backup of a node, cluster and keys whose every name would command the terminal."""
    handle = SqliteHandle(tmp_path / "data")
    Scribe(handle).apply(*[Merge(key, peer_row(b"v"), EPOCH) for key in (EVIL.encode(), b"\xff", b"k")])
    source = Source(EVIL, "ab" * 16, EVIL, "ab", 256, EVIL, EVIL, 2**60)
    write_backup(handle.directory / STORE, tmp_path / "b.db", source, os.urandom, lambda done, total: None)
    handle.close()
    return tmp_path / "b.db"


def restored(key: bytes, *words: bytes) -> Any:
    """What a hostile node says of rows: one refused, one not merged, one merged."""
    if key == b"\xff":
        return Err(f"ERR {EVIL}")
    return {"schema": "dyn.restore.key/v1", "verdict": "merged" if key == b"k" else "older", "traced": False}


@pytest.mark.parametrize("output", FORMATS)
def test_no_terminal_is_ever_commanded(tmp_path: Path, evil_backup: Path, output: str) -> None:
    file = tmp_path / "evil.jsonl"
    lines = [Header(EVIL, EVIL, b""), Entry(EVIL.encode(), (b"v",)), Entry(b"big", (b"v",))]
    file.write_bytes(b"".join(line.line() for line in lines))
    ring = {"schema": "dyn.ring/v1", "partitions": 256}

    def put(key: bytes, *words: bytes) -> Any:
        return Err(f"TOOBIG {EVIL}")

    path = str(evil_backup)
    calls = [
        ("import", str(file)), ("node", "data", "info", path, "--check"), ("node", "data", "restore", path),
        ("node", "data", "backup", EVIL), ("export", "--to", str(tmp_path / f"out{EVIL.replace('/', '')}")),
    ]  # fmt: skip
    made = backup(EVIL)
    for argv in calls:
        for terminal in (False, True):
            with store_of({EVIL.encode(): [b"other"]}, DYN_PUT=put, DYN_RESTORE=restored, DYN_RING=ring,
                          DYN_BACKUP=made) as node:  # fmt: skip
                result = dyn(*argv, "-o", output, node=node, terminal=terminal, environ={"NO_COLOR": "1"})
            assert hostile(result.out) == set()
            assert not hostile(result.err) or terminal, "a bar is drawn on terminals alone"
            assert result.status in (0, 1, 9), result.err
            assert EVIL not in result.err


def test_screens_fit_80_columns(tmp_path: Path, evil_backup: Path) -> None:
    file = tmp_path / "all.jsonl"
    file.write_bytes(exported())
    ring = {"schema": "dyn.ring/v1", "partitions": 256}
    with store_of({b"key:1": [b"other"]}, DYN_RESTORE=restored, DYN_RING=ring, DYN_BACKUP=MADE) as node:
        for argv in (("import", str(file)), ("node", "data", "backup", "b.db"), ("export", "--to", str(tmp_path / "x")),
                     ("node", "data", "restore", str(evil_backup)),
                     ("node", "data", "restore", str(evil_backup), "--data", str(tmp_path / "again"))):  # fmt: skip
            result = dyn(*argv, "-o", "table", node=node, environ={"COLUMNS": "80", "NO_COLOR": "1"})
            assert max(map(len, result.out.splitlines())) <= 80, result.out


def test_what_became_of_the_rows_of_a_backup(evil_backup: Path) -> None:
    ring = {"schema": "dyn.ring/v1", "partitions": 256}
    with store_of({}, DYN_RESTORE=restored, DYN_RING=ring) as node:
        result = dyn("node", "data", "restore", str(evil_backup), "--json", node=node)
    told = json.loads(result.out)
    assert result.status == 1
    assert [told[name] for name in ("rows", "merged", "known", "older", "failed", "untraced")] == [3, 1, 0, 1, 1, 2]
    asked = [words for words in node.asked if words[0] == b"DYN.RESTORE"]
    assert {words[1] for words in asked} == {EVIL.encode(), b"\xff", b"k"}
    assert {words[3:] for words in asked} == {(b"0", b"ab", b"TIMEOUT", b"3000")}


def test_a_restore_that_ends_says_that_it_may_be_repeated(evil_backup: Path) -> None:
    ring = {"schema": "dyn.ring/v1", "partitions": 256}
    with store_of({}, DYN_RESTORE=ENDED, DYN_RING=ring) as node:
        result = dyn("node", "data", "restore", str(evil_backup), node=node)
    assert (result.status, result.out, result.err.count("\n")) == (6, "", 1)
    assert "run it again" in result.err


@pytest.mark.parametrize("ring", [{"partitions": 512}, {"partitions": 256, "cluster_id": "cd"}])
def test_a_backup_of_another_cluster_is_refused_before_a_row_is_sent(evil_backup: Path, ring: dict[str, Any]) -> None:
    with store_of({}, DYN_RING=ring, DYN_STATUS=status(cluster_id=ring.pop("cluster_id", "ab"))) as node:
        result = dyn("node", "data", "restore", str(evil_backup), node=node)
    assert (result.status, result.out) == (9, "")
    assert not [words for words in node.asked if words[0] == b"DYN.RESTORE"]


def test_undelete_is_for_a_running_cluster(evil_backup: Path) -> None:
    assert dyn("node", "data", "restore", str(evil_backup), "--data", "x", "--undelete").status == 2

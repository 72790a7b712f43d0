"""The data commands against four real nodes, of which three own each key: what one of them holds, deletes, changes."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.cli import dyn
from tests.helpers.cluster import Cluster, eventually

NAMES = ("n1", "n2", "n3", "n4")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(4, tmp_path_factory.mktemp("cluster")) as running:
        yield running


@pytest.fixture
def nodes(cluster: Cluster) -> dict[str, str]:
    return {"DYN_NODES": ",".join(f"127.0.0.1:{node.port}" for node in cluster)}


def test_each_node_tells_what_it_holds_itself(nodes: dict[str, str]) -> None:
    assert dyn("put", "own", "v", "-w", "3", environ=nodes).status == 0
    holders = [name for name in NAMES if dyn("get", "own", "--from", name, environ=nodes).out == "v\n"]
    ring = json.loads(dyn("key", "locate", "own", "--json", environ=nodes).out)
    [place] = ring["keys"]
    assert holders == sorted(place["preference"][:3])
    listed = [name for name in NAMES if "own" in dyn("keys", "--on", name, environ=nodes).out.split()]
    assert listed == holders
    partition = str(place["partition"])
    assert dyn("keys", "--partition", partition, environ=nodes).out.split() == ["own"]


def test_a_condition_and_the_context_that_it_returns(nodes: dict[str, str]) -> None:
    context = dyn("put", "cond", "1", "--if-absent", "--return-ctx", environ=nodes).out.strip()
    assert dyn("put", "cond", "2", "--if-absent", environ=nodes).status == 4
    assert dyn("put", "cond", "2", "--if-context", context, environ=nodes).status == 0
    assert dyn("put", "cond", "3", "--if-context", context, environ=nodes).status == 4
    assert dyn("get", "cond", "--raw", environ=nodes).raw == b"2"


def test_an_edited_export_is_put_back_and_what_came_meanwhile_stays(nodes: dict[str, str], tmp_path: Path) -> None:
    for key in ("edit:1", "edit:2"):
        assert dyn("put", key, "old", environ=nodes).status == 0
    file = tmp_path / "edit.csv"
    argv = ("--format", "csv", "--with-ctx")
    assert dyn("export", "--prefix", "edit:", *argv, "--to", str(file), environ=nodes).status == 0
    file.write_bytes(file.read_bytes().replace(b"old", b"edited"))
    assert dyn("put", "edit:2", "meanwhile", environ=nodes).status == 0
    done = json.loads(dyn("import", str(file), *argv, "--json", environ=nodes).out)
    assert (done["replaced"], done["added"]) == (1, 1)
    assert dyn("get", "edit:1", environ=nodes).out == "edited\n"
    found = json.loads(dyn("get", "edit:2", "--json", environ=nodes).out)["values"]
    assert sorted(value["value"] for value in found) == ["edited", "meanwhile"]


@pytest.mark.parametrize("pattern", ["seen:1", "seen:*"])
def test_changes_through_any_node_are_seen(nodes: dict[str, str], cluster: Cluster, pattern: str) -> None:
    found: list[str] = []

    def look() -> None:
        result = dyn("watch", pattern, "--count", "2", "--interval", "0.1", "--for", "30", environ=nodes)
        found.extend(json.loads(line)["change"] for line in result.out.splitlines())

    watcher = threading.Thread(target=look)
    watcher.start()
    give_up = time.monotonic() + 30
    at = 0
    while watcher.is_alive() and time.monotonic() < give_up:  # it does not say when it has begun to look
        words = ("put", "seen:1", "v") if at % 2 == 0 else ("del", "seen:1")
        dyn(*words, environ={"DYN_NODES": f"127.0.0.1:{cluster[at % 4].port}"})
        at += 1
        watcher.join(0.4)
    assert len(found) == 2
    assert set(found) <= {"value", "deleted"}


def test_with_a_node_away_tombstones_wait_and_it_is_not_compared(nodes: dict[str, str], cluster: Cluster) -> None:
    """The last test: a node ends."""
    assert dyn("put", "waits", "v", environ=nodes).status == 0
    cluster[3].kill()

    def noticed() -> bool:
        told = [node.document("STATUS")["nodes"] for node in list(cluster)[:3]]
        return all(each["state"] != "up" for nodes in told for each in nodes if each["name"] == "n4")

    eventually(noticed, "n4 to be missed by all")
    assert dyn("del", "waits", environ=nodes).status == 0
    [found] = json.loads(dyn("keys", "waits", "--tombstones", "--json", environ=nodes).out)["keys"]
    assert (found["key"], found["deleted_at"][:2]) == ("waits", "20")
    assert found["age_s"] >= 0
    compared = dyn("keys", "--stale", "--json", environ=nodes)
    assert json.loads(compared.out)["unheard"] == ["n4"]
    assert "not compared, as they do not answer: n4" in compared.err

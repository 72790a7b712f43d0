"""`dyn doctor`: each check finds what it is for, says what mends it, and says nothing of what it was not told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dynamo_cli.doctor import CHECKS, FAIL, OK, WARN, Finding, Heard, Host, chosen, cluster, host
from tests.helpers.cli import dyn
from tests.helpers.documents import hints, ring, stats, status
from tests.helpers.fake_node import HANG_UP, FakeNode, fake_node

HERE = Host("3.11.7", 20_000, utf8=True, data_dir="/data", free_bytes=50 << 30)
AGREE = {"schema": "dyn.views/v1", "views": [], "agree": True}
NO_HINTS: dict[str, Any] = {"schema": "dyn.hints/v1", "held": []}


def figures(**more: Any) -> dict[str, Any]:
    """DYN.STATS of a node with which nothing is wrong, but for what is said."""
    told = stats()
    told["storage"] |= {"stopped": "", "room": "ample", "near_full": False}
    told["queues"] |= {"requests_refused": 0}
    told["background"] = [{"task": "scrub", "granted": 1.0, "because": "", "damaged": 0, "unreadable": ""}]
    for part, changes in more.items():
        told[part] = [told[part][0] | changes] if part == "background" else told[part] | changes
    return told


def well(**more: Any) -> Heard:
    """A cluster with which nothing is wrong, but for what is said."""
    repair = {"last_pass_s_ago": 12.0, "divergent": 0}
    fine = status(health="healthy", reasons=[], siblings=0, repair=repair)
    names = ("n1", "n2", "n3")
    heard = Heard(fine, ring(3, 8), AGREE, NO_HINTS, dict.fromkeys(names, figures()), dict.fromkeys(names, 1.0), {},
                  dict.fromkeys(names, "full"), dict.fromkeys(names, 0))  # fmt: skip
    return heard._replace(**more)


def troubles(found: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.level, finding.id) for finding in found if finding.level != OK]


def test_of_a_cluster_that_is_well_every_line_is_ok() -> None:
    found = [*host(HERE), *cluster(well())]
    assert not troubles(found)
    assert not [finding for finding in found if finding.fix]
    quiet = {"data.rot", "node.load", "node.durability", "node.faults"}
    assert {finding.id for finding in found} == set(CHECKS) - quiet


@pytest.mark.parametrize(
    ("known", "check"),
    [
        (HERE._replace(open_files=256), "host.files"),
        (HERE._replace(utf8=False), "host.text"),
        (HERE._replace(free_bytes=1 << 20), "host.space"),
    ],
)
def test_what_is_wrong_with_this_machine(known: Host, check: str) -> None:
    assert troubles(list(host(known))) == [(WARN, check)]


@pytest.mark.parametrize(
    ("heard", "level", "check", "said"),
    [
        (well(status=None, why="cannot reach x"), FAIL, "cluster.answer", "cannot reach x"),
        (well(silent={"n3": "refused"}), WARN, "cluster.answer", "n3 does not answer: refused"),
        (well(status=status(siblings=0)), WARN, "cluster.health", "n5 is down"),
        (well(status=status(health="critical", siblings=0)), FAIL, "cluster.health", "n5 is down"),
        (well(views=AGREE | {"agree": False}), WARN, "cluster.views", "the nodes differ"),
        (well(ring=ring(2, 8)), WARN, "ring.copies", "N=3 wants 1 nodes more"),
        (well(ring=ring(3, 8) | {"preference": [["n1", "n1", "n2"], ["n1", "n2", "n3"]]}), FAIL, "ring.copies",
         "1 partitions have fewer than 3 owners"),
        (well(status=status(health="healthy", reasons=[], siblings=1)), WARN, "data.siblings", "1 key has siblings"),
        (well(hints=hints() | {"held": hints()["held"][:1]}), WARN, "data.hints", "n1 keeps 1,234 rows for n3"),
        (well(status=status(health="healthy", reasons=[], siblings=0, repair={"last_pass_s_ago": 1.0, "divergent": 4})),
         WARN, "data.repair", "4 keys that differ"),
        (well(stats={"n1": figures(background={"damaged": 3})}), WARN, "data.rot", "n1 has found 3 damaged rows"),
        (well(stats={"n1": figures(background={"unreadable": "EIO"})}), FAIL, "data.rot", "cannot be read: EIO"),
        (well(stats={"n1": figures(storage={"stopped": "EIO"})}), FAIL, "node.disk", "n1 stores nothing more: EIO"),
        (well(stats={"n1": figures(storage={"room": "own"})}), WARN, "node.disk", "n1 is nearly full"),
        (well(stats={"n1": figures(storage={"room": "little", "near_full": True})}), FAIL, "node.disk", "n1 is full"),
        (well(stats={"n1": figures(latency_ms={"get": {"p99": 301.0}})}), WARN, "node.speed", "get takes 301 ms"),
        (well(stats={"n1": figures(queues={"requests_refused": 7})}), WARN, "node.load", "turned 7 requests away"),
        (well(durability={"n1": "memory"}), WARN, "node.durability", "n1 runs with --durability memory"),
        (well(faults={"n1": 2}), WARN, "node.faults", "2 faults are in force on n1"),
    ],
)  # fmt: skip
def test_each_check_finds_what_it_is_for(heard: Heard, level: str, check: str, said: str) -> None:
    """Once, with what to do about it, and nothing else is found wrong beside it."""
    found = list(cluster(heard))
    assert troubles(found) == [(level, check)]
    (trouble,) = [finding for finding in found if finding.level != OK]
    assert said in trouble.text
    assert trouble.fix


def test_a_hint_that_is_young_is_no_trouble() -> None:
    held = [hints()["held"][0] | {"oldest_s": 5}]
    assert not troubles(list(cluster(well(hints={"held": held}))))


def test_checks_are_chosen_by_id_or_by_part() -> None:
    assert [name for name in CHECKS if chosen(["host", "data.hints"])(Finding(name, OK, ""))] == [
        "host.python", "host.files", "host.text", "host.space", "data.hints",
    ]  # fmt: skip


def answering(document: dict[str, Any]) -> FakeNode:
    """A node that takes no orders to break, and is well."""
    fine = well().status
    return FakeNode({
        "DYN.RING": document, "DYN.STATUS": fine, "DYN.VIEWS": AGREE, "DYN.HINTS": NO_HINTS, "DYN.STATS": figures(),
        "PING": b"PONG", "CONFIG": [b"durability", b"full"],
    })  # fmt: skip


def test_every_node_is_asked_and_the_exit_code_is_what_was_found() -> None:
    document = ring(3, 8)
    nodes = [answering(document) for _ in range(3)]
    for member, node in zip(document["members"], nodes, strict=True):
        member["address"] = node.address
    try:
        assert dyn("doctor", node=nodes[0]).status == 0
        assert [len([words for words in node.asked if words[0] == b"DYN.STATS"]) for node in nodes] == [1, 1, 1]
        screen = dyn("doctor", "--color", "never", node=nodes[0], terminal=True)
        assert max(map(len, screen.out.splitlines())) <= 80
        assert "0 failures, 0 warnings" in screen.out
        nodes[2].replies["DYN.STATS"] = HANG_UP
        nodes[1].replies["DYN.STATS"] = figures(storage={"stopped": "EIO"})
        told = dyn("doctor", "cluster", "node", "-o", "json", node=nodes[0])
        assert told.status == 8
        found = json.loads(told.out)
        assert (found["failures"], found["warnings"]) == (1, 1)
        assert {finding["id"].partition(".")[0] for finding in found["checks"]} == {"cluster", "node"}
    finally:
        for node in nodes:
            node.close()


def test_without_a_node_this_machine_is_looked_at_all_the_same() -> None:
    told = dyn("doctor", "-o", "json")
    assert told.status == 8
    found = json.loads(told.out)["checks"]
    assert [finding["id"] for finding in found if finding["level"] == FAIL] == ["cluster.answer"]
    assert [finding for finding in found if finding["id"] == "host.python"]


def test_the_list_and_a_check_that_there_is_not() -> None:
    with fake_node() as node:
        assert [line.split("\t")[0] for line in dyn("doctor", "--list", node=node).out.splitlines()[1:]] == list(CHECKS)
        assert not node.asked
        assert dyn("doctor", "disk", node=node).status == 2

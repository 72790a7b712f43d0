"""`dyn doctor`: each check finds what it is for, says what mends it, and says nothing of what it was not told."""

from __future__ import annotations

import json
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dynamo_cli.catalog import find
from dynamo_cli.demo import registry
from dynamo_cli.doctor.catalog import CHECKS
from dynamo_cli.doctor.cluster import Conflict, Heard, Node, cluster
from dynamo_cli.doctor.findings import FAIL, OK, WARN, Finding, chosen, mended_by
from dynamo_cli.doctor.machine import Machine, Port, machine
from dynamo_cli.doctor.mending import mend
from node.storage.probe import why_no_store
from tests.helpers.cli import dyn, environment
from tests.helpers.documents import hints, ring, settled, stats, status, transfers, views
from tests.helpers.fake_node import HANG_UP, Err, FakeNode, fake_node

HERE = Machine(
    python="3.11.7", sqlite=(3, 40, 1), open_files=20_000, utf8=True, columns=80, colors=True, data_dir="/data",
    free_bytes=50 << 30, no_wal="", wrong_setting="", ports=(Port(7700, "", node=False),), no_mdns="", exposed=(),
    loose=(), gone=(), completion=("/c/dyn", True), shell="bash",
)  # fmt: skip
AGREE = {"schema": "dyn.views/v1", "views": [], "agree": True}
NO_HINTS: dict[str, Any] = {"schema": "dyn.hints/v1", "held": []}
INFO = {"dyn_version": "0.1.0", "wire_oldest": "1", "wire_newest": "1", "tls_ends_at": "8640000"}


def figures(**more: Any) -> dict[str, Any]:
    """DYN.STATS of a node with which nothing is wrong, but for what is said."""
    told = stats()
    told["storage"] |= {"stopped": "", "room": "ample", "near_full": False, "free_bytes": 9 << 30}
    told["queues"] |= {"requests_refused": 0}
    told["background"] = [{"task": "scrub", "granted": 1.0, "because": "", "damaged": 0, "unreadable": ""}]
    for part, changes in more.items():
        told[part] = [told[part][0] | changes] if part == "background" else told[part] | changes
    return told


def node(name: str = "n1", **more: Any) -> dict[str, Node]:
    """A node with which nothing is wrong, but for what is said."""
    return {name: Node(figures(), INFO, 1.0, 0.0, "full", 0)._replace(**more)}


def well(**more: Any) -> Heard:
    """A cluster with which nothing is wrong, but for what is said."""
    repair = {"last_pass_s_ago": 12.0, "divergent": 0}
    fine = status(health="healthy", reasons=[], siblings=0, repair=repair)
    nodes = node("n1") | node("n2", ahead_s=0.004) | node("n3")
    return Heard(fine, ring(3, 8), AGREE, NO_HINTS, settled(), nodes, {})._replace(**more)


def troubles(found: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.level, finding.id) for finding in found if finding.level != OK]


def test_of_a_cluster_that_is_well_every_line_is_ok() -> None:
    found = [*machine(HERE), *cluster(well())]
    assert not troubles(found)
    assert not [finding for finding in found if finding.fix]
    quiet = {"data.rot", "node.load", "node.durability", "node.faults"}
    assert {finding.id for finding in found} == set(CHECKS) - quiet


OF_MACHINES = [
    (HERE._replace(sqlite=(3, 37, 2)), FAIL, "host.python", "has SQLite 3.37.2"),
    (HERE._replace(no_wal="Read-only file system"), FAIL, "host.store", "in /data: Read-only file system"),
    (HERE._replace(open_files=256), WARN, "host.files", "about 64 clients"),
    (HERE._replace(utf8=False), WARN, "host.text", "no UTF-8"),
    (HERE._replace(columns=60), WARN, "host.text", "terminal of 60 columns"),
    (HERE._replace(free_bytes=1 << 20), WARN, "host.space", "0.0 GiB free"),
    (HERE._replace(wrong_setting="--nrw is '9'"), WARN, "host.config", "refused: --nrw is '9'"),
    (HERE._replace(ports=(Port(7700, "x (pid 7)", node=False),)), WARN, "host.ports", "7700 used by x (pid 7)"),
    (HERE._replace(no_mdns="No such device"), WARN, "host.mdns", "cannot be joined here (No such device)"),
    (HERE._replace(exposed=("/k",)), FAIL, "host.secrets", "/k can be read by others"),
    (HERE._replace(loose=("/h",)), WARN, "host.private", "/h can be read by others"),
    (HERE._replace(gone=(("carts", "/d"),)), WARN, "host.demos", "carts is listed, and its folder is gone: /d"),
    (HERE._replace(completion=("/c/dyn", False)), WARN, "host.completion", "/c/dyn is of another release"),
]


@pytest.mark.parametrize(("known", "level", "check", "said"), OF_MACHINES)
def test_what_is_wrong_with_this_machine(known: Machine, level: str, check: str, said: str) -> None:
    found = list(machine(known))
    assert troubles(found) == [(level, check)]
    (trouble,) = [finding for finding in found if finding.level != OK]
    assert said in trouble.text
    assert trouble.fix


def test_a_port_that_a_node_of_ours_has_is_no_trouble() -> None:
    found = list(machine(HERE._replace(ports=(Port(7700, "dyn node n1 (pid 7)", node=True),))))
    assert not troubles(found)
    assert "7700 used by dyn node n1 (pid 7)" in " ".join(finding.text for finding in found)


HELD_UP = transfers() | {"moves": []}
FAR = node("n1") | node("n2", ahead_s=40.0)
OLD = node("n1") | node("n2", info=INFO | {"dyn_version": "0.2.0"})
DEAF = node("n1") | node("n2", info=INFO | {"wire_oldest": "3", "wire_newest": "4"})
MANY = Conflict('"k 1"', "'k 1'", 12)


OF_CLUSTERS = [
    (well(status=None, why="cannot reach x"), FAIL, "cluster.answer", "cannot reach x"),
    (well(silent={"n3": "refused"}), WARN, "cluster.answer", "n3 does not answer: refused"),
    (well(status=status(siblings=0)), WARN, "cluster.health", "n5 is down"),
    (well(status=status(health="critical", siblings=0)), FAIL, "cluster.health", "n5 is down"),
    (well(views=views()), WARN, "cluster.views", "the nodes differ: n1 says n3 down; n2 says n3 up"),
    (well(nodes=OLD), WARN, "cluster.versions", "releases differ: n1 0.1.0, n2 0.2.0"),
    (well(nodes=DEAF), FAIL, "cluster.versions", "n1 and n2 have no common version of the protocol"),
    (well(nodes=FAR), WARN, "cluster.clocks", "the clock of n2 is 40 s ahead of that of n1"),
    (well(transfers=HELD_UP), WARN, "cluster.transfers", "(leave n3) is held up: nothing has come to n2 for 71 s"),
    (well(ring=ring(2, 8)), WARN, "ring.copies", "N=3 wants 1 node more"),
    (well(ring=ring(3, 8) | {"preference": [["n1", "n1", "n2"], ["n1", "n2", "n3"]]}), FAIL, "ring.copies",
     "1 partitions have fewer than 3 owners"),
    (well(status=status(health="healthy", reasons=[], siblings=1)), WARN, "data.siblings", "1 key has siblings"),
    (well(status=status(health="healthy", reasons=[], siblings=3), conflict=MANY), WARN, "data.siblings",
     '3 keys have siblings; "k 1" has 12'),
    (well(hints=hints() | {"held": hints()["held"][:1]}), WARN, "data.hints", "n1 keeps 1,234 rows for n3"),
    (well(status=status(health="healthy", reasons=[], siblings=0, repair={"last_pass_s_ago": 1.0, "divergent": 4})),
     WARN, "data.repair", "4 keys that differ"),
    (well(nodes=node(stats=figures(background={"damaged": 3}))), WARN, "data.rot", "n1 has found 3 damaged rows"),
    (well(nodes=node(stats=figures(background={"unreadable": "EIO"}))), FAIL, "data.rot", "cannot be read: EIO"),
    (well(nodes=node(stats=figures(storage={"stopped": "EIO"}))), FAIL, "node.disk", "stores nothing more: EIO"),
    (well(nodes=node(stats=figures(storage={"room": "own"}))), WARN, "node.disk", "n1 is nearly full"),
    (well(nodes=node(stats=figures(storage={"room": "little", "near_full": True}))), FAIL, "node.disk", "is full"),
    (well(nodes=node(stats=figures(storage={"free_bytes": 5}))), WARN, "node.disk", "0.0 GiB free at the least"),
    (well(nodes=node(stats=figures(latency_ms={"get": {"p99": 301.0}}))), WARN, "node.speed", "get takes 301 ms"),
    (well(nodes=node(stats=figures(queues={"requests_refused": 7}))), WARN, "node.load", "turned 7 requests away"),
    (well(nodes=node(durability="memory")), WARN, "node.durability", "n1 runs with --durability memory"),
    (well(now_s=8640000 - 86_400 * 3), WARN, "node.certificate", "the certificate of n1 ends in 3 days"),
    (well(now_s=8640001.0), FAIL, "node.certificate", "the certificate of n1 has ended"),
    (well(nodes=node(faults=2)), WARN, "node.faults", "2 faults are in force on n1"),
]  # fmt: skip


@pytest.mark.parametrize(("heard", "level", "check", "said"), OF_CLUSTERS)
def test_each_check_finds_what_it_is_for(heard: Heard, level: str, check: str, said: str) -> None:
    """With what to do about it, and nothing else is found wrong beside it."""
    found = list(cluster(heard))
    assert set(troubles(found)) == {(level, check)}
    trouble = next(finding for finding in found if finding.level != OK)
    assert said in trouble.text
    assert trouble.fix


def test_every_check_has_a_trouble_that_is_tested() -> None:
    found = [check for _, _, check, _ in OF_MACHINES] + [check for _, _, check, _ in OF_CLUSTERS]
    assert dict.fromkeys(sorted(found)) == dict.fromkeys(sorted(CHECKS))


def test_a_hint_that_is_young_is_no_trouble() -> None:
    held = [hints()["held"][0] | {"oldest_s": 5}]
    assert not troubles(list(cluster(well(hints={"held": held}))))


def spoiled(value: Any) -> Iterator[Any]:
    """A document with each of its parts taken away, null, or of another sort, one at a time."""
    if isinstance(value, dict):
        for name in value:
            yield {other: inner for other, inner in value.items() if other != name}
            yield from ({**value, name: inner} for inner in (None, "x", 7, [None], {"a": None}))
            yield from ({**value, name: inner} for inner in spoiled(value[name]))
    elif isinstance(value, list):
        for at, inner in enumerate(value[:2]):
            yield from ([*value[:at], other, *value[at + 1 :]] for other in spoiled(inner))


@pytest.mark.parametrize("field", ["status", "ring", "views", "hints", "transfers", "stats"])
def test_what_another_release_leaves_out_is_unknown_and_no_crash(field: str) -> None:
    whole = {"status": status(), "ring": ring(3, 4), "views": views(), "hints": hints(), "transfers": transfers(),
             "stats": figures()}[field]  # fmt: skip
    count = 0
    for document in spoiled(whole):
        count += 1
        heard = well(nodes=node(stats=document)) if field == "stats" else well(**{field: document})
        assert all(isinstance(finding, Finding) for finding in cluster(heard))
    assert count > 20


def test_checks_are_chosen_by_id_by_part_and_by_side() -> None:
    host = [name for name in CHECKS if name.startswith("host.")]
    assert list(filter(chosen(["host", "data.hints"]), CHECKS)) == [*host, "data.hints"]
    assert list(filter(chosen([], "local", ["host.mdns"]), CHECKS)) == [name for name in host if name != "host.mdns"]
    assert list(filter(chosen([], "cluster", ["node", "data"]), CHECKS)) == [
        name for name in CHECKS if name.startswith(("cluster.", "ring."))
    ]


def answering(document: dict[str, Any]) -> FakeNode:
    """A node that takes no orders to break, knows no TIME, and is well."""
    fine = well().status
    return FakeNode({
        "DYN.RING": document, "DYN.STATUS": fine, "DYN.VIEWS": AGREE, "DYN.HINTS": NO_HINTS, "DYN.STATS": figures(),
        "DYN.TRANSFERS": settled(), "PING": b"PONG", "CONFIG": [b"durability", b"full"],
        "INFO": b"# Server\r\ndyn_version:0.1.0\r\n", "TIME": Err("ERR unknown command 'TIME'"),
    })  # fmt: skip


def test_every_node_is_asked_and_the_exit_code_is_what_was_found() -> None:
    document = ring(3, 8)
    nodes = [answering(document) for _ in range(3)]
    for member, other in zip(document["members"], nodes, strict=True):
        member["address"] = other.address
    try:
        assert dyn("doctor", "--skip", "host", node=nodes[0]).status == 0
        assert [len([words for words in other.asked if words[0] == b"DYN.STATS"]) for other in nodes] == [1, 1, 1]
        screen = dyn("doctor", "--skip", "host", "--color", "never", node=nodes[0], terminal=True)
        assert max(map(len, screen.out.splitlines())) <= 80
        assert "0 failures, 0 warnings" in screen.out
        nodes[2].replies["DYN.STATS"] = HANG_UP
        nodes[1].replies["DYN.STATS"] = figures(storage={"stopped": "EIO"})
        told = dyn("doctor", "cluster", "node", "-o", "json", node=nodes[0])
        assert told.status == 8
        found = json.loads(told.out)
        assert (found["failures"], found["warnings"]) == (1, 1)
        assert {finding["id"].partition(".")[0] for finding in found["checks"]} == {"cluster", "node"}
        for other in nodes:
            other.asked.clear()
        assert dyn("doctor", "--only", "local", node=nodes[0]).status == 0
        assert not any(other.asked for other in nodes)
    finally:
        for other in nodes:
            other.close()


def test_without_a_node_this_machine_is_looked_at_all_the_same() -> None:
    told = dyn("doctor", "-o", "json")
    assert told.status == 8
    found = json.loads(told.out)["checks"]
    assert [finding["id"] for finding in found if finding["level"] == FAIL] == ["cluster.answer"]
    assert [finding for finding in found if finding["id"] == "host.python"]


def test_the_list_the_explanation_and_a_check_that_there_is_not() -> None:
    with fake_node() as other:
        listed = dyn("doctor", "--list", node=other).out.splitlines()[1:]
        assert [line.split("\t")[0] for line in listed] == list(CHECKS)
        one = dyn("doctor", "--explain", "data.hints", node=other, terminal=True)
        assert "one copy more is missing" in " ".join(one.out.split())
        assert "dyn explain hint" in one.out
        assert not other.asked
        wrong = dyn("doctor", "data.hint", node=other)
        assert (wrong.status, "Did you mean data.hints?" in wrong.err) == (2, True)
        assert dyn("doctor", "--explain", "host", node=other).status == 2


def test_what_is_found_on_a_machine(tmp_path: Path) -> None:
    """A secret that others can read, an old completion file, a setting that is none, a port that is taken, no disk."""
    (tmp_path / ".config/dyn").mkdir(parents=True)
    (tmp_path / ".config/dyn/cluster.key").write_text("k")
    (tmp_path / ".config/dyn/cluster.key").chmod(0o644)
    old = tmp_path / ".local/share/bash-completion/completions/dyn"
    old.parent.mkdir(parents=True)
    old.write_text("# Generated from the command tree by `dyn completion bash`: do not edit.")
    (tmp_path / ".local/share/dyn").write_text("a file where nodes would keep their data")
    environ = {"HOME": str(tmp_path), "SHELL": "/bin/bash"}
    with fake_node() as other:
        told = dyn("doctor", "--only", "local", "--json", environ={**environ, "DYN_PORT": str(other.port)})
        refused = dyn("doctor", "host.config", "--json", environ={**environ, "DYN_NRW": "1/9/9"})
    checks = {check["id"]: (check["level"], check["text"], check["fix"]) for check in json.loads(told.out)["checks"]}
    assert told.status == 8
    assert checks["host.secrets"][0] == FAIL
    assert checks["host.secrets"][2] == f"chmod 600 {tmp_path}/.config/dyn/cluster.key"
    assert checks["host.completion"] == (
        WARN, "~/.local/share/bash-completion/completions/dyn is of another release", "dyn completion bash --install",
    )  # fmt: skip
    assert checks["host.store"][0] == FAIL
    assert f"{other.port} used by " in checks["host.ports"][1]
    assert checks["host.ports"][0] == WARN
    [config] = json.loads(refused.out)["checks"]
    assert (config["level"], "DYN_NRW" in config["text"]) == (WARN, True)


@pytest.fixture
def spoilt(tmp_path: Path) -> dict[str, str]:
    """A home in which everything is wrong that can be mended; its environment."""
    for path in (".config/dyn/cluster.key", ".config/dyn/contexts/prod one.toml", ".local/state/dyn/history"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch(0o644)
    old = tmp_path / ".local/share/bash-completion/completions/dyn"
    old.parent.mkdir(parents=True)
    old.write_text("# Generated from the command tree by `dyn completion bash`: do not edit.")
    held = registry.claim(tmp_path / ".local/state/dyn", "carts", tmp_path / "gone")
    held.write(registry.Entry("carts", tmp_path / "gone", 7700, False, 1, "2026-11-23T12:00:00.000Z", "shell"))
    held.close(forget=False)
    return {"HOME": str(tmp_path), "SHELL": "/bin/bash"}


def modes(environ: dict[str, str]) -> list[int]:
    """Of the files that should be private."""
    home = Path(environ["HOME"])
    files = [*(home / ".config/dyn").rglob("*"), home / ".local/state/dyn/history"]
    return [stat.S_IMODE(path.stat().st_mode) for path in files if path.is_file()]


def test_what_is_safe_is_mended_and_nothing_else(spoilt: dict[str, str]) -> None:
    """Shown first, and only with consent; looked at again, so the exit code is of what is left."""
    checks = ("host.secrets", "host.private", "host.demos", "host.completion")
    refused = dyn("doctor", *checks, "--fix", environ=spoilt)
    assert refused.status == 9
    assert "Pass --yes to confirm" in refused.err
    assert "host.private: " in refused.err
    assert "contexts/prod one.toml'\n" in refused.err, "quoted, as it can be typed"
    assert modes(spoilt) == [0o644] * 3
    declined = dyn("doctor", *checks, "--fix", environ=spoilt, terminal=True, stdin=b"n\n")
    assert (declined.status, modes(spoilt)) == (9, [0o644] * 3)
    assert "Run these 5? [y/N] " in declined.err
    done = dyn("doctor", *checks, "--fix", "-y", "--json", environ=spoilt)
    told = json.loads(done.out)
    assert done.status == 0, done.err
    assert [each["error"] for each in told["mended"]] == [None] * 5
    assert [check["level"] for check in told["checks"]] == [OK] * 4
    assert modes(spoilt) == [0o600] * 3
    assert json.loads(dyn("demo", "ls", "--json", environ=spoilt).out)["demos"] == []
    again = dyn("doctor", *checks, "--fix", environ=spoilt, terminal=True)
    assert (again.status, "Nothing that is wrong is for --fix to mend" in again.err) == (0, True)
    assert json.loads(dyn("doctor", *checks, "--json", environ=spoilt).out)["mended"] is None


def test_what_cannot_be_mended_is_told(spoilt: dict[str, str]) -> None:
    """What is no file is left alone, and the others are mended nevertheless."""
    home = Path(spoilt["HOME"])
    (home / ".config/dyn/cluster.key").unlink()
    (home / ".config/dyn/cluster.key").mkdir(0o755)
    done = dyn("doctor", "host.secrets", "host.private", "--fix", "-y", "--json", environ=spoilt)
    assert done.status == 8
    assert [each["error"] for each in json.loads(done.out)["mended"]] == ["it is no regular file", None, None]
    assert mend(mended_by("host.secrets", FAIL, "", "chmod", "600", "/proc/self/mem"), environment()[0]).error
    unknown = mend(mended_by("host.demos", WARN, "", "dyn", "demo", "rm", "nobody", "-y"), environment()[0])
    assert unknown.error.startswith("dyn: no demo 'nobody'")


def test_the_checks_that_mend_say_what() -> None:
    """In the list, and in what is found."""
    mending = {name for name, check in CHECKS.items() if check.mends}
    assert mending == {f.id for known, *_ in OF_MACHINES for f in machine(known) if f.does}
    assert "--fix takes it from the others" in " ".join(dyn("doctor", "--list", terminal=True).out.split())


def test_where_a_store_can_be_kept_and_where_not(tmp_path: Path) -> None:
    assert why_no_store(tmp_path) == ""
    assert list(tmp_path.iterdir()) == [], "it leaves nothing"
    assert why_no_store(tmp_path / "new" / "dyn") == ""
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("")
    assert why_no_store(tmp_path / "file" / "dyn").endswith("is no directory")
    assert why_no_store(Path("/proc")) != ""


def test_every_command_that_is_named_is_one() -> None:
    """What mends a trouble, and where to see more: the words are a command, and the options are its own."""
    fixes = [f.fix for known, *_ in OF_MACHINES for f in machine(known)]
    fixes += [f.fix for heard, *_ in OF_CLUSTERS for f in cluster(heard)]
    lines = [fix.partition(", ")[0] for fix in fixes if fix.startswith("dyn ")]
    lines += [line for check in CHECKS.values() for line in check.also]
    assert len(set(lines)) > 20
    for line in dict.fromkeys(lines):
        words = shlex.split(line)[1:]
        if words[0] == "help":
            assert dyn("help", *words[1:]).status == 0, line
            continue
        spec = next(filter(None, (find(tuple(words[:count])) for count in (3, 2, 1))), None)
        assert spec is not None, line
        known_options = {flag for parameter in spec.parameters for flag in parameter.flags}
        assert {word for word in words if word.startswith("-")} <= known_options, line

"""What is wrong with a cluster, or with this machine, and what mends it: checks on what was told, as values.

Every check has an id that stays, and reads only what nodes tell anyway. What was not told is not checked. `warn` is
what somebody should look at, `fail` what costs requests or data.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

Document = Mapping[str, Any]

OK, WARN, FAIL = "ok", "warn", "fail"

P99_MS_MAX = 300.0
"""The paper's own promise to clients (section 2.2): above it somebody waits."""

HINT_S_MAX = 60.0
"""A hint that is older waits for a node that does not come back by itself."""

FILES_MIN = 1024
"""Open files with which a node takes some hundred clients."""

FREE_BYTES_MIN = 1 << 30
"""Less free space than this is gone in a day of writes."""


class Finding(NamedTuple):
    """What one check found. `fix` is a command, or what to do, "" where nothing is wrong."""

    id: str
    level: str
    text: str
    fix: str = ""


class Host(NamedTuple):
    """What is known of this machine: Python's version, the limit of open files, whether text is UTF-8, free space."""

    python: str
    open_files: int
    utf8: bool
    data_dir: str
    free_bytes: int | None


class Heard(NamedTuple):
    """What the nodes told: documents of one who answers, figures and settings by node, and why there are none."""

    status: Document | None
    ring: Document | None
    views: Document | None
    hints: Document | None
    stats: Mapping[str, Document]
    took_ms: Mapping[str, float]
    silent: Mapping[str, str]
    durability: Mapping[str, str]
    faults: Mapping[str, int]
    why: str = ""


# This machine --------------------------------------------------------------------------------------------------------


def host(known: Host) -> Iterator[Finding]:
    """What of this machine matters to a node or a shell on it."""
    yield Finding("host.python", OK, f"Python {known.python}")
    if known.open_files < FILES_MIN:
        few = f"{known.open_files} open files are allowed: enough for about {known.open_files // 4} clients"
        yield Finding("host.files", WARN, few, "ulimit -n 8192")
    else:
        yield Finding("host.files", OK, f"{known.open_files:,} open files are allowed")
    if known.utf8:
        yield Finding("host.text", OK, "the terminal takes UTF-8")
    else:
        yield Finding(
            "host.text", WARN, "the terminal does not take UTF-8: some characters are escapes", "LANG=C.UTF-8"
        )
    if known.free_bytes is not None:
        free = f"{known.free_bytes / (1 << 30):.1f} GiB free for {known.data_dir}"
        low = known.free_bytes < FREE_BYTES_MIN
        yield Finding("host.space", WARN if low else OK, free, "free some, or use --data-dir" if low else "")


# The cluster ---------------------------------------------------------------------------------------------------------


def cluster(heard: Heard) -> Iterator[Finding]:
    """What is wrong in a cluster, as its nodes tell it."""
    if heard.status is None:
        yield Finding("cluster.answer", FAIL, heard.why, "dyn node start, or name one: -n HOST:PORT")
        return
    for check in (_answers, _health, _views, _ring, _siblings, _hints, _repair, _rot, _disks, _speed, _refused, _modes):
        yield from check(heard)


def _answers(heard: Heard) -> Iterator[Finding]:
    told = ", ".join(f"{name} {took:.0f} ms" for name, took in heard.took_ms.items())
    total = len(heard.took_ms) + len(heard.silent)
    if not heard.silent:
        yield Finding("cluster.answer", OK, f"all {total} nodes answer ({told})")
    for name, why in heard.silent.items():
        yield Finding("cluster.answer", WARN, f"{name} does not answer: {why}", f"dyn node start --name {name} …")


def _health(heard: Heard) -> Iterator[Finding]:
    assert heard.status is not None, "checked before"
    health = heard.status["health"]
    if health == "healthy":
        yield Finding("cluster.health", OK, "healthy: every partition has its quorums")
    for reason in heard.status["reasons"]:
        yield Finding("cluster.health", FAIL if health == "critical" else WARN, reason, "dyn cluster status")


def _views(heard: Heard) -> Iterator[Finding]:
    if heard.views is None:
        return
    if heard.views["agree"]:
        yield Finding("cluster.views", OK, "the nodes agree on members and epoch")
    else:
        yield Finding("cluster.views", WARN, "the nodes differ on who is there, or on the epoch", "dyn cluster views")


def _ring(heard: Heard) -> Iterator[Finding]:
    if heard.ring is None:
        return
    ring, n = heard.ring, heard.ring["n"]
    seated = {name for nodes in ring["preference"] for name in nodes}
    possible = min(n, len(seated))
    wrong = sum(len(set(nodes[:n])) < possible for nodes in ring["preference"])
    words = f"{ring['partitions']} partitions on {len(seated)} nodes, {possible} copies of each"
    if wrong:
        yield Finding("ring.copies", FAIL, f"{wrong} partitions have fewer than {possible} owners", "dyn ring show")
    elif possible < n:
        yield Finding("ring.copies", WARN, f"{words}: N={n} wants {n - possible} nodes more", "dyn node start")
    else:
        yield Finding("ring.copies", OK, words)


def _siblings(heard: Heard) -> Iterator[Finding]:
    assert heard.status is not None, "checked before"
    count = heard.status["siblings"]
    if count is not None:
        words = f"{count} {'key has' if count == 1 else 'keys have'} siblings" if count else "no key has siblings"
        yield Finding("data.siblings", WARN if count else OK, words, "dyn keys --siblings" if count else "")


def _hints(heard: Heard) -> Iterator[Finding]:
    if heard.hints is None:
        return
    held = heard.hints["held"]
    if not held:
        yield Finding("data.hints", OK, "no hints: every owner has what was written for it")
    for hint in held:
        words = f"{hint['by']} keeps {hint['keys']:,} rows for {hint['for']}: {hint['waits_because']}"
        level = WARN if hint["oldest_s"] > HINT_S_MAX else OK
        yield Finding("data.hints", level, words, "dyn cluster hints" if level is WARN else "")


def _repair(heard: Heard) -> Iterator[Finding]:
    assert heard.status is not None, "checked before"
    repair = heard.status["repair"]
    if repair["divergent"]:
        words = f"the last full pass of repair found {repair['divergent']:,} keys that differ"
        yield Finding("data.repair", WARN, words, "dyn cluster repair")
    elif repair["last_pass_s_ago"] is not None:
        yield Finding(
            "data.repair",
            OK,
            f"the last full pass of repair, {repair['last_pass_s_ago']:.0f} s ago, found no key that differs",
        )


def _rot(heard: Heard) -> Iterator[Finding]:
    for name, stats in heard.stats.items():
        for task in stats.get("background") or ():
            if task.get("unreadable"):
                words = f"part of {name}'s file cannot be read: {task['unreadable']}"
                yield Finding("data.rot", FAIL, words, f"replace the disk of {name}; then --seat (README)")
            elif task.get("damaged"):
                words = f"{name} has found {task['damaged']:,} damaged rows since it started; others brought them back"
                yield Finding("data.rot", WARN, words, f"look after the disk of {name}")


def _disks(heard: Heard) -> Iterator[Finding]:
    fine = True
    for name, stats in heard.stats.items():
        storage = stats.get("storage") or {}
        stopped = storage.get("stopped") or storage.get("failed")
        if stopped:
            words = f"{name} stores nothing more: {stopped}"
            yield Finding("node.disk", FAIL, words, f"look after its disk, then start {name} again")
        elif storage.get("room") not in (None, "ample"):
            level, state = (FAIL, "full") if storage.get("near_full") else (WARN, "nearly full")
            yield Finding("node.disk", level, f"the disk of {name} is {state}", f"free space where {name} runs")
        fine = fine and not stopped and storage.get("room") in (None, "ample")
    if fine and heard.stats:
        yield Finding("node.disk", OK, "every disk has room, and has never failed")


def _speed(heard: Heard) -> Iterator[Finding]:
    slow = False
    for name, stats in heard.stats.items():
        for operation, latency in (stats.get("latency_ms") or {}).items():
            if (latency.get("p99") or 0) > P99_MS_MAX:
                slow = True
                words = f"{operation} takes {latency['p99']:,.0f} ms at p99 on {name} (wanted: {P99_MS_MAX:.0f})"
                yield Finding("node.speed", WARN, words, f"dyn node stats {name}")
    if heard.stats and not slow:
        yield Finding("node.speed", OK, f"no p99 of late is above {P99_MS_MAX:.0f} ms")


def _refused(heard: Heard) -> Iterator[Finding]:
    for name, stats in heard.stats.items():
        refused = (stats.get("queues") or {}).get("requests_refused")
        if refused:
            words = f"{name} has turned {refused:,} requests away since it started: more came than it can do in time"
            yield Finding("node.load", WARN, words, f"dyn node stats {name}")


def _modes(heard: Heard) -> Iterator[Finding]:
    for name, durability in heard.durability.items():
        if durability != "full":
            words = f"{name} runs with --durability {durability}: a power cut may take back what it acknowledged"
            yield Finding("node.durability", WARN, words, f"start {name} with --durability full")
    for name, faults in heard.faults.items():
        if faults:
            words = f"{faults} fault{'s are' if faults > 1 else ' is'} in force on {name}, on purpose"
            yield Finding("node.faults", WARN, words, "dyn fault heal")


CHECKS: Mapping[str, str] = {
    "host.python": "the Python that runs dyn",
    "host.files": "how many files, and so connections, a process here may open",
    "host.text": "whether the terminal shows UTF-8",
    "host.space": "free space where nodes here keep their data",
    "cluster.answer": "whether every member answers, and how fast",
    "cluster.health": "what the nodes themselves give as reasons",
    "cluster.views": "whether the nodes agree on who is there",
    "ring.copies": "whether every partition has its N owners",
    "data.siblings": "keys with several values",
    "data.hints": "rows that wait for their owners for more than a minute",
    "data.repair": "whether the last full pass found keys that differ",
    "data.rot": "damaged rows",
    "node.disk": "disks that failed, or are nearly full",
    "node.speed": "p99 above what the paper promises",
    "node.load": "requests that were turned away",
    "node.durability": "nodes that acknowledge before they sync",
    "node.faults": "faults in force on purpose",
}
"""Every check by its id, and what it looks at."""


def chosen(wanted: Sequence[str]) -> Callable[[Finding], bool]:
    """Whether a finding is wanted: by its id, by what stands before the dot, or all if nothing is named."""
    return lambda finding: not wanted or any(word in (finding.id, finding.id.partition(".")[0]) for word in wanted)

"""What is wrong in a cluster, as its nodes tell it: documents in, findings out. `hear` asks for the documents.

A node of another release may leave out what a check goes by: that check then says nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from dynamo_cli.doctor.findings import FAIL, OK, WARN, Finding
from dynamo_cli.told import items, mapping, number, text, whole, word, words
from node.core.limits import SIBLINGS_WARN

Document = Mapping[str, Any]

P99_MS_MAX = 300.0
"""The paper's own promise to clients (section 2.2): above it somebody waits."""

HINT_S_MAX = 60.0
"""A hint that is older waits for a node that does not come back by itself."""

IDLE_S_MAX = 60.0
"""A move of partitions that brought nothing for so long is held up by something."""

CLOCKS_S_MAX = 0.5
"""Further apart, the times that are shown mislead, and so does merge --lww."""

CERTIFICATE_S_MIN = 30 * 86_400
"""A certificate that ends sooner wants to be renewed."""

FREE_BYTES_MIN = 1 << 30
"""Less free space than this is gone in a day of writes."""


class Node(NamedTuple):
    """What one node told: its DYN.STATS, its lines of INFO, the time an answer takes, and by how many seconds its clock
    is before ours (None: not known), what --durability it has ("" for not known), and how many faults it obeys."""

    stats: Document
    info: Mapping[str, str]
    took_ms: float | None
    ahead_s: float | None
    durability: str
    faults: int


class Conflict(NamedTuple):
    """The key with most values of those that were looked at, as text that is safe to show and as it is typed."""

    shown: str
    typed: str
    values: int


class Heard(NamedTuple):
    """What the nodes told: documents of one who answers (None for one that it does not have), and of each node."""

    status: Document | None
    ring: Document | None
    views: Document | None
    hints: Document | None
    transfers: Document | None
    nodes: Mapping[str, Node]
    silent: Mapping[str, str]
    conflict: Conflict | None = None
    now_s: float = 0.0
    """Unix time, against which certificates end."""
    why: str = ""


def cluster(heard: Heard) -> Iterator[Finding]:
    """What is wrong in a cluster, and what is not."""
    if heard.status is None:
        yield Finding("cluster.answer", FAIL, heard.why, "dyn node start, or name one: -n HOST:PORT")
        return
    for check in (
        _answers, _health, _views, _versions, _clocks, _transfers, _ring, _siblings, _hints, _repair, _rot, _disks,
        _speed, _refused, _durability, _certificates, _faults,
    ):  # fmt: skip
        yield from check(heard)


def _answers(heard: Heard) -> Iterator[Finding]:
    told = ", ".join(f"{name} {node.took_ms:.1f} ms" for name, node in heard.nodes.items() if node.took_ms is not None)
    total = len(heard.nodes) + len(heard.silent)
    if not heard.silent:
        who = f"all {total} nodes answer" if total > 1 else "the one node answers"
        yield Finding("cluster.answer", OK, f"{who} ({told})")
    for name, why in heard.silent.items():
        yield Finding("cluster.answer", WARN, f"{name} does not answer: {why}", f"dyn node start --name {name} …")


def _health(heard: Heard) -> Iterator[Finding]:
    health = word(heard.status, "health")
    if health == "healthy":
        yield Finding("cluster.health", OK, "healthy: every partition has its quorums")
    for reason in words(heard.status, "reasons"):
        yield Finding("cluster.health", FAIL if health == "critical" else WARN, reason, "dyn cluster status")


def _views(heard: Heard) -> Iterator[Finding]:
    agree = (heard.views or {}).get("agree")
    if agree is True:
        yield Finding("cluster.views", OK, "the nodes agree on members and epoch")
    elif agree is False:
        yield Finding("cluster.views", WARN, _differences(items(heard.views, "views")), "dyn cluster views")


def _differences(views: list[Document]) -> str:
    """In what the nodes differ: who is in which epoch, and who is not seen up by whom."""
    at: dict[str, list[str]] = {}
    for view in views:
        at.setdefault(text(whole(view, "epoch")), []).append(word(view, "of"))
    parts = [f"{' '.join(names)} at epoch {epoch}" for epoch, names in at.items()] if len(at) > 1 else []
    seen: dict[tuple[str, str], list[str]] = {}
    for view in views:
        for name, state in mapping(view, "sees").items():
            seen.setdefault((name, str(state)), []).append(word(view, "of"))
    torn = {name for name, state in seen if sum(other == name for other, _ in seen) > 1}
    parts += [
        f"{' '.join(by)} say{'s' * (len(by) == 1)} {name} {state}" for (name, state), by in seen.items() if name in torn
    ]
    return "the nodes differ: " + ("; ".join(parts) or "on who is there, or on the epoch")


def _versions(heard: Heard) -> Iterator[Finding]:
    releases: dict[str, list[str]] = {}
    for name, node in heard.nodes.items():
        if version := node.info.get("dyn_version"):
            releases.setdefault(version, []).append(name)
    spoken = {
        name: (int(oldest), int(newest))
        for name, node in heard.nodes.items()
        if (oldest := node.info.get("wire_oldest", "")).isdigit()
        and (newest := node.info.get("wire_newest", "")).isdigit()
    }
    deaf = [
        f"{a} and {b}"
        for a, (a_oldest, a_newest) in spoken.items()
        for b, (b_oldest, b_newest) in spoken.items()
        if a < b and min(a_newest, b_newest) < max(a_oldest, b_oldest)
    ]
    told = ", ".join(f"{' '.join(names)} {version}" for version, names in releases.items())
    if deaf:
        why = f"{deaf[0]} have no common version of the protocol, and no link ({told})"
        yield Finding(
            "cluster.versions", FAIL, why, "upgrade the older release first: stop it, install, start it again"
        )
    elif len(releases) > 1:
        yield Finding("cluster.versions", WARN, f"releases differ: {told}", "upgrade the others, one node at a time")
    elif releases:
        spoke = {newest for _, newest in spoken.values()}
        protocol = f", protocol {max(spoke)}" if len(spoke) == 1 else ""
        yield Finding("cluster.versions", OK, f"all run dyn {next(iter(releases))}{protocol}")


def clocks_apart(heard: Heard) -> tuple[str, str, float] | None:
    """The node whose clock is last, the one whose is first, and how many seconds they are apart; None of fewer."""
    ahead = {name: node.ahead_s for name, node in heard.nodes.items() if node.ahead_s is not None}
    if len(ahead) < 2:
        return None
    first, last = min(ahead, key=lambda name: ahead[name]), max(ahead, key=lambda name: ahead[name])
    return first, last, ahead[last] - ahead[first]


def _clocks(heard: Heard) -> Iterator[Finding]:
    found = clocks_apart(heard)
    if found is None:
        return
    first, last, apart = found
    shown = f"{apart * 1000:,.0f} ms" if apart < 10 else f"{apart:,.0f} s"
    if apart > CLOCKS_S_MAX:
        why = f"the clock of {last} is {shown} ahead of that of {first}: shown times and merge --lww go by them"
        yield Finding("cluster.clocks", WARN, why, "timedatectl set-ntp true, on both")
    else:
        yield Finding("cluster.clocks", OK, f"clocks within {shown} (only shown times and merge --lww go by them)")


def _transfers(heard: Heard) -> Iterator[Finding]:
    if heard.transfers is None or word(heard.transfers, "state") == "?":
        return
    if word(heard.transfers, "state") == "settled":
        yield Finding("cluster.transfers", OK, "nothing moves")
        return
    takers = items(heard.transfers, "takers")
    waiting = [taker for taker in takers if taker.get("holds") is False]
    paused = sorted(word(taker, "node") for taker in waiting if number(taker, "paused_s") is not None)
    idle = {
        word(taker, "node"): idle_s
        for taker in waiting
        if (idle_s := number(taker, "idle_s")) is not None and idle_s > IDLE_S_MAX
    }
    epoch, change = text(whole(heard.transfers, "epoch")), word(heard.transfers, "change")
    if paused:
        why = f"epoch {epoch} ({change}) waits: an operator paused what {', '.join(paused)} take in"
        yield Finding("cluster.transfers", WARN, why, "dyn cluster transfers resume")
    elif idle:
        name, idle_s = max(idle.items(), key=lambda item: item[1])
        why = f"epoch {epoch} ({change}) is held up: nothing has come to {name} for {idle_s:,.0f} s"
        yield Finding("cluster.transfers", WARN, why, "dyn cluster transfers")
    else:
        yield Finding("cluster.transfers", OK, f"epoch {epoch} is moving ({change})")


def _ring(heard: Heard) -> Iterator[Finding]:
    lists = (heard.ring or {}).get("preference")
    n = whole(heard.ring, "n")
    if not isinstance(lists, list) or n is None:
        return
    owners = [[name for name in nodes if isinstance(name, str)] for nodes in lists if isinstance(nodes, list)]
    seated = {name for nodes in owners for name in nodes}
    possible = min(n, len(seated))
    wrong = sum(len(set(nodes[:n])) < possible for nodes in owners)
    told = f"{len(owners)} partitions on {len(seated)} nodes, {possible} copies of each"
    if wrong:
        yield Finding("ring.copies", FAIL, f"{wrong} partitions have fewer than {possible} owners", "dyn ring show")
    elif possible < n:
        missing = n - possible
        want = f"{told}: N={n} wants {missing} node{'s' * (missing > 1)} more"
        yield Finding("ring.copies", WARN, want, "dyn node start")
    else:
        yield Finding("ring.copies", OK, told)


def _siblings(heard: Heard) -> Iterator[Finding]:
    count, most = whole(heard.status, "siblings"), heard.conflict
    if count is None:
        return
    if not count:
        yield Finding("data.siblings", OK, "no key has siblings")
        return
    told = f"{count:,} {'key has' if count == 1 else 'keys have'} siblings"
    if most is None:
        yield Finding("data.siblings", WARN, told, "dyn keys --siblings")
    else:
        many = " (it is not being settled)" if most.values >= SIBLINGS_WARN else ""
        yield Finding("data.siblings", WARN, f"{told}; {most.shown} has {most.values}{many}", f"dyn merge {most.typed}")


def _hints(heard: Heard) -> Iterator[Finding]:
    if heard.hints is None:
        return
    held = items(heard.hints, "held")
    if not held:
        yield Finding("data.hints", OK, "no hints: every owner has what was written for it")
    for hint in held:
        keys = whole(hint, "keys")
        told = f"{word(hint, 'by')} keeps {text(keys)} {'row' if keys == 1 else 'rows'} for {word(hint, 'for')}"
        level = WARN if (number(hint, "oldest_s") or 0) > HINT_S_MAX else OK
        why = f"{told}: {word(hint, 'waits_because', 'it does not say why')}"
        yield Finding("data.hints", level, why, "dyn cluster hints" if level is WARN else "")


def _repair(heard: Heard) -> Iterator[Finding]:
    repair = mapping(heard.status, "repair")
    divergent, ago_s = whole(repair, "divergent"), number(repair, "last_pass_s_ago")
    if divergent:
        told = f"the last full pass of repair found {divergent:,} keys that differ"
        yield Finding("data.repair", WARN, told, "dyn cluster repair")
    elif ago_s is not None:
        told = f"the last full pass of repair, {ago_s:,.0f} s ago, found no key that differs"
        yield Finding("data.repair", OK, told)


def _rot(heard: Heard) -> Iterator[Finding]:
    for name, node in heard.nodes.items():
        for task in items(node.stats, "background"):
            if unreadable := word(task, "unreadable", ""):
                told = f"part of {name}'s file cannot be read: {unreadable}"
                yield Finding("data.rot", FAIL, told, f"replace the disk of {name}; then --seat (README)")
            elif damaged := whole(task, "damaged"):
                told = f"{name} has found {damaged:,} damaged rows since it started; others brought them back"
                yield Finding("data.rot", WARN, told, f"look after the disk of {name}")


def free_bytes(heard: Heard) -> dict[str, int]:
    """How much space is free where each node keeps its data, of those that tell."""
    told = {name: whole(mapping(node.stats, "storage"), "free_bytes") for name, node in heard.nodes.items()}
    return {name: free for name, free in told.items() if free is not None}


def stopped(heard: Heard) -> dict[str, str]:
    """Which nodes store nothing more, and why."""
    storages = {name: mapping(node.stats, "storage") for name, node in heard.nodes.items()}
    why = {name: word(each, "stopped", "") or word(each, "failed", "") for name, each in storages.items()}
    return {name: words for name, words in why.items() if words}


def _disks(heard: Heard) -> Iterator[Finding]:
    fine = True
    free, down = free_bytes(heard), stopped(heard)
    for name, node in heard.nodes.items():
        storage = mapping(node.stats, "storage")
        room = word(storage, "room", "ample")
        if name in down:
            fix = f"look after its disk, then start {name} again"
            yield Finding("node.disk", FAIL, f"{name} stores nothing more: {down[name]}", fix)
        elif room != "ample":
            level, state = (FAIL, "full") if storage.get("near_full") is True else (WARN, "nearly full")
            yield Finding("node.disk", level, f"the disk of {name} is {state}", f"free space where {name} runs")
        fine = fine and name not in down and room == "ample"
    if not heard.nodes or not fine:
        return
    worst = min(free, key=lambda name: free[name], default=None)
    if worst is None:
        yield Finding("node.disk", OK, "every disk has room, and has never failed")
        return
    left = f"{free[worst] / (1 << 30):.1f} GiB free at the least ({worst})"
    if free[worst] < FREE_BYTES_MIN:
        yield Finding("node.disk", WARN, left, f"free space where {worst} runs")
    else:
        yield Finding("node.disk", OK, f"every disk has room, and has never failed: {left}")


def _speed(heard: Heard) -> Iterator[Finding]:
    slow = False
    for name, node in heard.nodes.items():
        latencies = mapping(node.stats, "latency_ms")
        for operation in latencies:
            p99 = number(mapping(latencies, operation), "p99") or 0
            if p99 > P99_MS_MAX:
                slow = True
                told = f"{operation} takes {p99:,.0f} ms at p99 on {name} (wanted: {P99_MS_MAX:.0f})"
                yield Finding("node.speed", WARN, told, f"dyn node stats {name}")
    if heard.nodes and not slow:
        yield Finding("node.speed", OK, f"no p99 of late is above {P99_MS_MAX:.0f} ms")


def _refused(heard: Heard) -> Iterator[Finding]:
    for name, node in heard.nodes.items():
        if refused := whole(mapping(node.stats, "queues"), "requests_refused"):
            told = f"{name} has turned {refused:,} requests away since it started: more came than it can do in time"
            yield Finding("node.load", WARN, told, f"dyn node stats {name}")


def _durability(heard: Heard) -> Iterator[Finding]:
    for name, node in heard.nodes.items():
        if node.durability not in ("full", ""):
            told = f"{name} runs with --durability {node.durability}: a power cut may take back what it acknowledged"
            yield Finding("node.durability", WARN, told, f"start {name} with --durability full")


def _certificates(heard: Heard) -> Iterator[Finding]:
    ends = {
        name: (int(end) - heard.now_s) / 86_400
        for name, node in heard.nodes.items()
        if (end := node.info.get("tls_ends_at", "")).isdigit()
    }
    soon = {name: days for name, days in ends.items() if days * 86_400 < CERTIFICATE_S_MIN}
    for name, days in soon.items():
        told = f"the certificate of {name} {'has ended' if days < 0 else f'ends in {days:.0f} days'}"
        yield Finding(
            "node.certificate",
            FAIL if days < 0 else WARN,
            told,
            f"dyn node cert node {name} --renew, and start it again",
        )
    if ends and not soon:
        first = min(ends, key=lambda name: ends[name])
        yield Finding(
            "node.certificate", OK, f"the first certificate to end is that of {first}, in {ends[first]:.0f} days"
        )


def _faults(heard: Heard) -> Iterator[Finding]:
    for name, node in heard.nodes.items():
        if node.faults:
            told = f"{node.faults} fault{'s are' if node.faults > 1 else ' is'} in force on {name}, on purpose"
            yield Finding("node.faults", WARN, told, "dyn fault heal")

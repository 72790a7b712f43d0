"""The JSON documents of the interface page, put together from what was asked and heard. Pure: values in, a dict out.

Unknown is null, never made up: a node that did not answer has null figures.
"""

from __future__ import annotations

from collections.abc import Mapping

from node.core import change
from node.core.cluster import Member
from node.core.ids import Instant, partition_of
from node.engine.cluster import Cluster
from node.engine.operation import Shared
from node.engine.plans import membership, moving_document
from node.engine.repair import KeyReport
from node.engine.survey import Answers
from node.wire.text import as_text, as_time

Document = dict[str, object]


def client_address(member: Member) -> str:
    """Where clients reach a member."""
    return f"{member.host}:{member.port}"


def ring_document(cluster: Cluster) -> Document:
    """DYN.RING."""
    state = cluster.state
    seats = {seat.id: seat for seat in state.seats}
    members = [
        {
            "name": member.name,
            "id": member.id,
            "address": client_address(member),
            "zone": seats.get(member.id, member).zone,
            "weight": seats.get(member.id, member).weight,
            "state": membership(cluster, member.id),
            "owns": member.id in seats,
        }
        for member in cluster.members.values()
    ]
    owning = state if state.before is None else state.before
    return {
        "schema": "dyn.ring/v1",
        "epoch": state.epoch,
        "sealed": state.sealed,
        "partitions": state.partitions,
        "n": state.quorums.n,
        "r": state.quorums.r,
        "w": state.quorums.w,
        "hash": "md5",
        "members": members,
        "owners": [cluster.name(owning.seats[owner].id) for owner in owning.owners],
        "preference": [[cluster.name(node) for node in nodes] for nodes in cluster.preferences()],
        "moving": moving_document(cluster),
    }


def status_document(shared: Shared, answers: Answers, now: Instant) -> Document:
    """DYN.STATUS: health as this node sees it, each node's figures as it gave them."""
    cluster = shared.cluster
    state = cluster.state
    owning = state if state.before is None else state.before
    primaries = [owning.seats[owner].id for owner in owning.owners]
    zones = {seat.id: seat.zone for seat in owning.seats}
    nodes = []
    for member in cluster.members.values():
        answer = answers.get(member.id, {})
        seen_by = [
            cluster.name(node) for node, heard in answers.items() if _sees(heard).get(member.name) == "up"
        ]  # fmt: skip
        nodes.append(
            {
                "name": member.name,
                "address": client_address(member),
                "zone": zones.get(member.id, member.zone),
                "state": cluster.health(member.id, now),
                "seen_by": sorted(seen_by),
                "keys": answer.get("keys"),
                "bytes": answer.get("bytes"),
                "partitions": primaries.count(member.id),
                "hints": answer.get("hints"),
                "tombstones": answer.get("tombstones"),
                "p50_ms": answer.get("p50_ms"),
                "p99_ms": answer.get("p99_ms"),
                "uptime_s": answer.get("uptime_s"),
            }
        )
    health, reasons = health_of(cluster, now)
    rebuilding = [_rebuilt(cluster.name(node), answer) for node, answer in answers.items() if answer.get("rebuilding")]
    if rebuilding:
        health = "degraded" if health == "healthy" else health
        reasons += sorted(rebuilding)
    tombstones = max([n for answer in answers.values() if isinstance(n := answer.get("tombstones"), int)], default=0)
    reasons += held_up(cluster, tombstones) + under_way(cluster) + paused(cluster, answers)
    siblings = [count for answer in answers.values() if isinstance(count := answer.get("siblings"), int)]
    return {
        "schema": "dyn.status/v1",
        "cluster": state.cluster,
        "cluster_id": state.cluster_id,
        "epoch": state.epoch,
        "n": state.quorums.n,
        "r": state.quorums.r,
        "w": state.quorums.w,
        "health": health,
        "reasons": reasons,
        "answered_by": cluster.me.name,
        "nodes": nodes,
        "siblings": max(siblings, default=None),
        "tombstones": tombstones,
        "hints": sum(count for answer in answers.values() if isinstance(count := answer.get("hints"), int)),
        "transfers": sum(_todo(answer) for answer in answers.values()),
        "repair": repair_of(answers),
        "views_agree": views_agree(answers),
    }


def _sees(answer: dict[str, object]) -> dict[str, object]:
    sees = answer.get("sees")
    return sees if isinstance(sees, dict) else {}


def _todo(answer: Mapping[str, object]) -> int:
    transfers = answer.get("transfers")
    todo = transfers.get("todo") if isinstance(transfers, dict) else None
    return todo if isinstance(todo, int) else 0


def views_agree(answers: Answers) -> bool:
    """Whether all who answered have the same epoch and see the same nodes in the same state."""
    views = [(answer.get("epoch"), sorted(_sees(answer).items(), key=str)) for answer in answers.values()]
    return all(view == views[0] for view in views)


def health_of(cluster: Cluster, now: Instant) -> tuple[str, list[str]]:
    """healthy, degraded (something is missing, every key has its quorums) or critical (some keys have not), and why."""
    state = cluster.state
    n, r, w = state.quorums
    reasons = []
    needed = min(max(r, w), len(cluster.holders_of(0)))
    short = state.partitions if sum(cluster.health(seat.id, now) == "up" for seat in state.seats) < needed else 0
    strict = sum(_owners_up(cluster, p, now) < needed for p in range(state.partitions))
    if short:
        reasons.append(f"fewer than {needed} nodes answer: every partition has lost quorum (R={r} W={w})")
    elif strict:
        reasons.append(f"STRICT has no quorum in {strict} of {state.partitions} partitions; stand-ins serve the rest")
    for member in cluster.members.values():
        health = cluster.health(member.id, now)
        if health != "up":
            reasons.append(f"{member.name} is {health}")
    seats = len(state.seats)
    if seats < n:
        acts = f"{min(n, seats)}/{min(r, seats)}/{min(w, seats)}"
        reasons.append(f"{seats} of N={n} nodes own partitions: N/R/W act as {acts}")
        if seats > 1 and min(w, seats) == seats:
            reasons.append(f"{seats} owners at W={w} tolerate no failure")
    seated = {seat.id for seat in state.seats}
    reasons += [
        f"{member.name} has no seat yet and owns nothing"
        for member in cluster.members.values()
        if member.id not in seated and state.before is None
    ]
    reasons += [
        f"another cluster {state.cluster} ({stranger.cluster_id[:8]}) of the same key is at {stranger.address} "
        f"({stranger.name}); this one is {state.cluster_id[:8]}"
        for stranger in cluster.strangers.values()
    ]
    return ("critical" if short else "degraded" if reasons else "healthy"), reasons


def _rebuilt(name: str, answer: Mapping[str, object]) -> str:
    """What a node waits for whose store may have forgotten something."""
    awaited = answer.get("behind")
    if isinstance(awaited, list) and awaited:
        return f"{name} may hold what was deleted since, and takes no writes until {' or '.join(awaited)} can tell it"
    return f"{name} is being rebuilt from the other owners: its answers do not count yet"


def held_up(cluster: Cluster, tombstones: int) -> list[str]:
    """Who keeps deleted keys from being forgotten: nothing is reaped without the word of every member.

    No reason for another health than the absence itself is.
    """
    absent = [member.name for member in cluster.others() if not cluster.is_up(member.id)]
    if not tombstones or not absent:
        return []
    keys = "deleted key waits" if tombstones == 1 else "deleted keys wait"
    return [f"{tombstones} {keys} to be reaped until {', '.join(absent)} can confirm"]


def under_way(cluster: Cluster) -> list[str]:
    """Which change of the ring is under way, and whom it waits for. Nothing is missing meanwhile."""
    state = cluster.state
    if state.before is None:
        return []
    lacking = [
        node for node in cluster.takers if node not in cluster.members or cluster.members[node].holds != state.epoch
    ]
    waits = (
        f"until {', '.join(cluster.name(node) for node in lacking)} holds its part" if lacking else "about to settle"
    )
    return [f"epoch {state.epoch} is moving ({change.words(state)}), {waits}: dyn cluster transfers"]


def paused(cluster: Cluster, answers: Answers) -> list[str]:
    """Who takes nothing in, since somebody said so; also while nothing moves, since the next move would wait for it."""
    told = {cluster.name(node): answer.get("transfers") for node, answer in answers.items()}
    since = {name: said.get("paused_s") for name, said in told.items() if isinstance(said, dict)}
    names = sorted(name for name, paused_s in since.items() if paused_s is not None)
    return [f"transfers to {', '.join(names)} are paused by an operator: dyn cluster transfers resume"] if names else []


def _owners_up(cluster: Cluster, partition: int, now: Instant) -> int:
    return sum(cluster.health(owner, now) == "up" for owner in cluster.holders_of(partition))


def views_document(shared: Shared, answers: Answers) -> Document:
    """DYN.VIEWS: who believes what about whom, side by side."""
    views = [
        {"of": shared.cluster.name(node), "epoch": answer.get("epoch"), "sees": _sees(answer)}
        for node, answer in answers.items()
    ]
    views.sort(key=lambda view: str(view["of"]))
    return {"schema": "dyn.views/v1", "views": views, "agree": views_agree(answers)}


def hints_document(shared: Shared, answers: Answers) -> Document:
    """DYN.HINTS: who keeps rows for whom, how many, since when, and why they wait."""
    held = []
    for node, answer in answers.items():
        theirs = answer.get("held")
        if isinstance(theirs, list):
            held += [{"by": shared.cluster.name(node)} | hint for hint in theirs if isinstance(hint, dict)]
    held.sort(key=lambda hint: (str(hint.get("for")), str(hint["by"])))
    return {"schema": "dyn.hints/v1", "held": held}


def events_document(shared: Shared, count: int) -> Document:
    """DYN.EVENTS: the last `count` things this node noted, oldest first."""
    events = list(shared.cluster.events)[-count:] if count > 0 else []
    return {
        "schema": "dyn.events/v1",
        "events": [
            event | {"at": as_time(shared.wall_ms(at))}
            for event in events
            if isinstance(at := event["at"], float | int)
        ],
    }


def key_repair_document(shared: Shared, key: bytes, report: KeyReport) -> Document:
    """DYN.REPAIR key: what each owner held, and what was done about it."""
    cluster = shared.cluster
    text, encoding = as_text(key)
    owners = [
        {
            "node": cluster.name(owner),
            "found": report.found.get(owner),
            "repaired": owner in report.repaired,
            "note": report.failed.get(owner, ""),
        }
        for owner in cluster.owners(key)
    ]
    return {
        "schema": "dyn.repair.key/v1",
        "key": text,
        "enc": encoding,
        "partition": partition_of(key, cluster.partitions),
        "differed": report.differed,
        "owners": owners,
    }


def repair_of(answers: Answers) -> Document:
    """What the nodes say of their passes, together: the oldest full one, and the keys that all of them found."""
    said = [repair for answer in answers.values() if isinstance(repair := answer.get("repair"), dict)]
    ages = [age for repair in said if isinstance(age := repair.get("last_pass_s_ago"), int | float)]
    found = [count for repair in said if isinstance(count := repair.get("divergent"), int)]
    if not said or len(ages) < len(said):
        return {"last_pass_s_ago": None, "divergent": None}
    return {"last_pass_s_ago": max(ages), "divergent": sum(found)}

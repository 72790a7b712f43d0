"""What a change of the ring would do, and how far the one under way is: documents for people, computed as it is done.

What moves follows from the two rings alone (`core.moves`). Keys and bytes are what the nodes say they hold, spread
evenly over their partitions: MD5 sees to that, unless a few values are very large.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from node.core import change
from node.core import ring as rings
from node.core.change import Stake, newcomer, takers
from node.core.cluster import Quorums, RingState
from node.core.ids import NodeId
from node.core.moves import Preference, balance
from node.core.vote import majority
from node.engine.cluster import Cluster
from node.engine.operation import Shared
from node.engine.survey import Answers

Document = dict[str, object]

STEPS = ("now", "moving", "settled")

SETTLING_S = 3.0
"""What a change takes that moves nothing: two ballots, and a look at every tree."""


def plan_document(
    shared: Shared, words: tuple[str, ...], wanted: RingState, stake: Stake, answers: Answers
) -> Document:
    """`dyn.plan/v1`: what the change moves, between whom, what that weighs, and how even the ring is before and after.

    `id` is what COMMIT takes: the change with the epoch it was computed for. Of `lost` and `doubtful` partitions data
    may be lost (`core.change.Stake`): there it takes an ACCEPT before the epoch, too.
    """
    cluster = shared.cluster
    state, n = cluster.state, cluster.state.quorums.n
    owning = state if state.before is None else state.before
    old = rings.preference_lists(owning.seats, owning.owners, n)
    new = rings.preference_lists(wanted.seats, wanted.owners, n)
    keys, size = _per_partition(old, n, answers)
    pairs: dict[tuple[NodeId, NodeId], int] = {}
    taking: dict[NodeId, int] = {}
    moved = at_risk = 0
    for before, after in zip(old, new, strict=True):
        if set(before[:n]) == set(after[:n]):
            continue
        moved += 1
        at_risk += any(not cluster.is_up(node) for node in before[:n])
        for taker in takers(before[:n], after[:n]):
            others = [node for node in before[:n] if node != taker]
            giver = next((node for node in others if cluster.is_up(node)), others[0])
            pairs[giver, taker] = pairs.get((giver, taker), 0) + 1
            taking[taker] = taking.get(taker, 0) + 1
    name = cluster.name
    replicas = sum(pairs.values())
    pace = _pace(shared, taking, answers)
    return {
        "schema": "dyn.plan/v1",
        "id": ":".join((*words, "EPOCH", str(state.epoch))),
        "epoch": state.epoch,
        "change": change.words(wanted),
        "moves": [
            {
                "from": name(giver), "to": name(taker), "partitions": count,
                "keys": _times(keys, count), "bytes": _times(size, count),
            }
            for (giver, taker), count in sorted(pairs.items(), key=lambda each: (name(each[0][1]), name(each[0][0])))
        ],
        "partitions": moved,
        "keys": _times(keys, replicas),
        "bytes": _times(size, replicas),
        "seconds": None if keys is None else round(SETTLING_S + keys * pace.partitions / pace.rows_s, 1),
        "pace": {"node": name(pace.taker), "rows_s": round(pace.rows_s)} if taking else None,
        "at_risk": at_risk,
        "steps": steps(old, new, state.quorums, cluster.is_up),
        "waits": _waits(cluster, old, new, wanted),
        "votes": _votes(cluster),
        "lost": stake.lost,
        "doubtful": stake.doubtful,
        "before": _balance(cluster, old, n),
        "after": _balance(cluster, new, n),
    }  # fmt: skip


def steps(old: Preference, new: Preference, quorums: Quorums, is_up: Callable[[NodeId], bool]) -> list[Document]:
    """What is at risk now, while it moves, and when it is settled, if no node comes or goes meanwhile: in partitions.

    `short`: an owner does not answer, in either ring while there are two. `one_left`: one that holds the data does;
    `none_left`: none. `no_quorum`: not enough owners for STRICT requests.
    """
    n, need = quorums.n, max(quorums.r, quorums.w)
    counts = {step: dict.fromkeys(("short", "one_left", "none_left", "no_quorum"), 0) for step in STEPS}
    for before, after in zip(old, new, strict=True):
        olds, news = before[:n], after[:n]
        both = (olds,) if set(olds) == set(news) else (olds, news)
        for step, hold, groups in (("now", olds, (olds,)), ("moving", olds, both), ("settled", news, (news,))):
            count, left = counts[step], sum(is_up(node) for node in hold)
            count["short"] += any(not is_up(node) for nodes in groups for node in nodes)
            count["one_left"] += left == 1 and len(hold) > 1
            count["none_left"] += left == 0
            count["no_quorum"] += any(sum(map(is_up, nodes)) < min(need, len(nodes)) for nodes in groups)
    return [{"step": step, **counts[step]} for step in STEPS]


def _waits(cluster: Cluster, old: Preference, new: Preference, wanted: RingState) -> Document | None:
    """For whom the change would wait: silent owners without whom a partition cannot be taken in (`change.sources`)."""
    quorums, dead = wanted.quorums, change.dead(wanted)
    partitions, silent = 0, dict[NodeId, None]()
    for before, after in zip(old, new, strict=True):
        olds, news = before[: quorums.n], after[: quorums.n]
        left = sum(cluster.is_up(node) and node not in dead for node in olds)
        if set(olds) != set(news) and left < change.sources(olds, quorums.r, quorums.w, dead):
            partitions += 1
            silent |= dict.fromkeys(node for node in olds if not cluster.is_up(node) and node not in dead)
    return {"partitions": partitions, "nodes": sorted(map(cluster.name, silent))} if silent else None


def _votes(cluster: Cluster) -> Document:
    """How many voters there are, how many it takes to decide an epoch, and how many answer this node."""
    voters = cluster.state.voters
    return {"voters": len(voters), "needed": majority(len(voters)), "up": sum(map(cluster.is_up, voters))}


def transfers_document(shared: Shared, answers: Answers) -> Document:
    """DYN.TRANSFERS: the change under way, who has taken in its part, and how far the others are."""
    cluster = shared.cluster
    state = cluster.state
    told = {node: figures for node, answer in answers.items() if isinstance(figures := answer.get("transfers"), dict)}
    moves = [move for figures in told.values() for move in figures.get("moves", ()) if isinstance(move, dict)]
    takers = []
    for node in cluster.takers:
        figures = told.get(node, {})
        takers.append(
            {
                "node": cluster.name(node),
                "holds": node not in cluster.lacking,
                "todo": figures.get("todo"),
                "total": figures.get("total"),
                "rows": figures.get("rows"),
                "bytes": figures.get("bytes"),
                "rate_bps": figures.get("rate_bps"),
                "eta_s": figures.get("eta_s"),
                "idle_s": figures.get("idle_s"),
                "paused_s": figures.get("paused_s"),
                "limit_bps": figures.get("limit_bps"),
            }
        )
    return {
        "schema": "dyn.transfers/v1",
        "epoch": state.epoch,
        "state": "settled" if state.before is None else "moving",
        "change": change.words(state) or None,
        "takers": takers,
        "moves": sorted(moves, key=lambda move: (str(move.get("to")), str(move.get("partition")).zfill(5))),
    }


def moving_document(cluster: Cluster) -> Document | None:
    """What DYN.RING tells of the change under way: None if there is none. `owners` are those of the new ring."""
    state = cluster.state
    if state.before is None:
        return None
    hold = len(cluster.takers) - len(cluster.lacking)
    return {
        "epoch": state.epoch,
        "change": change.words(state),
        "owners": [cluster.name(state.seats[owner].id) for owner in state.owners],
        "partitions": sorted(cluster.moving),
        "progress": round(hold / len(cluster.takers), 3) if cluster.takers else 1.0,
        "bytes_left": None,
        "eta_s": None,
    }


def membership(cluster: Cluster, node: NodeId) -> str:
    """How a member stands to the ring: joining, leaving (whether it is asked to or not), or up."""
    state = cluster.state
    if state.before is not None:
        if node == newcomer(state.change):
            return "joining"
        if node in change.ending(state):
            return "leaving"
    return "up" if any(seat.id == node for seat in state.seats) else "joining"


def _per_partition(old: Preference, n: int, answers: Answers) -> tuple[float | None, float | None]:
    """Keys and bytes of one replica of one partition, on average; None if nobody could say."""
    replicas = balance(old, n).replicas
    keys = size = held = 0
    for node, answer in answers.items():
        told, weighs = answer.get("keys"), answer.get("bytes")
        if isinstance(told, int) and isinstance(weighs, int) and replicas.get(node, 0):
            keys, size, held = keys + told, size + weighs, held + replicas[node]
    return (keys / held, size / held) if held else (None, None)


class _Pace(NamedTuple):
    """The taker that will be the last: all of them take in at once, each as fast as its clients let it (admission)."""

    partitions: int
    rows_s: float
    taker: NodeId


def _pace(shared: Shared, taking: dict[NodeId, int], answers: Answers) -> _Pace:
    """Who needs longest for its partitions, by what its throttle grants now. Who does not say is taken for like us."""
    own = shared.admission.rows_s
    paces = []
    for taker, partitions in taking.items():
        told = answers.get(taker, {}).get("granted_rows_s")
        rows_s = float(told) if isinstance(told, int | float) and told > 0 else own
        paces.append(_Pace(partitions, rows_s, taker))
    return max(paces, key=lambda pace: pace.partitions / pace.rows_s, default=_Pace(0, own, shared.me))


def _times(each: float | None, count: int) -> int | None:
    return None if each is None else round(each * count)


def _balance(cluster: Cluster, preference: Preference, n: int) -> Document:
    even = balance(preference, n)
    return {
        "efficiency": round(even.efficiency, 3),
        "partitions": {cluster.name(node): count for node, count in even.primaries.items()},
        "replicas": {cluster.name(node): count for node, count in even.replicas.items()},
    }

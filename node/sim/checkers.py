"""The invariants, each as one small function from a history to what is wrong with it.

A checker finds nothing (ok), or says what it found (violated); one that crashes is *unknown*, and unknown is never
ok (as jepsen's checkers). None of them trusts the nodes: what a write had seen, and which value a dot names, comes from
the ledger that the disks fill, and what must be left at the end is computed from the ledger alone, by sets.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from typing import Final, NamedTuple

from node.core.ids import Instant
from node.core.row import EMPTY, Clock, Row
from node.core.version import add, covers, descends, join, merge
from node.sim.history import SLACK_S, Ending, History, Kind, Mint, Record
from node.wire.requests import Found, Written

END: Final = float("inf")
"""After everything that happened."""

EVIDENCE_MAX: Final = 5
"""Pieces of evidence that a verdict shows."""


class Answer(Enum):
    """What a checker says."""

    OK = "ok"
    VIOLATED = "VIOLATED"
    UNKNOWN = "UNKNOWN"


class Verdict(NamedTuple):
    """One checker's answer, with the evidence for it."""

    checker: str
    answer: Answer
    evidence: tuple[str, ...]


Checker = Callable[[History], Iterable[str]]


def no_loss(history: History) -> Iterator[str]:
    """Invariant 1: what is left = the acknowledged writes that no applied later context covers, but reaped deletes."""
    yield from history.evidence.get("no loss", [])
    for record in _acknowledged(history):
        if not history.dots_of(record):
            yield f"{record!r}: acknowledged, and no disk ever stored it"
    for key, left in _left(history).items():
        dots = {version.dot for version in left.versions}
        reaped = history.buried_by(key, END)
        for mint in _uncovered(history, key, left):
            if mint.dot not in dots and not (mint.value is None and covers(reaped, mint.dot)):
                yield f"{key!r} lost {mint.value!r} ({mint.tag}, {mint.dot}), which nothing had covered"


def no_phantom(history: History) -> Iterator[str]:
    """Invariant 2: every value that was read was written for that key, whole, and not after it was read."""
    begun = {record.tag: record.begun for record in history.requests}
    for record, found in _reads(history):
        for version in found.row.versions:
            mint = history.mints.get(version.dot)
            if mint is None or (mint.key, mint.value, mint.tag) != (record.key, version.value, version.writer):
                yield f"{record!r} read {version.value!r} as {version.dot}, which is {mint}"
            elif record.ended is not None and begun.get(mint.tag, record.ended) > record.ended:
                yield f"{record!r} read {version.value!r} before it was written"


def no_false_sibling(history: History) -> Iterator[str]:
    """Invariant 3: two values stand side by side only if neither write had seen the other."""
    for key, left in _left(history).items():
        expected = {mint.dot for mint in _uncovered(history, key, left)}
        for version in left.versions:
            if version.dot not in expected:
                yield f"{key!r} still holds {version.value!r} ({version.dot}), which a later write had covered"
    for record, found in _reads(history):
        for one in found.row.versions:
            for other in found.row.versions:
                if covers(other.past, one.dot):
                    yield f"{record!r} read {one.value!r} beside {other.value!r}, which had covered it"
    for record in history.requests:
        mints = history.dots_of(record)
        for before, after in zip(mints, mints[1:], strict=False):
            if not covers(after.past, before.dot):
                yield f"{record!r} was committed as {before.dot} and, beside it, as {after.dot}"


def contexts(history: History) -> Iterator[str]:
    """Invariants 1 and 3 at their root: a write is one event and covers what its writer had seen, no more and no less.

    Only a SET may be committed again, over its first commit; and it covers what it finds.
    """
    for record in history.requests:
        mints = history.dots_of(record)
        if record.seen is None:
            continue
        if len(mints) > 1:
            yield f"{record!r} was committed {len(mints)} times: {[mint.dot for mint in mints]}"
        for mint in mints:
            if mint.past != record.seen:
                yield f"{record!r} had seen {record.seen} and covers {mint.past}"


def settled(history: History) -> Iterator[str]:
    """SETs one after another never conflict: each covers every write that was acknowledged before it began.

    So long as owners answer: what stand-ins took is not seen by owners until it is handed over. What was reaped by its
    end it need not cover: who gained the key never had that. Nor what a write covers that had replaced it by then; and
    if that one goes on, the two race.
    """
    going = {record.tag: record.ended or END for record in history.requests}
    n, w = history.quorums.n, history.quorums.w
    if 2 * w <= n or history.rotten or history.lost_disks:
        return
    writes = [record for record in _acknowledged(history) if (record.w or w) >= w]
    stood_in = {record.key for record in writes if _hinted(record)}
    writes = [record for record in writes if record.key not in stood_in]
    for key, floor_at in _floors(writes, lambda record: _own(history, record)).items():
        for record in writes:
            if record.key == key and record.seen is None and history.dots_of(record):
                last, floor = history.dots_of(record)[-1], floor_at(record.begun)
                ended = record.ended or END
                after = _successors(history, last, ended)
                if any(going[other.tag] > ended for other in after):
                    continue
                seen = functools.reduce(join, [other.past for other in after], history.buried_by(key, ended))
                if not descends(join(seen, last.past), floor):
                    yield f"{record!r} covers {seen}, but {floor} was acknowledged before it began"


def _successors(history: History, mint: Mint, by: Instant) -> list[Mint]:
    """The writes that had replaced this one by a time: beside what they cover it is no sibling."""
    mints = history.mints.values()
    return [other for other in mints if other.key == mint.key and other.at <= by and covers(other.past, mint.dot)]


def _hinted(record: Record) -> bool:
    """Whether somebody stood in for an owner in this write."""
    return isinstance(record.result, Written) and any(ack.hint_for is not None for ack in record.result.acks)


def dots(history: History) -> Iterator[str]:
    """Invariant 4: a dot never names two values, for ever, in the whole cluster."""
    yield from history.evidence.get("dots", [])


def no_resurrection(history: History) -> Iterator[str]:
    """Invariant 5: what an acknowledged delete covered never comes back, nor what any store once dropped."""
    yield from history.evidence.get("no resurrection", [])
    left = _left(history)
    for record in _acknowledged(history):
        if record.kind in (Kind.DELETE, Kind.DEL):
            for mint in history.dots_of(record):
                for version in left.get(record.key, EMPTY).versions:
                    if covers(mint.past, version.dot):
                        yield f"{record!r} had covered {version.value!r} ({version.dot}), and it is back"


def strict_sessions(history: History) -> Iterator[str]:
    """Invariant 7: STRICT reads see STRICT writes that were acknowledged before, and never less than an earlier one."""
    n, r, w = history.quorums
    if history.rotten:
        return
    reads = [(record, found) for record, found in _reads(history) if record.strict and (record.r or r) >= r]
    if r + w > n:
        writes = [record for record in _acknowledged(history) if record.strict and (record.w or w) >= w]
        yield from _stale(history, reads, _floors(writes, lambda record: _own(history, record)), "a STRICT write")
    if 2 * r > n:
        clocks = {record.tag: found.row.clock for record, found in reads}
        floors = _floors([record for record, _ in reads], lambda record: clocks[record.tag])
        yield from _stale(history, reads, floors, "an earlier STRICT read")


def _stale(
    history: History,
    reads: list[tuple[Record, Found]],
    floors: dict[bytes, Callable[[float], Clock]],
    what: str,
) -> Iterator[str]:
    for record, found in reads:
        floor_at = floors.get(record.key)
        floor = floor_at(record.begun) if floor_at is not None else ()
        reaped = history.buried_by(record.key, record.ended or END)
        if not descends(join(found.row.clock, reaped), floor):
            yield f"{record!r} read {found.row.clock}, less than {what} before it: {floor}"


def durable(history: History) -> Iterator[str]:
    """Invariant 8: acknowledged means durable on W distinct nodes at that moment; no store forgets what it holds."""
    yield from history.evidence.get("durable", [])
    yield from history.evidence.get("monotonic", [])


def honesty(history: History) -> Iterator[str]:
    """Invariant 9: every request ends by its deadline in one of three ways, and "not done" is never seen later."""
    for record in history.requests:
        if record.ended is None or record.ending in (Ending.PENDING, Ending.TWICE):
            yield f"{record!r}"
            continue
        late_s = record.ended - record.deadline - record.paused_s
        if late_s > SLACK_S:
            yield f"{record!r} ended {late_s:.3f} s after its deadline"
        if record.ending is Ending.NOT_DONE and history.dots_of(record):
            yield f"{record!r}, and it was done: {history.dots_of(record)}"
        if not record.is_write and record.ending is Ending.UNKNOWN and record.result is not None:
            yield f"{record!r}: a read has no unknown outcome"
        if record.forged and record.ending is Ending.OK:
            yield f"{record!r} was taken with a forged context"


def liveness(history: History) -> Iterator[str]:
    """Invariant 10: once everything healed, everything works, and nothing is left over."""
    yield from history.unhealed
    for node, count in history.left_over.items():
        if count:
            yield f"{node} still has {count} operations in flight"
    for node, count in history.hints.items():
        if count:
            yield f"{node} still keeps {count} hints"
    for node, count in history.tombstones.items():
        if count:
            yield f"{node} still keeps {count} tombstones"


def recovers(history: History) -> Iterator[str]:
    """Invariant 10 under overload: ten seconds after it whoever comes is served, and no queue is left. At all times no
    store works for a client that has given up.
    """
    yield from history.evidence.get("recovers", [])


def one_cluster(history: History) -> Iterator[str]:
    """All nodes are in one cluster, under one ring; two clusters know nothing of each other's members."""
    yield from history.evidence.get("clusters", [])
    rings = sorted(set(history.rings.values()))
    if len(rings) > 1:
        yield f"nodes disagree about cluster, epoch or seal: {history.rings}"


def converged(history: History) -> Iterator[str]:
    """Invariant 6: once everything healed, the owners of a partition hold identical rows, and identical roots."""
    for key, owners in history.owners.items():
        rows = {owner: history.final[owner].get(key, EMPTY) for owner in owners}
        first = rows[owners[0]]
        for owner, row in rows.items():
            if row != first:
                yield f"{owner} holds {row} for {key!r}, and {owners[0]} {first}"
    for partition, roots in history.roots.items():
        if len(set(roots.values())) > 1:
            yield f"the roots of partition {partition} differ: {sorted(roots)}"


def trees(history: History) -> Iterator[str]:
    """Invariant 6 at its root: a tree that claims to be known says what the rows say, also after a crash."""
    yield from history.evidence.get("trees", [])


CHECKERS: Final[dict[str, Checker]] = {
    "1 no loss": no_loss,
    "2 no phantom": no_phantom,
    "3 no false sibling": no_false_sibling,
    "3 contexts": contexts,
    "3 settled by SET": settled,
    "4 dots": dots,
    "5 no resurrection": no_resurrection,
    "6 one cluster": one_cluster,
    "6 converged": converged,
    "6 trees": trees,
    "7 strict sessions": strict_sessions,
    "8 durable": durable,
    "9 honesty": honesty,
    "10 liveness": liveness,
    "10 recovers": recovers,
}
"""By name, with the number of the invariant."""


def judge(history: History, checkers: dict[str, Checker] = CHECKERS) -> list[Verdict]:
    """Ask every checker."""
    return [_ask(name, checker, history) for name, checker in checkers.items()]


def _ask(name: str, checker: Checker, history: History) -> Verdict:
    try:
        evidence = tuple(checker(history))
    except Exception as error:  # noqa: BLE001  # a checker that crashes proves nothing, least of all that all is well
        return Verdict(name, Answer.UNKNOWN, (f"the checker crashed: {error!r}",))
    shown = evidence[:EVIDENCE_MAX]
    if len(evidence) > len(shown):
        shown = (*shown, f"… and {len(evidence) - len(shown)} more")
    return Verdict(name, Answer.VIOLATED if evidence else Answer.OK, shown)


# What the checkers share -------------------------------------------------------------------------------------


def _acknowledged(history: History) -> list[Record]:
    """Writes that were answered OK; a DEL that found nothing wrote nothing."""
    return [
        record
        for record in history.requests
        if isinstance(record.result, Written) and not (record.kind is Kind.DEL and not record.result.acks)
    ]


def _reads(history: History) -> list[tuple[Record, Found]]:
    return [(record, record.result) for record in history.requests if isinstance(record.result, Found)]


def _left(history: History) -> dict[bytes, Row]:
    """What all disks together know at the end, by key."""
    left: dict[bytes, Row] = {mint.key: EMPTY for mint in history.mints.values()}
    for rows in history.final.values():
        for key, row in rows.items():
            left[key] = merge(left.get(key, EMPTY), row)
    return left


def _uncovered(history: History, key: bytes, left: Row) -> list[Mint]:
    """Writes of `key` that no write's context covers: what must be `left`.

    But for what a node that is gone had alone: unless it was acknowledged, nobody was promised anything of it.
    """
    acknowledged = {record.tag for record in _acknowledged(history)} if history.gone else set()
    known = join(left.clock, history.buried_by(key, END))
    mints = [
        mint for mint in history.mints.values()
        if mint.key == key
        and (mint.node not in history.gone or mint.tag in acknowledged or covers(known, mint.dot))
    ]  # fmt: skip
    seen: Clock = ()
    for mint in mints:
        seen = join(seen, mint.past)
    return [mint for mint in mints if not covers(seen, mint.dot)]


def _own(history: History, record: Record) -> Clock:
    """The dots of one write as a clock."""
    clock: Clock = ()
    for mint in history.dots_of(record):
        clock = add(clock, mint.dot)
    return clock


def _floors(records: Iterable[Record], clock_of: Callable[[Record], Clock]) -> dict[bytes, Callable[[float], Clock]]:
    """Per key: what everything that had ended by a time had seen or written."""
    steps: dict[bytes, list[tuple[float, Clock]]] = {}
    for record in sorted(records, key=lambda record: record.ended or 0.0):
        done = steps.setdefault(record.key, [])
        done.append((record.ended or 0.0, join(done[-1][1] if done else (), clock_of(record))))

    def floor_at(done: list[tuple[float, Clock]]) -> Callable[[float], Clock]:
        return lambda begun: next((clock for ended, clock in reversed(done) if ended <= begun), ())

    return {key: floor_at(done) for key, done in steps.items()}

"""What the clients of a set campaign were told, and what of it the cluster still knows: pure bookkeeping.

Every write adds one element, and every element is added once, so an element is a receipt: whoever was told OK must
find it for ever. "Not done" must never be seen; "unknown" may be either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

OK = "OK"
UNKNOWN = "UNKNOWN"


class Op(NamedTuple):
    """One read and one write. `outcome` is that of the write: OK, UNKNOWN, or the code of a refusal.

    Times in seconds: when the read was sent, the write was answered, the write was sent.
    """

    key: bytes
    element: int
    node: int
    began: float
    ended: float
    outcome: str
    blind: bool
    sent: float = 0.0


class Cut(NamedTuple):
    """A time during which a nemesis was at work, and the hosts whose writes could be acknowledged meanwhile."""

    began: float
    ended: float
    able: Sequence[int]


class Report(NamedTuple):
    """What a campaign found. `lost`: acknowledged and gone; `ghosts`: refused and there; `phantoms`: never written."""

    sent: int
    acknowledged: int
    unknown: int
    refused: Mapping[str, int]
    blind: int
    lost: tuple[int, ...]
    ghosts: tuple[int, ...]
    phantoms: tuple[int, ...]
    cut_sent: int
    cut_acknowledged: int
    cut_refused: Mapping[str, int]

    @property
    def right(self) -> bool:
        """Whether nothing was lost, and nothing is there that must not be."""
        return not (self.lost or self.ghosts or self.phantoms)

    @property
    def ack_rate(self) -> float:
        """Of the writes sent, while cut, to a node that could have them acknowledged: the part that was."""
        return self.cut_acknowledged / self.cut_sent if self.cut_sent else 1.0


def judge(ops: Iterable[Op], cuts: Sequence[Cut], found: Mapping[bytes, set[int]]) -> Report:
    """Compare what was told with what is `found` by key."""
    ops = list(ops)
    outcomes = Counter(op.outcome for op in ops)
    while_cut = [op for op in ops if any(within(op, cut) for cut in cuts)]
    cut_outcomes = Counter(op.outcome for op in while_cut)
    written = {(op.key, op.element) for op in ops}
    there = {(key, element) for key, elements in found.items() for element in elements}
    refused = Counter({code: count for code, count in outcomes.items() if code not in (OK, UNKNOWN)})
    return Report(
        sent=len(ops),
        acknowledged=outcomes[OK],
        unknown=outcomes[UNKNOWN],
        refused=refused,
        blind=sum(op.blind for op in ops),
        lost=tuple(op.element for op in ops if op.outcome == OK and (op.key, op.element) not in there),
        ghosts=tuple(op.element for op in ops if op.outcome in refused and (op.key, op.element) in there),
        phantoms=tuple(sorted(element for _, element in there - written)),
        cut_sent=len(while_cut),
        cut_acknowledged=cut_outcomes[OK],
        cut_refused=Counter({code: count for code, count in cut_outcomes.items() if code != OK}),
    )


def within(op: Op, cut: Cut) -> bool:
    """Whether a write was sent and answered while cut, to a node that could have it acknowledged."""
    return cut.began <= op.began and op.ended <= cut.ended and op.node in cut.able


def union(values: Iterable[bytes]) -> set[int]:
    """The elements of all siblings of a set."""
    return {int(word) for value in values for word in value.split(b",") if word}


def packed(elements: Iterable[int]) -> bytes:
    """A set as a value."""
    return b",".join(b"%d" % element for element in sorted(elements))


def bound(report: Report) -> str:
    """With what was seen, the loss is at most so much (95 %): by the rule of three where nothing was lost."""
    if report.lost or not report.acknowledged:
        return "none"
    return f"{300 / report.acknowledged:.2g} %"

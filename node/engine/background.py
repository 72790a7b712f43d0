"""Background work of one node, as an operator steers it (DYN.BACKGROUND). Who wants it of all nodes says it to each.

    DELIVER              try at once to hand over all hints, and tell what came of it
    REPAIR partition…    compare these partitions with their other owners now (DYN.REPAIR compares all)
    CANCEL               give up the pass that was asked for
    PAUSE · RESUME       take in nothing more while the ring moves; go on
    LIMIT bytes|NONE     take in at most so many bytes a second

Nothing here makes the work faster than clients allow (`engine.admission`), and nothing is kept over a restart.
"""

from __future__ import annotations

import msgspec

from node.core.ids import Instant, NodeId
from node.core.limits import HANDOFF_WAIT_S
from node.core.limits_change import TRANSFER_BPS_MAX, TRANSFER_BPS_MIN
from node.core.limits_size import REPAIR_PARTITIONS_MAX
from node.engine.antientropy import AntiEntropy
from node.engine.handoff import Handoffs
from node.engine.operation import Asker, Operation
from node.engine.outbox import Outbox
from node.engine.survey import held_of
from node.engine.transfer import Transfers
from node.wire.requests import Document, Failed, Inspect

USAGE = "DYN.BACKGROUND DELIVER | REPAIR partition… | CANCEL | PAUSE | RESUME | LIMIT bytes|NONE"


class Background:
    """Answers DYN.BACKGROUND."""

    def __init__(self, handoffs: Handoffs, antientropy: AntiEntropy, transfers: Transfers) -> None:
        self.shared = handoffs.shared
        self.handoffs = handoffs
        self.antientropy = antientropy
        self.transfers = transfers

    def asked(self, request: Inspect, asker: Asker, now: Instant, out: Outbox) -> None:
        """Do what the arguments say, or say why not."""
        verb, rest = request.arguments[0].upper(), request.arguments[1:]
        if verb == b"DELIVER" and not rest:
            Delivery(self.handoffs, asker).start(request.timeout_ms / 1000, now, out)
        elif verb == b"REPAIR" and rest:
            self._repair(rest, request.timeout_ms / 1000, asker, now, out)
        elif verb == b"CANCEL" and not rest:
            self._cancel(asker, now, out)
        elif verb in (b"PAUSE", b"RESUME") and not rest:
            (self.transfers.pause if verb == b"PAUSE" else self.transfers.resume)(now)
            self._tell_pace(asker, now, out)
        elif verb == b"LIMIT" and len(rest) == 1:
            self._limit(rest[0], asker, now, out)
        else:
            asker.answer(Failed("ERR", USAGE), out)

    def _repair(self, words: tuple[bytes, ...], timeout_s: float, asker: Asker, now: Instant, out: Outbox) -> None:
        most = self.shared.cluster.partitions
        numbers = [_number(word, most - 1) for word in words]
        only = tuple(sorted(dict.fromkeys(number for number in numbers if number is not None)))
        if None in numbers:
            asker.answer(Failed("ERR", f"partitions are numbers from 0 to {most - 1}"), out)
        elif len(only) > REPAIR_PARTITIONS_MAX:
            asker.answer(Failed("ERR", f"more than {REPAIR_PARTITIONS_MAX} partitions: have all compared"), out)
        else:
            self.antientropy.ask(asker, timeout_s, now, out, only)

    def _cancel(self, asker: Asker, now: Instant, out: Outbox) -> None:
        cluster = self.shared.cluster
        if cluster.rebuilding:
            text = f"{cluster.me.name} is being rebuilt: before that pass is over, it counts for nothing"
            asker.answer(Failed("REFUSED", text), out)
            return
        cancelled = self.antientropy.cancel(now, out)
        document = {"schema": "dyn.repair.cancel/v1", "node": cluster.me.name, "cancelled": cancelled}
        asker.answer(Document(msgspec.json.encode(document)), out)

    def _limit(self, word: bytes, asker: Asker, now: Instant, out: Outbox) -> None:
        limit = _number(word, TRANSFER_BPS_MAX)
        if word.upper() != b"NONE" and (limit is None or limit < TRANSFER_BPS_MIN):
            text = f"the limit must be {TRANSFER_BPS_MIN} to {TRANSFER_BPS_MAX} bytes a second, or NONE"
            asker.answer(Failed("ERR", text), out)
            return
        self.transfers.limit(limit, now)
        self._tell_pace(asker, now, out)

    def _tell_pace(self, asker: Asker, now: Instant, out: Outbox) -> None:
        ring = self.shared.cluster.ring
        document = {
            "schema": "dyn.pace/v1",
            "node": self.shared.cluster.me.name,
            "moving": ring is not None and ring.before is not None,
        }
        asker.answer(Document(msgspec.json.encode(document | self.transfers.throttle.figures(now))), out)


class Delivery(Operation):
    """Somebody waits for what becomes of our hints: until no delivery is under way, or for as long as he may."""

    __slots__ = ("asker", "before", "handoffs")

    def __init__(self, handoffs: Handoffs, asker: Asker) -> None:
        super().__init__(handoffs.shared)
        self.handoffs = handoffs
        self.asker = asker
        self.before: dict[NodeId, int] = {}

    def start(self, timeout_s: float, now: Instant, out: Outbox) -> None:
        """Try them all."""
        self.before = dict(self.handoffs.delivered)
        self.handoffs.try_now(now, out)
        if not self.handoffs.running:
            self.settled(now, out)
            return
        self.handoffs.waiting[self.ticket] = self.settled
        self.shared.timers.set(now + min(timeout_s, HANDOFF_WAIT_S), self.ticket)

    def settled(self, now: Instant, out: Outbox) -> None:
        """Nothing is on its way any more: see what is left."""
        self.renew()
        out.measure(self.ticket)

    def reached(self, now: Instant, out: Outbox) -> None:
        """Time is up: tell how far it is."""
        del self.handoffs.waiting[self.ticket]
        self.settled(now, out)

    def measured(self, figures: dict[str, object], now: Instant, out: Outbox) -> None:
        """What is left is known."""
        self.end()
        name = self.shared.cluster.name
        delivered = [
            {"for": name(target), "keys": rows - self.before.get(target, 0)}
            for target, rows in self.handoffs.delivered.items()
            if rows > self.before.get(target, 0)
        ]
        document = {
            "schema": "dyn.delivery/v1",
            "node": self.shared.cluster.me.name,
            "running": bool(self.handoffs.running),
            "delivered": delivered,
            "held": held_of(self.shared, figures, now),
        }
        self.asker.answer(Document(msgspec.json.encode(document)), out)


def _number(word: bytes, most: int) -> int | None:
    """A number from 0 to `most`; None if it is none."""
    if not word.isdigit() or len(word) > len(str(most)) or int(word) > most:
        return None
    return int(word)

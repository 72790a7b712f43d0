"""A write whose receiver may not coordinate it: handed to an owner, or if no owner takes it to a stand-in, once.

Who refuses has committed nothing, so the next one is asked. A forward whose fate is unclear (the link broke, the time
ran out) is never repeated: a second coordinator would mint a second dot for the same write. So nobody is handed a write
who may not be there: who has not answered anything just now is asked first. This node is itself the coordinator of last
resort where it is the first stand-in that is left.
"""

from __future__ import annotations

from node.core.ids import Instant, NodeId
from node.core.limits import PATIENCE_MS_MAX
from node.core.limits_change import EPOCH_AGAIN_S
from node.engine.operation import Asker, Operation, Shared, unavailable, unknown
from node.engine.outbox import Outbox
from node.engine.write import Write
from node.storage.port import Refusal
from node.wire.messages import BUSY, Forward, Forwarded, Ping, left_ms
from node.wire.requests import Failed, Result

BUSY_MAX = 2
"""So many coordinators may answer that they are busy: the write is refused then. One of them may be slow by itself; to
ask all of them, and stand-ins that make hints, multiplies the work just when there is too much of it."""

DOWN, NO_ANSWER = SILENT = "down", "does not answer"
"""Reasons that are guesses: who says yet that it is there is handed the write all the same."""


class ForwardOperation(Operation):
    """One write on its way to a coordinator: `refused` holds who would not, and why.

    `handed` says whether `target` was given the write; `wake_at` is when its patience ends, or, if it `begins`, when
    the first one is asked once more.
    """

    __slots__ = ("asker", "begins", "handed", "refused", "target", "wake_at", "write")

    def __init__(self, shared: Shared, write: Write, asker: Asker, refused: dict[NodeId, str]) -> None:
        super().__init__(shared)
        self.write = write
        self.asker = asker
        self.refused = refused
        self.target: NodeId | None = None
        self.handed = self.begins = False
        self.wake_at: Instant = 0.0

    def start(self, now: Instant, out: Outbox) -> None:
        """Ask the first owner that is up."""
        self._ask_next(now, out)

    def _ask_next(self, now: Instant, out: Outbox) -> None:
        cluster, write, me = self.shared.cluster, self.write, self.shared.me
        for node in cluster.coordinators(write.key, strict=write.strict):
            if node in self.refused:
                continue
            if node == me and cluster.abstains:
                self.refused[me] = cluster.abstains
                continue
            if node == me:
                self.end()
                self.shared.coordinate(write, self.asker, now, out)
                return
            if not cluster.is_up(node):
                self.refused[node] = DOWN
                continue
            self.target = node
            self.handed = self.begins = False
            self._wait_until(min(write.deadline, now + self.shared.write_patience.seconds))
            if cluster.peers.has_just_answered(node, now):
                self._hand_over(now, out)
            else:
                out.send(node, Ping(self.ticket))
            return
        if not self._wait_for_the_apart(now) and not self._wait_for_the_silent(now, out):
            self._finish(self._nobody(), out)

    def _wait_for_the_apart(self, now: Instant) -> bool:
        """Who has another ring than we is asked again, once the two have been compared."""
        apart = [node for node, why in self.refused.items() if why == Refusal.EPOCH.value]
        again_at = now + EPOCH_AGAIN_S
        if not apart or again_at >= self.write.deadline:
            return False
        for node in apart:
            del self.refused[node]
        self._begin_again_at(again_at)
        return True

    def _begin_again_at(self, at: Instant) -> None:
        """Ask the same nodes once more: what they said before, and say twice where messages are doubled, is void."""
        self.renew()
        self.target = None
        self.handed = False
        self.begins = True
        self._wait_until(at)

    def ring_changed(self, now: Instant, out: Outbox) -> None:
        """Other owners, maybe; unless somebody has the write already."""
        if not self.handed:
            self._begin_again_at(now)

    def _wait_for_the_silent(self, now: Instant, out: Outbox) -> bool:
        """Nobody is left, but some whose link stands may answer yet: ask them, and wait while there is time."""
        peers = self.shared.cluster.peers
        silent = [
            node for node, why in self.refused.items()
            if why in SILENT and (peers.is_up(node) or peers.may_answer(node, now))
        ]  # fmt: skip
        until = self.write.deadline - PATIENCE_MS_MAX / 1000
        if not silent or now >= until:
            return False
        self.target = None
        self.handed = False
        self._wait_until(until)
        self.asker.steps_aside()
        for node in silent:
            out.send(node, Ping(self.ticket))
        return True

    def _wait_until(self, at: Instant) -> None:
        self.wake_at = at
        self.shared.timers.set(at, self.ticket)

    def ponged(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """The target is there, or one that was given up too soon."""
        if not self.handed and not self.begins and (peer == self.target or self.refused.get(peer) in SILENT):
            self.refused.pop(peer, None)
            self.target = peer
            self._wait_until(min(self.write.deadline, now + self.shared.write_patience.seconds))
            self.asker.goes_on()
            self._hand_over(now, out)

    def _hand_over(self, now: Instant, out: Outbox) -> None:
        assert self.target is not None, "a forward without a target"
        self.handed = True
        write = self.write
        out.send(
            self.target,
            Forward(
                self.ticket, self.shared.cluster.epoch, 1, write.key, write.value, write.context, write.cover, write.w,
                write.strict, left_ms(write.deadline, now), write.writer,
            ),
        )  # fmt: skip

    def _all_busy(self) -> Failed:
        name = self.shared.cluster.name
        busy = ", ".join(name(node) for node, why in self.refused.items() if why == BUSY)
        return Failed("BUSY", f"{busy}: as many requests as can be done in time; nothing was stored, retry in a moment")

    def _nobody(self) -> Failed:
        name = self.shared.cluster.name
        if BUSY in self.refused.values():
            return self._all_busy()
        if Refusal.DISK_FULL.value in self.refused.values():
            full = [name(node) for node, why in self.refused.items() if why == Refusal.DISK_FULL.value]
            return Failed(
                "DISKFULL", f"disk full on {', '.join(full)}: nothing was stored; free space there, then retry"
            )
        why = ", ".join(f"{name(node)} {reason}" for node, reason in self.refused.items())
        who = "no owner of the key" if self.write.strict else "no node of the key's preference list"
        return unavailable(f"{who} takes the write: {why}")

    def forwarded(self, peer: NodeId, message: Forwarded, now: Instant, out: Outbox) -> None:
        """The coordinator's word: done, failed, or not by me."""
        if peer != self.target:
            return
        if message.refused:
            self.refused[peer] = message.refused
            if sum(why == BUSY for why in self.refused.values()) >= BUSY_MAX:
                self._finish(self._all_busy(), out)
            else:
                self._ask_next(now, out)
            return
        result = message.result
        self._finish(result if result is not None else unknown(f"{self._target_name} gave no result"), out)

    def peer_down(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """The coordinator went away, maybe with the write in its hands."""
        if peer != self.target:
            return
        if self.handed:
            self._finish(unknown(f"forwarded to {self._target_name}, which went down before it answered"), out)
        else:
            self.refused[peer] = DOWN
            self._ask_next(now, out)

    def peer_silent(self, peer: NodeId, now: Instant, out: Outbox) -> None:
        """The target does not answer. What was handed over may be answered yet; else another one is asked."""
        if not self.handed:
            self.peer_down(peer, now, out)

    def reached(self, now: Instant, out: Outbox) -> None:
        """Longer than usual: is it there? The deadline: if it has the write, nobody knows."""
        if now < self.wake_at:
            return  # the patience with an earlier target
        if self.begins:
            self.begins = False
            self._ask_next(now, out)
            return
        if self.target is None:
            self._finish(self._nobody(), out)
            return
        if not self.handed:
            self.shared.missed(self.target, now, out)
            self.refused[self.target] = NO_ANSWER
            if now >= self.write.deadline:
                self._finish(self._nobody(), out)
            else:
                self._ask_next(now, out)
        elif now >= self.write.deadline:
            self._finish(unknown(f"forwarded to {self._target_name}, which gave no answer in time"), out)
        else:
            self._wait_until(self.write.deadline)
            self.asker.steps_aside()
            self.shared.missed(self.target, now, out)

    @property
    def _target_name(self) -> str:
        assert self.target is not None, "a forward without a target"
        return self.shared.cluster.name(self.target)

    def _finish(self, result: Result, out: Outbox) -> None:
        self.end()
        self.asker.answer(result, out)

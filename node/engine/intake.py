"""What a client asked, checked against the limits and turned into an operation, or refused with one line of why."""

from __future__ import annotations

from node.core.context import BadContext, open_token
from node.core.ids import Instant, NodeId
from node.core.limits import HOPS_MAX, KEY_BYTES_MAX, OPERATIONS_MAX, TIMEOUT_MS_MAX, WRITER_BYTES_MAX
from node.core.row import Clock
from node.engine.forward import ForwardOperation
from node.engine.get import GetOperation
from node.engine.local import LocalRead
from node.engine.operation import Asker, Shared, unavailable
from node.engine.outbox import Outbox
from node.engine.put import PutOperation
from node.engine.seats import Parked, Seats
from node.engine.unsealed import UnsealedRead
from node.engine.write import Write
from node.wire.messages import BUSY, Forward, Forwarded
from node.wire.requests import Failed, Found, Get, Put, Result, Written

BUSY_WORDS = "as many requests as can be done in time are in flight here; nothing was done, retry in a moment"


class Intake:
    """The door for reads and writes, of clients and of forwarding peers."""

    def __init__(self, shared: Shared, seats: Seats) -> None:
        self.shared = shared
        self.seats = seats
        shared.coordinate = self._take

    def refusal(self, key: bytes, timeout_ms: int, *, part: bool = False) -> Failed | None:
        """What is wrong with any request that names a key, or None. A `part` of one was let in with the whole."""
        if not key:
            return Failed("ERR", "the key is empty")
        if len(key) > KEY_BYTES_MAX:
            return Failed("TOOBIG", f"the key has {len(key)} bytes, the limit is {KEY_BYTES_MAX}")
        if not 1 <= timeout_ms <= TIMEOUT_MS_MAX:
            return Failed("ERR", f"TIMEOUT must be 1 to {TIMEOUT_MS_MAX} ms")
        return self.not_at_all() if part else self.not_now()

    def not_at_all(self) -> Failed | None:
        """Why this node takes no request whatever, not even how it is, or None."""
        if not self.shared.cluster.seated:
            return unavailable(f"this node has no seat in a cluster yet: {self.shared.cluster.waiting_because}")
        if len(self.shared.pending) >= OPERATIONS_MAX:
            self.shared.load.refused += 1
            return Failed("BUSY", BUSY_WORDS)
        return None

    def not_now(self) -> Failed | None:
        """Why this node takes no request for a key, or a page of them, at present, or None."""
        if self.shared.load.turns_away():
            return Failed("BUSY", BUSY_WORDS)
        return self.not_at_all()

    def get(self, request: Get, asker: Asker, now: Instant, out: Outbox) -> None:
        """Coordinate a read: any node may. Of its own store alone, if that is what is asked for."""
        part = asker.then is not None  # what another operation asks for is part of that one
        failed = self.refusal(request.key, request.timeout_ms, part=part) or self._bad_r(request)
        if failed is not None:
            asker.answer(failed, out)
            return
        if not part:
            asker.taken_on(self.shared.load, request.timeout_ms)
        deadline = now + request.timeout_ms / 1000
        if request.local:
            LocalRead(self.shared, request, asker).start(deadline, out)
            return
        if self.shared.cluster.state.sealed:
            self._read(request, asker, deadline, now, out)
            return

        def read(then: Instant, effects: Outbox) -> None:
            self._read(request, asker, deadline, then, effects)

        UnsealedRead(self.shared, asker, deadline, read, self.seats.doubt).start(now, out)

    def _bad_r(self, request: Get) -> Failed | None:
        n = self.shared.cluster.state.quorums.n
        if request.r is not None and not 1 <= request.r <= n:
            return Failed("ERR", f"R must be 1 to {n}, the cluster's N")
        return None

    def _read(self, request: Get, asker: Asker, deadline: Instant, now: Instant, out: Outbox) -> None:
        cluster = self.shared.cluster
        GetOperation(
            self.shared,
            request.key,
            r=cluster.state.quorums.r if request.r is None else request.r,
            strict=request.strict,
            wants_context=request.context,
            deadline=deadline,
            asker=asker,
        ).start(now, out)

    def put(self, request: Put, asker: Asker, now: Instant, out: Outbox) -> None:
        """Check a write, and coordinate or forward it once the ring is sealed."""
        opened = self._open(request)
        if isinstance(opened, Failed):
            asker.answer(opened, out)
            return
        asker.taken_on(self.shared.load, request.timeout_ms)
        if request.cover and request.value is None:
            self._delete_what_is_there(request, asker, now, out)
            return
        self._write(self._as_write(request, opened, now), asker, now, out)

    def _open(self, request: Put) -> Clock | Failed:
        """Everything that may be wrong with a write; else its context as a clock."""
        failed = self.refusal(request.key, request.timeout_ms)
        if failed is not None:
            return failed
        cluster, limit = self.shared.cluster, self.shared.value_bytes_max
        if request.value is not None and len(request.value) > limit:
            return Failed("TOOBIG", f"the value has {len(request.value)} bytes, max-value-bytes is {limit}")
        n = cluster.state.quorums.n
        if request.w is not None and not 1 <= request.w <= n:
            return Failed("ERR", f"W must be 1 to {n}, the cluster's N")
        if request.cover:
            return ()
        if not request.context:
            if request.value is None:
                return Failed("BADCONTEXT", "a delete needs the context of a read: DYN.GET gives it")
            return ()
        clock = open_token(request.context, request.key, cluster.cluster_id, cluster.secrets)
        if isinstance(clock, BadContext):
            return Failed("BADCONTEXT", f"{clock.why}; read the key again, nothing was changed")
        return clock

    def _as_write(self, request: Put, clock: Clock, now: Instant) -> Write:
        return Write(
            request.key,
            request.value,
            context=clock,
            cover=request.cover,
            w=self.shared.cluster.state.quorums.w if request.w is None else request.w,
            strict=request.strict,
            deadline=now + request.timeout_ms / 1000,
            writer=writer_label(request.writer),
        )

    def _delete_what_is_there(self, request: Put, asker: Asker, now: Instant, out: Outbox) -> None:
        """Redis' DEL: read first, so that deleting nothing writes no tombstone, then cover what was found and more."""

        def found(result: Result, then: Outbox) -> None:
            if not isinstance(result, Found):
                asker.answer(result, then)
            elif not result.row.live:
                asker.answer(Written(b"", (), 0, False, 0), then)
            else:
                asker.goes_on()
                self._write(self._as_write(request, result.row.clock, now), asker, now, then)

        read = Get(request.key, strict=request.strict, context=False, timeout_ms=request.timeout_ms)
        self.get(read, Asker(0, then=found, whole=asker), now, out)

    def _write(self, write: Write, asker: Asker, now: Instant, out: Outbox) -> None:
        if self.shared.cluster.state.sealed:
            self._coordinate(write, asker, now, out)
            return

        def go(then: Instant, effects: Outbox) -> None:
            self._coordinate(write, asker, then, effects)

        def give_up(why: str, effects: Outbox) -> None:
            asker.answer(unavailable(why), effects)

        self.seats.need_seal(Parked(write.deadline, go, give_up), now, out)

    def _coordinate(self, write: Write, asker: Asker, now: Instant, out: Outbox) -> None:
        cluster = self.shared.cluster
        if self.shared.me in cluster.owners(write.key) and not cluster.abstains:
            self._take(write, asker, now, out)
        else:
            ForwardOperation(self.shared, write, asker, {}).start(now, out)

    def _take(self, write: Write, asker: Asker, now: Instant, out: Outbox) -> None:
        """Coordinate a write here."""
        PutOperation(self.shared, write, asker).start(now, out)

    def forwarded_here(self, peer: NodeId, message: Forward, now: Instant, out: Outbox) -> None:
        """A peer hands us a write to coordinate, as an owner or as a stand-in. It is never passed on."""
        coordinators = self.shared.cluster.coordinators(message.key, strict=message.strict)
        busy = self.not_now()
        refused = ""
        if message.hops > HOPS_MAX:
            refused = "forwarded too often"
        elif self.shared.me not in coordinators:
            refused = "not an owner" if message.strict else "not in the preference list"
        elif self.shared.cluster.abstains:
            refused = self.shared.cluster.abstains
        elif busy is not None:
            refused = BUSY
        if refused:
            out.send(peer, Forwarded(message.rid, refused, None))
            return
        write = Write(
            message.key,
            message.value,
            context=message.context,
            cover=message.cover,
            w=message.w,
            strict=message.strict,
            deadline=now + message.left_ms / 1000,
            writer=message.writer,
        )
        asker = Asker(message.rid, peer)
        asker.taken_on(self.shared.load, message.left_ms)
        self._take(write, asker, now, out)


def writer_label(label: str) -> str:
    """As much of a client's name as a version keeps: WRITER_BYTES_MAX of UTF-8, cut between characters."""
    if len(label) * 4 <= WRITER_BYTES_MAX:
        return label
    return label.encode("utf-8", "replace")[:WRITER_BYTES_MAX].decode("utf-8", "ignore")

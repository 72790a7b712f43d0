"""The generator: connections that send what is due, in one thread, over one selector, blocking nothing.

A latency runs from the moment at which a request was meant to be sent. In a closed loop that is when it was sent. With
a rate it is when it was due: a node that stands still for a second is then seen by all that wanted something meanwhile,
and not only by those who had asked already (that mistake is called coordinated omission). The latency from the sending
is kept beside it. In a pipeline it runs from the sending of the batch to the request's own reply, as redis-benchmark
counts it. The generator costs some ten microseconds a request: on few cores it is part of what is measured.
"""

from __future__ import annotations

import math
import selectors
import time
from collections import deque
from collections.abc import Callable, Sequence
from random import Random
from typing import NamedTuple

import hiredis

from dynamo_cli.bench.lane import READ_BYTES, Lane, unreachable
from dynamo_cli.bench.latencies import Latencies
from dynamo_cli.bench.merging import STEPS, Merging
from dynamo_cli.bench.plan import COUNTED, Closed, Open, Pace, Plan, drawing
from dynamo_cli.bench.reconnect import Reconnector
from dynamo_cli.client import SPEAKS_TLS, TLS_WORDS, packed
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus

FILL_PIPELINE = 32
"""Commands in one batch while keys are written before reads are measured."""
TELL_S = 0.1
"""Between two words about how far it is."""
GIVE_UP_S = 60.0
"""How long no node at all may answer while connections are made anew."""
LOST = "LOST"
"""The error of a request whose connection ended before its answer: its outcome is not known."""
NO_REPLY = "NOREPLY"
"""The error of one that was not answered in time."""


class Second(NamedTuple):
    """One second of a run: requests answered, those among them that were errors, and the others' 99th percentile."""

    ops: int
    errors: int
    p99_ms: float | None


class Outcome(NamedTuple):
    """What happened. `latencies` are from when a request was due, `service` from when it was sent (open loop only).

    `unsent` were due before the end, and no connection was free to send them; `latencies` holds how long they had
    waited by then.
    """

    elapsed_s: float
    latencies: dict[str, Latencies]
    service: dict[str, Latencies] | None
    errors: dict[str, int]
    seconds: list[Second]
    by_address: dict[str, int]
    unsent: int
    cpu_s: float
    merging: Merging | None


class Load:
    """One run of a plan over some connections. With `reconnect` a connection that ends is made anew and goes on."""

    def __init__(self, plan: Plan, lanes: Sequence[Lane], timeout_s: float, reconnect: Reconnector | None) -> None:
        self.plan = plan
        self.lanes = lanes
        self.timeout_s = timeout_s
        self.random = Random(plan.seed)
        self.value = self.random.randbytes(plan.size_bytes)
        self.draw = drawing(plan.dist, plan.keys, self.random)
        self._reconnect = reconnect
        self.merging: Merging | None = None
        self._begin()

    def _begin(self) -> None:
        """Forget everything that was counted."""
        self.latencies = {op: Latencies() for op in COUNTED}
        self.service = {op: Latencies() for op in COUNTED} if self.plan.rate else None
        self.errors: dict[str, int] = {}
        self.seconds: list[Second] = []
        self.by_address: dict[str, int] = {}
        self.done = 0
        self._second = Latencies()
        self._second_from = (0, 0)
        self._busy = 0
        self._idle = deque(self.lanes)
        self._heard_at = time.perf_counter()

    def key(self, number: int) -> bytes:
        """The name of one of the plan's keys, as redis-benchmark writes them."""
        return b"key:%012d" % number

    def fill(self, progress: Callable[[int], None]) -> None:
        """Write every key once."""
        numbers = iter(range(self.plan.keys))

        def command(lane: Lane) -> tuple[str, bytes]:
            return "put", packed(("SET", self.key(next(numbers)), self.value))

        self._drive(Closed(self.plan.keys), FILL_PIPELINE, command, math.inf, lambda elapsed: progress(self.done))
        if self.errors:
            text = next(iter(self.errors))
            raise CliError(ExitStatus.FAILURE, f"cannot write the keys to read: {text}", "See: dyn cluster status")
        self._begin()

    def run(self, progress: Callable[[float], None]) -> Outcome:
        """Measure. `progress(seconds)` is called about ten times a second."""
        plan, begun, cpu = self.plan, time.perf_counter(), time.process_time()
        pace: Pace = Open(plan.rate, begun, plan.requests) if plan.rate else Closed(plan.requests)
        ends_at = math.inf if plan.requests is not None else begun + plan.duration_s
        self.merging = Merging(lambda: self.key(self.draw()), self.value) if plan.op == "merge" else None
        self._drive(pace, plan.pipeline, self._command, ends_at, progress)
        ended = time.perf_counter()
        unsent = pace.left(min(ended, ends_at))
        for number, intended in enumerate(unsent):
            op = STEPS[number % len(STEPS)] if self.merging is not None else self._drawn()[0]
            self.latencies[op].add(ended - intended)
        return Outcome(
            ended - begun, self.latencies, self.service, self.errors, self.seconds, self.by_address, len(unsent),
            time.process_time() - cpu, self.merging,
        )  # fmt: skip

    def _command(self, lane: Lane) -> tuple[str, bytes]:
        """What a connection sends next, and how it is counted."""
        return self._drawn() if self.merging is None else self.merging.command(lane)

    def _drawn(self) -> tuple[str, bytes]:
        plan = self.plan
        key = self.key(self.draw())
        reads = plan.op == "get" or (plan.op == "mixed" and self.random.randrange(100) < plan.reads_percent)
        return ("get", packed(("GET", key))) if reads else ("put", packed(("SET", key, self.value)))

    # The loop --------------------------------------------------------------------------------------------

    def _drive(
        self,
        pace: Pace,
        batch: int,
        command: Callable[[Lane], tuple[str, bytes]],
        ends_at: float,
        progress: Callable[[float], None],
    ) -> None:
        """Have free connections send what is due, up to `batch` requests each, until the end; then hear the rest."""
        begun = told_at = self._heard_at = time.perf_counter()
        with selectors.DefaultSelector() as selector:
            for lane in self.lanes:
                selector.register(lane.socket, selectors.EVENT_READ, lane)
            over = False
            while True:
                now = time.perf_counter()
                due_at = math.inf if over else pace.next_at(now)
                while due_at <= min(now, ends_at) and self._idle:
                    self._send(self._idle.popleft(), pace.take(min(now, ends_at), batch), command, selector)
                    due_at = pace.next_at(now)
                if now >= ends_at:
                    over, due_at = True, math.inf
                if not self._busy and due_at == math.inf:
                    break
                until = min(due_at if self._idle else math.inf, told_at + TELL_S)
                for key, events in selector.select(max(0.0, until - now)):
                    self._ready(key.data, events, selector)
                now = time.perf_counter()
                if now - told_at >= TELL_S:
                    told_at = now
                    self._look(now, min(now, ends_at) - begun, selector)
                    progress(now - begun)
            self._turn(min(time.perf_counter(), ends_at) - begun)

    def _look(self, now: float, elapsed: float, selector: selectors.BaseSelector) -> None:
        """What is done now and then: seconds turn, silence is noticed, connections come back."""
        self._turn(elapsed)
        if self._reconnect is None:
            if self._busy and now - self._heard_at > self.timeout_s:
                text = f"no reply from any connection for {self.timeout_s:g} s"
                raise CliError(ExitStatus.UNKNOWN, text, "See: dyn cluster status")
            return
        if now - self._heard_at > max(GIVE_UP_S, self.timeout_s):
            text = f"no reply from any node for {now - self._heard_at:.0f} s"
            raise CliError(ExitStatus.UNKNOWN, text, "See: dyn cluster status")
        for lane in self._reconnect.back():
            selector.register(lane.socket, selectors.EVENT_READ, lane)
            self._idle.append(lane)
        for lane in self.lanes:
            if lane.waiting and now - lane.sent_at > self.timeout_s:
                self._drop(lane, NO_REPLY, selector)

    def _turn(self, elapsed: float) -> None:
        """Close the seconds that are over."""
        while elapsed >= len(self.seconds) + 1:
            errors = sum(self.errors.values())
            ops_before, errors_before = self._second_from
            self.seconds.append(
                Second(self.done - ops_before, errors - errors_before, self._second.percentile_ms(0.99))
            )
            self._second_from = self.done, errors
            self._second = Latencies()

    def _ready(self, lane: Lane, events: int, selector: selectors.BaseSelector) -> None:
        """A connection can be written to, or has something to be read."""
        try:
            if events & selectors.EVENT_WRITE:
                self._flush(lane, selector)
            if events & selectors.EVENT_READ and self._receive(lane):
                self._busy -= 1
                self._idle.append(lane)
        except OSError as error:
            self._lose(lane, error, selector)

    def _send(
        self,
        lane: Lane,
        intended: list[float],
        command: Callable[[Lane], tuple[str, bytes]],
        selector: selectors.BaseSelector,
    ) -> None:
        """Send a connection's next batch."""
        assert intended, "nothing is due"
        commands = [command(lane) for _ in intended]
        lane.ops = [op for op, _ in commands]
        lane.intended = intended
        lane.replies = 0
        lane.rest = b"".join(packet for _, packet in commands)
        lane.sent_at = time.perf_counter()
        self._busy += 1
        try:
            self._flush(lane, selector)
        except OSError as error:
            self._lose(lane, error, selector)

    def _flush(self, lane: Lane, selector: selectors.BaseSelector) -> None:
        waited = bool(selector.get_key(lane.socket).events & selectors.EVENT_WRITE)
        try:
            lane.rest = lane.rest[lane.socket.send(lane.rest) :]
        except BlockingIOError:
            pass
        if bool(lane.rest) != waited:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if lane.rest else 0)
            selector.modify(lane.socket, events, lane)

    def _receive(self, lane: Lane) -> bool:
        """Take what replies have come; whether the batch is complete. Raises OSError."""
        try:
            data = lane.socket.recv(READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            raise ConnectionResetError("the node closed the connection")
        now = self._heard_at = time.perf_counter()
        lane.reader.feed(data)
        before = lane.replies
        while lane.replies < len(lane.ops) and (reply := lane.reader.gets()) is not False:
            self._count(lane, reply, now)
            lane.replies += 1
        self.done += lane.replies - before
        return before < lane.replies == len(lane.ops)

    def _count(self, lane: Lane, reply: object, now: float) -> None:
        """Count one reply."""
        if isinstance(reply, hiredis.ReplyError):
            if TLS_WORDS in str(reply):
                raise unreachable(lane.address, SPEAKS_TLS)
            self._err(str(reply).split(" ", 1)[0], 1)
            if self.merging is not None:
                self.merging.gone(lane)
            return
        if self.merging is not None:
            self.merging.heard(lane, reply)
        op, waited_s = lane.ops[lane.replies], now - lane.intended[lane.replies]
        self.latencies[op].add(waited_s)
        self._second.add(waited_s)
        if self.service is not None:
            self.service[op].add(now - lane.sent_at)
        name = str(lane.address)
        self.by_address[name] = self.by_address.get(name, 0) + 1

    def _err(self, code: str, count: int) -> None:
        self.errors[code] = self.errors.get(code, 0) + count

    # Connections that end --------------------------------------------------------------------------------

    def _lose(self, lane: Lane, error: OSError, selector: selectors.BaseSelector) -> None:
        """A connection has ended: the end of the run, unless connections are to be made anew."""
        if self._reconnect is None:
            text = f"{lane.address} is gone in the middle of the run ({error.strerror or error})"
            raise CliError(ExitStatus.UNREACHABLE, text, "See: dyn cluster status") from None
        self._drop(lane, LOST, selector)

    def _drop(self, lane: Lane, code: str, selector: selectors.BaseSelector) -> None:
        """Count what was under way on a connection, and have it made anew."""
        assert self._reconnect is not None
        if lane.waiting:
            self._busy -= 1
            self._err(code, lane.waiting)
            self.done += lane.waiting
        elif lane in self._idle:
            self._idle.remove(lane)
        if self.merging is not None:
            self.merging.gone(lane)
        lane.clear()
        selector.unregister(lane.socket)
        lane.close()
        self._reconnect.lost(lane)

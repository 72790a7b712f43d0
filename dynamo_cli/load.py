"""Closed-loop load: a number of connections, each of which sends, waits for its replies, and sends again.

One thread, one selector, blocking nothing. The latency of a request in a pipeline runs from the sending of its batch to
its own reply, as redis-benchmark counts it. The generator itself costs some ten microseconds a request: on few
cores it is part of what is measured, and the report says so.
"""

from __future__ import annotations

import random
import selectors
import socket
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import hiredis

from dynamo_cli.client import SPEAKS_TLS, TLS_WORDS, Address, Unreachable, hint_for, packed
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus

if TYPE_CHECKING:
    from ssl import SSLContext

    from dynamo_cli.tls import Unblocked

READ_BYTES = 256 * 1024
FILL_PIPELINE = 32
"""Commands in one batch while keys are written before reads are measured."""


class Plan(NamedTuple):
    """What to do: `op` is get, put or mixed (`reads_percent` of the requests are gets), until time or count is up."""

    op: str
    reads_percent: int
    clients: int
    pipeline: int
    size_bytes: int
    keys: int
    duration_s: float
    requests: int | None
    seed: int


class Outcome(NamedTuple):
    """What happened: latencies in seconds by operation, errors by prefix, requests in each second that was full."""

    elapsed_s: float
    latencies_s: dict[str, array[float]]
    errors: dict[str, int]
    per_second: list[int]


class Lane:
    """One connection and its batch under way."""

    def __init__(self, address: Address, password: str | None, timeout_s: float, tls: SSLContext | None = None) -> None:
        self.address = address
        self.reader = hiredis.Reader(replyError=hiredis.ReplyError)
        self.ops: list[str] = []
        self.sent_at = 0.0
        self.replies = 0
        self.rest = b""
        try:
            plain = socket.create_connection(address, timeout=timeout_s)
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.socket = self._ready(plain, password, tls)
        except (OSError, Unreachable) as error:
            raise _unreachable(address, getattr(error, "strerror", None) or str(error)) from None

    def _ready(self, plain: socket.socket, password: str | None, tls: SSLContext | None) -> socket.socket | Unblocked:
        """The connection for the selector, after TLS and password."""
        if tls is not None:
            from dynamo_cli.tls import Unblocked, secured

            made = secured(plain, tls)
            self._introduce(made, password)
            return Unblocked(made)
        self._introduce(plain, password)
        plain.setblocking(False)
        return plain

    def _introduce(self, made: socket.socket, password: str | None) -> None:
        """Say the password, if there is one, and wait for the answer."""
        if not password:
            return
        made.sendall(packed(("AUTH", password)))
        while (reply := self.reader.gets()) is False:
            data = made.recv(READ_BYTES)
            if not data:
                raise ConnectionResetError("the node closed the connection")
            self.reader.feed(data)
        if isinstance(reply, hiredis.ReplyError):
            raise Unreachable(SPEAKS_TLS) if TLS_WORDS in str(reply) else CliError(ExitStatus.REFUSED, str(reply))


class Load:
    """One run of a plan over some connections. `next_batch` gives the commands of a connection's next batch."""

    def __init__(self, plan: Plan, lanes: Sequence[Lane], timeout_s: float) -> None:
        self.plan = plan
        self.lanes = lanes
        self.timeout_s = timeout_s
        self.random = random.Random(plan.seed)
        self.value = self.random.randbytes(plan.size_bytes)
        self.latencies_s: dict[str, array[float]] = {"get": array("d"), "put": array("d")}
        self.errors: dict[str, int] = {}
        self.per_second: list[int] = []

    def key(self, number: int) -> bytes:
        """The name of one of the plan's keys, as redis-benchmark writes them."""
        return b"key:%012d" % number

    def fill(self, progress: Callable[[int], None]) -> None:
        """Write every key once."""
        plan = self.plan
        numbers = iter(range(plan.keys))

        def batch() -> Iterator[tuple[str, bytes]]:
            for _, number in zip(range(FILL_PIPELINE), numbers, strict=False):
                yield "put", packed(("SET", self.key(number), self.value))

        done = 0

        def count(replies: int) -> None:
            nonlocal done
            done += replies
            progress(done)

        self._drive(batch, count, lambda: False)
        if self.errors:
            text = next(iter(self.errors))
            raise CliError(ExitStatus.FAILURE, f"cannot write the keys to read: {text}", "See: dyn cluster status")
        for latencies_s in self.latencies_s.values():
            del latencies_s[:]

    def run(self, progress: Callable[[float, int], None]) -> Outcome:
        """Measure. `progress(seconds, requests)` is called about ten times a second."""
        plan, begun = self.plan, time.perf_counter()
        done = 0
        told_at = begun
        second = 0

        def count(replies: int) -> None:
            nonlocal done, told_at, second
            done += replies
            now = time.perf_counter()
            while now - begun >= len(self.per_second) + 1:
                self.per_second.append(done - second)
                second = done
            if now - told_at >= 0.1:
                told_at = now
                progress(now - begun, done)

        def enough() -> bool:
            if plan.requests is not None:
                return done >= plan.requests
            return time.perf_counter() - begun >= plan.duration_s

        self._drive(self._batch, count, enough)
        return Outcome(time.perf_counter() - begun, self.latencies_s, self.errors, self.per_second)

    def _batch(self) -> Iterator[tuple[str, bytes]]:
        plan, draw = self.plan, self.random
        for _ in range(plan.pipeline):
            key = self.key(draw.randrange(plan.keys))
            reads = plan.op == "get" or (plan.op == "mixed" and draw.randrange(100) < plan.reads_percent)
            yield ("get", packed(("GET", key))) if reads else ("put", packed(("SET", key, self.value)))

    def _drive(
        self,
        batch: Callable[[], Iterator[tuple[str, bytes]]],
        count: Callable[[int], None],
        enough: Callable[[], bool],
    ) -> None:
        """Keep every connection busy with batches until `enough`, or until there are none; then collect the rest."""
        with selectors.DefaultSelector() as selector:
            busy = 0
            for lane in self.lanes:
                selector.register(lane.socket, selectors.EVENT_READ, lane)
                busy += self._send(lane, batch, selector)
            while busy:
                ready = selector.select(self.timeout_s)
                if not ready:
                    text = f"no reply from any connection for {self.timeout_s:g} s"
                    raise CliError(ExitStatus.UNKNOWN, text, "See: dyn cluster status")
                for key, events in ready:
                    lane = key.data
                    if events & selectors.EVENT_WRITE:
                        self._flush(lane, selector)
                    if events & selectors.EVENT_READ and self._receive(lane, count):
                        busy -= 1
                        if not enough():
                            busy += self._send(lane, batch, selector)

    def _send(
        self, lane: Lane, batch: Callable[[], Iterator[tuple[str, bytes]]], selector: selectors.BaseSelector
    ) -> int:
        """Send a connection's next batch; 0 if there is none left."""
        commands = list(batch())
        if not commands:
            return 0
        lane.ops = [op for op, _ in commands]
        lane.replies = 0
        lane.rest = b"".join(command for _, command in commands)
        lane.sent_at = time.perf_counter()
        self._flush(lane, selector)
        return 1

    def _flush(self, lane: Lane, selector: selectors.BaseSelector) -> None:
        waited = bool(selector.get_key(lane.socket).events & selectors.EVENT_WRITE)
        try:
            lane.rest = lane.rest[lane.socket.send(lane.rest) :]
        except BlockingIOError:
            pass
        except OSError as error:
            raise _lost(lane, error) from None
        if bool(lane.rest) != waited:
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if lane.rest else 0)
            selector.modify(lane.socket, events, lane)

    def _receive(self, lane: Lane, count: Callable[[int], None]) -> bool:
        """Take what replies have come; whether the batch is complete."""
        try:
            data = lane.socket.recv(READ_BYTES)
        except BlockingIOError:
            return False
        except OSError as error:
            raise _lost(lane, error) from None
        if not data:
            raise _lost(lane, ConnectionResetError("the node closed the connection"))
        now = time.perf_counter()
        lane.reader.feed(data)
        before = lane.replies
        while (reply := lane.reader.gets()) is not False:
            if isinstance(reply, hiredis.ReplyError):
                if TLS_WORDS in str(reply):
                    raise _unreachable(lane.address, SPEAKS_TLS)
                prefix = str(reply).split(" ", 1)[0]
                self.errors[prefix] = self.errors.get(prefix, 0) + 1
            else:
                self.latencies_s[lane.ops[lane.replies]].append(now - lane.sent_at)
            lane.replies += 1
        count(lane.replies - before)
        return lane.replies == len(lane.ops)


def _unreachable(address: Address, why: str) -> CliError:
    hint = hint_for([why]) or "Start one: dyn node start"
    return CliError(ExitStatus.UNREACHABLE, f"cannot reach {address} ({why})", hint)


def _lost(lane: Lane, error: OSError) -> CliError:
    text = f"{lane.address} is gone in the middle of the run ({error.strerror or error})"
    return CliError(ExitStatus.UNREACHABLE, text, "See: dyn cluster status")


def percentile_ms(sorted_s: Sequence[float], share: float) -> float | None:
    """The latency that `share` of the requests stayed within, in milliseconds; None without requests."""
    if not sorted_s:
        return None
    return sorted_s[min(len(sorted_s) - 1, int(len(sorted_s) * share))] * 1000

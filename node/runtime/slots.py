"""The places of replies in the order of their commands: each waits for its result, or results, and makes the reply."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Final

from node.core.limits import OUTPUT_BYTES_MAX, REQUESTS_MIN
from node.engine.intake import BUSY_WORDS
from node.wire.commands import Call, Calls
from node.wire.replies import ErrorReply, Value, encode, encode_error
from node.wire.requests import Found, Request, Result

if TYPE_CHECKING:
    from node.runtime.session import Session

REFUSED: Final = encode_error("BUSY", BUSY_WORDS)
"""What a client hears that the node has no room for: the same from here as from the engine."""

Deliver = Callable[[Result], None]
Submit = Callable[[Request, Deliver], None]


class Slot:
    """The place of one command's reply in the order of replies."""

    __slots__ = ("call", "reply", "resp3", "session")

    def __init__(self, session: Session, call: Call) -> None:
        self.session = session
        self.call = call
        self.resp3 = session.resp3
        self.reply: bytes | None = None

    def deliver(self, result: Result) -> None:
        """The result is here: called exactly once."""
        session = self.session
        request, finish, key, writes = self.call
        self.reply = encode(finish(request, result, session.listener.facts.names), resp3=self.resp3)
        if key is not None:
            session.release(key)
        if not writes:
            session.measured(len(self.reply))
        session.completed(self)


class ManySlot:
    """The place of a command that asks for several keys: REQUESTS_MIN of them at a time.

    A node with nothing else in its hands takes on so many always; of one more it might do a part, and refuse the rest.
    """

    __slots__ = ("bytes", "calls", "reply", "resp3", "results", "session", "_asking", "_in_flight", "_next")

    def __init__(self, session: Session, calls: Calls) -> None:
        self.session = session
        self.calls = calls
        self.resp3 = session.resp3
        self.reply: bytes | None = None
        self.results: list[Result | None] = [None] * len(calls.requests)
        self.bytes = 0
        self._asking = False
        self._in_flight = 0
        self._next = 0

    def ask(self) -> None:
        """Ask for as many keys as may be in flight; end when all are answered, or the answer grew too long."""
        if self._asking:
            return
        self._asking = True
        requests = self.calls.requests
        while self._in_flight < REQUESTS_MIN and self._next < len(requests) and self.bytes <= OUTPUT_BYTES_MAX:
            index = self._next
            self._next += 1
            self._in_flight += 1
            self.session.listener.submit(requests[index], partial(self._deliver, index))
        self._asking = False
        if not self._in_flight:
            self._end()

    def _deliver(self, index: int, result: Result) -> None:
        self._in_flight -= 1
        if type(result) is Found:
            self.bytes += sum(len(version.value or b"") for version in result.row.versions)
        if self.bytes <= OUTPUT_BYTES_MAX:
            self.results[index] = result
        self.ask()

    def _end(self) -> None:
        reply: Value = ErrorReply("TOOBIG", f"these keys hold more than {OUTPUT_BYTES_MAX} bytes; ask for fewer")
        if self.bytes <= OUTPUT_BYTES_MAX:
            reply = self.calls.finish(self.calls.requests, [result for result in self.results if result is not None])
        self.results = []
        self.reply = encode(reply, resp3=self.resp3)
        for request in self.calls.requests:
            self.session.release(request.key)
        if not self.calls.writes:
            self.session.measured(len(self.reply))
        self.session.completed(self)

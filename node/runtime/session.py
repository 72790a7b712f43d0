"""One client connection: bytes in, requests out, results back in the order of the commands.

    data_received ─► RequestReader ─► batch ─► _dispatch ─► submit(request, slot.deliver)
                                                   │                       │
    transport.write ◄── flush: the complete head ── slots (one a command) ◄┘

No coroutine and no future: a command costs a slot. What bounds it: a command waits in the batch, and the socket is not
read, while the commands of this turn of the loop are used up (COMMANDS_TURN_MAX), while PIPELINE_MAX commands are
unanswered, while replies (those to come are estimated) exceed half of OUTPUT_BYTES_MAX, while the client does not read,
or while an earlier command of this connection works on the same key and one of the two writes (so a pipeline means what
its order says).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, cast

from node.core.limits import (
    INLINE_BYTES_MAX,
    OUTPUT_BYTES_MAX,
    OUTPUT_PAUSE_BYTES,
    PIPELINE_MAX,
    PREAUTH_OUTPUT_BYTES_MAX,
    VALUE_BYTES_MAX,
)
from node.runtime import housekeeping
from node.runtime.slots import REFUSED, ManySlot, Slot
from node.runtime.sockets import cork
from node.wire.commands import ENTRIES, Call, Calls, find, parse
from node.wire.replies import ErrorReply, Value, encode, encode_error
from node.wire.resp import HTTP, OPEN, PREAUTH, Item, Oversized, RequestReader

if TYPE_CHECKING:
    from node.runtime.clients import ClientListener

_UNREAD_MAX: Final = OUTPUT_BYTES_MAX // 2


class Session(asyncio.Protocol):
    """The server's side of one client connection."""

    __slots__ = (
        "address", "attempts", "authenticated", "closing", "commands", "held_bytes", "id", "in_multi", "last_command",
        "library", "listener", "name", "opened_at", "reader", "resp3", "slots", "transport", "waits", "_active", "_at",
        "_batch", "_deadline", "_ended", "_expected", "_marked", "_paused", "_pumping", "_reads", "_ready", "_unread",
    )  # fmt: skip

    def __init__(self, listener: ClientListener, number: int) -> None:
        self.listener = listener
        self.id = number
        self.address = ""
        self.name = ""
        self.library: dict[str, str] = {}
        self.resp3 = False
        self.authenticated = listener.password is None
        self.attempts = 0
        self.commands = 0
        self.held_bytes = 0
        self.last_command = ""
        self.opened_at = listener.loop.time()
        self.reader = RequestReader(OPEN if self.authenticated else PREAUTH)
        self.slots: deque[bytes | Slot | ManySlot] = deque()
        self.transport: asyncio.Transport | None = None
        self._active: dict[bytes, int] = {}
        self._batch: list[Item] = []
        self._at = 0
        self._expected = VALUE_BYTES_MAX
        self.closing = False
        self._ended = False
        self.waits = False
        self.in_multi = False
        self._marked = False
        self._paused = False
        self._pumping = False
        self._reads = 0
        self._ready = 0
        self._unread = False
        self._deadline: asyncio.TimerHandle | None = None

    # The connection ----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client connected; who may not is told so and let go."""
        self.transport = transport = cast(asyncio.Transport, transport)  # uvloop's is none by inheritance
        transport.set_write_buffer_limits(high=OUTPUT_PAUSE_BYTES)
        refusal = self.listener.admit(self)
        if refusal is not None:
            self.closing = True
            transport.write(encode_error(*refusal))
            transport.close()
        elif not self.authenticated:
            self.start_deadline(self.listener.preauth_s)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone; results still to come find nobody."""
        self.closing = True
        self.transport = None
        self.slots.clear()
        self._batch = []
        self._at = 0
        self.stop_deadline()
        self.listener.gone(self)

    def data_received(self, data: bytes) -> None:
        """Read commands, and pass on as many as may go."""
        if not self.closing:
            if self.in_multi and not self.slots and not self.reader.held_bytes:
                self.in_multi = False
            self.reader.feed(data)
            self.pump()

    def eof_received(self) -> bool:
        """The client said its last word: it still gets its replies."""
        if self.closing and not self.slots:
            return False
        self._ended = True
        self.pump()
        return self.closing or self.waits or bool(self.slots) or self._at < len(self._batch)

    def pause_writing(self) -> None:
        """The client does not read: neither do we, and not for ever."""
        self._unread = True
        if self._deadline is None:
            self.start_deadline(self.listener.output_s)

    def resume_writing(self) -> None:
        """The client reads again."""
        self._unread = False
        if self.authenticated:
            self.stop_deadline()
            self._limit_half_command()
        self.pump()

    @property
    def owes(self) -> bool:
        """Whether the client has not been given all its replies."""
        return bool(self.slots) or (self.transport is not None and self.transport.get_write_buffer_size() > 0)

    def abort(self) -> None:
        """End the connection now, replies or not."""
        self.closing = True
        if self.transport is not None:
            self.transport.abort()

    def close(self) -> None:
        """End the connection once the replies before this moment are written."""
        self.closing = True
        self._batch = []
        self._at = 0
        self._mark()

    def start_deadline(self, seconds: float) -> None:
        """End the connection at that time, unless `stop_deadline` comes first."""
        self.stop_deadline()
        self._deadline = self.listener.loop.call_later(seconds, self.abort)

    def stop_deadline(self) -> None:
        """Whatever had to happen did."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    # Commands in -------------------------------------------------------------------------------------------

    def pump(self) -> None:
        """Dispatch commands until there are none, or until one must wait."""
        if self._pumping or self.closing:
            return
        self._pumping = True
        waits = self._dispatch_all()
        self._pumping = False
        if waits is not self._paused:
            self._pause(waits)
        if not (waits or self.closing) and (self._ended or self.reader.error is not None):
            self._end()
        if self.slots and not self._marked:
            head = self.slots[0]
            if isinstance(head, bytes) or head.reply is not None:
                self._mark()
        self.listener.flush()

    def _dispatch_all(self) -> bool:
        """Start all commands that may start; True if there is one that must wait."""
        slots, listener = self.slots, self.listener
        listener.begin_turn()
        bound = _UNREAD_MAX if self.authenticated else PREAUTH_OUTPUT_BYTES_MAX
        while not self.closing:
            if self._at == len(self._batch):
                self._at = 0
                self._batch = self.reader.take()
                if not self._batch:
                    held_bytes = self.reader.held_bytes
                    if held_bytes != self.held_bytes:
                        self._hold(held_bytes)
                    return self.waits
            if (
                self._unread
                or self.waits
                or len(slots) >= PIPELINE_MAX
                or self._ready + self._reads * self._expected > bound
            ):
                return True
            if not listener.left:
                listener.behind[self] = None
                return True
            if not self._dispatch(self._batch[self._at]):
                return True
            listener.left -= 1
            self._at += 1
        return False

    def _hold(self, held_bytes: int) -> None:
        """Half a command waits in memory: not too much of it, all clients counted, and not for ever."""
        fits = self.listener.hold(self, held_bytes)
        if not fits:
            self.reply(ErrorReply("BUSY", "too many long commands are arriving at once; send it again in a moment"))
            self.close()
        elif not held_bytes and self.authenticated and not self._unread:
            self.stop_deadline()
        else:
            self._limit_half_command()

    def _limit_half_command(self) -> None:
        if self.held_bytes > INLINE_BYTES_MAX and self._deadline is None:
            self.start_deadline(self.listener.command_s)

    def _pause(self, waits: bool) -> None:
        """Leave further commands in the socket, or fetch them again."""
        self._paused = waits
        if self.transport is not None and not self.transport.is_closing() and not self._ended:
            (self.transport.pause_reading if waits else self.transport.resume_reading)()

    def _end(self) -> None:
        """The client broke the protocol, or has said its last word."""
        error = self.reader.error
        if error is not None and error.code == HTTP:
            self.abort()
            return
        if error is not None:
            self.reply(ErrorReply("ERR", f"Protocol error: {error}"))
        self.close()

    def _dispatch(self, item: Item) -> bool:
        """Start one command; False if it has to wait."""
        if type(item) is Oversized:
            self.reply(ErrorReply("TOOBIG", f"the command has {item.bytes} bytes of arguments"))
            return True
        assert type(item) is list, "the reader gives lists"
        entry = ENTRIES.get(item[0].upper())
        if not self.authenticated and (entry is None or "no_auth" not in entry.command.flags):
            self.reply(ErrorReply("NOAUTH", "Authentication required."))
            return True
        self.commands += 1
        if entry is None or (self.in_multi and entry.parse is not None):
            self._refuse(item[0])
            return True
        self.last_command = entry.command.name
        if entry.parse is None:
            reply = housekeeping.answer(self, entry, item)
            if reply is not housekeeping.LATER:
                self.reply(reply)
            return True
        if entry.command.keys[0] and self.listener.full():  # before anything is done for it
            self._answer(REFUSED)
            return True
        parsed = parse(entry, item, self.name)
        if type(parsed) is Call:
            key = parsed.key
            if key is not None and not self._claim(key, writes=parsed.writes):
                return False
            slot = Slot(self, parsed)
            self.slots.append(slot)
            if not parsed.writes:
                self._reads += 1
            self.listener.submit(parsed.request, slot.deliver)
        elif type(parsed) is Calls:
            return self._dispatch_many(parsed)
        elif type(parsed) is ErrorReply:
            self.reply(parsed)
        return True

    def _refuse(self, name: bytes) -> None:
        """Answer a command that is not in the table, or that was to be part of a transaction.

        MULTI is refused, and who sent the commands of the transaction with it does not expect them to be done without.
        So they are not: until EXEC, DISCARD, or a command that was sent after MULTI's answer.
        """
        verb = name.upper()
        refused = find(name)
        if verb in (b"EXEC", b"DISCARD"):
            self.in_multi = False
        elif self.in_multi:
            refused = ErrorReply("NOTSUPPORTED", "not done: it follows MULTI, and there are no transactions")
        elif verb == b"MULTI":
            self.in_multi = True
        assert isinstance(refused, ErrorReply), f"{name!r} is in the table"
        self.reply(refused)

    def _dispatch_many(self, calls: Calls) -> bool:
        keys = [request.key for request in calls.requests]
        if any((busy := self._active.get(key)) is not None and (calls.writes or busy < 0) for key in keys):
            return False
        for key in keys:
            self._claim(key, writes=calls.writes)
        slot = ManySlot(self, calls)
        self.slots.append(slot)
        if not calls.writes:
            self._reads += 1
        slot.ask()
        return True

    def _claim(self, key: bytes, *, writes: bool) -> bool:
        """Take a key, shared for reading, alone for writing; False if an earlier command has it."""
        busy = self._active.get(key)
        if busy is None:
            self._active[key] = -1 if writes else 1
            return True
        if writes or busy < 0:
            return False
        self._active[key] = busy + 1
        return True

    def release(self, key: bytes) -> None:
        """A command is done with a key."""
        busy = self._active[key]
        if busy > 1:
            self._active[key] = busy - 1
        else:
            del self._active[key]

    def reply(self, value: Value) -> None:
        """The reply of a command that asks nothing of the store: the next in order."""
        self._answer(encode(value, resp3=self.resp3))

    def _answer(self, reply: bytes) -> None:
        self._ready += len(reply)
        self.slots.append(reply)

    # Replies out -------------------------------------------------------------------------------------------

    def measured(self, size: int) -> None:
        """A read's reply is so long: expect about as much of the others."""
        self._reads -= 1
        expected = self._expected
        self._expected = size if size > expected else (3 * expected + size) >> 2

    def completed(self, slot: Slot | ManySlot) -> None:
        """A reply is ready; it goes out when it is the first, with all that follow it, once a turn of the loop."""
        assert slot.reply is not None, "completed without a reply"
        self._ready += len(slot.reply)
        if not self._marked and (self._paused or (self.slots and self.slots[0] is slot)):
            self._mark()

    def _mark(self) -> None:
        if not self._marked:
            self._marked = True
            self.listener.mark(self)

    def flush(self) -> None:
        """Write the complete head of the replies, then go on with what had to wait."""
        self._marked = False
        transport, slots = self.transport, self.slots
        if transport is None:
            return
        ready = []
        while slots:
            head = slots[0]
            reply = head if isinstance(head, bytes) else head.reply
            if reply is None:
                break
            ready.append(reply)
            slots.popleft()
        if ready:
            data = ready[0] if len(ready) == 1 else b"".join(ready)
            self._ready -= len(data)
            unread = transport.get_write_buffer_size()  # of before: one reply may be longer than what may wait
            if self.listener.leaving and not slots and self._at == len(self._batch) and not self.reader.held_bytes:
                self.closing = True
                cork(transport.get_extra_info("socket"))
            transport.write(data)
            if unread > (OUTPUT_BYTES_MAX if self.authenticated else PREAUTH_OUTPUT_BYTES_MAX):
                self.listener.overflowed += 1
                self.abort()
                return
        if self.closing and not slots:
            self._hang_up(transport)
        elif self._paused or self._at < len(self._batch):
            self.pump()

    def _hang_up(self, transport: asyncio.Transport) -> None:
        """All is said. Who is still sending shall hear it: to close on unread bytes would reset the connection."""
        if self._ended or not transport.can_write_eof():
            transport.close()
        elif not transport.is_closing():
            transport.write_eof()
            if self._paused:
                transport.resume_reading()
        self.start_deadline(self.listener.output_s if self._unread else self.listener.preauth_s)

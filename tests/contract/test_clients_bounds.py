"""What the client port keeps in memory, whatever clients do: many commands, large replies, half commands, deaf ears."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from itertools import pairwise

import pytest

from node.core.limits import COMMANDS_TURN_MAX, MIB, OUTPUT_PAUSE_BYTES, PIPELINE_MAX, REQUESTS_MIN
from node.core.row import Dot, Row, Version
from node.runtime.clients import ClientListener
from node.runtime.session import Session
from tests.helpers.fake_store import FakeStore, Port, pack, serving
from tests.helpers.peers import Run, until


def test_commands_in_flight_are_bounded(run: Run) -> None:
    async def main() -> None:
        async with serving() as port:
            port.store.hold = True
            client = await port.connect()
            await client.send(b"".join(pack("SET", f"k{n}", "v") for n in range(3 * PIPELINE_MAX)))
            step = PIPELINE_MAX // 4
            for left in range(3 * PIPELINE_MAX, 0, -step):
                await until(lambda n=left: len(port.store.held) == min(n, PIPELINE_MAX))
                for _ in range(step):
                    port.store.release()
            await client.expect(b"+OK\r\n" * 3 * PIPELINE_MAX)

    run(main())


def test_one_turn_of_the_loop_takes_on_so_many_commands_and_no_more(run: Run) -> None:
    """However much the sockets hold: what peers say is heard in between. All connections get their share."""

    async def main() -> None:
        async with serving() as port:
            port.store.hold = True
            clients = [await port.connect() for _ in range(4)]
            seen: list[int] = []
            loop = asyncio.get_running_loop()

            def look() -> None:
                seen.append(len(port.store.held))
                if seen[-1] < len(clients) * PIPELINE_MAX:
                    loop.call_soon(look)

            look()
            for number, client in enumerate(clients):
                await client.send(b"".join(pack("SET", f"{number}-{n}", "v") for n in range(PIPELINE_MAX)))
            await until(lambda: len(port.store.held) == len(clients) * PIPELINE_MAX)
            assert max(after - before for before, after in pairwise(seen)) <= 2 * COMMANDS_TURN_MAX
            while port.store.held:
                port.store.release()
            for client in clients:
                await client.expect(b"+OK\r\n" * PIPELINE_MAX)

    run(main())


def test_a_full_node_refuses_what_names_a_key_before_it_is_parsed(run: Run) -> None:
    """In its place in the order of replies; and what asks how the node is still gets its answer."""

    async def main() -> None:
        async with serving() as port:
            client = await port.connect()
            await client.send(pack("SET", "k", "v"))
            await client.expect(b"+OK\r\n")
            asked = len(port.store.requests)
            port.listener.full = lambda: True
            for words in ("GET", "k"), ("SET", "k", "w"), ("MGET", "k", "j"), ("DYN.PUT", "k", "", "v"), ("DEL", "k"):
                await client.send(pack(*words))
                assert (await client.line()).startswith(b"-BUSY "), words
            assert len(port.store.requests) == asked
            await client.send(pack("PING"))
            await client.expect(b"+PONG\r\n")
            await client.send(pack("DYN.STATUS"))
            assert (await client.line()).startswith(b"$")

    run(main())


def test_a_command_of_many_keys(run: Run) -> None:
    async def main() -> None:
        async with serving() as port:
            client = await port.connect()
            count = 5000
            await client.send(pack("MSET", *(word for n in range(count) for word in (f"k{n}", str(n)))))
            await client.expect(b"+OK\r\n")
            await client.send(pack("MGET", *(f"k{n}" for n in range(count))))
            await client.expect(
                b"*%d\r\n" % count + b"".join(b"$%d\r\n%d\r\n" % (len(str(n)), n) for n in range(count))
            )
            port.store.hold = True
            await client.send(pack("DEL", *(f"k{n}" for n in range(count))))
            for _ in range(count):
                await until(lambda: port.store.held)
                assert len(port.store.held) <= REQUESTS_MIN, "more than a node takes on at any time"
                port.store.release()
            await client.expect(b":%d\r\n" % count)

    run(main())


def big_row(size: int) -> Row:
    dot = Dot(1, 1, 1)
    return Row((dot,), (Version(dot, (), bytes(size), 0, ""),))


def test_one_reply_of_many_values_is_bounded(run: Run) -> None:
    async def main() -> None:
        async with serving() as port:
            port.store.rows = {b"k%d" % n: big_row(MIB) for n in range(60)}
            client = await port.connect()
            await client.send(pack("MGET", *(f"k{n}" for n in range(60))))
            assert (await client.line()).startswith(b"-TOOBIG these keys hold more than")
            await client.send(pack("MGET", "k1"))
            await client.expect(b"*1\r\n$1048576\r\n" + bytes(MIB) + b"\r\n")

    run(main())


def test_a_client_that_reads_late_gets_everything(run: Run) -> None:
    """A pipeline of large replies is not an attack: commands wait until the replies are read."""

    async def main() -> None:
        async with serving() as port:
            port.store.rows = {b"k": big_row(MIB)}
            client = await port.connect()
            sending = asyncio.create_task(client.send(pack("GET", "k") * 100))
            (session,) = port.listener.sessions.values()
            await until(lambda: session.transport is not None and session.transport.get_write_buffer_size() > MIB)
            for _ in range(100):
                await client.expect(b"$1048576\r\n" + bytes(MIB) + b"\r\n")
            await sending

    run(main())


class Deaf:
    """A client that sends and never reads, through a small window."""

    def __init__(self, port: Port) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.connect(("127.0.0.1", port.number))
        self.socket.setblocking(False)

    def shout(self, data: bytes) -> None:
        try:
            self.socket.send(data)
        except BlockingIOError:
            pass

    def read_all(self) -> int:
        """Hear after all; return how many bytes there were until the end."""
        self.socket.settimeout(10)
        count = 0
        with suppress(ConnectionResetError):
            while more := self.socket.recv(MIB):
                count += len(more)
        return count


def test_a_client_that_never_reads(run: Run) -> None:
    async def main() -> None:
        store = FakeStore()
        listener = ClientListener(store.submit, store.flush, store, output_s=0.3)
        async with serving(listener, store) as port:
            store.rows = {b"k": big_row(100_000)}
            client = await port.connect()
            deaf = Deaf(port)
            await until(lambda: len(listener.sessions) == 2)
            session = list(listener.sessions.values())[-1]
            most = 0
            while session.transport is not None:
                deaf.shout(pack("GET", "k") * 100)
                if session.transport is not None:
                    most = max(most, session.transport.get_write_buffer_size())
                await client.send(pack("PING"))
                await client.expect(b"+PONG\r\n")
            deaf.socket.close()
            assert OUTPUT_PAUSE_BYTES < most < 20 * OUTPUT_PAUSE_BYTES
            assert len(listener.sessions) == 1

    run(main())


def test_a_reply_may_be_longer_than_what_may_wait(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a key with many large siblings could never be read, and so never be merged."""
    monkeypatch.setattr("node.runtime.session.OUTPUT_BYTES_MAX", MIB)

    async def main() -> None:
        async with serving() as port:
            port.store.rows = {b"k": big_row(8 * MIB)}
            client = await port.connect()
            await client.send(pack("GET", "k"))
            await client.expect(b"$8388608\r\n" + bytes(8 * MIB) + b"\r\n")

    run(main())


def test_a_node_that_stops_counts_replies_that_are_under_way(run: Run) -> None:
    async def main() -> None:
        async with serving() as port:
            port.store.rows = {b"k": big_row(16 * MIB)}
            deaf = Deaf(port)
            deaf.shout(pack("GET", "k"))
            await until(lambda: any(session.owes and not session.slots for session in port.listener.sessions.values()))
            assert not port.listener.idle
            deaf.socket.close()
            await until(lambda: port.listener.idle)

    run(main())


def test_a_node_that_stops_ends_a_connection_together_with_its_last_reply(run: Run) -> None:
    """A client that reads the reply finds the end behind it, always: it cannot ask anything more in between."""

    def ask(sock: socket.socket) -> tuple[bytes, bytes]:
        sock.sendall(pack("PING"))
        reply = sock.recv(64)
        sock.setblocking(False)
        try:
            return reply, sock.recv(64)
        except BlockingIOError:
            return reply, b"it stands"

    async def main() -> None:
        async with serving() as port:
            with socket.create_connection(("127.0.0.1", port.number)) as early:
                assert await asyncio.to_thread(ask, early) == (b"+PONG\r\n", b"it stands")
            sockets = [socket.create_connection(("127.0.0.1", port.number)) for _ in range(30)]
            await until(lambda: len(port.listener.sessions) == len(sockets))
            stopping = asyncio.create_task(port.listener.wind_down(5))
            await until(lambda: port.listener.leaving)
            for sock in sockets:
                sock.settimeout(5)
                assert await asyncio.to_thread(ask, sock) == (b"+PONG\r\n", b"")
                sock.close()
            await stopping

    run(main())


def test_a_node_that_stops_ends_the_connections_on_which_nothing_is_asked(run: Run) -> None:
    async def main() -> None:
        async with serving() as port:
            client = await port.connect()
            await client.send(pack("PING"))
            await client.expect(b"+PONG\r\n")
            await port.listener.wind_down(5)
            await client.ended()

    run(main())


def test_who_said_goodbye_and_reads_slowly_gets_everything(run: Run) -> None:
    async def main() -> None:
        store = FakeStore()
        listener = ClientListener(store.submit, store.flush, store, preauth_s=0.2)
        async with serving(listener, store) as port:
            store.rows = {b"k": big_row(16 * MIB)}
            slow = Deaf(port)
            slow.shout(pack("GET", "k"))
            slow.socket.shutdown(socket.SHUT_WR)
            begun = asyncio.get_running_loop().time()
            await until(lambda: asyncio.get_running_loop().time() > begun + 3 * listener.preauth_s)
            came = await asyncio.to_thread(slow.read_all)
            slow.socket.close()
            assert came == 16 * MIB + len(b"$16777216\r\n\r\n")

    run(main())


def test_what_goes_wrong_with_one_client_is_nobody_elses_affair(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is: the others' replies of the same turn of the loop are written, and it is told."""

    async def main() -> None:
        async with serving() as port:
            told: list[dict[str, object]] = []
            asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
            first, second = await port.connect(), await port.connect()
            await until(lambda: len(port.listener.sessions) == 2)
            one, other = port.listener.sessions.values()
            flush = Session.flush

            def failing(session: Session) -> None:
                assert session is not one, "a defect"
                flush(session)

            monkeypatch.setattr(Session, "flush", failing)
            for session in one, other:
                session.slots.append(b"+OK\r\n")
                session._mark()
            await second.expect(b"+OK\r\n")
            assert await first.ended() == b""
            assert [type(context["exception"]) for context in told] == [AssertionError]

    run(main())


def test_half_a_command_behind_replies_that_are_read_late_has_its_time_and_no_more(run: Run) -> None:
    async def main() -> None:
        store = FakeStore()
        listener = ClientListener(store.submit, store.flush, store, command_s=0.3)
        async with serving(listener, store) as port:
            store.rows = {b"k": big_row(8 * MIB)}
            client = await port.connect()
            half = b"*2\r\n$4\r\nECHO\r\n$2000000\r\n" + bytes(1_000_000)
            sending = asyncio.create_task(client.send(pack("GET", "k") * 2 + half))
            for _ in range(2):
                await client.expect(b"$8388608\r\n" + bytes(8 * MIB) + b"\r\n")
            await sending
            assert await client.ended() == b""

    run(main())


def test_a_client_that_is_far_too_slow(run: Run) -> None:
    """A byte now and a byte then: nothing happens until the command is there."""

    async def main() -> None:
        async with serving() as port:
            client = await port.connect()
            for byte in pack("SET", "k", "v"):
                await client.send(bytes([byte]))
                await asyncio.sleep(0)
            await client.expect(b"+OK\r\n")
            assert len(port.store.requests) == 1

    run(main())


def test_half_commands_are_bounded_all_together(run: Run) -> None:
    async def main() -> None:
        store = FakeStore()
        listener = ClientListener(store.submit, store.flush, store, input_bytes_max=3 * MIB)
        async with serving(listener, store) as port:
            half = b"*2\r\n$4\r\nECHO\r\n$2000000\r\n" + bytes(1_500_000)
            first, second, third = await port.connect(), await port.connect(), await port.connect()
            await first.send(half)
            await until(lambda: listener.held_bytes > 1_400_000)
            await second.send(half)
            await until(lambda: listener.held_bytes > 2_900_000)
            await third.send(half)
            assert (await third.ended()).startswith(b"-BUSY too many long commands")
            await third.close()
            await until(lambda: len(listener.sessions) == 2)
            await second.close()
            await until(lambda: len(listener.sessions) == 1)
            assert listener.held_bytes < 1_600_000
            await first.send(bytes(500_000) + b"\r\n")
            await first.expect(b"$2000000\r\n" + bytes(2_000_000) + b"\r\n")
            assert listener.held_bytes == 0

    run(main())


def test_a_long_command_arrives_in_time(run: Run) -> None:
    async def main() -> None:
        store = FakeStore()
        listener = ClientListener(store.submit, store.flush, store, command_s=0.2)
        async with serving(listener, store) as port:
            slow, small, quick = await port.connect(), await port.connect(), await port.connect()
            await slow.send(b"*2\r\n$4\r\nECHO\r\n$200000\r\n" + bytes(100_000))
            await small.send(b"*2\r\n$4\r\nECHO\r\n$5\r\nab")
            await quick.send(pack("ECHO", bytes(200_000)))
            await quick.expect(b"$200000\r\n" + bytes(200_000) + b"\r\n")
            assert await slow.ended() == b""
            await until(lambda: len(listener.sessions) == 2)
            await small.send(b"cde\r\n")
            await small.expect(b"$5\r\nabcde\r\n")

    run(main())

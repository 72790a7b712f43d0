"""Who may talk to the client port: passwords, limits before authentication, peers from elsewhere, too many clients."""

from __future__ import annotations

import asyncio
import socket
from itertools import product

import pytest

from node.core.limits import AUTH_ATTEMPTS_MAX, PREAUTH_OUTPUT_BYTES_MAX
from node.runtime.auth import Password, delay_s, is_loopback
from node.runtime.clients import ClientListener
from node.wire.table import TABLE, shape_of
from tests.helpers.fake_store import Client, FakeStore, pack, serving
from tests.helpers.peers import Run, until

SECRET = "correct horse"
NOAUTH = b"-NOAUTH Authentication required.\r\n"
WRONG = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n"


def guarded(**limits: float) -> tuple[ClientListener, FakeStore]:
    store = FakeStore()
    return ClientListener(
        store.submit, store.flush, store, password=Password(SECRET.encode()), **limits  # type: ignore[arg-type]  # floats
    ), store  # fmt: skip


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (pack("AUTH", SECRET), b"+OK\r\n"),
        (pack("AUTH", "default", SECRET), b"+OK\r\n"),
        (pack("HELLO", "2", "AUTH", "default", SECRET), b"*14\r\n"),
        (pack("HELLO", "3", "AUTH", "default", SECRET, "SETNAME", "x"), b"%7\r\n"),
    ],
)
def test_who_knows_the_password_is_in(run: Run, said: bytes, answer: bytes) -> None:
    async def main() -> None:
        async with serving(*guarded()) as port:
            client = await port.connect()
            await client.send(pack("GET", "k"))
            await client.expect(NOAUTH)
            await client.send(said)
            await client.expect(answer)
            await client.send(pack("SET", "k", "v"))
            await until(lambda: b"k" in port.store.rows)

    run(main())


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (pack("AUTH", "wrong"), WRONG),
        (pack("AUTH", ""), WRONG),
        (pack("AUTH", SECRET + "\0"), WRONG),
        (pack("AUTH", "root", SECRET), WRONG),
        (pack("AUTH", "", SECRET), WRONG),
        (pack("HELLO", "3", "AUTH", "default", "wrong"), WRONG),
        (pack("HELLO", "3"), b"-NOAUTH HELLO must be called"),
        (pack("HELLO"), b"-NOAUTH HELLO must be called"),
        (pack("AUTH"), b"-ERR wrong number"),
        (pack("AUTH", "a", "b", "c"), b"-ERR wrong number"),
        (pack("NOSUCH"), NOAUTH),
        (pack("AUTH", "wrong") + pack("GET", "k"), WRONG + NOAUTH),
    ],
)
def test_who_does_not_is_not(run: Run, said: bytes, answer: bytes) -> None:
    async def main() -> None:
        async with serving(*guarded()) as port:
            client = await port.connect()
            await client.send(said)
            await client.expect(answer)
            client = await port.connect()
            await client.send(pack("SET", "k", "v"))
            await client.expect(NOAUTH)
            assert not port.store.requests

    run(main())


def test_every_command_needs_the_password(run: Run) -> None:
    """All but those that give it, or end the connection."""

    async def main() -> None:
        async with serving(*guarded()) as port:
            client = await port.connect()
            for command in TABLE:
                if command.name not in ("AUTH", "HELLO", "QUIT", "RESET"):
                    words = ["x"] * (shape_of(command).least - 1)
                    await client.send(pack(command.name, *words))
                    await client.expect(NOAUTH)
            assert not port.store.requests

    run(main())


def test_authentication_and_what_follows_in_one_write(run: Run) -> None:
    async def main() -> None:
        async with serving(*guarded()) as port:
            client = await port.connect()
            await client.send(pack("AUTH", SECRET) + pack("SET", "k", b"v" * 100_000) + pack("STRLEN", "k"))
            await client.expect(b"+OK\r\n+OK\r\n:100000\r\n")

    run(main())


def test_reset_forgets_the_password(run: Run) -> None:
    async def main() -> None:
        async with serving(*guarded()) as port:
            client = await port.connect()
            await client.send(pack("AUTH", SECRET) + pack("RESET") + pack("GET", "k"))
            await client.expect(b"+OK\r\n+RESET\r\n" + NOAUTH)

    run(main())


def test_guessing_is_slow_and_short(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each refusal waits twice as long as the one before, what follows waits behind it, and after a few it is over."""
    waits = []

    def shortened(attempts: int) -> float:
        waits.append(delay_s(attempts))
        return waits[-1] / 20

    monkeypatch.setattr("node.runtime.housekeeping.delay_s", shortened)

    async def main() -> None:
        async with serving(*guarded()) as port:
            client = await port.connect()
            began = asyncio.get_running_loop().time()
            await client.send(pack("AUTH", "guess") * 100)
            assert await client.ended() == WRONG * AUTH_ATTEMPTS_MAX
            assert asyncio.get_running_loop().time() - began > sum(waits) / 20
            assert port.listener.refused_passwords == AUTH_ATTEMPTS_MAX

    run(main())
    assert waits == [0.1, 0.2, 0.4, 0.8, 1.6]


@pytest.mark.parametrize("then", ["broken", "goodbye"])
def test_who_is_refused_late_hears_it_and_nobody_else_is_disturbed(
    run: Run, monkeypatch: pytest.MonkeyPatch, then: str
) -> None:
    """The refusal comes a while later, and what comes meanwhile must not end the connection before it."""
    monkeypatch.setattr("node.runtime.housekeeping.delay_s", lambda attempts: 0.1)

    async def main() -> None:
        async with serving(*guarded()) as port:
            other = await port.connect()
            await other.send(pack("AUTH", SECRET))
            await other.expect(b"+OK\r\n")
            client = await port.connect()
            await client.send(pack("AUTH", "guess") + (b"*99999\r\n" if then == "broken" else b""))
            if then == "goodbye":
                client.writer.write_eof()
            said = await client.ended()
            assert said.startswith(WRONG), said
            await other.send(pack("PING"))
            await other.expect(b"+PONG\r\n")

    run(main())


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"*11\r\n", b"-ERR Protocol error: unauthenticated multibulk length\r\n"),
        (b"*2\r\n$4\r\nAUTH\r\n$16385\r\n", b"-ERR Protocol error: unauthenticated bulk length\r\n"),
        (b"x" * 20_000, b"-ERR Protocol error: too big inline request\r\n"),
    ],
)
def test_little_may_be_said_before(run: Run, said: bytes, answer: bytes) -> None:
    async def main() -> None:
        async with serving(*guarded()) as port:
            client = await port.connect()
            await client.send(said)
            assert await client.ended() == answer

    run(main())


@pytest.mark.parametrize("said", [b"", b"*2\r\n$4\r\nAU", pack("GET", "k")])
def test_who_dawdles_is_cut_off(run: Run, said: bytes) -> None:
    async def main() -> None:
        async with serving(*guarded(preauth_s=0.1)) as port:
            client = await port.connect()
            known = await port.connect()
            await known.send(pack("AUTH", SECRET))
            await known.expect(b"+OK\r\n")
            await client.send(said)
            assert await client.ended() in (b"", NOAUTH)
            await until(lambda: len(port.listener.sessions) == 1)
            await known.send(pack("PING"))
            await known.expect(b"+PONG\r\n")

    run(main())


def test_replies_to_strangers_do_not_pile_up(run: Run) -> None:
    """CVE-2025-21605: a client that never authenticates and never reads must not fill the memory with -NOAUTH."""

    async def main() -> None:
        async with serving(*guarded(preauth_s=60)) as port:
            deaf = socket.socket()
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect(("127.0.0.1", port.number))
            deaf.setblocking(False)
            await until(lambda: len(port.listener.sessions) == 1)
            (session,) = port.listener.sessions.values()
            most = 0
            while session.transport is not None:
                try:
                    deaf.send(pack("GET", "k") * 100)
                except (BlockingIOError, ConnectionError):
                    pass
                await asyncio.sleep(0)
                if session.transport is not None:
                    most = max(most, session.transport.get_write_buffer_size())
            deaf.close()
            assert most <= 2 * PREAUTH_OUTPUT_BYTES_MAX  # what was written, and what one turn adds to it
            assert port.listener.overflowed == 1

    run(main())


def test_a_client_too_many(run: Run) -> None:
    async def main() -> None:
        store = FakeStore()
        listener = ClientListener(store.submit, store.flush, store, clients_max=2)
        async with serving(listener, store) as port:
            first, second = await port.connect(), await port.connect()
            await until(lambda: len(listener.sessions) == 2)
            third = await port.connect()
            assert await third.ended() == b"-ERR max number of clients reached (2)\r\n"
            await first.close()
            await until(lambda: len(listener.sessions) == 1)
            fourth = await port.connect()
            for client in (second, fourth):
                await client.send(pack("PING"))
                await client.expect(b"+PONG\r\n")

    run(main())


@pytest.mark.parametrize("password", [None, SECRET])
def test_a_peer_from_elsewhere(run: Run, monkeypatch: pytest.MonkeyPatch, password: str | None) -> None:
    """Without a password only this machine is served, whatever address the port is bound to.

    Not every machine has an address that is not loopback, so 127.0.0.2 stands in for one: who is ours is asked of the
    address the client comes from, and `test_loopback` holds the answers.
    """
    monkeypatch.setattr("node.runtime.clients.is_loopback", lambda host: host == "127.0.0.1")

    async def main() -> None:
        store = FakeStore()
        secret = None if password is None else Password(password.encode())
        listener = ClientListener(store.submit, store.flush, store, password=secret)
        number = await listener.start("0.0.0.0", 0)
        near = Client(*await asyncio.open_connection("127.0.0.2", number, local_addr=("127.0.0.1", 0)))
        far = Client(*await asyncio.open_connection("127.0.0.1", number, local_addr=("127.0.0.2", 0)))
        if password is None:
            assert (await far.ended()).startswith(b"-DENIED this node has no client password")
            await near.send(pack("PING"))
            await near.expect(b"+PONG\r\n")
        else:
            for client in (near, far):
                await client.send(pack("AUTH", password))
                await client.expect(b"+OK\r\n")
        await near.close()
        await far.close()
        await listener.stop()

    run(main())


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1", True),
        ("127.1.2.3", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("", True),
        ("192.0.2.1", False),
        ("::ffff:192.0.2.1", False),
        ("fe80::1%eth0", False),
        ("0.0.0.0", False),
    ],
)
def test_loopback(host: str, ours: bool) -> None:
    assert is_loopback(host) is ours


def test_a_password_is_never_shown() -> None:
    password = Password(b"secret")
    assert "secret" not in repr(password)
    for user, secret in product((b"default", b"root", b""), (b"secret", b"Secret", b"", b"secret\0")):
        assert password.matches(user, secret) is (user == b"default" and secret == b"secret")

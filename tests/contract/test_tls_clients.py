"""The client port over TLS: what clients get, and who gets nothing. Both event loops."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from node.runtime.auth import Password
from node.runtime.certificates import NO_PLAIN, Tls
from node.runtime.clients import ClientListener
from node.runtime.http import HttpListener
from node.runtime.site import Site
from node.tls import client_context, why_of
from tests.helpers.authority import Authority, Pair
from tests.helpers.fake_store import Client, FakeStore, Port, pack, serving
from tests.helpers.peers import Run, until

Refusals = list[tuple[str, str]]


@asynccontextmanager
async def listening(good: Tls, **more: Any) -> AsyncIterator[tuple[Port, Refusals]]:
    """A client port that speaks TLS, and what it told of those it refused."""
    store, told = FakeStore(), Refusals()
    tls = good.client_port(lambda address, why: told.append((address, why)))
    async with serving(ClientListener(store.submit, store.flush, store, tls=tls, **more), store) as port:
        yield port, told


async def connect(port: Port, context: ssl.SSLContext) -> Client:
    """A client that speaks TLS."""
    client = Client(
        *await asyncio.open_connection("127.0.0.1", port.number, ssl=context, server_hostname="x", limit=2**26)
    )
    port.clients.append(client)
    return client


def showing(pair: Pair) -> ssl.SSLContext:
    return client_context(pair.ca, pair.cert, pair.key)


def test_commands_and_replies_as_without(run: Run, good: Tls, authority: Authority) -> None:
    async def main() -> None:
        async with listening(good) as (port, told):
            client = await connect(port, client_context(authority.ca))
            await client.send(pack("SET", "k", "v") + pack("GET", "k") + b"PING\r\n")
            await client.expect(b"+OK\r\n$1\r\nv\r\n+PONG\r\n")
            big = bytes(range(256)) * 4000
            await client.send(pack("SET", "big", big))
            await client.expect(b"+OK\r\n")
            await client.send(pack("GET", "big") * 8)
            await client.expect((b"$%d\r\n%s\r\n" % (len(big), big)) * 8)
            assert told == []

    run(main())


def test_a_long_pipeline_keeps_its_order(run: Run, good: Tls, authority: Authority) -> None:
    async def main() -> None:
        async with listening(good) as (port, _):
            client = await connect(port, client_context(authority.ca))
            await client.send(b"".join(pack("ECHO", str(n)) for n in range(20_000)))
            await client.expect(b"".join(b"$%d\r\n%d\r\n" % (len(str(n)), n) for n in range(20_000)))

    run(main())


def test_replies_come_to_one_who_does_not_read_for_a_while(run: Run, good: Tls, authority: Authority) -> None:
    async def main() -> None:
        async with listening(good) as (port, _):
            client = await connect(port, client_context(authority.ca))
            value = bytes(500_000)
            await client.send(pack("SET", "k", value))
            await client.expect(b"+OK\r\n")
            client.writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's has it
            client.writer.write(pack("GET", "k") * 64)
            await until(lambda: any(session._paused for session in port.listener.sessions.values()))
            client.writer.transport.resume_reading()  # type: ignore[attr-defined]  # as above
            await client.expect((b"$%d\r\n%s\r\n" % (len(value), value)) * 64)

    run(main())


def test_the_password_is_asked_for_as_ever(run: Run, good: Tls, authority: Authority) -> None:
    """Also of who shows a certificate."""

    async def main() -> None:
        async with listening(good, password=Password(b"s3cret")) as (port, _):
            client = await connect(port, showing(authority.issue("client")))
            await client.send(pack("GET", "k"))
            await client.expect(b"-NOAUTH Authentication required.\r\n")
            await client.send(pack("AUTH", "s3cret") + pack("GET", "k"))
            await client.expect(b"+OK\r\n$-1\r\n")

    run(main())


def test_quit_and_a_protocol_error_end_with_their_reply(run: Run, good: Tls, authority: Authority) -> None:
    async def main() -> None:
        async with listening(good) as (port, _):
            for said, answer in ((pack("QUIT"), b"+OK\r\n"), (b"*1\r\n$x\r\n", b"-ERR Protocol error")):
                client = await connect(port, client_context(authority.ca))
                await client.send(pack("PING") + said)
                assert (await client.ended()).startswith(b"+PONG\r\n" + answer)
            await until(lambda: not port.listener.sessions)

    run(main())


@pytest.mark.parametrize("role", ["client", "node"])
def test_a_certificate_of_this_cluster_may_be_shown(run: Run, good: Tls, authority: Authority, role: str) -> None:
    async def main() -> None:
        async with listening(good) as (port, _):
            client = await connect(port, showing(authority.issue(role)))
            await client.send(pack("PING"))
            await client.expect(b"+PONG\r\n")

    run(main())


@pytest.mark.parametrize(
    ("kind", "accepting", "heard"),
    [
        ("other CA", "its certificate is not of our CA", "it says that our certificate is not of its CA"),
        ("expired", "its certificate has expired", "it says that our certificate is not valid now"),
        ("another cluster", "its certificate is of the cluster d", "-DENIED your certificate is of the cluster d\r\n"),
    ],
)
def test_a_certificate_that_is_shown_must_be_good(
    run: Run, good: Tls, authority: Authority, other: Authority, kind: str, accepting: str, heard: str
) -> None:
    pairs = {
        "other CA": other.issue("client", trusts=authority),
        "expired": authority.expired("client"),
        "another cluster": authority.issue("client", "d"),
    }

    async def main() -> None:
        async with listening(good) as (port, told):
            said = ""
            try:
                client = await connect(port, showing(pairs[kind]))
                client.writer.write(pack("SET", "k", "v"))
                said = (await client.reader.read()).decode()
            except ssl.SSLError as error:
                said = why_of(error)
            assert said == heard
            assert [why for _, why in told] == [accepting]
            assert port.store.requests == []
            assert port.listener.info()["stats"]["rejected_tls_connections"] == 1

    run(main())


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (pack("GET", "k"), NO_PLAIN),
        (b"GET / HTTP/1.1\r\n\r\n", b""),
        (b"POST / HTTP/1.1\r\n\r\n", b""),
        (b"PING\r\n", b""),
        (b"\0" * 5000, b""),
    ],
)
def test_who_speaks_no_tls_is_told_so_and_let_go(run: Run, good: Tls, said: bytes, answer: bytes) -> None:
    async def main() -> None:
        async with listening(good) as (port, told):
            client = await port.connect()
            await client.send(said)
            assert await client.ended() == answer
            assert [why for _, why in told] == ["it does not speak TLS"]
            assert port.store.requests == []
            await client.close()
            await until(lambda: not (port.listener.tls and port.listener.tls.under_way))

    run(main())


def test_a_client_does_not_take_a_node_of_another_ca(run: Run, good: Tls, other: Authority) -> None:
    async def main() -> None:
        async with listening(good) as (port, told):
            with pytest.raises(ssl.SSLCertVerificationError):
                await connect(port, client_context(other.ca))
            await until(lambda: told)

    run(main())


def test_the_end_of_the_listener_ends_handshakes_too(run: Run, good: Tls) -> None:
    async def main() -> None:
        async with listening(good) as (port, told):
            client = await port.connect()
            await until(lambda: port.listener.tls and port.listener.tls.under_way)
            await port.listener.stop()
            assert await client.ended() == b""
            assert told == []

    run(main())


def flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


@pytest.mark.parametrize("spoil", [flip, lambda data: data + b"garbage", lambda data: data[:-4]])
def test_bytes_changed_on_the_way_end_the_connection(
    run: Run, good: Tls, authority: Authority, spoil: Callable[[bytes], bytes]
) -> None:
    async def main() -> None:
        async with listening(good) as (port, _):
            reader, writer = await asyncio.open_connection("127.0.0.1", port.number)
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            made = client_context(authority.ca).wrap_bio(incoming, outgoing)

            async def spoken(what: Callable[[], Any]) -> Any:
                while True:
                    try:
                        return what()
                    except ssl.SSLWantReadError:
                        writer.write(outgoing.read())
                        incoming.write(await reader.read(65536))

            await spoken(made.do_handshake)
            made.write(pack("SET", "k", "1"))
            writer.write(outgoing.read())
            assert await spoken(lambda: made.read(100)) == b"+OK\r\n"
            made.write(pack("SET", "k", "2"))
            writer.write(spoil(outgoing.read()))
            writer.write_eof()
            with suppress(ConnectionError):
                async with asyncio.timeout(10):
                    await reader.read()
            writer.close()
            await until(lambda: not port.listener.sessions)
            written = [request for request in port.store.requests if b"2" in repr(request).encode()]
            assert len(written) == (1 if spoil(b"ab") == b"abgarbage" else 0)

    run(main())


def test_http_speaks_tls_where_it_could_be_read_on_the_way(run: Run, good: Tls, authority: Authority) -> None:
    """Plain on loopback; elsewhere HTTPS, and nothing for who does not speak it."""
    assert good.http_port(lambda address, why: None, "127.0.0.1") is None
    assert good.http_port(lambda address, why: None, "::1") is None
    tls = good.http_port(lambda address, why: None, "192.0.2.7")
    assert tls is not None

    async def ask(context: ssl.SSLContext | None) -> bytes:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=context, server_hostname="x" if context else None
        )
        writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
        answer = await reader.read()
        writer.close()
        return answer

    port = 0

    async def main() -> None:
        nonlocal port
        site = Site(lambda request, deliver: None, lambda: ("text/plain", b"figures"))
        http = HttpListener(site.answer, tls=tls)
        port = await http.start("127.0.0.1", 0)
        try:
            assert (await ask(client_context(authority.ca))).endswith(b"\r\n\r\nfigures")
            assert await ask(None) == b""
        finally:
            await http.stop()

    run(main())

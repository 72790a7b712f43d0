"""Garbage, half a handshake, too many of them, old TLS: each ends its own connection, in bounded time. Both loops."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from contextlib import suppress

import pytest

from node.core.limits import HALF_OPEN_MAX
from node.runtime import tls
from node.runtime.certificates import Tls
from node.runtime.tls import HELLO_BYTES_MAX, TlsConnection, TlsPort
from node.wire.framing import frame
from node.wire.handshake import Dialer, derive_keys
from tests.helpers.authority import Authority
from tests.helpers.peers import KEY, Host, Run, exchange, hosts, until


def why(host: Host, kind: str) -> str:
    """The one reason that a host told of that kind, in a word."""
    (fields,) = host.fact(kind)
    return " ".join(str(fields[name]) for name in ("why", "detail") if fields.get(name))


def under_way(host: Host) -> list[object]:
    """The handshakes that have not come to their end at the host's peer port."""
    tls = host.transport._openings._accepted_tls
    return [] if tls is None else list(tls.under_way)


HALF_HELLO = bytes([22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3])


def hello_of(cluster: str = "c") -> bytes:
    """What a node that speaks no TLS says first."""
    host = Host(9, cluster=cluster)
    return frame(Dialer(derive_keys(KEY), cluster, host.hello(), bytes(32)).first)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"*1\r\n$4\r\nPING\r\n", "it does not speak TLS"),
        (b"GET / HTTP/1.1\r\n\r\n", "it does not speak TLS"),
        (bytes(4096), "it does not speak TLS"),
        (b"\x16" + b"\xff" * 20_000, "it does not speak TLS"),
        (b"\x16\x03\x01\x40\x00" + bytes(HELLO_BYTES_MAX), "it does not speak TLS"),
        (b"\x16\x03\x01\x00\x05hello", "TLS failed"),
        (b"\x16\x03\x01\xff\xff" + b"x" * 600, "TLS failed"),
        (HALF_HELLO + b"\0" * 600, "TLS failed"),
        (b"\x15\x03\x03\x00\x02\x02\x28", "it does not speak TLS"),
    ],
)
def test_garbage_ends_its_own_connection(run: Run, good: Tls, said: bytes, reason: str) -> None:
    async def main() -> None:
        async with hosts(Host(1, tls=good), Host(2, tls=good)) as (a, b):
            b.transport.dial(a.address)
            await until(lambda: b.linked(a) and a.linked(b))
            reader, writer = await asyncio.open_connection("127.0.0.1", a.port)
            writer.write(said)
            async with asyncio.timeout(10):
                answer = await reader.read()
            writer.close()
            assert reason in why(a, "peer-rejected")
            assert len(answer) < 100
            assert a.transport.tls_refusals == 1
            await until(lambda: not under_way(a))
            await exchange(a, b, 1)

    run(main())


def test_a_handshake_has_its_time_and_no_more(run: Run, good: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a ClientHello, byte by byte: it ends when its time is over, whatever still comes."""
    quick(monkeypatch, seconds=0.3)

    async def main() -> None:
        async with hosts(Host(1, tls=good)) as (a,):
            reader, writer = await asyncio.open_connection("127.0.0.1", a.port)
            began = time.monotonic()
            for byte in HALF_HELLO:
                writer.write(bytes([byte]))
                await asyncio.sleep(0.01)
            with suppress(ConnectionError):
                async with asyncio.timeout(10):
                    await reader.read()
            assert 0.2 < time.monotonic() - began < 5
            writer.close()
            assert why(a, "peer-rejected") == "no TLS with it (no TLS handshake in 0.3 s)"
            assert not under_way(a)

    run(main())


def quick(monkeypatch: pytest.MonkeyPatch, **limits: float) -> None:
    """Handshakes of peers with other limits, so that tests need not wait for the real ones."""
    real = TlsPort.__init__

    def made(self: TlsPort, context: ssl.SSLContext, **given: object) -> None:
        real(self, context, **{**given, **limits})  # type: ignore[arg-type]  # as the real one takes them

    monkeypatch.setattr(TlsPort, "__init__", made)


def test_idlers_keep_nobody_out(run: Run, good: Tls) -> None:
    """As many handshakes as there may be, and more: the oldest end, and a node comes in."""

    async def main() -> None:
        async with hosts(Host(1, tls=good), Host(2, tls=good)) as (a, b):
            opened = [await asyncio.open_connection("127.0.0.1", a.port) for _ in range(HALF_OPEN_MAX + 3)]
            try:
                await until(lambda: len(a.fact("peer-rejected")) >= 3)
                assert f"{HALF_OPEN_MAX} TLS handshakes are under way" in str(a.fact("peer-rejected")[0])
                assert len(under_way(a)) == HALF_OPEN_MAX
                b.transport.dial(a.address)
                await until(lambda: a.linked(b))
            finally:
                for _, writer in opened:
                    writer.close()

    run(main())


def test_a_storm_of_handshakes_leaves_room_for_everything_else(
    run: Run, good: Tls, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So many at once, and no turn of the loop takes on more than a few."""
    turns: list[int] = []
    shake = TlsConnection.shake

    def counted(self: TlsConnection) -> None:
        if self._port.accepts:
            turns[-1] += 1
        shake(self)

    turn = TlsPort._turn

    def counting(self: TlsPort) -> None:
        turns.append(0)
        turn(self)

    monkeypatch.setattr(TlsConnection, "shake", counted)
    monkeypatch.setattr(TlsPort, "_turn", counting)

    async def main() -> None:
        async with hosts(Host(1, tls=good)) as (a,):
            context = good.dialling
            opened = await asyncio.gather(
                *(asyncio.open_connection("127.0.0.1", a.port, ssl=context, server_hostname="x") for _ in range(40))
            )
            await until(lambda: sum(turns) >= 80, "two steps of each")
            assert max(turns) <= tls.TURN_HANDSHAKES_MAX
            for _, writer in opened:
                writer.close()

    run(main())


def test_old_tls_is_refused(run: Run, good: Tls, authority: Authority) -> None:
    async def main() -> None:
        async with hosts(Host(1, tls=good)) as (a,):
            old = authority.issue().tls().dialling
            old.minimum_version = ssl.TLSVersion.TLSv1
            old.maximum_version = ssl.TLSVersion.TLSv1_1
            old.set_ciphers("ALL:@SECLEVEL=0")
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await asyncio.open_connection("127.0.0.1", a.port, ssl=old, server_hostname="x")
            await until(lambda: a.fact("peer-rejected"))
            assert "it speaks no TLS from 1.2 on" in why(a, "peer-rejected")

    with pytest.warns(DeprecationWarning, match="TLSv1"):
        run(main())


def test_tls_1_2_will_do(run: Run, good: Tls, authority: Authority) -> None:
    async def main() -> None:
        older = authority.issue().tls()
        older.dialling.maximum_version = ssl.TLSVersion.TLSv1_2
        async with hosts(Host(1, tls=good), Host(2, tls=older)) as (a, b):
            b.transport.dial(a.address)
            await exchange(a, b, 1)

    run(main())


def test_a_session_is_not_resumed(run: Run, good: Tls) -> None:
    """Whoever came in once shows the certificate again: it may have expired meanwhile."""

    async def main() -> None:
        async with hosts(Host(1, tls=good)) as (a,):
            loop = asyncio.get_running_loop()

            def twice() -> list[bool]:
                session, reused = None, []
                for _ in range(2):
                    with socket.create_connection(("127.0.0.1", a.port)) as plain:
                        made = good.dialling.wrap_socket(plain, session=session)
                        made.sendall(hello_of())
                        made.recv(4096)
                        session = made.session
                        reused.append(bool(made.session_reused))
                        made.close()
                return reused

            assert await loop.run_in_executor(None, twice) == [False, False]

    run(main())


def test_one_that_hangs_up_after_each_step_leaves_nothing(run: Run, good: Tls) -> None:
    async def main() -> None:
        async with hosts(Host(1, tls=good)) as (a,):
            for said in (b"", b"\x16", HALF_HELLO):
                _, writer = await asyncio.open_connection("127.0.0.1", a.port)
                writer.write(said)
                writer.close()
            await until(lambda: len(a.fact("peer-rejected")) == 3)
            await until(lambda: not under_way(a))
            assert {str(fields["why"]) for fields in a.fact("peer-rejected")} == {
                "no TLS with it (it hung up in the TLS handshake)"
            }

    run(main())


def test_what_follows_a_refusal_is_not_read(run: Run, good: Tls, monkeypatch: pytest.MonkeyPatch) -> None:
    """One who is refused and goes on talking is cut off when the time of the handshake is over."""
    quick(monkeypatch, seconds=0.3)

    async def main() -> None:
        async with hosts(Host(1, tls=good)) as (a,):
            _, writer = await asyncio.open_connection("127.0.0.1", a.port)
            writer.write(b"no TLS")
            await until(lambda: a.fact("peer-rejected"))

            def cut() -> bool:
                writer.write(b"x" * 65536)
                return writer.is_closing() or writer.transport.is_closing()

            await until(cut, "the end")
            assert a.transport.tls_refusals == 1

    run(main())

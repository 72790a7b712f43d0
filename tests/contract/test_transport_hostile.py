"""Peers that do not read, do not speak, or speak nonsense: their own connection ends, and nobody else's."""

from __future__ import annotations

import asyncio
import socket
import time
from contextlib import ExitStack

import pytest

from node.core.limits import FRAME_BATCH_BYTES
from node.engine.events import Received
from node.runtime import links, openings, transport
from node.wire.framing import frame
from node.wire.messages import Replicate
from tests.helpers.peers import Host, Run, exchange, hosts, ping, until


def test_a_reader_that_does_not_read_is_dropped(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "PEER_QUEUE_BYTES_MAX", 4 * FRAME_BATCH_BYTES)

    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            stuck = b.transport._peers[a.id].links[0]._transport
            assert stuck is not None
            stuck.pause_reading()
            most = 0
            while a.linked(b):
                a.transport.send(b.id, [Replicate(1, 1, b"k", bytes(FRAME_BATCH_BYTES // 2))])
                most = max(most, *a.transport.queued_bytes().values(), 0)
                await asyncio.sleep(0)
            assert FRAME_BATCH_BYTES < most <= 4 * FRAME_BATCH_BYTES
            assert a.fact("peer-queue-full")
            await until(lambda: a.ups(b)[:2] == ["PeerUp", "PeerDown"])

    run(main())


def test_what_a_peer_took_too_late_is_never_sent(run: Run) -> None:
    """It took nothing for a while: requests of clients that have given up meanwhile are left out, the rest comes, and
    says how long somebody still waits."""

    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            stuck = b.transport._peers[a.id].links[0]._transport
            assert stuck is not None
            stuck.pause_reading()
            link = a.transport._peers[b.id].links[0]
            filled = 0
            while not link._backlog:
                a.transport.send(b.id, [Replicate(1, 1, b"k", bytes(FRAME_BATCH_BYTES // 2))])
                filled += 1
                await asyncio.sleep(0)
            sent_at = time.monotonic()
            a.transport.send(b.id, [Replicate(2, 1, b"k", b"", (), 0, 50), Replicate(3, 1, b"k", b"", (), 0, 60_000)])
            a.transport.send(b.id, [Replicate(4, 1, b"k", b"")])
            ping(a, b, 1)
            await until(lambda: time.monotonic() > sent_at + 0.06)
            stuck.resume_reading()
            await until(lambda: b.pings(a) == [1])
            came = [e.message for e in b.events if isinstance(e, Received) and isinstance(e.message, Replicate)]
            assert [message.rid for message in came] == [1] * filled + [3, 4]
            assert 0 < came[-2].left_ms < 60_000 - 50
            assert came[-1].left_ms == 0
            assert link.queued_bytes == 0

    run(main())


def test_one_giant_row_passes_and_small_talk_behind_it_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "PEER_QUEUE_BYTES_MAX", FRAME_BATCH_BYTES)

    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            a.transport.send(b.id, [Replicate(1, 1, b"k", bytes(20 * FRAME_BATCH_BYTES))])
            ping(a, b, 1)
            await until(lambda: b.pings(a) == [1])
            assert a.ups(b) == ["PeerUp"]

    run(main())


async def connected(host: Host) -> socket.socket:
    raw = socket.socket()
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", host.port))
    return raw


GARBAGE = {
    "http": b"GET / HTTP/1.1\r\n\r\n",
    "2^31": (2**31).to_bytes(4, "big"),
    "over the limit before proof": (5000).to_bytes(4, "big"),
    "empty frame": bytes(4),
    "a batch before proof": frame(b"\x01\x91\x92\x0f\x01"),
    "another version": frame(b"\x09\x90"),
    "noise": frame(b"\x01" + bytes(range(200))),
}


@pytest.mark.parametrize("garbage", GARBAGE.values(), ids=GARBAGE.keys())
def test_garbage_ends_its_own_connection_only(run: Run, garbage: bytes) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            with await connected(a) as raw:
                raw.send(garbage)
                loop = asyncio.get_running_loop()
                async with asyncio.timeout(30):
                    while await loop.sock_recv(raw, 1000):
                        pass
            assert a.fact("peer-rejected")
            await exchange(a, b, 1)
            assert a.ups(b) == ["PeerUp"]

    run(main())


def test_half_a_frame_and_silence_end_at_the_deadline(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "HANDSHAKE_S_MAX", 0.2)

    async def main() -> None:
        async with hosts(Host(1)) as (a,):
            with await connected(a) as raw:
                raw.send(b"\0\0")
                async with asyncio.timeout(30):
                    assert await asyncio.get_running_loop().sock_recv(raw, 10) == b""
            assert "nothing proven" in str(a.fact("peer-rejected"))

    run(main())


def test_a_dialled_port_that_says_nothing_is_left_at_the_deadline(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "HANDSHAKE_S_MAX", 0.2)

    async def main() -> None:
        async with hosts(Host(1)) as (a,):
            with socket.create_server(("127.0.0.1", 0)) as silent:
                a.transport.dial(f"127.0.0.1:{silent.getsockname()[1]}")
                await until(lambda: a.fact("dial-failed"))
            assert "nothing proven" in str(a.fact("dial-failed"))

    run(main())


def test_a_port_that_does_not_even_accept_is_left_in_time(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openings, "DIAL_S_MAX", 0.2)

    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            with ExitStack() as full, socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
                b.port, listening = deaf.getsockname()[1], b.port
                full.enter_context(await connected(b))  # the only place in its queue
                a.transport.dial(b.address)
                await until(lambda: a.fact("dial-failed"))
                b.port = listening
            assert a.fact("dial-failed")[0]["why"] == "no answer"

    run(main())


def test_so_many_peers_and_no_more(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "PEERS_MAX", 1)

    async def main() -> None:
        async with hosts(Host(1), Host(2), Host(3)) as (a, b, c):
            b.transport.dial(a.address)
            await until(lambda: a.linked(b))
            c.transport.dial(a.address)
            await until(lambda: a.fact("peer-rejected"))
            await exchange(a, b, 1)
            assert a.ups(c) == [] and "1 peers" in str(a.fact("peer-rejected"))

    run(main())


def test_idle_connections_keep_nobody_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "HALF_OPEN_MAX", 8)

    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            with ExitStack() as idle:
                for _ in range(20):
                    idle.enter_context(await connected(a))
                await until(lambda: len(a.fact("peer-rejected")) == 12)
                assert len(a.transport._half_open) == 8
                b.transport.dial(a.address)
                await until(lambda: a.linked(b) and b.linked(a))
            await until(lambda: len(a.transport._all) == 1)

    run(main())


def test_bytes_that_mean_nothing_after_proof_end_the_link(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2), Host(3)) as (a, b, c):
            b.transport.dial(a.address)
            c.transport.dial(a.address)
            await until(lambda: a.linked(b, c) and b.linked(a))
            raw = b.transport._peers[a.id].links[0]._transport
            assert raw is not None
            raw.write(frame(b"\x01\x91\x92\x0f\xa1x"))
            await until(lambda: a.fact("peer-broke-protocol"))
            await until(lambda: a.ups(b) == ["PeerUp", "PeerDown", "PeerUp"], "it may try again")
            await exchange(a, c, 1)
            assert a.ups(c) == ["PeerUp"]

    run(main())

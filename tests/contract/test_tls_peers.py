"""Peers over TLS: who is let in, who is not and why, and what a link over it carries. Both event loops."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from node.core.limits import FRAME_BATCH_BYTES
from node.engine.events import PeerUp, Received
from node.runtime.certificates import Tls
from node.wire.handshake import Reason
from node.wire.messages import Replicate
from tests.helpers.authority import Authority, Pair
from tests.helpers.peers import Host, Run, exchange, hosts, ping, until


class Tap:
    """A TCP connection in between: everything that passes, either way."""

    def __init__(self, to: Host) -> None:
        self.to = to
        self.passed = bytearray()
        self.port = 0
        self._server: asyncio.Server

    async def __aenter__(self) -> Tap:
        self._server = await asyncio.start_server(self._between, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()

    async def _between(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, out = await asyncio.open_connection("127.0.0.1", self.to.port)
        await asyncio.gather(self._pass(reader, out), self._pass(there, writer), return_exceptions=True)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            self.passed += data
            writer.write(data)
            await writer.drain()
        writer.close()


def why(host: Host, kind: str) -> str:
    """The one reason that a host told of that kind, in a word."""
    (fields,) = host.fact(kind)
    return " ".join(str(fields[name]) for name in ("why", "detail") if fields.get(name))


def test_two_nodes_of_one_ca_link_and_talk_both_ways(run: Run, authority: Authority) -> None:
    async def main() -> None:
        async with hosts(Host(1, tls=authority.issue().tls()), Host(2, tls=authority.issue().tls())) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            assert a.events == [PeerUp(b.id, "n02", "", b.address)]
            ping(a, b, *range(1000))
            ping(b, a, *range(1000))
            await until(lambda: a.pings(b) == b.pings(a) == list(range(1000)))
            (link,) = a.transport._all
            assert link._transport is not None
            assert link._transport.get_extra_info("ssl_object").version() == "TLSv1.3"
            await b.transport.close()
            await until(lambda: not a.linked(b))
            assert a.ups(b) == ["PeerUp", "PeerDown"]
            assert a.transport.tls_refusals == 0

    run(main())


def test_mutual_dial_loses_no_message(run: Run, good: Tls) -> None:
    """The choice between two links is the same over TLS: a Goodbye, and an end that drops nothing."""

    async def main() -> None:
        async with hosts(Host(1, tls=good), Host(2, tls=good)) as (a, b):
            sent: dict[Host, list[int]] = {a: [], b: []}
            a.transport.dial(b.address)
            b.transport.dial(a.address)
            for number in range(600):
                for host, peer in (a, b), (b, a):
                    if host.linked(peer):
                        sent[host].append(number)
                        ping(host, peer, number)
                await asyncio.sleep(0.0005)
            await until(lambda: len(a.transport._all) == len(b.transport._all) == 1, "one link")
            await until(lambda: b.pings(a) == sent[a] and a.pings(b) == sent[b], "every message")
            assert sent[a] and sent[b]
            assert a.ups(b) == b.ups(a) == ["PeerUp"]

    run(main())


def test_nothing_readable_crosses_a_socket(run: Run, good: Tls) -> None:
    """A value that a tap sees without TLS is seen nowhere with it; and there is no second way, by datagrams."""
    secret = b"the value of a customer" * 40

    async def passed(tls: Tls | None) -> bytes:
        async with hosts(Host(1, tls=tls), Host(2, tls=tls)) as (a, b), Tap(b) as tap:
            a.transport.dial(f"127.0.0.1:{tap.port}")
            await until(lambda: a.linked(b))
            a.transport.send(b.id, [Replicate(1, 1, b"key of a customer", secret)])
            await until(lambda: any(isinstance(event, Received) for event in b.events))
            (link,) = a.transport._all
            taken = [_udp_taken(host.port) for host in (a, b)]
            assert taken == [tls is None] * 2, "UDP is open without TLS, and only then"
            assert (link._copier is None) is (tls is not None)
            return bytes(tap.passed)

    async def main() -> None:
        plain, secured = await passed(None), await passed(good)
        for readable in (secret, b"customer", b"n01", b"store-1"):
            assert readable in plain
            assert readable not in secured
        assert len(secured) > len(secret)

    run(main())


def _udp_taken(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def test_rows_larger_than_a_record_and_a_reader_that_pauses(run: Run, good: Tls) -> None:
    async def main() -> None:
        async with hosts(Host(1, tls=good), Host(2, tls=good)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            rows = [os.urandom(FRAME_BATCH_BYTES) for _ in range(8)]
            stuck = b.transport._peers[a.id].links[0]._transport
            link = a.transport._peers[b.id].links[0]
            assert stuck is not None
            stuck.pause_reading()
            while not link._stuck:
                a.transport.send(b.id, [Replicate(1, 1, b"k", rows[0])])
                await asyncio.sleep(0)
            for row in rows[1:]:
                a.transport.send(b.id, [Replicate(2, 1, b"k", row)])
            assert link.queued_bytes > 0
            stuck.resume_reading()
            came: list[bytes] = []

            def all_came() -> bool:
                came[:] = [
                    e.message.row
                    for e in b.events
                    if isinstance(e, Received) and isinstance(e.message, Replicate) and e.message.rid == 2
                ]
                return len(came) == 7

            await until(all_came, "every row")
            assert came == rows[1:]
            await until(lambda: link.queued_bytes == 0)

    run(main())


OTHER_CA = "its certificate is not of our CA"
EXPIRED = "its certificate has expired"
A_CLIENT = "its certificate is that of a client"
ANOTHER = "its certificate is of the cluster d"
NOT_BOTH = "its certificate is not meant for this side of TLS (extended key usage)"
ROLE = f"the node there says: {Reason.CERTIFICATE.value}"


@pytest.mark.parametrize(
    ("kind", "accepting", "dialling"),
    [
        ("other CA", OTHER_CA, "it says that our certificate is not of its CA"),
        ("expired", EXPIRED, "it says that our certificate is not valid now"),
        ("client", A_CLIENT, ROLE),
        ("another cluster", ANOTHER, ROLE),
    ],
)
def test_a_dialler_with_a_wrong_certificate_is_refused_and_both_sides_say_why(
    run: Run, authority: Authority, other: Authority, good: Tls, kind: str, accepting: str, dialling: str
) -> None:
    async def main() -> None:
        async with hosts(Host(1, tls=good), Host(2, tls=good), Host(3, tls=wrong(kind, authority, other))) as hs:
            a, b, bad = hs
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            bad.transport.dial(a.address)
            await until(lambda: a.fact("peer-rejected"))
            assert why(a, "peer-rejected") == f"no TLS with it ({accepting})"
            await until(lambda: bad.fact("dial-failed"))
            assert dialling in why(bad, "dial-failed")
            assert a.transport.tls_refusals >= 1
            assert bad.events == []
            assert not a.linked(bad)
            await exchange(a, b, 1)
            assert a.ups(b) == ["PeerUp"], "nobody else notices"

    run(main())


@pytest.mark.parametrize(
    ("kind", "dialling"),
    [("other CA", OTHER_CA), ("expired", EXPIRED), ("client", NOT_BOTH), ("another cluster", ANOTHER)],
)
def test_who_is_dialled_and_shows_a_wrong_certificate_hears_nothing_of_us(
    run: Run, authority: Authority, other: Authority, good: Tls, kind: str, dialling: str
) -> None:
    async def main() -> None:
        async with hosts(Host(1, tls=good), Host(3, tls=wrong(kind, authority, other))) as (a, bad):
            a.transport.dial(bad.address)
            await until(lambda: a.fact("dial-failed"))
            assert why(a, "dial-failed") == f"no TLS with it ({dialling})"
            assert a.events == bad.events == []

    run(main())


def wrong(kind: str, authority: Authority, other: Authority) -> Tls:
    pairs: dict[str, Pair] = {
        "other CA": other.issue(trusts=authority),
        "expired": authority.expired(),
        "client": authority.issue("client"),
        "another cluster": authority.issue(cluster="d"),
    }
    return pairs[kind].tls()


def test_one_ca_for_two_clusters_keeps_them_apart(run: Run, authority: Authority) -> None:
    """The cluster key is the same, too: it is the certificate that says which cluster a node is of."""

    async def main() -> None:
        c, d = (authority.issue(cluster=name).tls(name) for name in "cd")
        async with hosts(Host(1, tls=c), Host(2, cluster="d", tls=d)) as (a, b):
            a.transport.dial(b.address)
            b.transport.dial(a.address)
            await until(lambda: a.fact("dial-failed") and b.fact("dial-failed"))
            assert a.events == b.events == []

    run(main())


def test_a_plain_node_hears_that_the_port_speaks_tls(run: Run, good: Tls) -> None:
    async def main() -> None:
        async with hosts(Host(1, tls=good), Host(2)) as (a, plain):
            plain.transport.dial(a.address)
            await until(lambda: plain.fact("dial-failed"))
            assert why(plain, "dial-failed") == "the node there says: this port speaks TLS"
            assert why(a, "peer-rejected") == "no TLS with it (it does not speak TLS)"
            assert a.events == plain.events == []

    run(main())


def test_a_node_with_tls_does_not_talk_to_a_plain_one(run: Run, good: Tls) -> None:
    async def main() -> None:
        async with hosts(Host(1, tls=good), Host(2)) as (a, plain):
            a.transport.dial(plain.address)
            await until(lambda: a.fact("dial-failed") and plain.fact("peer-rejected"))
            assert why(a, "dial-failed") == "no TLS with it (it hung up in the TLS handshake)"
            assert a.events == plain.events == []

    run(main())


def test_the_cluster_key_is_still_asked_for(run: Run, good: Tls) -> None:
    async def main() -> None:
        async with hosts(Host(1, tls=good), Host(2, key=b"another key altogether", tls=good)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.fact("dial-failed"))
            assert Reason.KEY.value in why(a, "dial-failed")
            assert a.events == b.events == []

    run(main())

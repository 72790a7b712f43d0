"""Peer transports over real sockets on loopback, under both event loops."""

from __future__ import annotations

import asyncio
import itertools
import socket
from typing import Any

import pytest

from node.core.limits import DOWN_AFTER_S
from node.engine.events import PeerUp
from node.runtime import transport
from node.wire.handshake import derive_keys
from tests.helpers.peers import KEY, Host, Run, exchange, hosts, ping, until


def one_link(host: Host, other: Host) -> bool:
    peer = host.transport._peers.get(other.id)
    return peer is not None and len(peer.links) == 1 and len(host.transport._all) == 1


def test_two_find_each_other_and_talk(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            assert a.events == [PeerUp(b.id, "n02", "", b.address)]
            assert b.events == [PeerUp(a.id, "n01", "", a.address)]
            ping(a, b, *range(1000))
            await until(lambda: len(b.pings(a)) == 1000)
            assert b.pings(a) == list(range(1000))
            assert b.batches[1:] == [1000], "a frame of many messages is one call"

    run(main())


def test_three_dial_everybody_and_settle_on_one_link_each(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2), Host(3)) as three:
            for a, b in itertools.permutations(three, 2):
                a.transport.dial(b.address)
            pairs = list(itertools.permutations(three, 2))
            await until(lambda: all(len(host.transport._all) == 2 for host in three), "one link a pair")
            for number, (a, b) in enumerate(pairs):
                await exchange(a, b, number)
            assert all(a.ups(b) == ["PeerUp"] for a, b in pairs)

    run(main())


def test_a_link_is_made_anew_under_another_key_before_the_old_one_goes(run: Run) -> None:
    """Each step of the exchange at one node after the other; nobody is down for a moment."""
    new = b"another cluster key of the tests"

    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            assert [host.transport.rekey([KEY, new]) for host in (a, b)] == [0, 0]
            assert [host.transport.rekey([new, KEY]) for host in (a, b)] == [1, 1]
            under = derive_keys(new)
            await until(lambda: one_link(a, b) and one_link(b, a))
            await until(lambda: all(link.keys == under for host in (a, b) for link in host.transport._all))
            assert [host.transport.rekey([new]) for host in (a, b)] == [0, 0]
            await exchange(a, b, 1)
            assert (a.ups(b), b.ups(a)) == (["PeerUp"], ["PeerUp"])

    run(main())


def test_a_link_whose_key_is_given_up_ends(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its dialler has not heard of another: nobody is let in by the old one any more."""
    monkeypatch.setattr(transport, "REKEY_S", 0.1)

    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            assert b.transport.rekey([b"another cluster key of the tests"]) == 1
            await until(lambda: b.ups(a) == ["PeerUp", "PeerDown"])
            await until(lambda: bool(b.fact("peer-rejected")))
            assert not b.linked(a)

    run(main())


@pytest.mark.parametrize("round_", range(5))
def test_mutual_dial_loses_no_message(run: Run, round_: int) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            numbers = itertools.count()
            sent: dict[Host, list[int]] = {a: [], b: []}
            a.transport.dial(b.address)
            if round_ > 1:
                await until(lambda: round_ == 2 or b.linked(a))
            b.transport.dial(a.address)
            b.transport.dial(f"localhost:{a.port}")
            for _ in range(300):
                for host, other in (a, b), (b, a):
                    if host.linked(other):
                        sent[host].append(next(numbers))
                        ping(host, other, sent[host][-1])
                await asyncio.sleep(0)
            await until(lambda: one_link(a, b) and one_link(b, a), "one link")
            await until(lambda: sorted(b.pings(a)) == sent[a] and sorted(a.pings(b)) == sent[b], "every message")
            assert a.ups(b) == b.ups(a) == ["PeerUp"]
            kept = a.transport._peers[b.id].links[0]
            assert kept.dialler == b.transport._peers[a.id].links[0].dialler

    run(main())


def test_a_restarted_peer_is_down_then_up_again(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b))
            await b.transport.close()
            await until(lambda: not a.linked(b))
            await until(lambda: a.fact("dial-failed"))
            async with hosts(Host(2, port=b.port)) as (again,):
                await until(lambda: a.linked(again))
                assert a.ups(b) == ["PeerUp", "PeerDown", "PeerUp"]
                await exchange(a, again, 1)
            assert len(a.fact("dial-failed")) == 1, "the same failure is reported once"

    run(main())


def test_a_new_life_replaces_links_that_tcp_believes_in(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2), Host(2)) as (a, before, after):
            a.transport.dial(before.address)
            await until(lambda: a.linked(before))
            after.transport.dial(a.address)
            await until(lambda: after.linked(a))
            await exchange(a, after, 1)
            assert a.ups(after) == ["PeerUp", "PeerDown", "PeerUp"]

    run(main())


def test_a_link_that_died_at_its_other_end_only_is_replaced(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "LINGER_S_MAX", 0.1)

    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            forgotten = b.transport._peers.pop(a.id).links[0]  # as after a cut that only b noticed
            b.transport.dial(a.address)
            await until(lambda: b.linked(a))
            await until(forgotten.gone.done, "a gives the dead link up")
            await exchange(a, b, 1)
            assert a.ups(b) == ["PeerUp"]

    run(main())


def test_dropping_is_followed_by_peer_down_outside_the_call(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            a.transport.drop(b.id)
            assert a.ups(b) == ["PeerUp"], "the driver is not called back inside its own call"
            await until(lambda: a.ups(b) == ["PeerUp", "PeerDown", "PeerUp"], "back after the drop")
            await until(lambda: b.ups(a) == ["PeerUp", "PeerDown", "PeerUp"])

    run(main())


def test_no_dial_to_itself(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1)) as (a,):
            a.transport.dial(a.address)
            await until(lambda: a.fact("dial-failed"))
            await until(lambda: not a.transport._all)
            a.transport.dial(a.address)
            assert a.transport._dialer.addresses == () and not a.events
            assert "itself" in str(a.fact("dial-failed"))

    run(main())


def test_a_copy_with_the_same_id_is_no_peer(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(1)) as (a, copy):
            a.transport.dial(copy.address)
            await until(lambda: a.fact("dial-failed"))
            assert "copied data directory" in str(a.fact("dial-failed")) and not a.events and not copy.events

    run(main())


@pytest.mark.parametrize(
    ("other", "why"),
    [({"key": b"another key of sixteen"}, "another cluster key"), ({"cluster": "d"}, "another cluster name")],
)
def test_another_key_or_name_is_never_a_peer(run: Run, other: dict[str, Any], why: str) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2, **other), Host(3)) as (a, b, c):
            a.transport.dial(b.address)
            b.transport.dial(a.address)
            await until(lambda: a.fact("dial-failed") and b.fact("dial-failed"))
            a.transport.dial(c.address)
            await until(lambda: a.linked(c) and len(b.fact("peer-rejected")) > 2, "a tries again and again")
            assert not b.events and a.ups(b) == []
            assert why in str(a.fact("dial-failed")) and why in str(a.fact("peer-rejected"))
            assert len(a.fact("dial-failed")) == 1

    run(main())


def test_seated_in_two_clusters_they_are_strangers(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1, cluster_id="x"), Host(2, cluster_id="y")) as (a, b):
            b.members, b.sealed = 7, True
            a.transport.dial(b.address)
            await until(lambda: a.strangers() and b.strangers())
            met = a.strangers()[0]
            assert (met.peer, met.cluster_id, met.members, met.sealed) == (b.id, "y", 7, True)
            assert met.address == b.address and b.strangers()[0].cluster_id == "x"
            assert not a.linked(b) and a.ups(b) == b.ups(a) == []
            a.move("")  # it yields: the dial that made them strangers makes them peers now, without a wait
            await until(lambda: a.linked(b) and b.linked(a))

    run(main())


def test_a_link_made_without_a_seat_survives_getting_one(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            a.move("x")
            await exchange(a, b, 1)
            b.move("x")
            await exchange(a, b, 2)
            assert a.ups(b) == b.ups(a) == ["PeerUp"] and not a.strangers() + b.strangers()

    run(main())


def test_seats_in_different_clusters_part_before_a_word_of_them_is_read(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            a.cluster_id, b.cluster_id = "x", "y"  # both at once; neither calls refresh: send does
            ping(a, b, 1)
            ping(b, a, 1)
            await until(lambda: a.strangers() and b.strangers() and not a.linked(b) and not b.linked(a))
            assert a.pings(b) == b.pings(a) == []
            assert a.ups(b) == b.ups(a) == ["PeerUp", "PeerDown"]

    run(main())


def test_a_link_that_sends_into_the_void_is_given_up_when_its_peer_counts_as_down(run: Run) -> None:
    """TCP alone would try for a quarter of an hour, less and less often, and be late when a cut is over."""

    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b) and b.linked(a))
            for host in (a, b):
                [link] = host.transport._all
                assert link._transport is not None
                sock = link._transport.get_extra_info("socket")
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == DOWN_AFTER_S * 1000

    run(main())


def test_stop_dialling(run: Run) -> None:
    async def main() -> None:
        async with hosts(Host(1), Host(2)) as (a, b):
            a.transport.dial(b.address)
            await until(lambda: a.linked(b))
            a.transport.dial(b.address, keep=False)
            await exchange(a, b, 1)
            a.transport.drop(b.id)
            await until(lambda: a.ups(b) == ["PeerUp", "PeerDown"])
            assert a.transport._dialer.addresses == ()

    run(main())


@pytest.mark.parametrize("address", ["", "host", "host:", ":1", "host:0", "host:65536", "host:x", "host:²"])
def test_what_is_no_address_is_refused_with_a_fact(run: Run, address: str) -> None:
    async def main() -> None:
        async with hosts(Host(1)) as (a,):
            a.transport.dial(address)
            assert a.fact("dial-refused") and a.transport._dialer.addresses == ()

    run(main())

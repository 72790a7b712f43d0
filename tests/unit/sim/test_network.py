"""The simulated network does to messages what its options say, and nothing else."""

from __future__ import annotations

from random import Random
from typing import Any

from node.sim.network import HELD_MAX, Arrival, Link, Network, NetworkOptions
from node.wire.messages import Forward, Message, Ping

LINK = Link(0, 1)
FORWARD = Forward(1, 1, 1, b"k", b"v", (), False, 1, False, 1000, "")


def network(**options: Any) -> Network:
    return Network(NetworkOptions(**options), Random(1))


def send(net: Network, count: int, message: Message | None = None, now: float = 0.0) -> list[Arrival]:
    return [arrival for rid in range(count) for arrival in net.send(0, 1, now, LINK, message or Ping(rid))]


def rids(arrivals: list[Arrival]) -> list[int]:
    """In the order of arrival."""
    return [
        arrival.message.rid for arrival in sorted(arrivals, key=lambda a: a.at) if isinstance(arrival.message, Ping)
    ]


def test_a_perfect_network_brings_each_once_and_in_order() -> None:
    assert rids(send(network(), 500)) == list(range(500))


def test_delays_stay_in_range() -> None:
    arrivals = send(network(delay_s_min=0.1, delay_s_max=0.2, ordered=False), 500, now=5.0)
    assert all(5.1 <= arrival.at <= 5.2 for arrival in arrivals)


def test_some_are_slow() -> None:
    arrivals = send(network(slow=0.1, slow_s_max=3.0, ordered=False), 500)
    assert 0 < sum(arrival.at > 0.005 for arrival in arrivals) < 100


def test_loss() -> None:
    net = network(loss=0.3)
    assert 300 < len(send(net, 500)) < 400
    assert net.counts["lost"] == 500 - len(send(network(loss=0.3), 500))


def test_duplication() -> None:
    assert 600 < len(send(network(duplicate=0.3), 500)) < 700


def test_a_forward_is_never_duplicated_unless_the_safeguard_is_off() -> None:
    assert len(send(network(duplicate=1.0), 50, FORWARD)) == 50
    careless = Network(NetworkOptions(duplicate=1.0), Random(1), duplicates_forwards=True)
    assert len(send(careless, 50, FORWARD)) == 100


def test_reordering() -> None:
    net = network(ordered=False)
    order = rids(send(net, 500))
    assert order != sorted(order)
    assert net.counts["overtook"] > 0


def test_a_cut_is_one_way() -> None:
    net = network()
    net.cut(0, 1)
    assert send(net, 10) == []
    assert len(net.send(1, 0, 0.0, LINK, Ping(1))) == 1
    assert not net.passes(0, 1)
    assert net.passes(1, 0)
    assert not net.connected(1, 0)
    assert net.heal(0, 1, 1.0) == []
    assert rids(send(net, 10)) == list(range(10))


def test_cuts_nest() -> None:
    net = network()
    net.cut(0, 1)
    net.cut(0, 1)
    net.heal(0, 1, 1.0)
    assert not net.passes(0, 1)
    net.heal(0, 1, 1.0)
    assert net.passes(0, 1)


def test_a_holding_cut_releases_in_order_and_is_bounded() -> None:
    net = network(hold=True)
    net.cut(0, 1)
    assert send(net, HELD_MAX + 5) == []
    released = net.heal(0, 1, 7.0)
    assert rids(released) == list(range(HELD_MAX))
    assert all(arrival.at > 7.0 for arrival in released)
    assert net.counts["lost"] == 5


def test_healing_everything_ends_every_cut() -> None:
    net = network(hold=True)
    for source, target in (0, 1), (0, 1), (2, 3):
        net.cut(source, target)
    send(net, 3)
    assert rids(net.heal_all(1.0)) == [0, 1, 2]
    assert net.connected(0, 1)
    assert net.connected(2, 3)


def test_a_change_of_weather_does_not_wait_for_old_stragglers() -> None:
    net = network(delay_s_min=100.0, delay_s_max=100.0)
    send(net, 1)
    net.change(NetworkOptions())
    assert send(net, 1)[0].at < 1.0

"""Where a key is."""

from __future__ import annotations

import hashlib

import pytest

from node.core.cluster import Quorums, RingState, Seat
from node.core.ids import POSITION_BITS, NodeId, partition_of, position, scan_position

KEYS = [b"", b"a", b"cart:42", b"\x00\xff", *(b"key %d" % i for i in range(200))]


def test_a_position_is_the_md5_as_a_number() -> None:
    assert position(b"") == 0xD41D8CD98F00B204E9800998ECF8427E
    assert all(position(key) == int(hashlib.md5(key).hexdigest(), 16) for key in KEYS)
    assert all(position(key) < 2**POSITION_BITS for key in KEYS)


@pytest.mark.parametrize("bits", [0, 1, 4, 8, 12, 16])
def test_a_partition_is_the_top_of_the_position(bits: int) -> None:
    for key in KEYS:
        assert partition_of(key, 2**bits) == position(key) >> (POSITION_BITS - bits)


def test_a_ring_counts_its_partitions() -> None:
    seat = Seat(NodeId("1" * 32), "", 1)
    state = RingState("c1", "dyn", 1, False, seat.id, Quorums(3, 2, 2), (seat,), (0,) * 64, ())
    assert state.partitions == 64


def test_a_scan_position_is_the_top_of_the_position_in_order() -> None:
    assert all(int.from_bytes(scan_position(key), "big") == position(key) >> 64 for key in KEYS)
    assert sorted(KEYS, key=scan_position) == sorted(KEYS, key=position)

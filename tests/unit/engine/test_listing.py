"""Pages of keys: no key twice, none missed, and a cursor that any Redis client can hold."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.ids import partition_of, scan_position
from node.core.row import Actor
from node.core.version import advance
from node.engine.listed import merge_pages
from node.engine.listing import read_cursor, write_cursor
from node.engine.replica import without_values
from node.wire.rows import decode_row, encode_row
from tests.helpers.engine import row_of

ROW = encode_row(row_of(b"v"))


@given(st.binary(min_size=1, max_size=20), st.sampled_from([1, 8, 256, 4096]))
def test_a_cursor_is_64_bits_and_comes_back(key: bytes, partitions: int) -> None:
    """`write_cursor` and `read_cursor` agree; the number fits an unsigned long."""
    partition, after = partition_of(key, partitions), scan_position(key)
    cursor = write_cursor(partition, partitions, after)
    assert 0 < int(cursor) < 2**64
    again = read_cursor(cursor, partitions)
    assert again is not None
    following = again[0] == partition + 1 and again[1] == b""
    assert again == (partition, after) or following


@pytest.mark.parametrize("partition", [1, 2, 255])
def test_a_cursor_at_the_start_of_a_partition(partition: int) -> None:
    """Nothing of it was seen yet."""
    assert read_cursor(write_cursor(partition, 256, b""), 256) == (partition, b"")


@pytest.mark.parametrize("cursor", [b"", b"x", b"-1", b"9" * 21, str(2**65).encode(), b"1.5", "٣".encode()])
def test_a_foreign_cursor_is_refused(cursor: bytes) -> None:
    """It is none of ours: an error, not a guess."""
    assert read_cursor(cursor, 256) is None


def test_pages_of_several_owners_are_merged() -> None:
    """What one owner lacks the other has; what one has deleted is deleted."""
    row = row_of(b"v")
    deleted, _ = advance(row, row.clock, Actor(2, 1), None, written_at_ms=0, writer="")
    keys, after = merge_pages([(((b"a", ROW), (b"b", ROW)), False), (((b"b", encode_row(deleted)),), False)])
    assert sorted((key, len(row.live)) for key, row in keys) == [(b"a", 1), (b"b", 0)]
    assert after is None


def test_beyond_the_end_of_an_incomplete_page_nothing_is_certain() -> None:
    """The owner that was cut off may hold a delete for a key the other has shown: not yet."""
    first, second = sorted([b"a", b"b"], key=scan_position)
    keys, after = merge_pages([(((first, ROW), (second, ROW)), False), (((first, ROW),), True)])
    assert [key for key, _ in keys] == [first]
    assert after == scan_position(first)


def test_values_do_not_travel() -> None:
    """A page tells live from deleted, not what is written."""
    row = row_of(b"secret", b"value")
    assert b"secret" not in without_values(encode_row(row))
    assert len(decode_row(without_values(encode_row(row))).live) == 2

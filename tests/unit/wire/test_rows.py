"""Rows as bytes: one way to write each, and no bytes that do more than be refused."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.limits import CLOCK_ENTRIES_MAX, VALUE_BYTES_CEILING, WRITER_BYTES_MAX
from node.core.row import EMPTY, Dot, Row, Version
from node.wire.errors import RemoteWireError
from node.wire.rows import DIGEST_BYTES, decode_row, encode_row, row_digest, trusted_row
from tests.helpers.causal import reachable_rows, version

D1 = Version(Dot(2**64 - 1, 2**63 - 1, 1), (), b"\x00\xff\r\n", 1_700_000_000_000, "wrïter")
ROW = Row((Dot(1, 1, 2), Dot(2**64 - 1, 2**63 - 1, 1)), (version(1, 1, 2, value=None, past=(Dot(1, 1, 1),)), D1))
BYTES = encode_row(ROW)


def refused(data: bytes, why: str = "malformed row") -> None:
    with pytest.raises(RemoteWireError, match=why):
        decode_row(data)


def test_a_row_comes_back() -> None:
    for row in (EMPTY, ROW):
        data = encode_row(row)
        assert decode_row(data) == row == trusted_row(data)
        assert isinstance(decode_row(data).clock, tuple)
        assert all(isinstance(dot, Dot) for dot in decode_row(data).clock)


@given(reachable_rows(2))
def test_equal_rows_are_equal_bytes(rows: tuple[Row, Row]) -> None:
    a, b = (encode_row(row) for row in rows)
    assert (a == b) == (rows[0] == rows[1])
    assert decode_row(a) == rows[0]
    assert encode_row(decode_row(a)) == a


def test_every_truncation_and_every_addition_is_refused() -> None:
    for length in range(len(BYTES)):
        refused(BYTES[:length])
    refused(BYTES + b"\x00")
    refused(BYTES + BYTES)


def test_what_decodes_after_one_changed_byte_is_canonical() -> None:
    for at in range(len(BYTES)):
        for byte in range(256):
            harmless(BYTES[:at] + bytes([byte]) + BYTES[at + 1 :])


def harmless(data: bytes) -> None:
    try:
        row = decode_row(data)
    except RemoteWireError:
        return
    assert encode_row(row) == data


@given(st.binary(max_size=200))
def test_random_bytes_are_harmless(data: bytes) -> None:
    harmless(data)


@given(
    reachable_rows(), st.lists(st.tuples(st.integers(0, 2000), st.binary(max_size=9), st.integers(0, 9)), max_size=4)
)
def test_mutated_rows_are_harmless(rows: tuple[Row], cuts: list[tuple[int, bytes, int]]) -> None:
    data = encode_row(rows[0])
    for at, insert, drop in cuts:
        at %= len(data) + 1
        data = data[:at] + insert + data[at + drop :]
    harmless(data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "truncated"),
        (b"\xc0", "Expected"),
        (b"\x92\xdd\xff\xff\xff\xff", "truncated"),
        (b"\x92\xc6\xff\xff\xff\xff", "Expected|truncated"),
        (b"\x91" * 100_000, "Expected"),
        (b"\x92\x90" + b"\x91" * 100_000, "Expected"),
        (b"\xdc\x00\x02\x90\x90", "not in canonical form"),
        (b"\x92\xdc\x00\x00\x90", "not in canonical form"),
        (b"\x92\x91\x93\xcc\x01\x01\x01\x91\x95\x93\x01\x01\x01\x90\xc0\x00\xa0", "not in canonical form"),
        (b"\x92\x91\x93\x01\x01\x01\x90", "no version"),
        (b"\x92\x91\x93\x01\x01\x01\x91\x95\x93\x01\x01\x02\x90\xc0\x00\xa0", "not covered"),
        (b"\x92\x91\x93\x01\x01\x01\x91\x95\x93\x01\x01\x01\x90\xc0\x00\xa2\xff\xfe", "malformed row"),
        (b"\x92\x91\x93\x01\x01\xcb\x3f\xf0\x00\x00\x00\x00\x00\x00\x90", "malformed row"),
    ],
)
def test_malformed_bytes_are_named(data: bytes, why: str) -> None:
    refused(data, why)


def one(**fields: object) -> bytes:
    made = version(1, 1, 1)._replace(**fields)
    return encode_row(Row((Dot(1, 1, 1),), (made,)))


def test_limits() -> None:
    longest = tuple(Dot(1, birth, 1) for birth in range(1, CLOCK_ENTRIES_MAX + 1))
    assert decode_row(encode_row(Row(longest, (version(1, 1, 1),)))).clock == longest
    over = (*longest, Dot(2, 1, 1))
    refused(encode_row(Row(over, (version(1, 1, 1),))), "clock of 4097 entries")
    refused(one(past=over), "past of 4097 entries")
    decode_row(one(past=longest, writer="w" * WRITER_BYTES_MAX))
    refused(one(writer="w" * (WRITER_BYTES_MAX + 1)), "label")
    refused(one(writer="ü" * (WRITER_BYTES_MAX // 2 + 1)), "label")
    decode_row(one(value=bytes(VALUE_BYTES_CEILING)))
    refused(one(value=bytes(VALUE_BYTES_CEILING + 1)), "value of 16777217 bytes")


def test_a_digest_stands_for_key_and_row() -> None:
    digests = [row_digest(key, row) for key in (b"k", b"k2", b"") for row in (BYTES, encode_row(EMPTY))]
    assert len(set(digests)) == 6
    assert {len(digest) for digest in digests} == {DIGEST_BYTES}
    assert row_digest(b"k", BYTES) == row_digest(b"k", encode_row(ROW))
    assert row_digest(b"k" * 5000, BYTES) != row_digest(b"k" * 5001, BYTES), "keys are as long as they like"


def test_the_form_is_messagepack_arrays_in_the_order_of_the_fields() -> None:
    """What rests on disks: this must not change without a migration."""
    assert msgspec.msgpack.decode(encode_row(Row((Dot(1, 2, 3),), (Version(Dot(1, 2, 3), (), b"v", 5, "w"),)))) == [
        [[1, 2, 3]],
        [[[1, 2, 3], [], b"v", 5, "w"]],
    ]

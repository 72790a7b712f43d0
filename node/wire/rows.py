"""Rows as bytes: canonical, so that equal rows are equal bytes, and a coordinator may compare without decoding.

MessagePack arrays in the order of the fields of `core.row`. Whoever holds the bytes of a row from outside its
own store calls `decode_row`, which checks; `trusted_row` is for bytes whose checksum was just verified.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Final

import msgspec

from node.core.limits import CLOCK_ENTRIES_MAX, TREE_DIGEST_BYTES, VALUE_BYTES_CEILING, WRITER_BYTES_MAX
from node.core.row import EMPTY, Row
from node.core.version import check, merge
from node.wire.errors import RemoteWireError

_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(Row)

DIGEST_BYTES: Final = TREE_DIGEST_BYTES


def encode_row(row: Row) -> bytes:
    """Return the canonical bytes of a well-formed row."""
    return _encoder.encode(row)


def trusted_row(data: bytes) -> Row:
    """Return the row in `data`, which this store wrote itself and whose checksum matched."""
    return _decoder.decode(data)


def decode_row(data: bytes) -> Row:
    """Return the row in `data`, whoever sent it; RemoteWireError if it is not one, canonical and within limits."""
    try:
        row = _decoder.decode(data)
        check(row)
    except (msgspec.MsgspecError, ValueError) as error:
        raise RemoteWireError("malformed row", str(error)) from error
    _check_limits(row)
    if _encoder.encode(row) != data:
        raise RemoteWireError("malformed row", "not in canonical form")
    return row


def _check_limits(row: Row) -> None:
    """Raise RemoteWireError if anything in a well-formed row is longer than a client could have made it."""
    if len(row.clock) > CLOCK_ENTRIES_MAX:
        raise RemoteWireError("malformed row", f"clock of {len(row.clock)} entries, limit {CLOCK_ENTRIES_MAX}")
    for _, past, value, _, writer in row.versions:
        if len(past) > CLOCK_ENTRIES_MAX:
            raise RemoteWireError("malformed row", f"past of {len(past)} entries, limit {CLOCK_ENTRIES_MAX}")
        if value is not None and len(value) > VALUE_BYTES_CEILING:
            raise RemoteWireError("malformed row", f"value of {len(value)} bytes, limit {VALUE_BYTES_CEILING}")
        if len(writer) > WRITER_BYTES_MAX or len(writer.encode()) > WRITER_BYTES_MAX:
            raise RemoteWireError("malformed row", f"writer's label is over {WRITER_BYTES_MAX} bytes")


def row_digest(key: bytes, row: bytes) -> bytes:
    """Return what stands for this row in comparisons between nodes: 16 bytes over the key and the canonical row."""
    return blake2b(b"%d %b%b" % (len(key), key, row), digest_size=DIGEST_BYTES).digest()


def merged_row(rows: Iterable[bytes | None]) -> Row:
    """Merge rows as several nodes hold them; RemoteWireError if one is malformed. Equal rows are decoded once."""
    merged, last = EMPTY, None
    for row in rows:
        if row is not None and row != last:
            decoded = decode_row(row)
            merged = decoded if merged is EMPTY else merge(merged, decoded)
            last = row
    return merged

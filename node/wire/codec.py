"""Messages to frames and back: one version byte, then a MessagePack array of tagged messages.

The tags and the order of fields are those of `wire.messages`. Everything a peer may get wrong about a single message is
checked here (types, lengths, ranges), so that the engine sees only well-formed ones. One thing is not: `row` stays
bytes, and whoever merges it or shows it calls `wire.rows.decode_row` (that is the engine), which checks it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from node.core.cluster import Member, RingState
from node.core.limits import (
    CANDIDATES_MAX,
    CLOCK_ENTRIES_MAX,
    EPOCHS_MAX,
    FRAME_BATCH_BYTES,
    FRAME_BYTES_MAX,
    KEY_BYTES_MAX,
    LIVES_BYTES,
    MEMBERS_MAX,
    NAME_BYTES_MAX,
    PARTITIONS_MAX,
    REAP_KEYS,
    REPLICAS_MAX,
    SCAN_LIMIT_MAX,
    TIMEOUT_MS_MAX,
    TREE_DIGEST_BYTES,
    TREE_DIGESTS_MAX,
    TREE_FANOUT_BITS,
    TREE_LEAF_BITS,
    TREE_SPANS_MAX,
    VALUE_BYTES_CEILING,
    WORDS_BYTES_MAX,
    WRITER_BYTES_MAX,
)
from node.core.version import check, check_clock
from node.wire import messages
from node.wire.errors import LocalWireError, RemoteWireError
from node.wire.framing import frame
from node.wire.messages import Message
from node.wire.requests import Found
from node.wire.rows import DIGEST_BYTES

PROTOCOL: Final = 1
"""Version of what peers say to each other: the first byte of every frame of messages, and of every handshake frame."""

_VERSION: Final = bytes([PROTOCOL])
_MESSAGE_BYTES_MAX: Final = FRAME_BYTES_MAX - 16
_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(list[Message])


def encode_batch(batch: Sequence[Message]) -> list[bytes]:
    """Return `batch` in as few frames of about FRAME_BATCH_BYTES as it takes, in order; a message is never cut.

    Raises LocalWireError if one message alone is over FRAME_BYTES_MAX, or cannot be said in MessagePack.
    """
    try:
        body = _encoder.encode(batch)
        if len(body) <= FRAME_BATCH_BYTES or (len(batch) == 1 and len(body) <= _MESSAGE_BYTES_MAX):
            return [frame(_VERSION + body)]
        return [frame(payload) for payload in _cut([_encoder.encode(message) for message in batch])]
    except (OverflowError, UnicodeEncodeError) as error:
        raise LocalWireError("not encodable", str(error)) from error


def decode_batch(payload: bytes | memoryview) -> list[Message]:
    """Return the messages of one frame; RemoteWireError for whatever is not exactly such a frame."""
    if len(payload) < 2 or payload[0] != PROTOCOL:
        raise RemoteWireError("not a batch", f"version {payload[0]}" if len(payload) else "empty frame")
    try:
        batch = _decoder.decode(payload[1:])
        for message in batch:
            checker = _CHECKERS.get(type(message))
            if checker is not None:
                checker(message)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RemoteWireError("malformed message", str(error)) from error
    return batch


def _cut(bodies: list[bytes]) -> list[bytes]:
    """Payloads of about FRAME_BATCH_BYTES from messages that are encoded one by one."""
    payloads: list[bytes] = []
    begin = size = 0
    for index, body in enumerate(bodies):
        if size and size + len(body) > FRAME_BATCH_BYTES:
            payloads.append(_payload(bodies[begin:index]))
            begin, size = index, 0
        size += len(body)
    payloads.append(_payload(bodies[begin:]))
    return payloads


def _payload(bodies: list[bytes]) -> bytes:
    """Version byte, MessagePack's header of an array with 32 bits of length, the messages."""
    return b"".join((_VERSION, b"\xdd", len(bodies).to_bytes(4, "big"), *bodies))


# What the types do not say: bounds. ValueError with what is wrong --------------------------------------------------


def _key(key: bytes) -> None:
    if not 1 <= len(key) <= KEY_BYTES_MAX:
        raise ValueError(f"key of {len(key)} bytes")


def _number(what: str, number: int, low: int, high: int) -> None:
    if not low <= number <= high:
        raise ValueError(f"{what} of {number}")


def _length(what: str, value: bytes | str | tuple[object, ...], limit: int) -> None:
    if len(value) > limit:
        raise ValueError(f"{what} of length {len(value)}, limit {limit}")


def check_node_id(node_id: str) -> None:
    """Raise ValueError unless it is 32 lower-case hex digits."""
    if len(node_id) != 32 or node_id.strip("0123456789abcdef"):
        raise ValueError("node id is not 32 hex digits")


def check_label(what: str, text: str, *, least: int = 0) -> None:
    """Raise ValueError unless `text` is `least` … NAME_BYTES_MAX printable bytes: it goes to screens and logs."""
    if not least <= len(text.encode()) <= NAME_BYTES_MAX or not text.isprintable():
        raise ValueError(f"{what} is not 1 to {NAME_BYTES_MAX} printable bytes")


def check_member(member: Member) -> None:
    """Raise ValueError, saying what is wrong, unless another node may believe this description."""
    check_node_id(member.id)
    check_label("node name", member.name, least=1)
    check_label("host", member.host, least=1)
    check_label("zone", member.zone)
    check_label("storage id", member.storage_id)
    for what, port in ("port", member.port), ("peer port", member.peer_port), ("http port", member.http_port):
        _number(what, port, 0, 0xFFFF)
    _number("weight", member.weight, 0, 1_000_000)
    _number("incarnation", member.incarnation, 0, 2**63)
    _number("starts", member.starts, 0, 2**63)
    check_label("run", member.run)
    _number("changes", member.changes, 0, 2**63)
    _length("epochs", member.epochs, EPOCHS_MAX)
    for epoch in member.epochs:
        _number("dot epoch", epoch, 0, 2**64 - 1)


def check_ring(ring: RingState) -> None:
    """Raise ValueError, saying what is wrong, unless `ring` is a ring at all (who decided it is not looked at)."""
    check_label("cluster id", ring.cluster_id, least=1)
    check_label("cluster name", ring.cluster, least=1)
    check_node_id(ring.decider)
    _number("ring epoch", ring.epoch, 0, 2**63)
    quorums = ring.quorums
    _number("N", quorums.n, 1, REPLICAS_MAX)
    _number("R", quorums.r, 1, quorums.n)
    _number("W", quorums.w, 1, quorums.n)
    _number("number of seats", len(ring.seats), 1, MEMBERS_MAX)
    for seat in ring.seats:
        check_node_id(seat.id)
        check_label("zone", seat.zone)
        _number("weight", seat.weight, 0, 1_000_000)
    partitions = len(ring.owners)
    if partitions & (partitions - 1) or not 1 <= partitions <= PARTITIONS_MAX:
        raise ValueError(f"{partitions} partitions")
    if min(ring.owners) < 0 or max(ring.owners) >= len(ring.seats):
        raise ValueError("a partition belongs to no seat")
    _number("number of secrets", len(ring.secrets), 1, 2)
    for secret in ring.secrets:
        _number("key id", secret.key_id, 0, 255)
        _number("bytes of secret", len(secret.secret), 16, 64)


def _check_keyed(message: messages.Replicate | messages.Fetch) -> None:
    if not 1 <= len(message.key) <= KEY_BYTES_MAX:
        raise ValueError(f"key of {len(message.key)} bytes")
    if not 0 <= message.round < 2**63:
        raise ValueError(f"reap round of {message.round}")
    if not 0 <= message.left_ms <= TIMEOUT_MS_MAX:
        raise ValueError(f"time left of {message.left_ms}")


def _check_replicate(message: messages.Replicate) -> None:
    _check_keyed(message)
    if message.hint_for:
        _length("hints", message.hint_for, REPLICAS_MAX)
        for node in message.hint_for:
            check_node_id(node)


def _check_outdated(message: messages.Outdated) -> None:
    _key(message.key)
    _length("hints", message.hint_for, REPLICAS_MAX)
    for node in message.hint_for:
        check_node_id(node)
    _number("reap round", message.round, 0, 2**63 - 1)


def _check_confirm(message: messages.Confirm) -> None:
    _number("partition", message.partition, 0, PARTITIONS_MAX - 1)
    _number("reap round", message.round, 1, 2**63 - 1)
    _check_digests(message.rows)
    _number("bytes of lives", len(message.lives), LIVES_BYTES, LIVES_BYTES)


def _check_confirmed(message: messages.Confirmed) -> None:
    _number("reap round", message.round, 0, 2**63 - 1)
    _length("keys", message.differ, REAP_KEYS)
    _length("reason", message.refused, WORDS_BYTES_MAX)


def _check_bury(message: messages.Bury) -> None:
    _number("partition", message.partition, 0, PARTITIONS_MAX - 1)
    _number("reap round", message.round, 1, 2**63 - 1)
    _check_digests(message.rows)


def _check_buried(message: messages.Buried) -> None:
    _length("reason", message.refused, WORDS_BYTES_MAX)


def _check_ask_rounds(message: messages.AskRounds) -> None:
    _number("dot epoch", message.life, 0, 2**64 - 1)


def _check_rounds_told(message: messages.RoundsTold) -> None:
    _length("rounds", message.rounds, PARTITIONS_MAX)
    _length("reason", message.refused, WORDS_BYTES_MAX)
    for partition, number in message.rounds:
        _number("partition", partition, 0, PARTITIONS_MAX - 1)
        _number("reap round", number, 1, 2**63 - 1)


def _check_digests(rows: tuple[tuple[bytes, bytes], ...]) -> None:
    _length("keys", rows, REAP_KEYS)
    for key, digest in rows:
        _key(key)
        _number("bytes of digest", len(digest), DIGEST_BYTES, DIGEST_BYTES)


def _check_forward(message: messages.Forward) -> None:
    _key(message.key)
    _length("value", message.value or b"", VALUE_BYTES_CEILING)
    _length("clock", message.context, CLOCK_ENTRIES_MAX)
    check_clock(message.context)
    _number("hops", message.hops, 0, 255)
    _number("W", message.w, 1, REPLICAS_MAX)
    _number("time left", message.left_ms, 1, TIMEOUT_MS_MAX)
    _length("writer", message.writer.encode(), WRITER_BYTES_MAX)


def _check_forwarded(message: messages.Forwarded) -> None:
    if type(message.result) is Found:
        check(message.result.row)


def _check_ask(message: messages.Ask) -> None:
    _length("question", message.what, NAME_BYTES_MAX)
    _length("key", message.key, KEY_BYTES_MAX)


def _check_scan(message: messages.Scan) -> None:
    _number("partition", message.partition, 0, PARTITIONS_MAX - 1)
    _length("cursor", message.after, 16 + KEY_BYTES_MAX)
    _number("limit", message.limit, 1, SCAN_LIMIT_MAX)
    _number("time left", message.left_ms, 0, TIMEOUT_MS_MAX)


def _check_scanned(message: messages.Scanned) -> None:
    _length("page", message.items, SCAN_LIMIT_MAX)
    for key, _ in message.items:
        _key(key)


def _check_ask_trees(message: messages.AskTrees) -> None:
    _number("bits", message.bits, 0, TREE_LEAF_BITS)
    _number("depth", message.deeper, 0, min(TREE_FANOUT_BITS, TREE_LEAF_BITS - message.bits))
    _length("spans", message.prefixes, min(TREE_SPANS_MAX, TREE_DIGESTS_MAX >> message.deeper))
    for prefix in message.prefixes:
        _number("prefix", prefix, 0, (1 << message.bits) - 1)


def _check_trees_told(message: messages.TreesTold) -> None:
    _length("spans", message.digests, TREE_SPANS_MAX)
    for digests in message.digests:
        _length("digests", digests, TREE_DIGEST_BYTES << TREE_FANOUT_BITS)
        if len(digests) % TREE_DIGEST_BYTES:
            raise ValueError(f"digests of {len(digests)} bytes")


def _check_ask_leaf(message: messages.AskLeaf) -> None:
    _number("leaf", message.leaf, 0, (1 << TREE_LEAF_BITS) - 1)
    if len(message.after) not in (0, 8):
        raise ValueError(f"position of {len(message.after)} bytes")


def _check_leaf_told(message: messages.LeafTold) -> None:
    _length("page", message.items, SCAN_LIMIT_MAX)
    for key, digest, size in message.items:
        _key(key)
        _number("bytes of digest", len(digest), TREE_DIGEST_BYTES, TREE_DIGEST_BYTES)
        _number("bytes of row", size, 0, FRAME_BYTES_MAX)


def _check_join(message: messages.Join) -> None:
    check_member(message.member)


def _check_wait(message: messages.Wait) -> None:
    _length("reason", message.why, WORDS_BYTES_MAX)
    _length("candidates", message.candidates, CANDIDATES_MAX)
    for address in message.candidates:
        check_label("address", address, least=1)


def _check_gossip(message: messages.Gossip) -> None:
    _length("members", message.members, MEMBERS_MAX)
    for member in message.members:
        check_member(member)
    if message.ring is not None:
        check_ring(message.ring)


_CHECKERS: Final[dict[type, Callable[[Any], None]]] = {
    messages.Replicate: _check_replicate,
    messages.Fetch: _check_keyed,
    messages.Forward: _check_forward,
    messages.Forwarded: _check_forwarded,
    messages.Ask: _check_ask,
    messages.Scan: _check_scan,
    messages.Scanned: _check_scanned,
    messages.AskTrees: _check_ask_trees,
    messages.TreesTold: _check_trees_told,
    messages.AskLeaf: _check_ask_leaf,
    messages.LeafTold: _check_leaf_told,
    messages.Join: _check_join,
    messages.Wait: _check_wait,
    messages.Gossip: _check_gossip,
    messages.Outdated: _check_outdated,
    messages.Confirm: _check_confirm,
    messages.Confirmed: _check_confirmed,
    messages.Bury: _check_bury,
    messages.Buried: _check_buried,
    messages.AskRounds: _check_ask_rounds,
    messages.RoundsTold: _check_rounds_told,
}

"""Messages to frames and back: one version byte, then a MessagePack array of tagged messages.

The tags and the order of fields are those of `wire.messages`. Everything a peer may get wrong about a single message is
checked here (types, lengths, ranges), so that the engine sees only well-formed ones. One thing is not: `row` stays
bytes, and whoever merges it or shows it calls `wire.rows.decode_row` (that is the engine), which checks it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from node.core.cluster import Ballot
from node.core.limits import (
    CANDIDATES_MAX,
    CLOCK_ENTRIES_MAX,
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
from node.core.limits_change import BALLOT_NUMBER_MAX
from node.core.version import check, check_clock
from node.wire import change_messages, messages
from node.wire.bounds import check_label, check_length, check_member, check_node_id, check_number, check_ring
from node.wire.errors import LocalWireError, RemoteWireError
from node.wire.framing import frame
from node.wire.lenient import Trimmer
from node.wire.messages import Message
from node.wire.requests import Found
from node.wire.rows import DIGEST_BYTES

PROTOCOL: Final = 1
"""How frames of messages and of the opening are made, their first byte. What is in them has versions of its own
(`wire.versions`): this one changes only if nobody else could read a frame at all."""

_VERSION: Final = bytes([PROTOCOL])
_MESSAGE_BYTES_MAX: Final = FRAME_BYTES_MAX - 16
_encoder: Final = msgspec.msgpack.Encoder()
_decoder: Final = msgspec.msgpack.Decoder(list[Message])
_trimmer: Final = Trimmer(list[Message])


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
        batch = _decoded(payload[1:])
        for message in batch:
            checker = _CHECKERS.get(type(message))
            if checker is not None:
                checker(message)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RemoteWireError("malformed message", str(error)) from error
    return batch


def _decoded(body: bytes | memoryview) -> list[Message]:
    """The messages, less what a later release says that this one does not know."""
    try:
        return _decoder.decode(body)
    except msgspec.ValidationError:
        return _decoder.decode(_trimmer.trim(body))


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


def _check_ballot(ballot: Ballot | None) -> None:
    if ballot is not None:
        check_number("ballot", ballot.number, 0, BALLOT_NUMBER_MAX)
        check_label("node of a ballot", ballot.node)


def _check_prepare(message: change_messages.Prepare) -> None:
    check_label("cluster id", message.cluster_id, least=1)
    check_number("ring epoch", message.epoch, 1, 2**63)
    _check_ballot(message.ballot)


def _check_accept(message: change_messages.Accept) -> None:
    check_label("cluster id", message.cluster_id, least=1)
    _check_ballot(message.ballot)
    check_ring(message.ring)


def _check_voted(message: change_messages.Voted) -> None:
    _check_ballot(message.promised)
    _check_ballot(message.accepted)
    check_length("reason", message.refused, WORDS_BYTES_MAX)
    if (message.ring is None) != (message.accepted is None):
        raise ValueError("a ring goes with the ballot in which it was accepted")
    if message.ring is not None:
        check_ring(message.ring)


def _check_hold(message: change_messages.Hold) -> None:
    _check_digests(message.rows)


def _check_held(message: change_messages.Held) -> None:
    check_length("keys", message.lacking, REAP_KEYS)
    check_length("reason", message.refused, WORDS_BYTES_MAX)


def _check_pull(message: change_messages.Pull) -> None:
    check_number("partition", message.partition, 0, PARTITIONS_MAX - 1)
    if len(message.after) not in (0, 8):
        raise ValueError(f"position of {len(message.after)} bytes")


def _check_pulled(message: change_messages.Pulled) -> None:
    check_length("page", message.items, SCAN_LIMIT_MAX)
    check_number("reap round", message.round, 0, 2**63 - 1)
    check_length("reason", message.refused, WORDS_BYTES_MAX)
    for key, _ in message.items:
        _key(key)


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
        check_length("hints", message.hint_for, REPLICAS_MAX)
        for node in message.hint_for:
            check_node_id(node)


def _check_outdated(message: messages.Outdated) -> None:
    _key(message.key)
    check_length("hints", message.hint_for, REPLICAS_MAX)
    for node in message.hint_for:
        check_node_id(node)
    check_number("reap round", message.round, 0, 2**63 - 1)


def _check_confirm(message: messages.Confirm) -> None:
    check_number("partition", message.partition, 0, PARTITIONS_MAX - 1)
    check_number("reap round", message.round, 1, 2**63 - 1)
    _check_digests(message.rows)
    check_number("bytes of lives", len(message.lives), LIVES_BYTES, LIVES_BYTES)


def _check_confirmed(message: messages.Confirmed) -> None:
    check_number("reap round", message.round, 0, 2**63 - 1)
    check_length("keys", message.differ, REAP_KEYS)
    check_length("reason", message.refused, WORDS_BYTES_MAX)


def _check_bury(message: messages.Bury) -> None:
    check_number("partition", message.partition, 0, PARTITIONS_MAX - 1)
    check_number("reap round", message.round, 1, 2**63 - 1)
    _check_digests(message.rows)


def _check_buried(message: messages.Buried) -> None:
    check_length("reason", message.refused, WORDS_BYTES_MAX)


def _check_ask_rounds(message: messages.AskRounds) -> None:
    check_number("dot epoch", message.life, 0, 2**64 - 1)


def _check_rounds_told(message: messages.RoundsTold) -> None:
    check_length("rounds", message.rounds, PARTITIONS_MAX)
    check_length("reason", message.refused, WORDS_BYTES_MAX)
    for partition, number in message.rounds:
        check_number("partition", partition, 0, PARTITIONS_MAX - 1)
        check_number("reap round", number, 1, 2**63 - 1)


def _check_digests(rows: tuple[tuple[bytes, bytes], ...]) -> None:
    check_length("keys", rows, REAP_KEYS)
    for key, digest in rows:
        _key(key)
        check_number("bytes of digest", len(digest), DIGEST_BYTES, DIGEST_BYTES)


def _check_forward(message: messages.Forward) -> None:
    _key(message.key)
    check_length("value", message.value or b"", VALUE_BYTES_CEILING)
    check_length("clock", message.context, CLOCK_ENTRIES_MAX)
    check_clock(message.context)
    check_number("hops", message.hops, 0, 255)
    check_number("W", message.w, 1, REPLICAS_MAX)
    check_number("time left", message.left_ms, 1, TIMEOUT_MS_MAX)
    check_length("writer", message.writer.encode(), WRITER_BYTES_MAX)


def _check_forwarded(message: messages.Forwarded) -> None:
    if type(message.result) is Found:
        check(message.result.row)


def _check_ask(message: messages.Ask) -> None:
    check_length("question", message.what, NAME_BYTES_MAX)
    check_length("key", message.key, KEY_BYTES_MAX)


def _check_scan(message: messages.Scan) -> None:
    check_number("partition", message.partition, 0, PARTITIONS_MAX - 1)
    check_length("cursor", message.after, 16 + KEY_BYTES_MAX)
    check_number("limit", message.limit, 1, SCAN_LIMIT_MAX)
    check_number("time left", message.left_ms, 0, TIMEOUT_MS_MAX)


def _check_scanned(message: messages.Scanned) -> None:
    check_length("page", message.items, SCAN_LIMIT_MAX)
    for key, _ in message.items:
        _key(key)


def _check_ask_trees(message: messages.AskTrees) -> None:
    check_number("bits", message.bits, 0, TREE_LEAF_BITS)
    check_number("depth", message.deeper, 0, min(TREE_FANOUT_BITS, TREE_LEAF_BITS - message.bits))
    check_length("spans", message.prefixes, min(TREE_SPANS_MAX, TREE_DIGESTS_MAX >> message.deeper))
    for prefix in message.prefixes:
        check_number("prefix", prefix, 0, (1 << message.bits) - 1)


def _check_trees_told(message: messages.TreesTold) -> None:
    check_length("spans", message.digests, TREE_SPANS_MAX)
    for digests in message.digests:
        check_length("digests", digests, TREE_DIGEST_BYTES << TREE_FANOUT_BITS)
        if len(digests) % TREE_DIGEST_BYTES:
            raise ValueError(f"digests of {len(digests)} bytes")


def _check_ask_leaf(message: messages.AskLeaf) -> None:
    check_number("leaf", message.leaf, 0, (1 << TREE_LEAF_BITS) - 1)
    if len(message.after) not in (0, 8):
        raise ValueError(f"position of {len(message.after)} bytes")


def _check_leaf_told(message: messages.LeafTold) -> None:
    check_length("page", message.items, SCAN_LIMIT_MAX)
    for key, digest, size in message.items:
        _key(key)
        check_number("bytes of digest", len(digest), TREE_DIGEST_BYTES, TREE_DIGEST_BYTES)
        check_number("bytes of row", size, 0, FRAME_BYTES_MAX)


def _check_join(message: messages.Join) -> None:
    check_member(message.member)


def _check_wait(message: messages.Wait) -> None:
    check_length("reason", message.why, WORDS_BYTES_MAX)
    check_length("candidates", message.candidates, CANDIDATES_MAX)
    for address in message.candidates:
        check_label("address", address, least=1)


def _check_gossip(message: messages.Gossip) -> None:
    check_length("members", message.members, MEMBERS_MAX)
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
    change_messages.Prepare: _check_prepare,
    change_messages.Accept: _check_accept,
    change_messages.Voted: _check_voted,
    change_messages.Hold: _check_hold,
    change_messages.Held: _check_held,
    change_messages.Pull: _check_pull,
    change_messages.Pulled: _check_pulled,
}

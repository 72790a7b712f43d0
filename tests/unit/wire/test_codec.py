"""Peer messages: round trip, cutting of batches, and nothing but RemoteWireError for what is malformed."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.cluster import Ballot, Before, Change, Member, Quorums, RingState, Seat, Secret
from node.core.ids import NodeId
from node.core.limits import (
    CANDIDATES_MAX,
    CLOCK_ENTRIES_MAX,
    EPOCHS_MAX,
    FRAME_BATCH_BYTES,
    KEY_BYTES_MAX,
    MEMBERS_MAX,
    NAME_BYTES_MAX,
    PARTITIONS_MAX,
    REAP_KEYS,
    SCAN_LIMIT_MAX,
    TIMEOUT_MS_MAX,
    TREE_LEAF_BITS,
    TREE_SPANS_MAX,
    VALUE_BYTES_CEILING,
    WORDS_BYTES_MAX,
    WRITER_BYTES_MAX,
)
from node.core.limits_change import BALLOT_NUMBER_MAX, GONE_MAX
from node.core.row import Dot, Row, Version
from node.core.vote import NEVER
from node.wire import codec
from node.wire.change_messages import Accept, Held, Hold, Prepare, Pull, Pulled, Voted
from node.wire.codec import PROTOCOL, decode_batch, encode_batch
from node.wire.errors import LocalWireError, RemoteWireError
from node.wire.messages import (
    Answer,
    Ask,
    AskLeaf,
    AskRounds,
    AskTrees,
    Buried,
    Bury,
    Confirm,
    Confirmed,
    Fetch,
    Fetched,
    Forward,
    Forwarded,
    Gossip,
    Join,
    LeafTold,
    Message,
    Outdated,
    Ping,
    Pong,
    Replicate,
    Replicated,
    RoundsTold,
    Scan,
    Scanned,
    Seal,
    TreesTold,
    Wait,
)
from node.wire.requests import Ack, Document, Failed, Found, KeyPage, Written

ID, OTHER = NodeId("0123456789abcdef" * 2), NodeId("f" * 32)
MEMBER = Member(ID, "n1", "127.0.0.1", 7700, 7800, 7900, "", 1, "s", (5, 2**64 - 1), 3, 2, "r", 9, 4)
RING = RingState(
    "id", "dyn", 4, True, ID, Quorums(3, 2, 2), (Seat(ID, "z", 1), Seat(OTHER, "", 2)), (0, 1, 0, 1),
    (Secret(0, bytes(32)),),
)  # fmt: skip
MOVING = RING._replace(
    epoch=5,
    change=Change("replace", ID, OTHER, "n2"),
    before=Before((Seat(ID, "", 1),), (0,) * 4),
    gone=(ID, OTHER),
)
BALLOT = Ballot(BALLOT_NUMBER_MAX, ID)
DOT = Dot(7, 1, 2)
ROW = Row((DOT,), (Version(DOT, (), b"v", 1, "w"),))
FORWARD = Forward(1, 2, 1, b"k", b"v", (DOT,), True, 2, False, 3000, "w")

EVERY: list[Message] = [
    Replicate(1, 2, b"k", b"row"), Replicated(1, True, None, ""), Replicated(1, False, b"row", "EPOCH"),
    Fetch(2**63, 2, bytes(range(256))), Fetched(1, None, ""), Fetched(1, b"", "refused"),
    FORWARD, msgspec.structs.replace(FORWARD, value=None, context=()),
    Forwarded(1, "", Written(b"c", (Ack("n1", True), Ack("n2", False, "n3")), 2, True, 1)),
    Forwarded(1, "", Found(ROW)), Forwarded(1, "", Document(b"{}")), Forwarded(1, "", KeyPage(b"0", (b"k",))),
    Forwarded(1, "", Failed("UNKNOWN", "why")), Forwarded(1, "EPOCH", None),
    Ask(1, "status", b""), Answer(1, b"{}"), Scan(1, 2, 255, b"", 100), Scanned(1, ((b"k", b"r"),), True, ""),
    AskTrees(1, 2, 8, 5, (0, 255)), TreesTold(1, (b"", bytes(512)), ""), TreesTold(1, (), "busy"),
    AskLeaf(1, 2, 2**18 - 1, b""), LeafTold(1, ((b"k", bytes(16), 0),), True, ""),
    Join(MEMBER), Wait(False, "not yet", ("127.0.0.1:7800",)), Gossip("c1", 4, True, (MEMBER,), RING, False),
    Gossip("", 0, False, (), None, True), Seal(3), Ping(1), Pong(1),
    Replicate(1, 2, b"k", b"row", (ID,), 9, 250), Fetch(1, 2, b"k", 9, 250, True), Scan(1, 2, 255, b"", 100, 250),
    Fetched(1, b"row", "", 9),
    Outdated(1, b"k", (ID,), 9), Confirm(1, 2, 255, 9, ((b"k", bytes(16)),), bytes(16)), AskRounds(1, 2, 2**64 - 1),
    RoundsTold(1, True, ((3, 1), (4, 2**63 - 1)), ""), Confirmed(1, 9, (b"k",), ""),
    Bury(1, 255, 9, ((b"k", bytes(16)),)), Buried(1, "disk full"),
    Prepare(1, "c1", 5, BALLOT), Accept(1, "c1", Ballot(1, OTHER), MOVING), Voted(1, NEVER, None, None, "no voter"),
    Voted(1, BALLOT, Ballot(1, OTHER), RING._replace(epoch=5, change=Change("join", OTHER)), ""),
    Hold(1, 2, ((b"k", bytes(16)), (b"l", bytes(range(16))))), Held(1, (b"k",), ""), Held(1, (), "busy"),
    Pull(1, 2, 255, bytes(8)), Pull(1, 2, 0, b""), Pulled(1, ((b"k", b"row"), (b"l", b"")), True, 9, ""),
    Pulled(1, (), False, 0, "busy"),
]  # fmt: skip


def payload(*batch: Message) -> bytes:
    """The payload of the one frame these messages make."""
    (frame,) = encode_batch(batch)
    assert int.from_bytes(frame[:4], "big") == len(frame) - 4 and frame[4] == PROTOCOL
    return frame[4:]


def refused(message: Message, words: str) -> None:
    """Another node's `message` is malformed, and nothing but RemoteWireError says so."""
    with pytest.raises(RemoteWireError, match=words):
        decode_batch(payload(message))


def test_every_message_comes_back_equal() -> None:
    assert {type(message) for message in EVERY} == set(Message.__args__)
    assert decode_batch(payload(*EVERY)) == EVERY
    assert decode_batch(memoryview(payload(*EVERY))) == EVERY
    assert decode_batch(payload()) == []


def test_a_ring_and_a_member_of_the_previous_release_are_known() -> None:
    """They were shorter: a ring ended with its secrets, and a member with how often its rows had changed."""
    old_member, old_ring = [*MEMBER][:14], [*RING][:9]
    gossip = msgspec.msgpack.encode([[13, "c1", 4, True, [old_member], old_ring, False]])
    assert gossip.count(b"\x9e\xd9\x20" + ID.encode()) == 1 and gossip.count(b"\x99\xa2id\xa3dyn") == 1
    known = Gossip("c1", 4, True, (MEMBER._replace(holds=0),), RING, False)
    assert decode_batch(bytes([PROTOCOL]) + gossip) == [known]
    assert (RING.change, RING.before, RING.gone) == (None, None, ())


def test_a_batch_is_cut_at_about_its_size_and_keeps_its_order() -> None:
    batch = [Replicate(number, 1, b"k", bytes(FRAME_BATCH_BYTES // 5)) for number in range(23)]
    frames = encode_batch(batch)
    assert len(frames) == 6 and all(len(frame) <= FRAME_BATCH_BYTES + 100 for frame in frames)
    assert [message for frame in frames for message in decode_batch(frame[4:])] == batch


def test_a_message_is_never_cut() -> None:
    big = Replicate(1, 1, b"k", bytes(3 * FRAME_BATCH_BYTES))
    batch = [Ping(1), big, Ping(2), big]
    frames = encode_batch(batch)
    assert [decode_batch(frame[4:]) for frame in frames] == [[Ping(1)], [big], [Ping(2)], [big]]
    assert decode_batch(payload(big)) == [big]


def test_a_message_over_the_limit_is_ours_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("node.wire.framing.FRAME_BYTES_MAX", 2 * FRAME_BATCH_BYTES)
    for batch in [Replicate(1, 1, b"k", bytes(2 * FRAME_BATCH_BYTES))], [Ping(2**64)], [Seal(-(2**63) - 1)]:
        with pytest.raises(LocalWireError):
            encode_batch(batch)


LONG = b"k" * (KEY_BYTES_MAX + 1)
NAME = "n" * (NAME_BYTES_MAX + 1)


def forward(**changes: Any) -> Forward:
    return msgspec.structs.replace(FORWARD, **changes)


def member(**changes: Any) -> Join:
    return Join(MEMBER._replace(**changes))


def ring(**changes: Any) -> Gossip:
    return Gossip("c1", 4, True, (), RING._replace(**changes), False)


def before(**changes: Any) -> Accept:
    return Accept(1, "c1", BALLOT, MOVING._replace(before=Before(RING.seats, RING.owners)._replace(**changes)))


TOO_HIGH, LOW, NO_NODE = Ballot(BALLOT_NUMBER_MAX + 1, ID), Ballot(-1, ID), Ballot(1, NodeId("a\n"))
NO_RING = RING._replace(owners=(0, 0, 0))


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (Replicate(1, 1, b"", b""), "key of 0"),
        (Replicate(1, 1, LONG, b""), "key of 4097"),
        (Fetch(1, 1, b""), "key of 0"),
        (Fetch(1, 1, LONG), "key of 4097"),
        (forward(key=b""), "key of 0"),
        (forward(value=bytes(VALUE_BYTES_CEILING + 1)), "value of length"),
        (forward(writer="é" * (WRITER_BYTES_MAX // 2 + 1)), "writer of length"),
        (forward(left_ms=TIMEOUT_MS_MAX + 1), "time left"),
        (forward(left_ms=0), "time left"),
        (forward(w=0), "W of 0"),
        (forward(hops=256), "hops"),
        (forward(context=tuple(Dot(n, 1, 1) for n in range(CLOCK_ENTRIES_MAX + 1))), "clock of length"),
        (forward(context=(DOT, DOT)), "not sorted"),
        (forward(context=(Dot(2, 1, 1), Dot(1, 1, 1))), "not sorted"),
        (forward(context=(Dot(-1, 1, 1),)), "out of range"),
        (forward(context=(Dot(1, 0, 1),)), "out of range"),
        (forward(context=(Dot(1, 1, 0),)), "nothing was seen"),
        (Forwarded(1, "", Found(Row((DOT,), ()))), "no version"),
        (Replicate(1, 1, b"k", b"", (), -1), "reap round"),
        (Replicate(1, 1, b"k", b"", (), 0, TIMEOUT_MS_MAX + 1), "time left"),
        (Fetch(1, 1, b"k", 0, -1), "time left"),
        (Scan(1, 1, 0, b"", 10, TIMEOUT_MS_MAX + 1), "time left"),
        (Fetch(1, 1, b"k", 2**63), "reap round"),
        (Outdated(1, b"", (), 1), "key of 0"),
        (Outdated(1, b"k", (NodeId("x"),), 1), "node id"),
        (Confirm(1, 1, PARTITIONS_MAX, 1, (), bytes(16)), "partition"),
        (Confirm(1, 1, 0, 0, (), bytes(16)), "reap round"),
        (Confirm(1, 1, 0, 1, ((b"k", bytes(15)),), bytes(16)), "digest"),
        (Confirm(1, 1, 0, 1, (), bytes(15)), "lives"),
        (AskRounds(1, 1, -1), "dot epoch"),
        (RoundsTold(1, True, ((PARTITIONS_MAX, 1),), ""), "partition"),
        (RoundsTold(1, True, ((0, 0),), ""), "reap round"),
        (RoundsTold(1, True, (), "x" * (WORDS_BYTES_MAX + 1)), "reason"),
        (Confirmed(1, 1, (b"k",) * (REAP_KEYS + 1), ""), "keys of length"),
        (Confirmed(1, 1, (), "w" * (WORDS_BYTES_MAX + 1)), "reason"),
        (Buried(1, "w" * (WORDS_BYTES_MAX + 1)), "reason"),
        (Bury(1, PARTITIONS_MAX, 1, ()), "partition"),
        (Bury(1, 0, 0, ()), "reap round"),
        (Bury(1, 0, 1, ((LONG, bytes(16)),)), "key of 4097"),
        (Bury(1, 0, 1, ((b"k", bytes(16)),) * (REAP_KEYS + 1)), "keys of length"),
        (Ask(1, NAME, b""), "question"),
        (Ask(1, "", LONG), "key of length"),
        (Scan(1, 1, PARTITIONS_MAX, b"", 1), "partition"),
        (Scan(1, 1, 0, bytes(16 + KEY_BYTES_MAX + 1), 1), "cursor"),
        (Scan(1, 1, 0, b"", SCAN_LIMIT_MAX + 1), "limit"),
        (Scan(1, 1, 0, b"", 0), "limit"),
        (Scanned(1, ((b"k", b""),) * (SCAN_LIMIT_MAX + 1), False, ""), "page"),
        (Scanned(1, ((LONG, b""),), False, ""), "key of 4097"),
        (AskTrees(1, 1, TREE_LEAF_BITS + 1, 0, ()), "bits"),
        (AskTrees(1, 1, 8, 6, ()), "depth"),
        (AskTrees(1, 1, TREE_LEAF_BITS, 1, ()), "depth"),
        (AskTrees(1, 1, 8, 0, (0,) * (TREE_SPANS_MAX + 1)), "spans"),
        (AskTrees(1, 1, 8, 5, (0,) * 33), "spans"),
        (AskTrees(1, 1, 8, 0, (256,)), "prefix"),
        (AskTrees(1, 1, 8, 0, (-1,)), "prefix"),
        (TreesTold(1, (b"",) * (TREE_SPANS_MAX + 1), ""), "spans"),
        (TreesTold(1, (bytes(513),), ""), "digests"),
        (TreesTold(1, (bytes(17),), ""), "digests"),
        (AskLeaf(1, 1, 1 << TREE_LEAF_BITS, b""), "leaf"),
        (AskLeaf(1, 1, 0, b"1234567"), "position"),
        (LeafTold(1, ((b"k", bytes(16), 1),) * (SCAN_LIMIT_MAX + 1), False, ""), "page"),
        (LeafTold(1, ((LONG, bytes(16), 1),), False, ""), "key of 4097"),
        (LeafTold(1, ((b"k", bytes(15), 1),), False, ""), "digest"),
        (LeafTold(1, ((b"k", bytes(16), -1),), False, ""), "bytes of row"),
        (Wait(True, "w" * (WORDS_BYTES_MAX + 1), ()), "reason"),
        (Wait(True, "", ("a:1",) * (CANDIDATES_MAX + 1)), "candidates"),
        (Wait(True, "", ("a\n:1",)), "address"),
        (member(id=NodeId("0" * 31)), "node id"),
        (member(id=NodeId("A" * 32)), "node id"),
        (member(name=""), "node name"),
        (member(name=NAME), "node name"),
        (member(name="\x1b[31m"), "node name"),
        (member(host="a\nb"), "host"),
        (member(zone=NAME), "zone"),
        (member(port=65536), "port"),
        (member(peer_port=-1), "peer port"),
        (member(weight=-1), "weight"),
        (member(incarnation=-1), "incarnation"),
        (member(starts=-1), "starts"),
        (member(run=NAME), "run"),
        (member(changes=-1), "changes"),
        (member(epochs=(0,) * (EPOCHS_MAX + 1)), "epochs"),
        (member(epochs=(-1,)), "dot epoch"),
        (Gossip("c1", 1, True, (MEMBER,) * (MEMBERS_MAX + 1), None, False), "members"),
        (ring(cluster_id=""), "cluster id"),
        (ring(epoch=-1), "ring epoch"),
        (ring(quorums=Quorums(0, 1, 1)), "N of 0"),
        (ring(quorums=Quorums(3, 4, 1)), "R of 4"),
        (ring(quorums=Quorums(3, 1, 0)), "W of 0"),
        (ring(seats=()), "number of seats"),
        (ring(seats=(Seat(ID, "", 1),) * (MEMBERS_MAX + 1)), "number of seats"),
        (ring(owners=()), "0 partitions"),
        (ring(owners=(0, 0, 0)), "3 partitions"),
        (ring(owners=(0,) * (2 * PARTITIONS_MAX)), "partitions"),
        (ring(owners=(0, 2)), "no seat"),
        (ring(owners=(-1, 0)), "no seat"),
        (ring(secrets=()), "secrets"),
        (ring(secrets=(Secret(256, bytes(32)),)), "key id"),
        (ring(secrets=(Secret(0, b""),)), "secret"),
        (ring(seats=(Seat(ID, "", 1), Seat(ID, "z", 1))), "two seats"),
        (ring(change=Change("", ID)), "kind of change"),
        (ring(change=Change("j\n", ID)), "kind of change"),
        (ring(change=Change("join", NodeId("x"))), "node id"),
        (ring(change=Change("replace", ID, NodeId("x"))), "node id"),
        (ring(change=Change("join", ID, words=NAME)), "words of a change"),
        (ring(gone=(ID, NodeId("0" * 31))), "node id"),
        (ring(gone=(ID,) * (GONE_MAX + 1)), "gone of length"),
        (before(owners=(0, 1) * 4), "never changes"),
        (before(owners=(0, 1)), "never changes"),
        (before(owners=(0, 1, 0)), "3 partitions"),
        (before(owners=(0, 1, 0, 2)), "no seat"),
        (before(seats=()), "number of seats"),
        (before(seats=(Seat(ID, "", 1),) * 2), "two seats"),
        (before(seats=(Seat(NodeId("x"), "", 1), RING.seats[1])), "node id"),
        (member(holds=-1), "moving epoch"),
        (member(holds=2**63 + 1), "moving epoch"),
        (Prepare(1, "c1", 5, TOO_HIGH), f"ballot of {TOO_HIGH.number}"),
        (Prepare(1, "c1", 5, LOW), "ballot of -1"),
        (Prepare(1, "c1", 5, NO_NODE), "node of a ballot"),
        (Prepare(1, "c1", 0, BALLOT), "ring epoch"),
        (Prepare(1, "", 5, BALLOT), "cluster id"),
        (Accept(1, "c1", TOO_HIGH, RING), "ballot of"),
        (Accept(1, "c1", NO_NODE, RING), "node of a ballot"),
        (Accept(1, NAME, BALLOT, RING), "cluster id"),
        (Accept(1, "c1", BALLOT, NO_RING), "3 partitions"),
        (Voted(1, TOO_HIGH, None, None, ""), "ballot of"),
        (Voted(1, BALLOT, TOO_HIGH, RING, ""), "ballot of"),
        (Voted(1, BALLOT, NO_NODE, RING, ""), "node of a ballot"),
        (Voted(1, BALLOT, BALLOT, NO_RING, ""), "3 partitions"),
        (Voted(1, NEVER, None, None, "w" * (WORDS_BYTES_MAX + 1)), "reason"),
        (Hold(1, 1, ((b"k", bytes(16)),) * (REAP_KEYS + 1)), "keys of length"),
        (Hold(1, 1, ((b"k", bytes(16)), (b"l", bytes(15)))), "bytes of digest of 15"),
        (Hold(1, 1, ((b"k", bytes(17)),)), "bytes of digest of 17"),
        (Hold(1, 1, ((b"", bytes(16)),)), "key of 0"),
        (Held(1, (b"k",) * (REAP_KEYS + 1), ""), "keys of length"),
        (Held(1, (), "w" * (WORDS_BYTES_MAX + 1)), "reason"),
        (Pull(1, 1, PARTITIONS_MAX, b""), "partition"),
        (Pull(1, 1, 0, b"1234567"), "position"),
        (Pulled(1, ((b"k", b""),) * (SCAN_LIMIT_MAX + 1), True, 1, ""), "page"),
        (Pulled(1, ((LONG, b""),), True, 1, ""), "key of 4097"),
        (Pulled(1, (), False, -1, ""), "reap round"),
        (Pulled(1, (), False, 0, "w" * (WORDS_BYTES_MAX + 1)), "reason"),
    ],
)
def test_what_is_out_of_bounds_is_malformed(message: Message, words: str) -> None:
    refused(message, words)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\x01", b"\x00\x90", b"\x02\x90", b"\x01\xc0", b"\x01\x91\xc0", b"\x01\x91\x91\x00",
        b"\x01\x91\x92\x63\x01",
        b"\x01\x90\x90", b"\x01\x91\x92\x0f\xa1x", b"\x01\x91\x92\x0f", b"\x01\xdd\xff\xff\xff\xff",
        b"\x01" + b"\x91" * 5000,
        b"\x01\x91\x94\x01\x01\x01\xa1k", b"\x01\x91\x93\x07\x01\xa1\xff", b"\x01\x91\x92\x0f\xcf",
    ],
)  # fmt: skip
def test_what_is_no_batch_is_malformed(data: bytes) -> None:
    with pytest.raises(RemoteWireError):
        decode_batch(data)


def decodes_or_refuses(data: bytes) -> None:
    """Whatever the bytes: messages that are within bounds, or RemoteWireError."""
    try:
        batch = decode_batch(data)
    except RemoteWireError:
        return
    assert decode_batch(payload(*batch)) == batch


def test_mutated_batches_raise_nothing_else() -> None:
    whole, random = payload(*EVERY), Random(1)
    for at in range(len(whole)):
        decodes_or_refuses(whole[:at])
        for byte in 0x00, 0x7F, 0x80, 0x9F, 0xC0, 0xCF, 0xDD, 0xFF, whole[at] ^ 1:
            decodes_or_refuses(whole[:at] + bytes([byte]) + whole[at + 1 :])
    for _ in range(3000):
        data = bytearray(whole)
        for _ in range(random.randrange(1, 6)):
            data[random.randrange(len(data))] = random.randrange(256)
        decodes_or_refuses(bytes(data))


@given(st.binary(max_size=200))
def test_noise_raises_nothing_else(noise: bytes) -> None:
    decodes_or_refuses(noise)
    decodes_or_refuses(bytes([PROTOCOL]) + noise)


def test_each_bounded_message_has_its_check() -> None:
    """A message with bytes or text from outside is looked at, or its bytes are looked at where they are used."""
    unchecked = {type(message) for message in EVERY} - set(codec._CHECKERS)
    assert unchecked == {Replicated, Fetched, Answer, Seal, Ping, Pong}

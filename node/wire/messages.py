"""Everything one node may say to another, grouped by conversation.

A frame carries many of them (`wire.codec`). `rid` is the asker's number for the conversation; the answer repeats it.
`epoch` is the ring epoch the sender decided under: a receiver with another one refuses, and the two compare rings.

What a peer is to do for a waiting client carries how long that client still waits: `left_ms`, a duration, because the
clocks of two nodes are never compared. The receiver counts from when it reads the message, and drops the work once the
time has passed; the sender takes off what the message waited in its own queue. What the network took is not known to
either, so a receiver may work in vain for that long, and never drops what somebody still waits for. 0: no client waits
(hints, repair), and nothing is dropped. Who is dropped gets no answer: its coordinator has given up before, so that is
a lost message, for which there are hints and anti-entropy.
"""

from __future__ import annotations

import msgspec

from node.core.cluster import Member, RingState
from node.core.ids import Instant, NodeId
from node.core.row import Clock
from node.wire.change_messages import Accept, Held, Hold, Prepare, Pull, Pulled, Voted
from node.wire.requests import Result

# Replicas: one row of one key --------------------------------------------------------------------------


class Replicate(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=1):
    """Merge this row into yours and say so once it is durable.

    `hint_for`: you stand in for these owners, who lack it; keep a hint for each and hand it over when they answer.
    `round`: the reap round of the key's partition under which the row was read; see `Outdated`.
    """

    rid: int
    epoch: int
    key: bytes
    row: bytes
    hint_for: tuple[NodeId, ...] = ()
    round: int = 0
    left_ms: int = 0


class Replicated(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=2):
    """Done: durable here. `row` is what we hold now if that is more than what was sent, else None.

    `refused`, if not empty, is a code of `engine.events.Refusal`, and nothing was stored. `round` is that of `row`.
    """

    rid: int
    durable: bool
    row: bytes | None
    refused: str
    round: int = 0


class Fetch(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=3):
    """What do you hold for this key? Adopt this reap round first, if it is later than yours.

    `repair`: say it also while you are being rebuilt; that you hold nothing is then taken for no evidence.
    """

    rid: int
    epoch: int
    key: bytes
    round: int = 0
    left_ms: int = 0
    repair: bool = False


REBUILDING = "being rebuilt"
"""Why a node cannot tell, nor coordinate: its store may lack what its seat acknowledged. What it is given it keeps."""

BEHIND = "does not know yet which deletions it missed"
"""Why a node takes nothing: its store was put back, or is new, and has not learned the reap rounds yet."""

LEAVING = "leaving, and has handed over what it had"
"""Why a node coordinates no write: it may be gone before the others have it, and then no row of it is taken."""

GONE = "no member any more"
"""Why a node takes nothing from another: it left, or was removed."""

BUSY = "busy"
"""Why a node will not coordinate: it has as many requests as it can do in time."""

UNREADABLE = "row unreadable"
"""Why a node cannot tell its row: it failed its checksum. The merged row of the others heals it."""


class Fetched(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=4):
    """This row, or None for nothing. `refused`: we cannot say (another epoch, unreadable row); it is no evidence.

    `round`: the reap round of the key's partition under which the row was read.
    """

    rid: int
    row: bytes | None
    refused: str
    round: int = 0


# Forwarding: a request whose receiver is no owner ------------------------------------------------------


class Forward(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=5):
    """Coordinate this write for me within `left_ms`. Fields as in `requests.Put`, the context opened."""

    rid: int
    epoch: int
    hops: int
    key: bytes
    value: bytes | None
    context: Clock
    cover: bool
    w: int
    strict: bool
    left_ms: int
    writer: str


class Forwarded(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=6):
    """How it ended. `refused`, if not empty: nothing was committed, somebody else may be asked."""

    rid: int
    refused: str
    result: Result | None


# Questions: bounded, read-only, answered from what the node knows --------------------------------------


class Ask(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=7):
    """Tell me about yourself: `what` names the question (engine.ask lists them)."""

    rid: int
    what: str
    key: bytes


class Answer(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=8):
    """The answer, as JSON bytes."""

    rid: int
    json: bytes


class Sealed(msgspec.Struct):
    """What the JSON of an answer says to whoever asked whether the ring is sealed."""

    sealed: bool


class Kept(msgspec.Struct):
    """… and to whoever asked for which owners a hint is kept for a key: their ids."""

    owners: list[str]


class Scan(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=9):
    """Keys of one partition beyond the position `after` (b"" begins), about `limit`, with their rows without values."""

    rid: int
    epoch: int
    partition: int
    after: bytes
    limit: int
    left_ms: int = 0


class Scanned(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=10):
    """(key, row without values) in order of position, then key; `more` if the partition has further ones."""

    rid: int
    items: tuple[tuple[bytes, bytes], ...]
    more: bool
    refused: str


# Anti-entropy: trees of the hash space, from the root to the keys that differ ---------------------------


class AskTrees(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=21):
    """What do your trees say of these spans of the hash space (`core.merkle`), `deeper` levels below each?

    `whole`: a store that may have forgotten something shall refuse; what it lacks, nobody could take in from it.
    """

    rid: int
    epoch: int
    bits: int
    deeper: int
    prefixes: tuple[int, ...]
    whole: bool = False


class TreesTold(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=22):
    """For every prefix its 2^deeper digests of 16 bytes, put together; b"": not known yet, ask again later."""

    rid: int
    digests: tuple[bytes, ...]
    refused: str


class AskLeaf(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=23):
    """Which rows do you hold in this leaf, beyond the position `after` (b"" begins)?"""

    rid: int
    epoch: int
    leaf: int
    after: bytes


class LeafTold(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=24):
    """(key, digest of its row, bytes of its row) in order of position, then key; `more` if that is not all."""

    rid: int
    items: tuple[tuple[bytes, bytes, int], ...]
    more: bool
    refused: str


# Membership --------------------------------------------------------------------------------------------


class Join(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=11):
    """An empty node asks for a seat, repeatedly, until gossip with the ring or a `Wait` answers.

    `old_seat`: it was told to take the seat of a member whose data is lost (`--seat`), and wants no new one.
    """

    member: Member
    old_seat: bool = False


class Wait(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=12):
    """No seat yet, and why, in words for the joiner's log; `candidates` are host:port of nodes to ask instead.

    `seated` tells whether the sender has a seat itself, so that the joiner does not found a second cluster beside it.
    """

    seated: bool
    why: str
    candidates: tuple[str, ...]


class Gossip(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=13):
    """Push-pull of what the sender knows (paper, section 4.8.1). `ring` only when the receiver may not have it."""

    cluster_id: str
    epoch: int
    sealed: bool
    members: tuple[Member, ...]
    ring: RingState | None
    reply: bool


class Seal(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=14):
    """To the decider: a client wants to write; freeze the placement and tell me the sealed ring (as Gossip)."""

    epoch: int


class Ping(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=15):
    """Are you there?"""

    rid: int


class Pong(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=16):
    """Yes."""

    rid: int


# Reaping: tombstones that nobody needs any more (engine.reaping) -----------------------------------------


class Outdated(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=31):
    """Your `Replicate` came from a reap round before `round`: nothing was stored. Adopt it, read your row again, and
    say once more what you hold; nothing, if you hold nothing any more. The other fields are those of the message."""

    rid: int
    key: bytes
    hint_for: tuple[NodeId, ...]
    round: int


class Confirm(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=32):
    """Adopt this reap round of the partition; do you hold, of these keys, nothing but the row of this digest?

    `lives`: whose word the round is made of (`engine.cluster.Cluster.lives`). Who knows other lives says nothing.
    """

    rid: int
    epoch: int
    partition: int
    round: int
    rows: tuple[tuple[bytes, bytes], ...]
    lives: bytes


class Confirmed(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=33):
    """Adopted, and yes, but for the keys in `differ`. `refused`: no word about any; `round` is then where we are."""

    rid: int
    round: int
    differ: tuple[bytes, ...]
    refused: str


class Bury(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=34):
    """Every member confirmed in this round: drop these rows, each if it is exactly the one of this digest."""

    rid: int
    partition: int
    round: int
    rows: tuple[tuple[bytes, bytes], ...]


class Buried(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=35):
    """Done, durably: none of them is here any more (or it is another row). `refused`: our disk takes no changes, or it
    knows nothing of that round, and so of what it confirmed."""

    rid: int
    refused: str


# Catching up: a store that may have forgotten (engine.catchup) ---------------------------------------------


class AskRounds(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=36):
    """In which reap rounds are you? My store may have forgotten: from here on its word is of `life`, its dot epoch;
    whoever answers has noted that durably."""

    rid: int
    epoch: int
    life: int


class RoundsTold(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=37):
    """(partition, reap round), but for those in round 0. `whole`: this store has forgotten nothing itself.

    `refused`: no word yet; the sender's life is not known here, or its ring is another one.
    """

    rid: int
    whole: bool
    rounds: tuple[tuple[int, int], ...]
    refused: str


Message = (
    Replicate | Replicated | Fetch | Fetched | Forward | Forwarded | Ask | Answer | Scan | Scanned
    | AskTrees | TreesTold | AskLeaf | LeafTold
    | Join | Wait | Gossip | Seal | Ping | Pong | Outdated | Confirm | Confirmed | Bury | Buried
    | AskRounds | RoundsTold | Prepare | Accept | Voted | Hold | Held | Pull | Pulled
)  # fmt: skip


def left_ms(deadline: Instant, now: Instant) -> int:
    """Return how long there is until `deadline`, as messages say it: at least one millisecond."""
    left = int((deadline - now) * 1000)
    return left if left > 0 else 1

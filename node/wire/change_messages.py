"""What nodes say to each other while the ring changes: a chapter of `wire.messages`, which has the others."""

from __future__ import annotations

import msgspec

from node.core.cluster import Ballot, RingState

# Deciding an epoch (core.vote) -----------------------------------------------------------------------------


class Prepare(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=38):
    """To a voter: promise to take part in no ballot below this one for `epoch`, and say what you accepted.

    `recall`: it is not to decide anything, but to learn what was voted: who has no vote may tell what it knows.
    """

    rid: int
    cluster_id: str
    epoch: int
    ballot: Ballot
    recall: bool = False


class Accept(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=39):
    """To a voter: a majority promised; accept this ring, unless you have promised a later ballot."""

    rid: int
    cluster_id: str
    ballot: Ballot
    ring: RingState


class Voted(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=40):
    """A voter's answer to either, durable. `refused`: in words why not; `promised` is then the ballot that it is bound
    to, if that is why. Else what it had accepted, in which ballot. `mute`: as far as it knows, having forgotten some.
    """

    rid: int
    promised: Ballot
    accepted: Ballot | None
    ring: RingState | None
    refused: str
    mute: bool = False


# Letting go of rows of partitions that are no longer ours (engine.retire) ----------------------------------


class Hold(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=41):
    """To an owner: do you hold exactly these rows, by their digests?"""

    rid: int
    epoch: int
    rows: tuple[tuple[bytes, bytes], ...]


class Held(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=42):
    """Yes, durably, but for the keys in `lacking`. `refused`: no word about any."""

    rid: int
    lacking: tuple[bytes, ...]
    refused: str


# Taking in a partition (engine.pull) -----------------------------------------------------------------------


class Pull(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=43):
    """To an old owner: a page of your rows of this partition, beyond the position `after` (b"" begins)."""

    rid: int
    epoch: int
    partition: int
    after: bytes


class Pulled(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=44):
    """(key, row) in order of position, then key; `more` if the partition goes on. `round` is the reap round before they
    were read. `refused`: no word about any."""

    rid: int
    items: tuple[tuple[bytes, bytes], ...]
    more: bool
    round: int
    refused: str

"""What two linked nodes say about the link itself, between frames of messages: first byte 0, then one tagged array.

`Moved` precedes everything else that a node says after its cluster id changed, so that of two nodes which got seats in
different clusters neither ever reads a word of the other's cluster. `Goodbye` is the last frame on one of two links to
the same peer: the other side answers what it has and closes, and nothing is lost.
"""

from __future__ import annotations

from typing import Final

import msgspec

from node.core.limits import MEMBERS_MAX
from node.wire.bounds import check_label
from node.wire.errors import RemoteWireError

LINK: Final = 0
"""First byte of a frame about the link. A frame of messages begins with `codec.PROTOCOL`."""


class Moved(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=1):
    """The sender's cluster id, and the members and seal of that cluster, are now these."""

    cluster_id: str
    members: int
    sealed: bool


class Goodbye(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=2):
    """The sender says nothing more on this link and waits for its end."""


def encode_link(word: Moved | Goodbye) -> bytes:
    """Return `word` as the payload of a frame."""
    return bytes([LINK]) + msgspec.msgpack.encode(word)


def decode_link(payload: bytes | memoryview) -> Moved | Goodbye:
    """Return the word in a payload; RemoteWireError if there is none."""
    try:
        word: Moved | Goodbye = msgspec.msgpack.decode(payload[1:], type=Moved | Goodbye)
        if isinstance(word, Moved):
            check_label("cluster id", word.cluster_id)
            if not 0 <= word.members <= MEMBERS_MAX:
                raise ValueError(f"{word.members} members")
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise RemoteWireError("malformed word about the link", str(error)) from error
    return word

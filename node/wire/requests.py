"""What a client may ask of a node, and what a node may answer: the meaning of a command without its syntax.

The syntax (RESP, arity, Redis' names) is in `wire.commands`; the engine sees only these. `None` for r or w means the
cluster's own. Times are milliseconds.
"""

from __future__ import annotations

import msgspec

from node.core.limits import SCAN_LIMIT, TIMEOUT_MS
from node.core.row import Row


class Get(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=1):
    """Read `key` from `r` owners. `context`: the answer shall carry a context token (plain GET needs none).

    `local`: tell what this node itself holds, whether it is an owner or not. No other is asked, nothing is repaired.
    """

    key: bytes
    r: int | None = None
    strict: bool = False
    context: bool = True
    timeout_ms: int = TIMEOUT_MS
    local: bool = False


class Put(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=2):
    """Write `value` (None: a tombstone) over what `context` covers.

    `context` is a token as the client gave it; b"" is a blind write. With `cover` there is no token: the write covers
    whatever the coordinating owner holds when it commits (design, section 5: SET), and what owners among the
    acknowledging W report beyond it.
    """

    key: bytes
    value: bytes | None
    context: bytes = b""
    cover: bool = False
    w: int | None = None
    strict: bool = False
    timeout_ms: int = TIMEOUT_MS
    writer: str = ""


class Inspect(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=3):
    """Ask for one JSON document of the interface. `what` is its name in lower case: ring, status, explain, views …

    `of` is the request that a trace is to follow, and does.
    """

    what: str
    key: bytes = b""
    arguments: tuple[bytes, ...] = ()
    timeout_ms: int = TIMEOUT_MS
    of: Get | Put | None = None


class Keys(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=4):
    """One page of the cluster's live keys. `cursor` b"0" begins; `siblings` keeps only keys in conflict.

    `tombstones`: of deleted keys instead, `stale`: of keys whose owners hold different rows. `partition`: of that one
    alone. `local`: of what this node itself holds.
    """

    prefix: bytes = b""
    cursor: bytes = b"0"
    limit: int = SCAN_LIMIT
    siblings: bool = False
    timeout_ms: int = TIMEOUT_MS
    tombstones: bool = False
    stale: bool = False
    partition: int | None = None
    local: bool = False


Request = Get | Put | Inspect | Keys


class Found(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=1):
    """What a read found: the merged row (EMPTY if nobody wrote the key) and a context token if one was asked for."""

    row: Row
    context: bytes = b""


class Ack(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One node, by name, that holds the write: `durable` with fsync, `hint_for` the owner it stands in for."""

    node: str
    durable: bool
    hint_for: str | None = None


class Written(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=2):
    """A write that W nodes hold: the new context, who acknowledged, and the W that was counted against.

    `replaced` tells whether it covered a live value (what Redis' DEL counts); `siblings` how many live values the
    key has now.
    """

    context: bytes
    acks: tuple[Ack, ...]
    w: int
    replaced: bool
    siblings: int


class Document(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=3):
    """A JSON document of the interface, as UTF-8 bytes."""

    json: bytes


class KeyPage(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=4):
    """A page of keys and the cursor of the next one; b"0" when this was the last."""

    cursor: bytes
    keys: tuple[bytes, ...]


class Failed(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=5):
    """The request was not done, or its outcome is not known: an error prefix of the interface, and one line of why."""

    code: str
    text: str


class ToldKeys(msgspec.Struct, frozen=True, gc=False, array_like=True, tag=6):
    """A page of deleted or of stale keys: as KeyPage, and of each key one JSON object.

    `unheard` are the names of owners that could not be compared.
    """

    cursor: bytes
    keys: tuple[bytes, ...]
    told: tuple[bytes, ...]
    unheard: tuple[str, ...]


Result = Found | Written | Document | KeyPage | Failed | ToldKeys

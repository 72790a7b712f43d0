"""What a node keeps of its cluster on its disk, and what it does if the disk will not have it."""

from __future__ import annotations

from collections import deque

from node.engine.outbox import Outbox
from node.storage.port import SaveState

STATE_RING = "ring"
STATE_MEMBERS = "members"
STATE_REBUILDING = "rebuilding"
"""Not empty while this store may lack what its seat acknowledged: it is new under an old seat, or was put back."""

STATE_BEHIND = "behind"
"""Not empty while such a store has not learned the reap rounds of its cluster (`engine.catchup`)."""

STATE_MUTE = "mute"
"""Two numbers: the last epoch on which this store may have voted before it forgot that, and the one on which it has its
vote back all the same (`engine.voting`)."""

STATE_TICKET = -2
"""The ticket under which is stored what this node knows of the cluster; what the disk will not have is tried again."""

UNKNOWN_EPOCH = 2**62
"""Nobody knows yet how far its former life had come."""

TOOK_SEAT = "a new store under an old seat"
"""Why a store may have forgotten: it is told to take the seat of a member whose data is lost (`--seat`)."""


def forgetful(why: str) -> list[SaveState]:
    """What a store keeps, before anything else, that may have forgotten something, and why that is."""
    return [SaveState(STATE_REBUILDING, why.encode()), SaveState(STATE_BEHIND, why.encode())]


class Kept:
    """What is on its way to our disk, in the order in which it is answered, and the last of each that was refused."""

    def __init__(self) -> None:
        self._saving: deque[SaveState] = deque()
        self._refused: dict[str, SaveState] = {}

    def save(self, write: SaveState, out: Outbox, ticket: int) -> None:
        """Store `write`; whoever gives a ticket of its own hears itself what became of it."""
        if ticket == STATE_TICKET:
            self._refused.pop(write.name, None)
            self._saving.append(write)
        out.persist(ticket, write)

    def stored(self, saved: bool) -> SaveState:
        """Return what was stored, or was refused: a later one of its name then stands for it, if there is one."""
        write = self._saving.popleft()
        if not saved and all(later.name != write.name for later in self._saving):
            self._refused[write.name] = write
        return write

    def take_refused(self) -> list[SaveState]:
        """Return what is to be tried again."""
        refused, self._refused = self._refused, {}
        return list(refused.values())

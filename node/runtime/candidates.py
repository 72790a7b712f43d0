"""Which of the names that multicast DNS hands us are tried: a few at a time, none for good while others wait.

Anybody on the network can announce anything, as often as he likes. So a place among the candidates is lent: an address
that does not answer gives it up as soon as another name waits for one. Names wait in the order in which they were heard
and are taken from both ends by turns. Among thousands that are announced again and again, a node that comes is tried at
once, as the newest; so are we by it; and whoever was there before comes, too.
"""

from __future__ import annotations

from collections.abc import Iterable

from node.core.limits import CANDIDATES_MAX
from node.core.limits_discovery import NAMES_WAITING_MAX


class Candidates:
    """Names in, addresses to dial out. Pure: whoever calls takes the time for it."""

    def __init__(self) -> None:
        self.dialled: dict[str, str] = {}
        """What is being tried: address by name."""
        self._failed: dict[str, None] = {}  # those names of them that did not answer, longest ago first
        self._waiting: dict[str, None] = {}  # oldest first
        self._newest = False

    @property
    def waiting(self) -> int:
        """How many names wait for a place."""
        return len(self._waiting)

    def heard(self, name: str) -> None:
        """A name is announced, or something else about it than before."""
        if name in self.dialled:
            return
        self._waiting.pop(name, None)
        self._waiting[name] = None
        if len(self._waiting) > NAMES_WAITING_MAX:
            del self._waiting[next(iter(self._waiting))]

    def again(self, names: Iterable[str]) -> None:
        """All names that are announced now, after the last one that waited was tried: from the beginning."""
        for name in names:
            if len(self._waiting) >= NAMES_WAITING_MAX:
                return
            if name not in self.dialled:
                self._waiting[name] = None

    def next(self) -> str | None:
        """The name to look at next, None if nobody waits or no place can be had. It does not wait any longer."""
        if not self._waiting or (len(self.dialled) >= CANDIDATES_MAX and not self._failed):
            return None
        self._newest = not self._newest
        name = next(reversed(self._waiting) if self._newest else iter(self._waiting))
        del self._waiting[name]
        return name

    def take(self, name: str, address: str) -> tuple[bool, tuple[str, ...]]:
        """Give `name` a place: whether its address is to be dialled, and which are not any more."""
        if name in self.dialled or address in self.dialled.values():
            return False, ()
        left: tuple[str, ...] = ()
        if len(self.dialled) >= CANDIDATES_MAX:
            if not self._failed:
                return False, ()
            left = self.gone(next(iter(self._failed)))
        self.dialled[name] = address
        return True, left

    def failed(self, address: str) -> tuple[str, ...]:
        """Nobody proved anything at `address`: the addresses whose places are now free, as others wait for them."""
        for name, dialled in self.dialled.items():
            if dialled == address:
                if self._waiting:
                    return self.gone(name)
                self._failed[name] = None
                break
        return ()

    def gone(self, name: str) -> tuple[str, ...]:
        """`name` is not announced any more, or has had its time: the addresses that need not be dialled for it."""
        self._waiting.pop(name, None)
        self._failed.pop(name, None)
        address = self.dialled.pop(name, None)
        return () if address is None else (address,)

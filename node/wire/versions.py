"""Which protocol versions this release speaks, and how the protocol may grow so that releases one apart get on.

A node upgrades alone, while the others serve: for a while, both releases are in one cluster. In its hello each says the
newest version and the oldest one that it speaks; two without a common one have no link, and both say why.

What a release may change:

* A field is added at the end of a message, a member or a ring, with a default that means what its absence meant. Who
  does not know it drops it (`wire.lenient`). It drops it from what it passes on, too: in a ring it must be at its
  default until every member knows it, as of each epoch there is one ring.
* A message of a new kind is sent only on a link whose version has it: it would end the link.
* Neither a field nor a kind is taken away, or used for something else, until OLDEST has passed the last version in
  which it meant something.

`tests/contract/test_protocol.py` holds each release to what was recorded of the ones before it.
"""

from __future__ import annotations

from typing import Final

NEWEST: Final = 1
"""The version that this release speaks with one that speaks it, too."""

OLDEST: Final = 1
"""The oldest that it still speaks: that of the release before."""

VERSION_MAX: Final = 1 << 15
"""More is no version, but noise."""


def common(newest: int, oldest: int, other_newest: int, other_oldest: int) -> int | None:
    """Return the newest version that both sides speak, or None if there is none."""
    version = min(newest, other_newest)
    return version if version >= max(oldest, other_oldest) else None

"""Bounds of looking for nodes on the network, where anybody can announce anything.

As in `core/limits.py`, which has `CANDIDATES_MAX`: what it is, why it is as it is, and SI units in the name.
"""

from __future__ import annotations

NAMES_WAITING_MAX = 1024
"""Announced names that wait to be tried: 300 kB at most. In place of more, the oldest goes; it is announced anyway."""

CANDIDATES_PER_S = 20
"""Names that are tried a second. A cluster of thirty nodes is found in half of what a node waits before it founds one,
and whoever forges announcements makes each node that hears them open so many connections, to whomever he names."""

CANDIDATES_AGAIN_S = 10.0
"""When all announced names were tried, they are tried again after this time: who did not answer may do so now."""

RESOLVES_MAX = 8
"""Questions for the particulars of a name under way, each up to a second long. Most announcements bring them along."""

HEARD_S = 2.0
"""A node that has not heard its own announcement after this time says that there is no multicast: before it founds."""

"""Bounds of changes of the ring, each with its reason: a chapter of `core.limits`."""

from __future__ import annotations

GONE_MAX = 1024
"""Nodes that are remembered as gone for good: the machine that was replaced a thousand machines ago stays away."""

BALLOT_S = 1.0
"""How long one attempt to decide an epoch waits for a majority: two answers of a disk, and then some."""

RECALL_S = 5.0
"""How often a voter that was rebuilt asks for what it may have voted on: several times as long as deciding takes."""

BALLOT_NUMBER_MAX = 2**62
"""A ballot's number in a message: a hundred attempts a second for a billion years."""

CHANGE_LOOK_S = 0.5
"""How often a node looks whether the ring is to change, give or take half of it by lot, so that not all propose it."""

CHANGE_AGAIN_S = 2.0
"""How long one whose ballot was lost waits before the next, give or take half of it: the other one goes first."""

ABANDON_AFTER_S = 10.0
"""A newcomer of whom nothing is heard for so long is not waited for (design, section 7)."""

GIVEN_UP_S = 60.0
"""So long a newcomer that goes on running does not ask again after its change was given up: else it would be decided
again before anything else."""

GONE_LINGER_S = 3.0
"""A node that has learned that it is gone stays so long: a write that it had just taken is handed over meanwhile."""

TRANSFER_AGAIN_S = 0.5
"""After an exchange of a transfer that was refused or cut short, the next one begins after this long."""

PULL_ROWS = 256
PULL_BYTES = 1024 * 1024
"""One page of a pull: a group commit of the taker, and a frame that keeps nobody else's messages waiting for long."""

TRANSFER_BPS_MIN = 16 * 1024
TRANSFER_BPS_MAX = 2**40
"""Bytes a second that an operator may limit a taker to. Less, and a page of large rows keeps it waiting for minutes: to
stop a move there is a pause."""

PULL_S_MAX = 5.0
"""A page that has not come by then is asked for anew, of somebody else if there is one."""

TRANSFERS_TOLD_MAX = 512
"""Partitions of which one node tells how far it is: more than five nodes of a ring of 256 take in."""

RETIRE_LOOK_S = 30.0
"""How often a node looks for rows of partitions that it does not own."""

RETIRE_ROWS = 64
"""Rows of which it asks their owners at a time whether they hold them."""

RETIRE_S_MAX = 3.0
"""How long it waits for the owners' word before it tries again, later."""

EPOCH_AGAIN_S = 0.03
"""A message that was refused because the two rings differ is said again after so long: they have been compared then."""

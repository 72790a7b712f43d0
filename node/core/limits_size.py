"""What a node does for each member of its cluster, and for each partition, has bounds: a chapter of `core.limits`."""

from __future__ import annotations

REPAIR_PARTITIONS_MAX = 1024
"""Partitions that one request may have compared: of more, those of a whole node are as soon said."""

GOSSIP_MEMBERS_MAX = 64
"""Records of members in one message: all of a small cluster, 10 kB. Of a larger one those that may be new, and a part
of the others (`engine.tidings`), so that a round costs a node the same whatever the size of its cluster."""

PROBES_MAX = 128
"""Peers that a node asks in one round whether they are there, beside those that owe an answer: of more, by turns. At
MEMBERS_MAX each is asked every other second; who lets a request go unanswered is asked at once in any case."""

PREFERENCES_MAX = 4096
"""Preference lists that a node keeps once it has worked them out, one by one: all of the largest ring, 8 MB at
MEMBERS_MAX. (Of a thousand nodes and 8,192 partitions all were 66 MB, and a third of a second for each epoch.)"""

HANDOFF_LOOKS_S_MAX = 64
"""Members a second of whom a node looks up again whether it keeps rows for them: of more, each is looked up less often.
(Of a thousand it was a third of the time ten reads of the disk for each, of which nearly all find nothing.)"""

HANDOFF_PASS_S = 0.25
"""… and then it goes through all of them so often, not at each event: a thousand links opened one after the other."""

MEMBERS_SAVE_MAX = 64
"""Up to so many members the table is stored whenever a record is new; from there on once a round, as each of a thousand
greetings brings one, and a record that is forgotten is told again."""

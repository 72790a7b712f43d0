"""Every bound of the system, each with its reason. A queue, a message or a loop without one is a defect.

Units are the last word of a name. Relations between bounds are asserted at the bottom, so that a change
that breaks one fails at import.
"""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB

# Data -------------------------------------------------------------------------------------------------

KEY_BYTES_MAX = 4 * KIB
"""Keys are names; 4 KiB holds any URL. Riak and DynamoDB allow 2 KiB or less."""

VALUE_BYTES_MAX = 1 * MIB
"""Default of `max-value-bytes`: above it a value stalls everybody behind it (the paper's objects are under 1 MB)."""

VALUE_BYTES_CEILING = 16 * MIB
"""What `max-value-bytes` may be raised to."""

WRITER_BYTES_MAX = 64
"""Label of a writer (CLIENT SETNAME); display only."""

CONTEXT_TOKEN_BYTES_MAX = 4 * KIB
"""A context token as text. About 150 clock entries."""

SIBLINGS_WARN = 5
"""From here on answers and screens point at the key: its writers do not read before they write."""

SIBLINGS_MAX = 100
"""Client writes that would exceed it are refused; replication never is (design, section 3)."""

CLOCK_ENTRIES_MAX = 4096
"""Distinct actors in one row's clock; a peer's message with more is malformed."""

# Requests ---------------------------------------------------------------------------------------------

TIMEOUT_MS = 3000
"""Default deadline of a request."""

TIMEOUT_MS_MAX = 60_000
"""Longest deadline a client may ask for."""

HOPS_MAX = 1
"""A request is forwarded once: two hops mean that two nodes disagree about the ring."""

HEDGE_MS = 40
"""A read whose chosen owners are silent this long also asks the others."""

OPERATIONS_MAX = 20_000
"""Requests in flight in one node. Above it: -BUSY, cheaply."""

# Membership -------------------------------------------------------------------------------------------

GOSSIP_INTERVAL_S = 1.0
"""The paper's figure (section 4.8.1)."""

FOUND_AFTER_S = 3.0
"""How long a node without --join looks for a cluster before it founds one."""

JOIN_RETRY_S = 0.5
"""An unseated node asks for its seat again after this long."""

SUSPECT_AFTER_S = 3.0
"""Three missed gossip rounds: suspect."""

DOWN_AFTER_S = 6.0
"""Twice that: down for me. A closed connection is down at once."""

MEMBERS_MAX = 256
"""Members of one cluster. Above it a full gossip table no longer fits one comfortable frame."""

CANDIDATES_MAX = 64
"""Addresses that discovery may offer: a spoofed network must not make us dial for ever."""

PARTITIONS = 256
"""Default Q."""

PARTITIONS_MAX = 4096
"""Largest Q: 16 partitions a node at MEMBERS_MAX."""

REPLICAS_MAX = 16
"""Largest N."""

# Wire -------------------------------------------------------------------------------------------------

FRAME_BYTES_MAX = 192 * MIB
"""One peer frame. Holds the largest row that client writes can make, see below."""

FRAME_BATCH_BYTES = 1 * MIB
"""A batch of peer messages is cut into frames of about this size."""

HANDSHAKE_FRAME_BYTES_MAX = 4 * KIB
"""Before a peer has proven the cluster key, it may say no more than this."""

HANDSHAKE_S_MAX = 5.0
"""… and must have proven it in this time."""

PEER_QUEUE_BYTES_MAX = 64 * MIB
"""Bytes waiting for one slow peer; what does not fit is dropped and reported as down."""

ARGUMENTS_MAX = 64 * KIB
"""Arguments of one client command."""

INLINE_BYTES_MAX = 64 * KIB
"""Longest inline command, as Redis."""

PREAUTH_ARGUMENTS_MAX = 10
PREAUTH_BULK_BYTES_MAX = 16 * KIB
PREAUTH_OUTPUT_BYTES_MAX = 64 * KIB
PREAUTH_S_MAX = 5.0
"""Before AUTH: what Redis allows (networking.c), and five seconds to say it."""

OUTPUT_BYTES_MAX = 32 * MIB
"""Replies waiting for a client that does not read; above it the connection is closed."""

OUTPUT_PAUSE_BYTES = 1 * MIB
"""Above this we stop reading that client's commands until it reads its replies."""

PIPELINE_MAX = 1024
"""Commands of one connection in flight; the rest wait in the socket."""

CLIENTS_MAX = 10_000
"""Client connections, as Redis' maxclients."""

# Listings ---------------------------------------------------------------------------------------------

SCAN_LIMIT = 100
"""Default size of a page of keys."""

SCAN_LIMIT_MAX = 1000
"""Largest page of keys: bounded work per call."""

EVENTS_MAX = 1000
"""Cluster events a node remembers."""

assert FRAME_BYTES_MAX > SIBLINGS_MAX * (VALUE_BYTES_MAX + KIB) + MIB
assert FRAME_BYTES_MAX < 2**31
assert SUSPECT_AFTER_S < DOWN_AFTER_S
assert SIBLINGS_WARN < SIBLINGS_MAX
assert KEY_BYTES_MAX <= PREAUTH_BULK_BYTES_MAX

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
"""A context token as text. 113 clock entries at worst, over 1000 if they are births of one store."""

SIBLINGS_WARN = 5
"""From here on answers and screens point at the key: its writers do not read before they write."""

SIBLINGS_MAX = 100
"""Client writes that would exceed it are refused; replication never is (design, section 3)."""

CLOCK_ENTRIES_MAX = 4096
"""Distinct actors in one row's clock; a peer's message with more is malformed."""

ROW_BYTES_MAX = 48 * MIB
"""All versions of a key. Client writes that would exceed it are refused, replication never is: three stores that grew
one row apart to this size still merge it into one frame."""

# Requests ---------------------------------------------------------------------------------------------

TIMEOUT_MS = 3000
"""Default deadline of a request."""

TIMEOUT_MS_MAX = 60_000
"""Longest deadline a client may ask for."""

HOPS_MAX = 1
"""A request is forwarded once: two hops mean that two nodes disagree about the ring."""

PATIENCE_MS_FIRST = 40
"""Who is silent this long is not waited for alone: somebody else is asked, too. Adapted to what answers really take."""

PATIENCE_MS_MIN = 20
PATIENCE_MS_MAX = 500
"""Within these: a burst must not make every node ask twice, nor a slow minute make all of them wait for the dead."""

OPERATIONS_MAX = 20_000
"""Everything in flight in one node, answered writes that wait for their last owner included. Above it: -BUSY."""

OVERLOADED_S = 0.5
REQUESTS_MIN = 128
"""A node takes on no more requests than it answers in this time, but so many always; the rest is -BUSY (`engine.load`).
A sixth of the default deadline, and no more than PATIENCE_MS_MAX: a queue alone shall not make us ask a second node."""

LINGERING_MAX = OPERATIONS_MAX // 2
"""With more in flight, an answered write waits for no more acks: its missing owners get hints at once."""

HANDOFF_ROWS = 64
"""Rows handed over to a returned owner at a time; the next ones follow when these are durable there."""

HANDOFF_S_MAX = 3.0
"""A batch without an answer for this long is given up, and begun again later."""

HANDOFF_RETRY_S = 1.0
"""… after this long."""

HANDOFF_SURE_S = 10.0
"""A hint that was asked for is durable after this long, or never: until then its target is looked up again."""

HANDOFF_LOOK_S = 30.0
"""And so often for every member, whatever this node remembers: a page that is empty costs one read."""

FOREGROUND_P99_MS_MAX = 50
"""Background work gives way while clients see more than this: the paper's own threshold (section 6.5)."""

BACKGROUND_ROWS_S_MAX = 20_000
"""What hints, and repair, may each move with nobody in the way: more than a disk takes."""

BACKGROUND_ROWS_S_MIN = 50
"""And what they may always: a thousand rows are where they belong in twenty seconds, whatever the load."""

REAP_INTERVAL_S = 2.0
REAP_PAUSE_S = 0.1
"""How often a node looks for tombstones that may go: they cost space, and each reap makes the messages on their way to
its partition be sent twice. And how soon where more pages follow: a page costs a millisecond of everybody's time."""

REAP_KEYS = 256
REAP_ANSWER_S = 5.0
"""Tombstones one look takes on; and how long a member that was asked may say nothing before it is asked again."""

REAP_TURNS = 4
"""Every so manieth pass over its tombstones a node sees to those, too, that the owners before it should have reaped."""

LIVES_BYTES = 16
"""Of the digest that stands for the present lives of all stores in a reap round."""

CATCH_UP_S = 0.5
CATCH_UP_ROWS = 256
"""How long a store that may have forgotten waits for all answers before it asks anew; and how many rows it drops at a
time."""

# Membership -------------------------------------------------------------------------------------------

GOSSIP_INTERVAL_S = 1.0
"""The paper's figure (section 4.8.1)."""

FOUND_AFTER_S = 3.0
"""How long a node without --join looks for a cluster before it founds one."""

JOIN_RETRY_S = 0.5
"""An unseated node asks for its seat again after this long."""

MISSED_S = 0.2
"""A peer that lets a request go unanswered, and then for this long the question whether it is there, is down for me.

No disk is asked for that answer. Until then writes that were handed to it end as UNKNOWN: being wrong for a moment, and
writing to a stand-in, costs less."""

JUST_S = 0.02
"""Who answered so lately is handed a write without being asked first: a write that is lost on the way is UNKNOWN."""

SUSPECT_AFTER_S = 3.0
"""Three rounds in which nobody needed the peer, and it did not answer: suspect."""

DOWN_AFTER_S = 6.0
"""Twice that: down for me. A closed connection is down at once."""

NAME_BYTES_MAX = 255
"""A name, zone, host or id in a peer's message: a host name may be this long, nothing else is longer."""

LABEL_BYTES_MAX = 63
"""A node, cluster or zone name that somebody chooses: a file name, a DNS label, a column of a table."""

WEIGHT_MAX = 1000
"""Largest weight of a node beside nodes of weight 1: with more, they would own nothing."""

EPOCHS_MAX = 4096
"""Dot epochs one member may list. A store draws one a year or so (copies, restores, unclean stops)."""

WORDS_BYTES_MAX = 1 * KIB
"""A reason that one node sends another for its log."""

MEMBERS_MAX = 256
"""Members of one cluster: each has a link to each. What gossip and rings cost was measured up to 1,000."""

CANDIDATES_MAX = 64
"""Addresses from discovery that are dialled at a time, and as many that we were told: spoofed ones displace none."""

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

HALF_OPEN_MAX = 64
"""Peer connections that have not proven the key yet. A further one ends the oldest, so that idlers keep nobody out."""

PEERS_MAX = MEMBERS_MAX + CANDIDATES_MAX
DIALS_MAX = MEMBERS_MAX + 2 * CANDIDATES_MAX
"""Peers with a link, and addresses that are kept dialled: the members, who waits for a seat, what was told or found."""

DIAL_S_MAX = 3.0
"""A connection attempt. Longer than two lost SYNs' retries would delay an address that is back."""

DIAL_BACKOFF_S_MIN = 0.1
DIAL_BACKOFF_S_MAX = 2.0
"""Pause between two attempts: doubled from the first to the second, less up to half by lot. A peer that came back is
found within seconds, and 256 absent ones cost us 130 attempts a second at worst."""

LINGER_S_MAX = 5.0
"""One of two links to a peer is superfluous: how long it may take to say its last words."""

SECRET_BYTES_MIN = 16
SECRET_FILE_BYTES_MAX = 4 * KIB
"""Cluster key: shorter ones can be guessed, longer files are not key files."""

ARGUMENTS_MAX = 64 * KIB
"""Arguments of one client command."""

COMMAND_BYTES_MAX = 64 * MIB
"""What one client command may keep in memory while it arrives: an MSET of some sixty values of default size. The rest
of a longer one is thrown away as it comes, and the answer is -TOOBIG."""

INPUT_BYTES_MAX = 256 * MIB
"""What all clients' half commands may keep together; above it the client that adds to it is sent away with -BUSY."""

COMMAND_S_MAX = 60.0
"""How long a command of more than an inline one's length may take to arrive: else a few slow ones keep all the room."""

BULK_BYTES_MAX = 512 * MIB
"""Longest argument that is thrown away so; a longer one is a protocol error (Redis' proto-max-bulk-len)."""

INLINE_BYTES_MAX = 64 * KIB
"""Longest inline command, as Redis."""

PREAUTH_ARGUMENTS_MAX = 10
PREAUTH_BULK_BYTES_MAX = 16 * KIB
PREAUTH_OUTPUT_BYTES_MAX = 64 * KIB
PREAUTH_S_MAX = 5.0
"""Before AUTH: what Redis allows (networking.c), and five seconds to say it."""

AUTH_ATTEMPTS_MAX = 5
AUTH_DELAY_S = 0.1
"""Wrong passwords of one connection before it is closed; the first answer waits this long, each next one twice."""

OUTPUT_PAUSE_BYTES = 1 * MIB
OUTPUT_BYTES_MAX = 32 * MIB
OUTPUT_S_MAX = 60.0
"""Replies waiting for a client that does not read: its commands are not read either, from the second on, or after so
long, its connection is closed."""

PIPELINE_MAX = 1024
"""Commands of one connection in flight; the rest wait in the socket."""

COMMANDS_TURN_MAX = 256
"""Commands of all clients that one turn of the loop takes on: with all that sockets hold, peers took us for dead."""

CLIENTS_MAX = 10_000
"""Client connections, as Redis' maxclients."""

# Storage ----------------------------------------------------------------------------------------------

GROUP_WRITES_MAX = 512
"""Writes of one transaction: the last of them waits for all."""

GROUP_BYTES_MAX = 8 * MIB
"""… and their bytes. One write may be larger; it then goes alone."""

CHECKPOINT_BYTES = 64 * MIB
"""Size of the write-ahead log from which it is folded into the file. Rarely: a page that is written a hundred times
meanwhile is folded once."""

DISK_MARGIN_BYTES = 2 * CHECKPOINT_BYTES
"""With less free no client's value is taken, with half of it no peer's: room to fold the log, delete and hand over."""

DISK_MARGIN_PART = 10
DISK_LOOKS = 32
"""A small file system's margin is this part of it; and it is looked at so often on the way through the margin."""

RECENT_BYTES_MAX = 20 * MIB
"""Rows written lately that a store keeps in memory, about 45,000 of 100 bytes: with SQLite's own caches this is what a
million keys may add to a node (40 MB)."""

BUSY_MS_MAX = 5000
"""How long a write waits for somebody else's lock on our file before the store stops."""

# Listings ---------------------------------------------------------------------------------------------

SCAN_LIMIT = 100
SCAN_LIMIT_MAX = 1000
"""Size of a page of keys, by default and at most: bounded work per call."""

SCAN_PAGE_BYTES = 4 * MIB
"""A page of rows ends early when it has grown to this."""

SCAN_PARTITIONS_MAX = 64
"""Partitions one call for keys visits at most: a sparse cluster must not make a call long."""

CURSOR_DIGITS_MAX = 20
"""Digits of a 64-bit cursor."""

SURVEY_MS_MAX = 1000
"""How long a question to all members waits for the slowest."""

EXPLAIN_NODES_MAX = 8
"""Nodes of a preference list that `key explain` asks: owners and the first stand-ins."""

EVENTS_MAX = 1000
"""Cluster events a node remembers."""

STOP_S_MAX = 3.5
"""How long a clean stop waits for requests in flight: a little more than the default deadline of a request."""

# Trees and repair -------------------------------------------------------------------------------------

TREE_DIGEST_BYTES = 16
"""Of a row, a leaf, a span: with 10^9 rows two of them are equal by chance once in 10^20 years of comparing."""

TREE_LEAF_BITS = 18
"""The hash space in 262,144 leaves, 4 MiB of memory whatever Q is: 1,024 a partition for Q = 256, 64 for Q = 4,096."""

TREE_CHUNK_BITS = 8
"""Leaves are marked, saved and rescanned by the 1,024: one partition of the default Q."""

TREE_FANOUT_BITS = 5
"""How many levels a question about a span goes down: 32 digests, half a kilobyte."""

TREE_SPANS_MAX = 128
TREE_DIGESTS_MAX = 1024
"""Spans of one question about trees, digests of one answer: 16 KiB, at most the leaves of 128 partitions (2 ms)."""

TREE_SLICE_ROWS = 512
"""Rows that one slice of a rescan reads, a leaf more at most: 3 ms in which no write is stored."""

TREE_IDLE_S = 1.0
TREE_SAVE_S = 10.0
"""An idle storage thread looks this often for damage and free space; after so long it saves the trees that changed."""

SCRUB_PERIOD_S = 24 * 3600.0
"""All rows are read again in it: lost is what all owners' disks lose on one day. A million rows are 12 a second."""

SCRUB_ROWS = 256
SCRUB_PAUSE_S = 0.1
"""Rows of one slice of it, a leaf more at most, while no write is stored; and the rest between two slices at least."""

LEAF_PAGE_ROWS = 256
"""Keys of one leaf in one message; a store of a million rows has four a leaf."""

LEAF_PAGE_BYTES = 32 * KIB
"""… and their bytes: half of what one differing key in a million may cost on the wire."""

EXCHANGE_INTERVAL_S = 2.0
"""Between two exchanges of trees, give or take half of it by lot. In a cluster of five one takes in all partitions that
two nodes share, so a pass over everything takes 8 s and costs 600 bytes a second."""

EXCHANGE_AGAIN_S = 0.05
"""The same in a pass that somebody asked for, or after an exchange that stopped at EXCHANGE_KEYS_MAX."""

COMPARE_AGAIN_S = 0.5
"""After so long, leaves that differed are compared once more: a write takes some milliseconds from owner to owner."""

EXCHANGE_SILENCE_S = 3.0
"""An exchange whose peer says nothing for so long is given up; the next one costs only what still differs."""

EXCHANGE_KEYS_MAX = 1000
"""Keys that one exchange repairs: then others get their turn."""

EXCHANGES_SERVED_MAX = 16
"""Questions about trees that a node answers at a time; a further one is told to come again."""

REPAIRS_MAX = 8
"""Keys of one exchange in flight …"""

REPAIR_BYTES_MAX = 4 * MIB
"""… and the bytes of their rows, as both sides told them; a larger row goes alone."""

REPAIR_S_MAX = 3.0
"""How long an exchange waits for one key. It is then left for the next pass."""

REPAIR_WAIT_S = HANDOFF_WAIT_S = 2.0
"""How long DYN.REPAIR, or a delivery of hints on demand, waits for its end before it tells how far it is."""

# Figures and logs -------------------------------------------------------------------------------------

LATENCY_WINDOW_S = 10.0
"""Percentiles are over the last one to two windows of this length: what is slow now, not what once was."""

LOG_BURST = 10
LOG_INTERVAL_S = 1.0
"""Lines of one kind that may come at once; from then on one an interval, which says how many were left out."""

LOG_KINDS_MAX = 256
"""Kinds whose rate is watched: far more than there are."""

LOG_FIELD_CHARS_MAX = 300
"""Characters of one value in a line: a peer's words must not fill the disk."""

FAULT_MS_MAX = 60_000
"""Longest pause or delay that a person may inject: a slip of the finger must not cost more than a minute."""

FAULT_SKEW_S_MAX = 10 * 365 * 86_400
"""Farthest that a wall clock may be set wrong, ten years: what broken clocks show (reliability plan, R8)."""

HTTP_REQUEST_BYTES_MAX = 8 * KIB
HTTP_CONNECTIONS_MAX = 64
HTTP_S_MAX = 10.0
"""The HTTP port reads small requests of few scrapers, and gives each connection this long from accept to close."""

"""Bounds of what is shown of one key and of one request, each with its reason: a chapter of `core.limits`."""

from __future__ import annotations

TRACES_MAX = 64
"""Requests that a node follows at a time, its own and those that peers hand over: each step of one costs ten times what
it costs else, and a person looks at one."""

TRACE_STEPS_MAX = 500
"""Steps that one trace keeps: a write to N = 3 has about ten, one that meets every fault there is some fifty."""

TRACES_KEPT = 100
TRACES_KEPT_BYTES = 1 << 20
"""Traces that a node keeps for later, and their bytes: a person compares a few, and one has some 3 KB. Beyond either
the oldest goes."""

TRACE_TAIL_S = 0.5
TRACE_TAIL_AWAY_S = 0.3
"""How long a trace stays after the answer for what follows it: the last owner's copy, hints, read repair. The client
waits for it. A coordinator that tells another node stays less, to be heard before that one ends."""

TRACE_LATE_S = 0.1
TRACE_LATE_AWAY_S = 0.05
"""… and how long beyond the deadline of the request: a client listens for some 0.2 s longer than that."""

HISTORY_VALUE_BYTES = 256
"""As much of each value as DYN.HISTORY tells: it is to be recognized, not read."""

HISTORY_VERSIONS_MAX = 64
"""Versions that DYN.HISTORY tells, those that count now first, then the latest. Each is held to each: so many take some
milliseconds. A key with more has writers that do not read, and its picture helps nobody."""

assert TRACE_TAIL_AWAY_S < TRACE_TAIL_S
assert TRACE_LATE_AWAY_S < TRACE_LATE_S

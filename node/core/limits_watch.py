"""What a node remembers of single requests, for people who look, has bounds: a chapter of `core.limits`."""

from __future__ import annotations

SAMPLE_GAP = 64
"""One in so many requests is looked at, on average: what that costs is lost in what a request costs. The gaps are
drawn, between 1 and twice as many: a load that goes round evenly would show an even sampler one of its kinds only."""

HOT_KEYS = 256
"""Counters for hot keys (space-saving: Metwally, Agrawal and El Abbadi, 2005). Whatever key has more than 1/256 of the
sampled requests has one of them; what it is counted too much is told with it."""

HOT_WINDOW_S = 30.0
"""Hot is told of the last one to two windows: what was hot an hour ago is no trouble now."""

HOT_SHOWN = 20
"""Keys of each list of DYN.HOT without a number, and at most HOT_KEYS with one."""

BIGGEST_KEPT = 64
SIBLINGS_KEPT = 64
"""Keys with the biggest values, and with the most siblings, that are remembered."""

REMEMBERED_S = 600.0
"""… for so long since they were last seen so."""

MONITORS_MAX = 4
"""Listeners of DYN.MONITOR at a time: each looks at every request."""

MONITOR_LEASE_S = 5.0
"""A listener that does not ask for so long is gone, and nothing is kept for it."""

MONITOR_BUFFER = 1000
"""Requests that wait for a listener to ask for them: later ones are counted as dropped, not kept."""

MONITOR_RATE = 100
MONITOR_RATE_MAX = 1000
"""Requests a second that a listener is told of, without a number and at most; the others are counted."""

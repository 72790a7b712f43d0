"""Bounds of the HTTP port, where a browser asks, and whoever makes one ask.

As in `core/limits.py`, which has those of a connection (`HTTP_REQUEST_BYTES_MAX`, `HTTP_CONNECTIONS_MAX`,
`HTTP_S_MAX`): what it is, why it is as it is, and SI units in the name.
"""

from __future__ import annotations

HTTP_HEADERS_MAX = 64
"""Lines of a request's head; a browser sends about fifteen."""

HTTP_PER_S = 50
HTTP_BURST = 100
"""Requests a second for the page and its documents, all viewers together: a page makes about two. `/health` and
`/metrics` are not counted: who watches a node must hear of it while somebody plays with the page."""

HTTP_FRESH_S = 1.0
"""A document that was told so lately is told again. So any number of viewers costs the cluster one survey a second."""

HTTP_COSTLY_PER_S = 10
HTTP_COSTLY_MAX = 4
"""Explanations of a key and pages of keys a second, and under way. An explanation is a read on up to eight nodes and
brings all values of a key; a page of keys reads up to 6,400 rows on R nodes."""

HTTP_DOCUMENT_BYTES_MAX = 4 * 1024 * 1024
"""A longer document is not for a browser: a key may have 100 siblings of a megabyte, a ring 8,192 lists of nodes."""

HTTP_TOO_LONG_S = 60.0
"""Of one that turned out to be, this is told for so long without asking the engine again: it costs to make."""

HTTP_EVENTS = 100
"""Events that the page shows."""

HTTP_WRONG_PASSWORD_S = 1.0
"""How long the answer to a wrong password waits: at most HTTP_CONNECTIONS_MAX of them can be tried in that time."""

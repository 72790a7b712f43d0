"""Facts as lines: what happened, in words for people or as JSON for programs, one line each, on one stream.

    2026-11-23T12:03:07.412Z INFO  n2 is up (127.0.0.1:7802)
    {"at":"2026-11-23T12:03:07.412Z","level":"info","kind":"peer_up","node":"n2","address":"127.0.0.1:7802"}

A kind that repeats is thinned: after LOG_BURST lines one an interval, which says how many were left out. What comes
from others is shortened and its control characters are shown as escapes, so that nobody writes our log for us.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, TextIO

from node.core.limits import LOG_BURST, LOG_FIELD_CHARS_MAX, LOG_INTERVAL_S, LOG_KINDS_MAX

WORDS: Final[dict[str, str]] = {
    "started": "dyn {version}: node {node} of cluster {cluster} starts; clients {client}, peers {peer}, data {data}",
    "stopping": "stopping ({why}): {in_flight} requests in flight",
    "stopped": "stopped after {uptime_s} s, {keys} keys",
    "founded": "founded cluster {cluster} ({cluster_id})",
    "seated": "has its seat: ring epoch {epoch}, {nodes} nodes",
    "epoch": "ring epoch {epoch}, {nodes} nodes",
    "sealed": "the first write seals the ring: epoch {epoch}, {nodes} nodes",
    "waiting": "waits for a seat: {because}",
    "yielded": "gives up its own empty cluster {cluster_id} for that of {node}, {to}",
    "stranger": "{node} at {address} is of another cluster of this name and key, {cluster_id}",
    "member": "member {node} at {address}",
    "peer_up": "{node} is up ({address})",
    "peer_down": "{node} is down ({address})",
    "peer_silent": "{node} does not answer: down for this node",
    "rebuilt": "holds again what its seat acknowledged ({rows} rows came from the other owners): its answers count",
    "caught_up": "knows the deletions it missed ({rows} rows dropped, which may have been deleted): takes writes again",
    "fell_back": "others know another past of this store ({known}) than its own ({here}): its disk was put back to an "
    "earlier state. The node stops; started again it is rebuilt from the other owners",
    "seat_taken": "another store has taken the seat of this node, which stops",
    "peer_heard": "{node} answers again",
    "hints_delivered": "{node} has got what it had missed: {rows} rows",
    "reaped": "{rows} tombstones are gone: every member confirmed",
    "rot_found": "the scrubber found {damaged} damaged rows, {untrue_leaves} leaves that said otherwise {unreadable}",
    "scrubbed": "all {rows} rows were read again in {took_s} s: {damaged} were damaged",
    "repaired": "{differing} keys differed from those of {node}: {repaired} repaired, {failed} not",
    "dial-failed": "no link to {address}: {why}",
    "dial-refused": "does not dial {address}: {why}",
    "peer-rejected": "turned {address} away: {why}",
    "peer-link-lost": "link to {peer} ({address}) lost: {why}",
    "peer-late": "packets to {peer} ({address}) are being lost: messages go as datagrams, too, until TCP is on time",
    "no-datagrams": "UDP port {port} cannot be used ({why}): where packets are lost there is TCP alone",
    "peer-queue-full": "{peer} does not take its messages: link dropped with {queued_bytes} bytes queued",
    "peer-broke-protocol": "{peer} ({address}) broke the protocol: {error}",
    "message-not-sent": "a message to {peer} cannot be sent: {detail}",
    "discovery-failed": "cannot look for nodes on the network ({why}); --join HOST:PEERPORT works without",
    "storage-stopped": "the disk failed and nothing more is stored until a restart: {why}",
    "fault": "obeys DYN.FAULT {order}",
    "epoch-redrawn": "writes go on under a new dot epoch: {why}",
    "key-made": "made a cluster key for this user in {file}",
    "loop": "the event loop says: {message}",
    "exception": "an exception nobody expected: {error} ({at})",
    "bug": "a bug in dyn ends this node: {error}",
}
"""What a kind of fact means, in words. One that is not here is shown as its name and its fields."""

ENDS: Final = {"seat_taken": "another store has its seat", "fell_back": "its disk was put back"}
"""Facts after which a node must not go on, and why it then stops."""

WARNINGS: Final = frozenset(
    (
        "rot_found",
        "stranger",
        "peer_down",
        "peer_silent",
        "fell_back",
        "seat_taken",
        "dial-failed",
        "dial-refused",
        "peer-rejected",
        "peer-link-lost",
        "peer-late",
        "no-datagrams",
        "peer-queue-full",
        "peer-broke-protocol",
        "message-not-sent",
        "discovery-failed",
        "fault",
        "loop",
        "exception",
    )
)
ERRORS: Final = frozenset(("storage-stopped", "bug"))


class Log:
    """Writes facts to `stream`. `wall_s` and `now` are the clocks for the time shown and for the rate."""

    def __init__(
        self, stream: TextIO, wall_s: Callable[[], float], now: Callable[[], float], *, as_json: bool = False
    ) -> None:
        self._stream = stream
        self._wall_s = wall_s
        self._now = now
        self._as_json = as_json
        self._rates: dict[str, Rate] = {}
        self._gone = False

    def fact(self, kind: str, fields: dict[str, object]) -> None:
        """Write one line, unless its kind has had its share."""
        rate = self._rates.get(kind)
        if rate is None:
            if len(self._rates) >= LOG_KINDS_MAX:
                return
            rate = self._rates[kind] = Rate(self._now())
        omitted = rate.admit(self._now())
        if omitted is None or self._gone:
            return
        at = datetime.fromtimestamp(self._wall_s(), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        level = "error" if kind in ERRORS else "warn" if kind in WARNINGS else "info"
        line = (as_json if self._as_json else as_text)(at, level, kind, fields, omitted)
        try:
            self._stream.write(line + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            self._gone = True  # whoever read our log is gone: serving is worth more than saying so


class Rate:
    """How many lines of one kind may still come: LOG_BURST, and one more an interval."""

    __slots__ = ("_at", "_left", "_omitted")

    def __init__(self, now: float) -> None:
        self._at = now
        self._left = float(LOG_BURST)
        self._omitted = 0

    def admit(self, now: float) -> int | None:
        """How many lines were left out before this one, or None to leave this one out."""
        self._left = min(LOG_BURST, self._left + (now - self._at) / LOG_INTERVAL_S)
        self._at = now
        if self._left < 1:
            self._omitted += 1
            return None
        self._left -= 1
        omitted, self._omitted = self._omitted, 0
        return omitted


def as_text(at: str, level: str, kind: str, fields: dict[str, object], omitted: int) -> str:
    """One line for people."""
    shown = {name: plain(value) for name, value in fields.items()}
    words = WORDS.get(kind)
    try:
        said = words.format(**shown) if words is not None else ""
    except KeyError:
        said = ""  # a field is missing: show what there is
    if not said:
        said = " ".join([kind.replace("_", "-"), *(f"{name}={value}" for name, value in shown.items())])
    more = f" ({omitted} more of these not shown)" if omitted else ""
    return f"{at} {level.upper():5} {said}{more}"


def as_json(at: str, level: str, kind: str, fields: dict[str, object], omitted: int) -> str:
    """One line for programs."""
    document: dict[str, object] = {"at": at, "level": level, "kind": kind}
    for name, value in fields.items():
        document[name] = value if value is None or isinstance(value, bool | int | float) else plain(value)
    if omitted:
        document["omitted"] = omitted
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def plain(value: object) -> str:
    """A value as text on one line, of bounded length, without anything that a terminal would act upon."""
    text = value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
    if len(text) > LOG_FIELD_CHARS_MAX:
        text = text[: LOG_FIELD_CHARS_MAX - 1] + "…"
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)

"""What a node tells of itself, in words: the lines of its log, and the events that `dyn cluster events` shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from node.core.limits import LOG_FIELD_CHARS_MAX

WORDS: Final[dict[str, str]] = {
    "started": "dyn {version}: node {node} of cluster {cluster} starts; clients {client}, peers {peer}, data {data}",
    "stopping": "stopping ({why}): {in_flight} requests in flight",
    "stopped": "stopped after {uptime_s} s, {keys} keys",
    "founded": "founded cluster {cluster} ({cluster_id})",
    "seated": "has its seat: ring epoch {epoch}, {nodes} nodes",
    "epoch": "ring epoch {epoch}, {nodes} nodes",
    "sealed": "the first write seals the ring: epoch {epoch}, {nodes} nodes",
    "moving": "ring epoch {epoch} begins to move: {change}",
    "settled": "ring epoch {epoch} is settled: {nodes} nodes ({change})",
    "took_in": "holds all that ring epoch {epoch} wants of it: {rows} rows came",
    "retired": "let go of {rows} rows that others own and hold",
    "gone": "this node is no member any more ({change}) and stops; its data directory can be deleted",
    "waiting": "waits for a seat: {because}",
    "yielded": "gives up its own empty cluster {cluster_id} for that of {node}, {to}",
    "stranger": "{node} at {address} is of another cluster of this name and key ({cluster_id}) than this node ({here})",
    "member": "member {node} at {address}",
    "peer_up": "{node} is up ({address})",
    "peer_down": "{node} is down ({address})",
    "peer_silent": "{node} does not answer: down for this node",
    "rebuilt": "holds again what its seat acknowledged ({rows} rows came from the other owners): its answers count",
    "caught_up": "knows the deletions it missed ({rows} rows dropped, which may have been deleted): takes writes again",
    "fell_back": "others know another past of this store ({known}) than its own ({here}): its disk was put back to an "
    "earlier state. The node stops; started again it is rebuilt from the other owners",
    "other_partitions": "cluster {cluster} has {there} partitions and this node was started with --partitions {here}: "
    "it takes no seat and stops; start it without --partitions",
    "seat_taken": "another store has taken the seat of this node, which stops",
    "peer_heard": "{node} answers again",
    "hints_delivered": "{node} has got what it had missed: {rows} rows",
    "reaped": "{rows} tombstones are gone: every member confirmed",
    "rot_found": "the scrubber found {damaged} damaged rows, {untrue_leaves} leaves that said otherwise {unreadable}",
    "scrubbed": "all {rows} rows were read again in {took_s} s: {damaged} were damaged",
    "repaired": "{differing} keys differed from those of {node}: {repaired} repaired, {failed} not",
    "client-no-tls": "turned the client {address} away: {why}",
    "certificate-ends": "the certificate {file} is good for {days} more days: make a new one, and start again with it",
    "dial-failed": "no link to {address}: {why}",
    "dial-refused": "does not dial {address}: {why}",
    "peer-rejected": "turned {address} away: {why}",
    "peer-link-lost": "link to {peer} ({address}) lost: {why}",
    "peer-late": "packets to {peer} ({address}) are being lost: messages go as datagrams, too, until TCP is on time",
    "secrets-read": "read the secrets again; {links} links stand by another cluster key, and are to be made anew",
    "secrets-not-read": "the secrets stay as they were: {why}",
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

WARNINGS: Final = frozenset(
    (
        "rot_found",
        "stranger",
        "peer_down",
        "peer_silent",
        "fell_back",
        "seat_taken",
        "other_partitions",
        "client-no-tls",
        "certificate-ends",
        "dial-failed",
        "dial-refused",
        "peer-rejected",
        "peer-link-lost",
        "peer-late",
        "no-datagrams",
        "secrets-not-read",
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

LEVELS: Final = ("info", "warn", "error")
"""How much a fact matters, in rising order."""


def level_of(kind: str) -> str:
    """How much a kind of fact matters: one of LEVELS."""
    return "error" if kind in ERRORS else "warn" if kind in WARNINGS else "info"


def in_words(kind: str, fields: Mapping[str, object]) -> str:
    """A fact as one line of safe text."""
    shown = {name: plain(value) for name, value in fields.items()}
    words = WORDS.get(kind)
    try:
        said = words.format(**shown) if words is not None else ""
    except KeyError:
        said = ""  # a field is missing: show what there is
    return said or " ".join([plain(kind).replace("_", "-"), *(f"{name}={value}" for name, value in shown.items())])


def plain(value: object) -> str:
    """A value as text on one line, of bounded length, without anything that a terminal would act upon."""
    text = value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)
    if len(text) > LOG_FIELD_CHARS_MAX:
        text = text[: LOG_FIELD_CHARS_MAX - 1] + "…"
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)

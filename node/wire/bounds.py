"""What one node may tell another of itself and of the ring, beyond the types. ValueError says what is wrong."""

from __future__ import annotations

from node.core.cluster import Member, RingState, Seat
from node.core.limits import EPOCHS_MAX, MEMBERS_MAX, NAME_BYTES_MAX, PARTITIONS_MAX, REPLICAS_MAX
from node.core.limits_change import GONE_MAX


def check_number(what: str, number: int, low: int, high: int) -> None:
    """Raise ValueError unless low <= number <= high."""
    if not low <= number <= high:
        raise ValueError(f"{what} of {number}")


def check_length(what: str, value: bytes | str | tuple[object, ...], limit: int) -> None:
    """Raise ValueError if it is longer than `limit`."""
    if len(value) > limit:
        raise ValueError(f"{what} of length {len(value)}, limit {limit}")


def check_node_id(node_id: str) -> None:
    """Raise ValueError unless it is 32 lower-case hex digits."""
    if len(node_id) != 32 or node_id.strip("0123456789abcdef"):
        raise ValueError("node id is not 32 hex digits")


def check_label(what: str, text: str, *, least: int = 0) -> None:
    """Raise ValueError unless `text` is `least` … NAME_BYTES_MAX printable bytes: it goes to screens and logs."""
    if not least <= len(text.encode()) <= NAME_BYTES_MAX or not text.isprintable():
        raise ValueError(f"{what} is not 1 to {NAME_BYTES_MAX} printable bytes")


def check_member(member: Member) -> None:
    """Raise ValueError, saying what is wrong, unless another node may believe this description."""
    check_node_id(member.id)
    check_label("node name", member.name, least=1)
    check_label("host", member.host, least=1)
    check_label("zone", member.zone)
    check_label("storage id", member.storage_id)
    for what, port in ("port", member.port), ("peer port", member.peer_port), ("http port", member.http_port):
        check_number(what, port, 0, 0xFFFF)
    check_number("weight", member.weight, 0, 1_000_000)
    check_number("incarnation", member.incarnation, 0, 2**63)
    check_number("starts", member.starts, 0, 2**63)
    check_label("run", member.run)
    check_number("changes", member.changes, 0, 2**63)
    check_number("moving epoch", member.holds, 0, 2**63)
    check_length("epochs", member.epochs, EPOCHS_MAX)
    for epoch in member.epochs:
        check_number("dot epoch", epoch, 0, 2**64 - 1)


def _check_owners(seats: tuple[Seat, ...], owners: tuple[int, ...]) -> None:
    """Raise ValueError unless each partition belongs to a seat, and each seat could be one."""
    check_number("number of seats", len(seats), 1, MEMBERS_MAX)
    for seat in seats:
        check_node_id(seat.id)
        check_label("zone", seat.zone)
        check_number("weight", seat.weight, 0, 1_000_000)
    if len({seat.id for seat in seats}) < len(seats):
        raise ValueError("a node has two seats")
    partitions = len(owners)
    if partitions & (partitions - 1) or not 1 <= partitions <= PARTITIONS_MAX:
        raise ValueError(f"{partitions} partitions")
    if min(owners) < 0 or max(owners) >= len(seats):
        raise ValueError("a partition belongs to no seat")


def check_ring(ring: RingState) -> None:
    """Raise ValueError, saying what is wrong, unless `ring` is a ring at all (who decided it is not looked at)."""
    check_label("cluster id", ring.cluster_id, least=1)
    check_label("cluster name", ring.cluster, least=1)
    check_node_id(ring.decider)
    check_number("ring epoch", ring.epoch, 0, 2**63)
    quorums = ring.quorums
    check_number("N", quorums.n, 1, REPLICAS_MAX)
    check_number("R", quorums.r, 1, quorums.n)
    check_number("W", quorums.w, 1, quorums.n)
    _check_owners(ring.seats, ring.owners)
    if ring.before is not None:
        _check_owners(ring.before.seats, ring.before.owners)
        if len(ring.before.owners) != len(ring.owners):
            raise ValueError("the number of partitions never changes")
    if ring.change is not None:
        check_label("kind of change", ring.change.kind, least=1)
        check_node_id(ring.change.node)
        if ring.change.by:
            check_node_id(ring.change.by)
        check_label("words of a change", ring.change.words)
    check_length("nodes that are gone", ring.gone, GONE_MAX)
    for node in ring.gone:
        check_node_id(node)
    check_number("number of secrets", len(ring.secrets), 1, 2)
    for secret in ring.secrets:
        check_number("key id", secret.key_id, 0, 255)
        check_number("bytes of secret", len(secret.secret), 16, 64)

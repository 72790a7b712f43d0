"""DYN.EXPLAIN and DYN.HISTORY: what is known of one key, node by node and version by version. Pure.

Unknown is null, never made up: what a node did not tell is not taken for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping

from node.core.ids import Instant, NodeId, partition_of, position
from node.core.limits_trace import HISTORY_VALUE_BYTES, HISTORY_VERSIONS_MAX
from node.core.lineage import lineage
from node.core.row import EMPTY, Dot, Row, Version
from node.core.version import merge, own_clock
from node.engine.key_survey import Holdings
from node.engine.operation import Shared
from node.wire.clocks import Namer
from node.wire.errors import RemoteWireError
from node.wire.rows import decode_row, row_digest
from node.wire.text import as_text, as_time

Document = dict[str, object]

DOWN_KINDS = ("peer_down", "peer_silent")
ABOUT_PEERS = ("peer_down", "peer_silent", "peer_up", "peer_heard")


class Replicas:
    """What the nodes told, decoded. `broken` says why one could not tell; `merged` is what they hold together."""

    def __init__(self, shared: Shared, key: bytes, holdings: Holdings, now: Instant) -> None:
        self.shared = shared
        self.cluster = shared.cluster
        self.key = key
        self.now = now
        self.hints = holdings.hints
        self.rows: dict[NodeId, Row] = {}
        self.broken: dict[NodeId, str] = {}
        for node, row in holdings.rows.items():
            if isinstance(row, str):
                self.broken[node] = row
                continue
            try:
                self.rows[node] = EMPTY if row is None else decode_row(row)
            except RemoteWireError as error:
                self.broken[node] = str(error)
        self.namer = Namer([row.clock for row in self.rows.values()], self.cluster.names_by_epoch)
        self.owners = self.cluster.owners(key)
        self.merged = EMPTY
        for held in self.rows.values():
            self.merged = merge(self.merged, held)

    @property
    def shown(self) -> list[NodeId]:
        """The owners, and whoever else holds something or keeps it for an owner, in the order of preference."""
        return [
            node
            for node in self.cluster.preference_list(self.key)
            if node in self.owners or self.rows.get(node, EMPTY).versions or self.hints.get(node)
        ]

    def replica(self, node: NodeId) -> Document:
        """One node's line."""
        held = self.rows.get(node)
        kept = self.hints.get(node, ())
        return {
            "node": self.cluster.name(node),
            "role": "owner" if node in self.owners else "stand-in",
            "state": self.cluster.health(node, self.now),
            "down_s": self.down_s(node),
            "versions": None if held is None else [self._version(version) for version in held.versions],
            "hint_for": ", ".join(self.cluster.name(owner) for owner in kept) or None,
            "note": self.broken.get(node, "no answer" if held is None else self._note(held)),
        }

    def down_s(self, node: NodeId) -> float | None:
        """For how long a node has not answered this one, as far as its events still tell."""
        name = self.cluster.name(node)
        for event in reversed(self.cluster.events):
            if event.get("node") == name and event["kind"] in ABOUT_PEERS:
                at = event["at"]
                down = event["kind"] in DOWN_KINDS and not self.cluster.is_up(node)
                return round(self.now - at, 1) if down and isinstance(at, int | float) else None
        return None

    def _note(self, row: Row) -> str:
        if row == self.merged:
            return ""
        return "holds nothing" if row == EMPTY else "stale"

    def _version(self, version: Version) -> Document:
        return {
            "dot": self.namer.dot(version.dot),
            "clock": self.namer.clock(own_clock(version)),
            "value_digest": None if version.value is None else row_digest(self.key, version.value).hex(),
            "bytes": 0 if version.value is None else len(version.value),
            "written_at": as_time(version.written_at_ms),
            "age_s": self.age_s(version),
            "writer": version.writer,
            "deleted": version.value is None,
        }

    def age_s(self, version: Version) -> float:
        """Since when it has been, by its coordinator's clock and ours; negative if the two disagree."""
        return round((self.shared.wall_ms(self.now) - version.written_at_ms) / 1000, 1)

    def holders(self, dot: Dot) -> list[NodeId]:
        """Who told that it holds this version."""
        return [node for node in self.shown if any(v.dot == dot for v in self.rows.get(node, EMPTY).versions)]


def explain_document(shared: Shared, key: bytes, holdings: Holdings, now: Instant) -> Document:
    """DYN.EXPLAIN: where the key lives, what each node of its preference list holds, and what that amounts to."""
    replicas = Replicas(shared, key, holdings, now)
    cluster, merged = shared.cluster, replicas.merged
    verdict, why = _verdict(replicas)
    text, encoding = as_text(key)
    return {
        "schema": "dyn.explain/v1",
        "key": text,
        "enc": encoding,
        "md5": f"{position(key):032x}",
        "partition": partition_of(key, cluster.partitions),
        "epoch": cluster.epoch,
        "preference": [cluster.name(node) for node in cluster.preference_list(key)],
        "fallback": _fallback(replicas),
        "replicas": [replicas.replica(node) for node in replicas.shown],
        "merged": [
            dict(zip(("value", "enc"), as_text(version.value or b""), strict=True))
            | {"clock": replicas.namer.clock(own_clock(version)), "dot": replicas.namer.dot(version.dot)}
            | {"written_at": as_time(version.written_at_ms), "writer": version.writer}
            | {"deleted": version.value is None}
            for version in merged.versions
        ],
        "verdict": verdict,
        "why": why,
        "repairs": _repairs(replicas),
        "survives": _survives(replicas),
    }


def _fallback(replicas: Replicas) -> list[str]:
    """Who would be written in the place of an owner that is down, next first."""
    cluster = replicas.cluster
    behind = [node for node in cluster.preference_list(replicas.key) if node not in replicas.owners]
    return [cluster.name(node) for node in behind if cluster.is_up(node) and not cluster.is_leaving(node)]


def _verdict(replicas: Replicas) -> tuple[str, str]:
    merged = replicas.merged
    heard = [replicas.rows[owner] for owner in replicas.owners if owner in replicas.rows]
    if not heard:
        return "unreachable", "no owner of the key answers"
    if merged == EMPTY:
        return "absent", f"none of the {len(heard)} owners that answer has ever seen this key"
    live = len(merged.live)
    if live == 0:
        return "deleted", "a delete covers every version"
    if live > 1:
        return "conflict", f"{live} versions, and no writer of one had seen the other"
    if any(row != merged for row in heard):
        behind = sum(row != merged for row in heard)
        return "stale", f"{behind} of the {len(heard)} owners that answer lack the newest version"
    silent = len(replicas.owners) - len(heard)
    told = f"; {silent} {'does' if silent == 1 else 'do'} not tell" if silent else ""
    return "ok", f"{len(heard)} of {len(replicas.owners)} owners hold the same version{told}"


def _repairs(replicas: Replicas) -> list[str]:
    """What will bring each owner what it lacks, and when; what will go from who is no owner."""
    cluster, merged = replicas.cluster, replicas.merged
    if merged == EMPTY:
        return []
    found = []
    for owner in replicas.owners:
        name, row = cluster.name(owner), replicas.rows.get(owner)
        if row == merged:
            continue
        keepers = [cluster.name(node) for node, owners in replicas.hints.items() if owner in owners]
        kept = f"{' and '.join(keepers)} {'keep' if len(keepers) > 1 else 'keeps'} a hint for it"
        lacks = "what it lacks, if anything," if row is None else _dots(replicas, row) or "what others have replaced"
        if not cluster.is_up(owner) and keepers:
            found.append(f"{name} gets {lacks} when it answers again: {kept}")
        elif not cluster.is_up(owner):
            found.append(f"{name} gets {lacks} by anti-entropy once it answers again")
        else:
            hints = f", the hint of {' and '.join(keepers)}" if keepers else ""
            found.append(
                f"{name} gets {lacks} with the next read that hears it{hints}, or by anti-entropy{_pass(replicas)}"
            )
    for node in replicas.shown:
        if node not in replicas.owners and replicas.rows.get(node, EMPTY).versions:
            owners = [cluster.name(owner) for owner in replicas.hints.get(node, ())]
            if owners:
                hold = "holds" if len(owners) == 1 else "hold"
                found.append(f"{cluster.name(node)} lets go of its copy once {' and '.join(owners)} {hold} it")
    return found


def _dots(replicas: Replicas, row: Row) -> str:
    """The versions of all that a row lacks."""
    held = [version.dot for version in row.versions]
    return " ".join(replicas.namer.dot(v.dot) for v in replicas.merged.versions if v.dot not in held)


def _pass(replicas: Replicas) -> str:
    ago = replicas.shared.repair(replicas.now).get("last_pass_s_ago")
    return f", whose last full pass here ended {ago:.0f} s ago" if isinstance(ago, int | float) else ""


def _survives(replicas: Replicas) -> list[str]:
    """Which losses the versions outlive, counted over the nodes that told that they hold them; which not, unless every
    version is on as many nodes as there are owners."""
    cluster, namer, merged = replicas.cluster, replicas.namer, replicas.merged
    holders = {version.dot: replicas.holders(version.dot) for version in merged.versions}
    if not holders:
        return []
    fewest = min(len(nodes) for nodes in holders.values())
    found = []
    if fewest > 1:
        found.append(f"the loss of any {'node' if fewest == 2 else f'{fewest - 1} nodes'}")
    if fewest >= len(replicas.owners):
        return found
    together: dict[tuple[str, ...], list[str]] = {}
    for dot, nodes in holders.items():
        if len(nodes) == fewest:
            together.setdefault(tuple(cluster.name(node) for node in nodes), []).append(namer.dot(dot))
    for names, dots in together.items():
        who = " and ".join(names) + (" together" if len(names) > 1 else "")
        found.append(f"not that of {who}: nobody else is known to hold {' '.join(dots)}")
    return found


# History -----------------------------------------------------------------------------------------------------


def history_document(shared: Shared, key: bytes, holdings: Holdings, now: Instant) -> Document:
    """DYN.HISTORY: all versions that some node holds, also those that others have replaced, and what each follows."""
    replicas = Replicas(shared, key, holdings, now)
    current = {version.dot for version in replicas.merged.versions}
    siblings = [version.dot for version in replicas.merged.live]
    versions: dict[Dot, Version] = {}
    for row in replicas.rows.values():
        versions |= {version.dot: version for version in row.versions}
    latest = sorted(versions.values(), key=lambda v: (v.dot not in current, -v.written_at_ms, v.dot))
    events = []
    for number, event in enumerate(lineage(latest[:HISTORY_VERSIONS_MAX])):
        version = event.version
        story: Document = {"id": number, "parents": list(event.parents), "clock": replicas.namer.clock(event.clock)}
        if version is None:
            story |= {"dot": None, "kind": "gone"}
        else:
            value, encoding = as_text((version.value or b"")[:HISTORY_VALUE_BYTES])
            story |= {
                "dot": replicas.namer.dot(version.dot),
                "kind": "version",
                "current": version.dot in current,
                "sibling": siblings.index(version.dot) if version.dot in siblings else None,
                "past": replicas.namer.clock(version.past),
                "value": None if version.value is None else value,
                "enc": encoding,
                "cut": len(version.value or b"") > HISTORY_VALUE_BYTES,
                "bytes": len(version.value or b""),
                "deleted": version.value is None,
                "written_at": as_time(version.written_at_ms),
                "age_s": replicas.age_s(version),
                "writer": version.writer,
                "held_by": [shared.cluster.name(node) for node in replicas.holders(version.dot)],
            }
        events.append(story)
    text, encoding = as_text(key)
    return {
        "schema": "dyn.history/v1",
        "key": text,
        "enc": encoding,
        "partition": partition_of(key, shared.cluster.partitions),
        "epoch": shared.cluster.epoch,
        "events": events,
        "left_out": max(0, len(latest) - HISTORY_VERSIONS_MAX),
        "replicas": [_told(replicas.replica(node)) for node in replicas.shown],
    }


def _told(replica: Mapping[str, object]) -> Document:
    """A replica without its versions: whether it told what it holds."""
    wanted = ("node", "role", "state", "down_s", "note")
    return {"told": replica["versions"] is not None} | {name: replica[name] for name in wanted}

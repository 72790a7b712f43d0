"""Documents of a cluster as nodes tell them, made up: one of each sort, with room for a hostile text in it."""

from __future__ import annotations

from typing import Any

EVIL = "\x1b]0;owned\x07\x1b[31m[bold]\x9b\u202e"
"""What somebody who wants the terminal would store: escapes, rich markup, C1, a direction mark."""

NOWHERE = "127.7.7.7"
"""Of this machine, and no node listens there: what is told of these nodes is never asked of one that runs here."""


def member(i: int, *, name: str = "") -> dict[str, Any]:
    facts = {"name": name or f"n{i}", "id": f"{i:032x}", "address": f"{NOWHERE}:{7700 + i}", "zone": "", "weight": 1}
    return {**facts, "state": "up"}


def ring(nodes: int, partitions: int, n: int = 3) -> dict[str, Any]:
    """A DYN.RING document in which partitions go round."""
    members = [member(i) for i in range(1, nodes + 1)]
    names = [m["name"] for m in members]
    preference = [[names[(p + i) % nodes] for i in range(nodes)] for p in range(partitions)]
    facts = {"epoch": 7, "partitions": partitions, "n": n, "r": 2, "w": 2, "hash": "md5", "moving": None}
    return {"schema": "dyn.ring/v1", **facts, "members": members, "owners": [p[0] for p in preference],
            "preference": preference}  # fmt: skip


def status(name: str = "n5", **more: Any) -> dict[str, Any]:
    """A DYN.STATUS document: n1 and n2 are up, and a third that is down and tells nothing."""
    up = {"state": "up", "seen_by": ["n1", "n2"], "keys": 1204, "bytes": 1_100_000, "partitions": 85, "hints": 0,
          "p99_ms": 1.93, "uptime_s": 8040.0, "zone": ""}  # fmt: skip
    down = dict.fromkeys(up) | {"state": "down", "seen_by": [], "partitions": 86, "zone": ""}
    nodes = [{"name": f"n{i}", "address": f"{NOWHERE}:770{i}", **up} for i in (1, 2)]
    nodes.append({"name": name, "address": f"{NOWHERE}:7705", **down})
    return {"schema": "dyn.status/v1", "cluster": "carts", "cluster_id": "ab", "epoch": 7, "health": "degraded",
            "reasons": [f"{name} is down"], "nodes": nodes, "siblings": 2, "hints": 0, "transfers": 0,
            "repair": {"last_pass_s_ago": None, "divergent": None}, "views_agree": True, **more}  # fmt: skip


def hints(text: str = "n3") -> dict[str, Any]:
    """A DYN.HINTS document: two nodes keep rows for a third."""
    facts = {"for": text, "keys": 1234, "bytes": 123_456, "oldest_s": 171}
    held = [{"by": "n1", **facts, "waits_because": f"{text} does not answer n1"},
            {"by": "n2", **facts, "keys": 1, "waits_because": "being delivered"}]  # fmt: skip
    return {"schema": "dyn.hints/v1", "held": held}


def views(text: str = "n3", *, agree: bool = False) -> dict[str, Any]:
    """A DYN.VIEWS document: n1 cannot reach the third, n2 can."""
    seen = [
        {"of": f"n{i}", "epoch": 7, "sees": {"n1": "up", "n2": "up", text: state}}
        for i, state in ((1, "down"), (2, "up"))
    ]
    return {"schema": "dyn.views/v1", "views": seen, "agree": agree}


def explain(text: str = "k") -> dict[str, Any]:
    """A DYN.EXPLAIN document with a replica of each sort."""
    story = {"dot": "n1:1", "clock": {"n1": 1}, "value_digest": "d", "bytes": 4, "written_at": "2026-11-23T12:03:11Z",
             "writer": text, "deleted": False}  # fmt: skip
    replicas = [
        {"node": "n1", "role": "owner", "state": "up", "versions": [story], "hint_for": None, "note": ""},
        {"node": "n2", "role": "owner", "state": "up", "versions": [], "hint_for": None, "note": "holds nothing"},
        {"node": "n3", "role": "owner", "state": "down", "versions": None, "hint_for": None, "note": text},
    ]
    return {"schema": "dyn.explain/v1", "key": text, "enc": "utf8", "md5": "0" * 32, "partition": 2, "epoch": 7,
            "preference": ["n1", "n2", "n3"], "replicas": replicas, "repairs": [], "survives": [],
            "merged": [{"clock": {"n1": 1}, "value": text, "enc": "utf8", "deleted": False}],
            "verdict": "stale", "why": f"1 of 2 lacks it {text}"}  # fmt: skip


def history(text: str = "k", *, node: str = "n3") -> dict[str, Any]:
    """A DYN.HISTORY document: two siblings upon a past that is gone, one more upon a third that was replaced."""
    at = {"written_at": "2026-11-23T12:03:11.402Z", "age_s": 160.2, "writer": text, "enc": "utf8", "cut": False}
    held = {"deleted": False, "held_by": [node, "n4"], "bytes": 7, "kind": "version"}
    events = [
        {"id": 0, "parents": [], "clock": {node: 1}, "dot": None, "kind": "gone"},
        {"id": 1, "parents": [0], "clock": {node: 1, "n4": 1}, "dot": "n4:1", "past": {node: 1}, "current": False,
         "sibling": None, "value": text, **at, **held},
        {"id": 2, "parents": [0], "clock": {node: 2}, "dot": f"{node}:2", "past": {node: 1}, "current": True,
         "sibling": 0, "value": text, **at, **held},
        {"id": 3, "parents": [1], "clock": {node: 1, "n4": 2}, "dot": "n4:2", "past": {node: 1, "n4": 1},
         "current": True, "sibling": 1, "value": "beer", **at, **held},
    ]  # fmt: skip
    told = {"role": "owner", "state": "up", "down_s": None, "note": "", "told": True}
    away = {"node": "n5", "role": "owner", "state": "down", "down_s": 192.0, "note": text, "told": False}
    return {"schema": "dyn.history/v1", "key": text, "enc": "utf8", "partition": 2, "epoch": 7, "events": events,
            "left_out": 0, "replicas": [{"node": node, **told}, {"node": "n4", **told}, away]}  # fmt: skip


def trace(text: str = "k", **result: Any) -> dict[str, Any]:
    """A DYN.TRACE document with a step of each sort: through n1 to its coordinator."""
    quiet: dict[str, Any] = {
        "peer": None,
        "took_ms": None,
        "awaited": False,
        "versions": None,
        "behind": False,
        "hint_for": [],
        "note": "",
    }
    asked = {"awaited": True, "took_ms": 1.5}
    steps = [
        {"at_ms": 0.0, "node": "n1", "what": "load", **asked, "versions": [f"{text}:1"]},
        {"at_ms": 0.0, "node": "n1", "what": "fetch", "peer": text, **asked, "versions": [], "behind": True},
        {"at_ms": 0.1, "node": "n1", "what": "ping", "peer": text, **asked},
        {"at_ms": 0.2, "node": "n1", "what": "forward", "peer": text, "awaited": True, "took_ms": 4.0},
        {"at_ms": 0.7, "node": text, "what": "commit", **asked, "hint_for": [text], "versions": [f"{text}:2"]},
        {"at_ms": 2.2, "node": text, "what": "replicate", "peer": "n3", **asked, "note": "durable"},
        {"at_ms": 2.2, "node": text, "what": "replicate", "peer": "n4", "awaited": True, "hint_for": ["n5"]},
        {"at_ms": 2.3, "node": text, "what": "silent", "peer": "n4"},
        {"at_ms": 2.3, "node": text, "what": "hint", "hint_for": ["n5", text]},
        {"at_ms": 3.7, "node": text, "what": "answer", "peer": "n1"},
        {"at_ms": 4.2, "node": "n1", "what": "answer", "note": ""},
        {"at_ms": 4.3, "node": "n1", "what": "repair", "peer": text},
        {"at_ms": 4.3, "node": "n1", "what": text, "note": text},
    ]  # fmt: skip
    owners = [{"node": "n1", "state": "up"}, {"node": text, "state": "down"}]
    story = {"value": "milk", "enc": "utf8", "dot": "n1:1", "clock": {"n1": 1}, "past": {}, "deleted": False}
    found = {"context": "c", "values": [{**story, "written_at": "2026-11-23T12:03:11Z", "writer": text}]}
    return {"schema": "dyn.trace/v1", "op": "get", "key": text, "enc": "utf8", "node": "n1", "partition": 2, "epoch": 7,
            "owners": owners, "answered_ms": 4.2, "followed_ms": 5.0, "steps": [{**quiet, **step} for step in steps],
            "dropped": 3, "untold": [text], "result": result or found}  # fmt: skip


def kept_traces(text: str = "n1-1") -> dict[str, Any]:
    """A DYN.TRACES document of two traces."""
    one = {"id": text, "at": "2026-11-23T12:03:12.000Z", "op": "get", "key": text, "enc": "utf8", "node": text,
           "answered_ms": 4.2, "followed_ms": 5.0, "steps": 13, "error": None}  # fmt: skip
    return {"schema": "dyn.traces/v1", "node": text, "traces": [one, {**one, "answered_ms": None, "error": text}]}


def pass_document(name: str = "n1", **more: Any) -> dict[str, Any]:
    """A DYN.REPAIR document of a pass that found something and left somebody out."""
    facts = {"node": name, "running": False, "compared": 85, "total": 170, "differing": 3, "repaired": 2, "failed": 1}
    left_out = [{"node": name, "because": f"down {name}"}]
    return {"schema": "dyn.repair/v1", **facts, "left_out": left_out, "took_s": 1.25, "last_pass_s_ago": 70.5,
            "divergent": 0, **more}  # fmt: skip


def delivery(text: str = "n1", *, running: bool = False, keys: int = 12, held: int = 3) -> dict[str, Any]:
    """A DYN.BACKGROUND DELIVER document: rows went to n3, and some wait for a node that does not answer."""
    waits = {"for": text, "keys": held, "bytes": 99, "oldest_s": 61, "waits_because": f"{text} does not answer"}
    return {"schema": "dyn.delivery/v1", "node": text, "running": running,
            "delivered": [{"for": "n3", "keys": keys}] if keys else [], "held": [waits] if held else []}  # fmt: skip


def pace(text: str = "n1", *, paused_s: float | None = 61.5, limit_bps: int | None = None) -> dict[str, Any]:
    """What a node answers to DYN.BACKGROUND PAUSE, RESUME and LIMIT."""
    return {"schema": "dyn.pace/v1", "node": text, "moving": True, "paused_s": paused_s, "limit_bps": limit_bps}


def key_repair(text: str = "k", *found: str | None) -> dict[str, Any]:
    """A DYN.REPAIR document of one key, with what each owner held."""
    owners = [
        {"node": f"n{at}", "found": held, "repaired": held == "behind", "note": text if held is None else ""}
        for at, held in enumerate(found or ("same", "behind", None), 1)
    ]
    return {"schema": "dyn.repair.key/v1", "key": text, "enc": "utf8", "partition": 2, "differed": True,
            "owners": owners}  # fmt: skip


def stats(text: str = "n1") -> dict[str, Any]:
    """A DYN.STATS document of a node that is busy."""
    scrub = {"task": "scrub", "granted": 20000.0, "because": text, "done": 0.42, "damaged": 3, "last_pass": None}
    latency = {"p50": 0.1095, "p99": 8.9595, "p999": 30.1}
    storage = {"groups": 5, "writes": 8, "late": 2, "commit_ms_mean": 7.611, "commit_ms_max": 30.567, "failed": None,
               "room": text, "stopped": text, "trees_unknown": True, "log_pages": 13, "checkpoints": 1,
               "checkpoint_ms_max": 4.0}  # fmt: skip
    queues = {"disk_writes": 0, "requests": 1, "requests_max": 1024, "requests_refused": 7, "peer_bytes": 2048,
              "clients": 1}  # fmt: skip
    return {"schema": "dyn.stats/v1", "node": text, "ops": {"get": 2_123_456, "put": 1, "del": 0},
            "latency_ms": {"get": latency, "put": latency, "del": dict.fromkeys(latency)},
            "versions_per_read": {"0": 1, "1": 99_999, "2": 3}, "storage": storage, "queues": queues,
            "background": [{"task": "hints", "granted": 312.5, "because": text}, scrub]}  # fmt: skip


def hot_keys(text: str = "k") -> dict[str, Any]:
    """A DYN.HOT document with a key in each list."""
    key = {"key": text, "enc": "utf8"}
    hot = {**key, "reads": 3, "writes": 1, "uncounted_max": 0, "share": 0.5, "per_s": 9.1}
    return {"schema": "dyn.hot/v1", "node": text, "one_in": 64, "sampled": 8, "over_s": 42.0, "hot": [hot],
            "biggest": [{**key, "bytes": 30, "seen_s_ago": 1.0}],
            "siblings": [{**key, "values": 2, "seen_s_ago": 1.0}]}  # fmt: skip


def backup(text: str = "n1", **more: Any) -> dict[str, Any]:
    """A DYN.BACKUP document of a copy that is finished."""
    return {"schema": "dyn.backup/v1", "running": False, "node": text, "cluster": text, "file": text, "keys": 5,
            "bytes": 99, "siblings": 1, "tombstones": 2, "quarantined": 3, "file_bytes": 8192, "took_s": 1.0,
            **more}  # fmt: skip


def joining(nodes: int, partitions: int, text: str = "") -> dict[str, Any]:
    """A DYN.RING document in which the last of the nodes joins: every other partition gets it as its primary."""
    document = ring(nodes, partitions)
    new, before = document["members"][-1], ring(nodes - 1, partitions)
    moves = list(range(0, partitions, 2))
    document |= {"owners": before["owners"], "preference": [[*old, new["name"]] for old in before["preference"]]}
    for each in document["members"]:
        each |= {"owns": True}
    new["state"] = "joining"
    owners = [new["name"] if p in moves else owner for p, owner in enumerate(before["owners"])]
    document["moving"] = {"epoch": 7, "change": text or f"join {new['name']}", "owners": owners, "partitions": moves,
                          "progress": 0.25, "bytes_left": None, "eta_s": None}  # fmt: skip
    return document


def plan(text: str = "n3", **more: Any) -> dict[str, Any]:
    """A DYN.CLUSTER PLAN document: the third of three nodes leaves, and its part goes to the others."""
    moves = [{"from": giver, "to": taker, "partitions": count, "keys": 10 * count, "bytes": 1536 * count}
             for giver, taker, count in (("n2", "n1", 128), (text, "n1", 43), (text, "n2", 85))]  # fmt: skip
    before = {"efficiency": 1.0, "partitions": {"n1": 86, "n2": 85, text: 85}, "replicas": dict.fromkeys(
        ("n1", "n2", text), 256)}  # fmt: skip
    after = {"efficiency": 0.875, "partitions": {"n1": 128, "n2": 128}, "replicas": {"n1": 256, "n2": 192}}
    return {"schema": "dyn.plan/v1", "id": f"LEAVE:{text}:EPOCH:8", "epoch": 8, "change": f"leave {text}",
            "moves": moves, "partitions": 256, "keys": 2560, "bytes": 393_216, "seconds": 75.0, "at_risk": 3,
            "before": before, "after": after, **more}  # fmt: skip


def change(text: str = "leave n3", epoch: int = 9, state: str = "moving") -> dict[str, Any]:
    """What DYN.CLUSTER COMMIT says of a change that was decided."""
    return {"schema": "dyn.change/v1", "epoch": epoch, "change": text, "state": state}


def transfers(text: str = "n3", *, idle_s: float = 71.4, **more: Any) -> dict[str, Any]:
    """A DYN.TRANSFERS document: n1 has its part, n2 waits for a third node, and a fourth says nothing."""
    silent = {"holds": False, "todo": None, "total": None, "rows": None, "idle_s": None}
    takers = [{"node": "n1", "holds": True, "todo": 0, "total": 2, "rows": 1234, "idle_s": 5.0},
              {"node": "n2", "holds": False, "todo": 3, "total": 4, "rows": 7, "bytes": 7168,
               "rate_bps": 2048, "eta_s": 30.0, "idle_s": idle_s},
              {"node": f"{text}x", **silent}]  # fmt: skip
    why = [f"{text} does not answer n2", f"n1: {text}"]
    facts: dict[str, Any] = {"total": 2, "rate_bps": None, "eta_s": None}
    facts |= {"from": "n1", "sources": ["n1", text], "to": "n2", "done": 1}
    moves = [{"partition": p, "waits_because": because, **facts}
             for p, because in ((4, "; ".join(why)), (5, "; ".join(why[::-1])), (9, why[0]), (11, None))]  # fmt: skip
    return {"schema": "dyn.transfers/v1", "epoch": 9, "state": "moving", "change": f"leave {text}", "takers": takers,
            "moves": moves, **more}  # fmt: skip


def settled(epoch: int = 10, text: str | None = "leave n3") -> dict[str, Any]:
    """A DYN.TRANSFERS document while nothing moves."""
    facts = {"epoch": epoch, "state": "settled", "change": text}
    return {"schema": "dyn.transfers/v1", **facts, "takers": [], "moves": []}

"""Documents about a cluster: its health, its ring and how it changes. (`notation` says how shapes are written.)"""

from __future__ import annotations

from typing import Final

from dynamo_cli.schemas.notation import Null, Told

HEALTH: Final = "healthy|degraded|critical"
PROCESS: Final = {
    "name": "text", "address": "text", "peer_port": "int", "http_port": "int", "pid": "int?", "log": "text",
    "state": "up|paused|ended|crashed",
}  # fmt: skip
"""A node process of a demo."""

COUNT: Final = {"*": "int"}
VIEWS: Final = {"views": [{"of": "text", "epoch": "int?", "sees": {"*": "text"}}], "agree": "bool?"}
STATUS: Final = {
    "cluster": "text", "cluster_id": "text", "epoch": "int", "health": HEALTH, "reasons": ["text"],
    "nodes": [
        {"name": "text", "address": "text?", "zone": "text?", "state": "up|down|suspect", "seen_by": ["text"],
         "keys": "int?", "bytes": "int?", "partitions": "int?", "hints": "int?", "p99_ms": "number?",
         "uptime_s": "number?"}
    ],
    "siblings": "int?", "hints": "int?", "transfers": "int?",
    "repair": {"last_pass_s_ago": "number?", "divergent": "int?"}, "views_agree": "bool?",
    "views?": VIEWS,
    "wait?": {"for": "text", "reached": "bool", "lacking": ["text"], "took_s": "number"},
}  # fmt: skip
MEMBER: Final = {
    "name": "text", "id": "text", "address": "text", "zone": "text", "weight": "int", "state": "joining|up|leaving",
}  # fmt: skip
EVEN: Final = {"efficiency": "number", "partitions": COUNT, "replicas": COUNT}
SILENT: Final = [{"node": "text", "because": "text"}]
HINT: Final = {
    "by": "text", "for": "text", "keys": "int", "bytes": "int", "oldest_s": "number?", "waits_because": "text",
}  # fmt: skip
PASS: Final = {
    "node": "text", "running": "bool", "compared": "int", "total": "int", "differing": "int", "repaired": "int",
    "failed": "int", "left_out": SILENT, "took_s": "number?", "last_pass_s_ago": "number?", "divergent": "int?",
    "cancelled?": "bool", "partitions?": Null(["int"]),
}  # fmt: skip
BEFORE_AFTER: Final = {"before": "int", "after": "int"}
A_B: Final = {"a": "int", "b": "int"}

SCHEMAS: Final = {
    "dyn.start/v1": Told(
        "Where this is, and what to type next.",
        {"context": "text?", "status": Null({"schema": "text", **STATUS}), "why": "text?", "next": ["text"]},
    ),
    "dyn.status/v1": Told("Health of the cluster and of each node.", STATUS),
    "dyn.views/v1": Told(
        "Who believes what about whom.",
        VIEWS,
    ),
    "dyn.hints/v1": Told(
        "Rows that nodes keep for others.",
        {"held": [HINT]},
    ),
    "dyn.ring/v1": Told(
        "The ring: members, and the owners of every partition.",
        {"epoch": "int", "partitions": "int", "n": "int", "r": "int", "w": "int", "hash": "text", "members": [MEMBER],
         "owners": ["text"], "preference": [["text"]],
         "load?": [{"node": "text", "over_s": "number?", "per_s": "number?", "unknown_because": "text?"}],
         "moving": Null({
             "epoch": "int", "change": "text", "owners": ["text"], "progress": "number?", "bytes_left": "int?",
             "eta_s": "number?",
         })},
    ),
    "dyn.ring.owner/v1": Told(
        "Where keys live on the ring.",
        {"epoch": "int", "keys": [
            {"key": "text", "enc": "utf8|base64", "md5": "text", "partition": "int", "owners": ["text"],
             "stand_ins": ["text"]}
        ]},
    ),
    "dyn.ring.diff/v1": Told(
        "What differs between two rings.",
        {"a": {"ring": "text", "epoch": "int?"}, "b": {"ring": "text", "epoch": "int?"}, "total": "int",
         "partitions": [
             {"partition": "int", "a": ["text"], "b": ["text"], "gained_by": ["text"], "lost_by": ["text"]}
         ],
         "reordered": "int",
         "nodes": [{"name": "text", "primaries": A_B, "replicas": A_B, "gained": "int", "lost": "int"}]},
    ),
    "dyn.ring.simulate/v1": Told(
        "What a change would move, and how even the ring would be.",
        {"steps": [
            {"change": "text", "moves": "int", "of_all": "number", "least": "int", "worst_by_mean": "number",
             "primaries": ["int"]}
         ],
         "nodes": [
             {"name": "text", "zone": "text", "weight": "int", "primaries": BEFORE_AFTER, "replicas": BEFORE_AFTER,
              "gains": "int", "gives": "int"}
         ],
         "moves": "int", "replicas": "int", "keys": Null({"total": "int", "rows_moved": "int"}),
         "ring": {"partitions": "int", "n": "int", "members": ["any"], "owners": ["text"], "preference": [["text"]]}},
    ),
    "dyn.plan/v1": Told(
        "What a change of the ring would move, and how even the ring is before and after.",
        {"id": "text", "epoch": "int", "change": "text",
         "moves": [{"from": "text", "to": "text", "partitions": "int", "keys": "int?", "bytes": "int?"}],
         "partitions": "int", "keys": "int?", "bytes": "int?", "seconds": "number?", "at_risk": "int?",
         "before": EVEN, "after": EVEN},
    ),
    "dyn.change/v1": Told("What was decided of a change.", {"epoch": "int", "change": "text?", "state": "text"}),
    "dyn.transfers/v1": Told(
        "How far a change of the ring is.",
        {"epoch": "int", "state": "text", "change": "text?",
         "takers": [
             {"node": "text", "holds": "bool", "todo": "int?", "total": "int?", "rows": "int?", "idle_s": "number?",
              "bytes?": "int?", "rate_bps?": "number?", "eta_s?": "number?", "paused_s?": "number?",
              "limit_bps?": "int?"}
         ],
         "moves": [
             {"partition": "int", "from": "text?", "sources": ["text"], "to": "text", "done": "int?", "total": "int?",
              "rate_bps": "number?", "eta_s": "number?", "waits_because": "text?"}
         ]},
    ),
    "dyn.cluster.settings/v1": Told(
        "What a cluster was founded with, and its nodes were started with. `nodes`: where they differ.",
        {"settings": [{"name": "text", "value": "text?", "nodes": Null({"*": "text"}), "changed_by": "text"}],
         "silent": SILENT},
    ),
    "dyn.transfers.pace/v1": Told(
        "How fast nodes may take in what a change of the ring gives them.",
        {"nodes": [{"node": "text", "paused_s": "number?", "limit_bps": "int?", "moving": "bool?", "error": "text?"}]},
    ),
    "dyn.hints.delivered/v1": Told(
        "What became of hints that were to be delivered at once.",
        {"delivered": [{"by": "text", "for": "text", "keys": "int"}],
         "held": [HINT], "silent": SILENT, "took_s": "number"},
    ),
    "dyn.repairs/v1": Told("The passes of several nodes.", {"passes": [PASS], "silent": SILENT}),
    "dyn.repair.cancel/v1": Told("Whether a pass was given up.", {"node": "text", "cancelled": "bool"}),
    "dyn.repair.cancels/v1": Told(
        "The same of several nodes.", {"nodes": [{"node": "text", "cancelled": "bool"}]}
    ),
    "dyn.repair/v1": Told(
        "A pass in which a node compares what it owns with the other owners.",
        PASS,
    ),
    "dyn.cluster.events/v1": Told(
        "What the nodes noted, the latest last. More fields by kind.",
        {"events": [{"at": "text?", "by": "text", "level": "text", "kind": "text?", "said": "text"}], "silent": SILENT},
    ),
    "dyn.doctor/v1": Told(
        "What is wrong, and what mends it.",
        {"version": "text", "python": "text", "asked": "text?",
         "checks": [{"id": "text", "level": "text", "text": "text", "fix": "text?", "does": ["text"]}],
         "failures": "int", "warnings": "int",
         "mended": Null([{"id": "text", "command": "text", "error": "text?"}])},
    ),
    "dyn.doctor.checks/v1": Told(
        "The checks that there are.",
        {"checks": [
            {"id": "text", "looks": "text", "why": "text", "term": "text?", "also": ["text"], "mends": "text"}
        ]},
    ),
    "dyn.bundle/v1": Told(
        "What was put into a bundle for others.",
        {"file": "text", "bytes": "int", "entries": [{"name": "text", "bytes": "int", "what": "text"}],
         "silent": SILENT, "keys": "bool"},
    ),
    "dyn.demo.list/v1": Told(
        "The demos of this machine, with their nodes.",
        {"demos": [{
            "name": "text", "folder": "text", "state": "running|stopped|gone", "by": "text", "base_port": "int",
            "temporary": "bool", "pid": "int?", "started_at": "text", "addresses": ["text"],
            "nodes": Null([{"name": "text", "state": "text", "how?": "text?", "said?": ["text"]}]),
        }]},
    ),
    "dyn.demo.started/v1": Told(
        "A demo that was started.",
        {"name": "text?", "folder": "text", "temporary": "bool", "base_port": "int", "started_at": "text",
         "took_s": "number", "latency_ms": "number", "holds": "text?", "nodes": [PROCESS],
         "environment": {"*": "text"}},
    ),
    "dyn.demo/v1": Told(
        "What became of a change to a demo.",
        {"did": "text", "node": {"name": "text", "address": "text"}, "epoch": "int?", "partitions": "int?",
         "nodes": ["text"], "took_s": "number"},
    ),
}  # fmt: skip
"""By the name that each document has in its field `schema`."""

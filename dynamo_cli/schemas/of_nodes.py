"""Documents about nodes: what they do, and what they hold. (`notation` says how shapes are written.)"""

from __future__ import annotations

from typing import Final

from dynamo_cli.schemas.notation import Null, Told

MS: Final = {"p50": "number?", "p99": "number?", "p999": "number?"}
STORED: Final = {
    "node": "text", "cluster": "text", "file": "text", "keys": "int", "bytes": "int", "siblings": "int",
    "tombstones": "int", "quarantined": "int", "file_bytes": "int",
}  # fmt: skip
OP: Final = {
    "count": "int", "ops_per_s": "number", "mean_ms": "number?", "p50_ms": "number?", "p95_ms": "number?",
    "p99_ms": "number?", "p999_ms": "number?", "max_ms": "number?",
}  # fmt: skip

SCHEMAS: Final = {
    "dyn.stats/v1": Told(
        "What a node did since its start, how late answers were, and what it does beside clients.",
        {"node": "text", "ops": {"*": "int"}, "errors?": {"*": "int"}, "latency_ms": {"*": MS},
         "versions_per_read": {"*": "int"}, "recent?": {"over_s": "number", "ops": {"*": "int"}},
         "background": [{"task": "text", "granted": "number?", "because": "text?"}], "storage": {"*": "any"},
         "queues": {"*": "any"}, "cpu_s?": "number"},
    ),
    "dyn.stat/v1": Told(
        "Requests a second and latencies of one interval, of all nodes and of each.",
        {"at": "text", "members": "int", "answered": "int",
         "total": {
             "reads_s": "number?", "writes_s": "number?", "failures_s": "number?", "repairs_s": "number?",
             "siblings_s": "number?", "read_ms": MS, "write_ms": MS, "siblings": "int?", "hints": "int?",
         },
         "nodes": [
             {"node": "text", "over_s": "number?", "reads_s": "number?", "writes_s": "number?", "failures_s": "number?",
              "repairs_s": "number?", "siblings_s": "number?", "read_ms": Null(MS), "write_ms": Null(MS),
              "keys": "int?", "siblings": "int?", "hints": "int?", "uptime_s": "number?", "unknown_because": "text?"}
         ]},
    ),
    "dyn.node.info/v1": Told(
        "What a node is, and how it was started.",
        {"node": "text?", "address": "text", "info": {"*": "text"}, "settings": {"*": "text"}, "storage": {"*": "any"}},
    ),
    "dyn.node.ping/v1": Told(
        "Whether nodes are there, and how long their answers took.",
        {"nodes": [{"node": "text?", "address": "text", "ms": ["number"], "error": "text?"}]},
    ),
    "dyn.node.stop/v1": Told("A node that was stopped.", {"node": "text", "pid": "int", "took_s": "number"}),
    "dyn.node.unit/v1": Told("A systemd unit.", {"unit": "text"}),
    "dyn.backup/v1": Told("A copy of a node's store.", {**STORED, "running": "bool", "took_s": "number?"}),
    "dyn.backup.info/v1": Told(
        "What a backup holds, and of whom.",
        {**STORED, "node_id": "text", "cluster_id": "text", "partitions": "int", "address": "text", "version": "text",
         "at": "text", "rows_read": "int?", "damaged": "int?"},
    ),
    "dyn.put_back/v1": Told(
        "A backup that was made a node's store again.",
        {"node": "text", "cluster": "text", "data_dir": "text", "start": "text"},
    ),
    "dyn.restore/v1": Told(
        "What became of the rows of a backup.",
        {"file": "text", "node": "text", "cluster": "text", "undelete": "bool", "rows": "int", "merged": "int",
         "known": "int", "older": "int", "failed": "int", "untraced": "int", "damaged": "int",
         "older_keys": [{"key": "text", "enc": "utf8|base64"}],
         "failed_keys": [{"key": "text", "enc": "utf8|base64", "why": "text"}]},
    ),
    "dyn.fault.nodes/v1": Told(
        "The faults in force on each node. More fields by kind.",
        {"nodes": [
            {"node": "text", "address": "text", "faults": Null([{"kind": "text"}]), "note": "text?", "error": "text?"}
        ]},
    ),
    "dyn.node.config/v1": Told(
        "What a node runs with, or would run with, and who set it. Of a secret no more than that it is set.",
        {"node": "text?", "address": "text?",
         "settings": [{"name": "text", "value": "text?", "origin": "text?"}]},
    ),
    "dyn.node.drain/v1": Told(
        "A node that was stopped once its hints were delivered, and those that were left.",
        {"node": "text", "pid": "int", "delivered": "int", "left": ["any"], "took_s": "number"},
    ),
    "dyn.node.data.path/v1": Told(
        "Where a node keeps its store. `here`: on this machine.",
        {"node": "text", "data_dir": "text", "file": "text", "here": "bool"},
    ),
    "dyn.node.data.verify/v1": Told(
        "What was found in a store that was read through. `counted`: what it counts itself, at rest.",
        {"file": "text", "file_bytes": "int", "in_use": "bool", "structure": "text?", "rows": "int", "bytes": "int",
         "damaged": "int", "damaged_keys": [{"key": "text", "enc": "text"}], "quarantined": "int", "counted": "int?",
         "sound": "bool"},
    ),
    "dyn.node.data.compact/v1": Told(
        "A store that was written anew, with its size before and after.",
        {"file": "text", "before_bytes": "int", "after_bytes": "int"},
    ),
    "dyn.cert/v1": Told(
        "A certificate that was made.",
        {"role": "text", "name": "text?", "cluster": "text?", "uri": "text?", "hosts": ["text"], "cert": "text",
         "key": "text", "ca": "text?", "expires_at": "text"},
    ),
    "dyn.bench/v1": Told(
        "What a bench measured.",
        {"begun_at": "text", "plan": {"*": "any"}, "nodes": ["text"], "elapsed_s": "number", "requests": "int",
         "ops_per_s": "number", "slowest_second": "number?", "stdev_per_second": "number?", "generator_cpu": "number?",
         "unsent": "int", "errors": {"*": "int"}, "ops": {"*": {**OP, "service": Null(OP)}},
         "histogram": [{"below_ms": "number?", "count": "int"}],
         "by_node": [{"node": "text?", "address": "text", "requests": "int", "ops_per_s": "number"}],
         "seconds": ["any"], "faults": [{"at_s": "number", "fault": "text", "error": "text?"}],
         "merges": Null({"settled": "int", "values": "int", "found_one": "int"}),
         "nodes_cpu": Null({"of": ["text"], "s": "number", "us_per_request": "number?"}),
         "effects": Null({"*": "any"}), "compared": Null({"*": "any"}),
         "claims": [{"claim": "text", "found": "number?", "holds": "bool"}], "saved": "text?"},
    ),
}  # fmt: skip
"""By the name that each document has in its field `schema`."""

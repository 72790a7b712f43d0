"""Documents of what watches a cluster at work. (`notation` says how shapes are written.)"""

from __future__ import annotations

from typing import Final

from dynamo_cli.schemas.notation import Null, Told

KEY: Final = {
    "node": "text?", "key": "text", "enc": "utf8|base64", "at": ["text"], "partition": "int", "owners": ["text"],
}  # fmt: skip
SILENT: Final = [{"node": "text", "because": "text"}]
OF: Final = {"samples": "int", "p50": "number?", "p99": "number?", "p999": "number?", "max": "number?"}

SCHEMAS: Final = {
    "dyn.check/v1": Told(
        "One figure of the cluster, held to two thresholds.",
        {"check": "text", "level": "ok|warning|critical|unknown", "exit": "int", "value": "number?", "unit": "text",
         "warn": "number", "critical": "number?", "worse": "smaller|greater", "what": "text", "text": "text",
         "error": "text?"},
    ),
    "dyn.latency/v1": Told(
        "How long round trips took, and what nodes served meanwhile, in milliseconds.",
        {"at": "text", "over_s": "number", "total": {"*": OF},
         "nodes": [
             {"node": "text", "ping": OF, "get": Null(OF), "put": Null(OF), "del": Null(OF), "unknown_because": "text?"}
         ]},
    ),
    "dyn.slo/v1": Told(
        "Whether objectives were met; null where too little was seen.",
        {"met": "bool?", "since_start": "bool", "over_s": "number?", "members": "int", "answered": "int",
         "objectives": [{"name": "text", "target": "text", "met": "bool?", "value": "number?", "unit": "text"}],
         "silent": SILENT},
    ),
    "dyn.hot.keys/v1": Told(
        "The keys that are asked for most, the biggest, and those with most siblings: estimates from samples.",
        {"by": "text", "one_in": "int?", "sampled": "int", "over_s": "number?", "exact": "bool",
         "hot": [
             {**KEY, "reads": "int", "writes": "int", "uncounted_max": "int", "per_s": "number", "share": "number?"}
         ],
         "biggest": [{**KEY, "bytes": "int?", "seen_s_ago": "number?"}],
         "siblings": [{**KEY, "values": "int?", "seen_s_ago": "number?"}],
         "silent": SILENT},
    ),
    "dyn.monitor.request/v1": Told(
        "One request that a node served: when it ended, and what came of it.",
        {"node": "text", "at": "text", "op": "get|put|del", "key": "text", "enc": "utf8|base64", "outcome": "text",
         "ms": "number?", "values": "int?", "bytes": "int?"},
    ),
    "dyn.node.logs/v1": Told(
        "The last lines of a node's log.",
        {"node": "text?", "file": "text", "lines": [{"at": "text?", "level": "text?", "text": "text"}]},
    ),
}  # fmt: skip
"""By the name that each document has in its field `schema`."""

"""Documents about keys: values, contexts, versions, exports. (`notation` says how shapes are written.)"""

from __future__ import annotations

from typing import Final

from dynamo_cli.schemas.notation import Null, Told

ENC: Final = "utf8|base64"
KEY: Final = {"key": "text", "enc": ENC}
CLOCK: Final = {"*": "int"}
ACKS: Final = [{"node": "text", "durable": "bool", "hint_for": "text?"}]
TRACE: Final = {
    **KEY, "op": "get|put|del", "node": "text", "partition": "int", "epoch": "int",
    "owners": [{"node": "text", "state": "text"}], "answered_ms": "number?", "followed_ms": "number",
    "steps": [
        {"at_ms": "number", "node": "text", "what": "text", "peer?": "text?", "took_ms?": "number?",
         "awaited?": "bool?"}
    ],
    "dropped": "int", "untold": ["text"], "result": {"*": "any"}, "id?": "text", "at?": "text",
}  # fmt: skip
WRITTEN: Final = {
    **KEY, "context": "text", "acks": ACKS, "w": "int?", "siblings": "int?",
    "trace?": Null({"schema": "dyn.trace/v1", **TRACE}),
}  # fmt: skip
VERSION: Final = {
    "name?": "text", "dot": "text?", "clock": CLOCK, "past?": Null(CLOCK), "value?": "text?", "enc?": f"{ENC}?",
    "cut?": "bool", "bytes?": "int?", "deleted": "bool", "written_at": "text?", "writer": "text?", "current?": "bool",
    "held_by?": ["text"],
}  # fmt: skip

LISTED: Final = {
    "deleted_at?": "text?", "age_s?": "number?", "writer?": "text?", "behind?": ["text"], "lacking?": ["text"],
    "versions?": "int?", "deleted?": "bool?",
}  # fmt: skip

SCHEMAS: Final = {
    "dyn.get/v1": Told(
        "A key's values, and the context to write over them; no values: absent, or deleted.",
        {**KEY, "context": "text", "from?": "text", "values": [
            {"value": "text", "enc": ENC, "clock": CLOCK, "dot?": "text?", "past?": Null(CLOCK), "written_at": "text?",
             "writer": "text?"}
        ], "trace?": Null({"schema": "dyn.trace/v1", **TRACE})},
    ),
    "dyn.watch/v1": Told(
        "What a key became: one change, as a read showed it.",
        {**KEY, "change": "value|siblings|deleted", "written_at": "text?", "context": "text", "values": [
            {"value": "text", "enc": ENC, "clock": CLOCK, "dot?": "text?", "past?": Null(CLOCK), "written_at": "text?",
             "writer": "text?"}
        ]},
    ),
    "dyn.trace/v1": Told("The way of one request through the nodes. More fields by step.", TRACE),
    "dyn.traces/v1": Told(
        "The traces that nodes keep, the oldest first; who did not tell.",
        {"traces": [{**KEY, "id": "text", "at": "text", "op": "get|put|del", "node": "text", "answered_ms": "number?",
                     "steps": "int", "error": "text?"}],
         "silent": [{"node": "text", "address": "text", "error": "text"}]},
    ),
    "dyn.put/v1": Told("What a write became: the new context, and who holds it.", WRITTEN),
    "dyn.del/v1": Told("What a delete became.", WRITTEN),
    "dyn.merge/v1": Told("What a merge wrote.", WRITTEN),
    "dyn.keys/v1": Told(
        "Keys: all as json, one a line as jsonl; of deleted and of stale ones what is known of each.",
        {"keys?": [{**KEY, **LISTED}], "key?": "text", "enc?": ENC, **LISTED, "unheard?": ["text"]},
    ),
    "dyn.explain/v1": Told(
        "Where a key lives, what each node of its preference list holds, and what that amounts to.",
        {**KEY, "md5": "text", "partition": "int", "epoch": "int", "preference": ["text"],
         "replicas": [
             {"node": "text", "role": "owner|stand-in", "state": "text", "hint_for": "text?", "note": "text",
              "down_s?": "number?",
              "versions": Null([
                  {"dot": "text?", "clock": CLOCK, "value_digest": "text", "bytes": "int", "written_at": "text?",
                   "writer": "text?", "deleted": "bool"}
              ])}
         ],
         "merged": [{"clock": CLOCK, "value": "text?", "enc": f"{ENC}?", "deleted": "bool"}],
         "verdict": "ok|conflict|stale|deleted|absent|unreachable", "why": "text", "repairs": ["text"],
         "survives": ["text"]},
    ),
    "dyn.history/v1": Told(
        "Which version of a key follows which.",
        {**KEY, "partition": "int", "epoch": "int", "left_out": "int",
         "events": [
             {"id": "int", "parents": ["int"], "clock": CLOCK, "dot": "text?", "kind": "text", "past?": Null(CLOCK),
              "current?": "bool", "sibling?": "int?", "value?": "text?", "enc?": f"{ENC}?", "cut?": "bool",
              "deleted?": "bool", "written_at?": "text?", "age_s?": "number?", "writer?": "text?", "bytes?": "int?",
              "held_by?": ["text"]}
         ],
         "replicas": [
             {"node": "text", "role": "text", "state": "text", "down_s": "number?", "note": "text", "told": "bool"}
         ]},
    ),
    "dyn.compare/v1": Told(
        "The causal order of two versions of a key, and why.",
        {**KEY, "a": VERSION, "b": VERSION, "order": "text", "why": ["text"]},
    ),
    "dyn.locate/v1": Told(
        "Partition and preference list of keys.",
        {"epoch": "int", "n": "int", "keys": [{**KEY, "md5": "text", "partition": "int", "preference": ["text"]}]},
    ),
    "dyn.repair.key/v1": Told(
        "What a repair of one key found on each owner.",
        {**KEY, "partition": "int", "differed": "bool",
         "owners": [{"node": "text", "found": "text?", "repaired": "bool", "note": "text"}]},
    ),
    "dyn.export/v1": Told(
        "The first line of an export; `contexts` if it has those of its keys.",
        {"cluster": "text", "cluster_id": "text", "prefix": "text", "enc": ENC, "contexts?": "bool"},
    ),
    "dyn.export.end/v1": Told(
        "The last line of an export: it is whole.", {"keys": "int", "values": "int", "siblings": "int", "bytes": "int"}
    ),
    "dyn.export.done/v1": Told(
        "What an export wrote into a file.",
        {"file": "text", "cluster": "text", "keys": "int", "values": "int", "siblings": "int", "bytes": "int"},
    ),
    "dyn.import/v1": Told(
        "What became of the keys of an export.",
        {"file": "text", "keys": "int", "existing": "text", "dry_run": "bool", "new": "int", "same": "int",
         "added": "int", "replaced": "int", "left": "int", "failed": "int", "passed_over": "int",
         "left_keys": [KEY],
         "failed_keys": [{**KEY, "why": "text"}]},
    ),
}  # fmt: skip
"""By the name that each document has in its field `schema`."""

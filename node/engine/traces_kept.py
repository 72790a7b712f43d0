"""The last requests that were followed here, for whoever comes later: how they went, without the values they gave.

They are in memory alone, bounded in number and in bytes: a node that is started again has none.
"""

from __future__ import annotations

from collections import deque

import msgspec

from node.core.ids import Instant
from node.core.limits_trace import TRACES_KEPT, TRACES_KEPT_BYTES
from node.engine.operation import Shared
from node.wire.text import as_time

Document = dict[str, object]


class Kept:
    """One trace: what a list says of it, and its whole document as JSON."""

    def __init__(self, name: str, summary: Document, json: bytes) -> None:
        self.name = name
        self.summary = summary
        self.json = json


class TracesKept:
    """The traces, the oldest first."""

    def __init__(self, shared: Shared) -> None:
        self.shared = shared
        self.traces: deque[Kept] = deque()
        self.bytes = 0
        self._number = 0

    def keep(self, document: Document, now: Instant) -> Document:
        """Give a dyn.trace/v1 document its id and its time, and keep it without values; return it as it is told now."""
        self._number += 1
        node = self.shared.cluster.me.name
        name = f"{node}-{self._number}"
        document = {**document, "id": name, "at": as_time(self.shared.wall_ms(now))}
        result = document["result"]
        assert isinstance(result, dict), "trace_document makes it so"
        if "values" in result:
            result = {"values": len(result["values"])}
        steps = document["steps"]
        assert isinstance(steps, list), "trace_document makes it so"
        error = result.get("error")
        told = ("id", "at", "op", "key", "enc", "node", "answered_ms", "followed_ms")
        summary: Document = {field: document[field] for field in told}
        summary["steps"] = len(steps)
        summary["error"] = error["code"] if isinstance(error, dict) else None
        json = msgspec.json.encode({**document, "result": result})
        if len(json) <= TRACES_KEPT_BYTES:
            self.traces.append(Kept(name, summary, json))
            self.bytes += len(json)
        while len(self.traces) > TRACES_KEPT or self.bytes > TRACES_KEPT_BYTES:
            self.bytes -= len(self.traces.popleft().json)
        return document

    def listed(self) -> bytes:
        """A dyn.traces/v1 document, as JSON."""
        node = self.shared.cluster.me.name
        return msgspec.json.encode(
            {"schema": "dyn.traces/v1", "node": node, "traces": [kept.summary for kept in self.traces]}
        )

    def find(self, name: str) -> bytes | None:
        """A dyn.trace/v1 document, as JSON; None if there is none of this id any more."""
        return next((kept.json for kept in self.traces if kept.name == name), None)

"""A node for a shell to talk to: scripted answers about a cluster of three of which one is down, and about one key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.helpers.fake_node import FakeNode

STATUS: dict[str, Any] = {
    "schema": "dyn.status/v1", "cluster": "dyn", "cluster_id": "c1", "epoch": 3, "n": 3, "r": 2, "w": 2,
    "health": "degraded", "reasons": ["n2 is down"], "answered_by": "n1", "siblings": 0, "hints": 0, "transfers": 0,
    "views_agree": True, "repair": {"last_pass_s_ago": None, "divergent": None},
    "nodes": [
        {"name": f"n{i}", "address": f"127.0.0.1:770{i}", "zone": "", "state": "down" if i == 2 else "up",
         "seen_by": ["n1"], "keys": 1, "bytes": 1, "partitions": 85, "hints": 0, "p99_ms": None, "uptime_s": 1.0}
        for i in (1, 2, 3)
    ],
}  # fmt: skip
CLOCKS = json.dumps(
    {"dot": "n1:1", "clock": {"n1": 1}, "written_at": "2026-01-01T00:00:00.000Z", "writer": "w"}
).encode()


def found(*words: bytes) -> Any:  # a scripted reply
    """One value, with its clock where asked for."""
    parts: list[Any] = [b"token", [b"milk"]]
    return [*parts, [CLOCKS]] if b"WITHCLOCKS" in words else parts


@contextmanager
def shell_node() -> Iterator[FakeNode]:
    """A node that knows one key."""
    fake = FakeNode({
        "DYN.GET": found,
        "DYN.PUT": [b"token2", b'{"acks":[{"node":"n1","durable":true,"hint_for":null}],"w":1}'],
        "DYN.STATUS": json.dumps(STATUS).encode(),
        "DYN.KEYS": [b"0", [b"cart:1", b"cart:2", b"user:7"]],
    })  # fmt: skip
    try:
        yield fake
    finally:
        fake.close()

"""The HTTP port over made-up documents: what a page shows of clusters that no test could start."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from node.runtime.auth import Password
from node.runtime.http import HttpListener
from node.runtime.site import Site
from node.wire.requests import Document, Failed, Inspect, Request, Result
from tests.helpers import documents


def told(nodes: int, partitions: int = 256) -> dict[str, Any]:
    """Documents of a healthy cluster of so many nodes, by the names of the paths."""
    ring = documents.ring(nodes, partitions)
    names = [member["name"] for member in ring["members"]]
    figures = {"state": "up", "seen_by": names[:3], "keys": 1204, "bytes": 1_100_000, "hints": 0, "p50_ms": 0.8,
               "p99_ms": 1.93, "uptime_s": 8040.0, "zone": ""}  # fmt: skip
    members = [
        {"name": member["name"], "address": member["address"], "partitions": ring["owners"].count(member["name"])}
        for member in ring["members"]
    ]
    facts: dict[str, Any] = {"health": "healthy", "reasons": [], "nodes": [member | figures for member in members],
                             "n": 3, "r": 2, "w": 2, "answered_by": names[0], "tombstones": 0}  # fmt: skip
    event = {"at": "2026-11-23T12:03:11.402Z", "node": "n2", "kind": "peer_down", "address": "127.0.0.1:7702"}
    return {
        "ring": ring,
        "status": documents.status(**facts),
        "stats": documents.stats(),
        "events": {"schema": "dyn.events/v1", "events": [event]},
        "hints": documents.hints(),
        "transfers": documents.transfers(),
        "views": documents.views(),
        "explain": documents.explain(),
    }


@contextmanager
def serving(documents: Mapping[str, Any], *, password: Password | None = None) -> Iterator[str]:
    """Answer from `documents` until the block ends; yield the address of the page. One that is absent is an error."""

    def submit(request: Request, deliver: Callable[[Result], None]) -> None:
        assert isinstance(request, Inspect)
        found = documents.get(request.what)
        failed = Failed("UNAVAILABLE", f"no {request.what} is to be had")
        deliver(failed if found is None else Document(json.dumps(found).encode()))

    ready = Event()
    loop = asyncio.new_event_loop()
    listener = HttpListener(Site(submit, lambda: ("text/plain", b"figures"), password=lambda: password).answer)
    port = 0

    def run() -> None:
        nonlocal port
        asyncio.set_event_loop(loop)
        port = loop.run_until_complete(listener.start("127.0.0.1", 0))
        ready.set()
        loop.run_forever()
        loop.run_until_complete(listener.stop())
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()

    thread = Thread(target=run, daemon=True)
    thread.start()
    assert ready.wait(10)
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)

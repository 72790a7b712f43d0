"""The steps of a request that was followed (`engine.tracing`), as nodes tell them each other and clients, in JSON."""

from __future__ import annotations

import msgspec


class TracedStep(msgspec.Struct, frozen=True):
    """One thing that `node` asked: of `peer`, or if that is None of its own disk.

    `at_ms` counts from when the node had the request; `took_ms` is None if nothing was told (yet), and nobody waits
    unless it is `awaited`. `versions` are the dots of what was told to be held, None if that was not told; `behind`:
    others held more. `hint_for` are the owners for whom a hint is kept by it.
    """

    at_ms: float
    node: str
    what: str
    peer: str | None = None
    took_ms: float | None = None
    awaited: bool = False
    versions: list[str] | None = None
    behind: bool = False
    hint_for: list[str] = []  # msgspec makes a new one for each
    note: str = ""


class TracedSteps(msgspec.Struct, frozen=True):
    """All of one node, in the order of their times; `dropped` are those that were too many."""

    steps: list[TracedStep]
    dropped: int = 0

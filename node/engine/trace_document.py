"""DYN.TRACE as JSON: what was noted of a request, by name, and what its coordinators told of their part. Pure."""

from __future__ import annotations

import msgspec

from node.core.ids import Instant, NodeId, partition_of
from node.core.limits_trace import TRACE_STEPS_MAX
from node.core.row import EMPTY, Row, Version
from node.core.version import merge, own_clock
from node.engine.operation import Shared
from node.engine.tracing import Trace
from node.wire.clocks import Namer
from node.wire.errors import RemoteWireError
from node.wire.requests import Failed, Found, Get, Put, Result, Written
from node.wire.rows import decode_row
from node.wire.text import as_text, as_time
from node.wire.traced import TracedStep, TracedSteps

Document = dict[str, object]


def steps_of(shared: Shared, trace: Trace) -> TracedSteps:
    """What this node did, step by step."""
    cluster = shared.cluster
    rows = [_decoded(step.row) if step.heard else None for step in trace.steps]
    merged = EMPTY
    for row, step in zip(rows, trace.steps, strict=True):
        if row is not None and step.what in READS:
            merged = merge(merged, row)
    namer = Namer([row.clock for row in rows if row is not None], cluster.names_by_epoch)
    return TracedSteps(
        [
            TracedStep(
                _ms(step.at - trace.began),
                cluster.me.name,
                step.what,
                None if step.peer is None else cluster.name(step.peer),
                None if step.took is None else _ms(step.took),
                step.awaited,
                None if row is None else [namer.dot(version.dot) for version in row.versions],
                row is not None and step.what in READS and row != merged,
                [cluster.name(owner) for owner in step.hints],
                step.note,
            )
            for row, step in zip(rows, trace.steps, strict=True)
        ],
        trace.dropped,
    )


READS = ("load", "fetch")


def _decoded(row: bytes | None) -> Row | None:
    try:
        return EMPTY if row is None else decode_row(row)
    except RemoteWireError:
        return None


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


def trace_document(
    shared: Shared,
    of: Get | Put,
    trace: Trace,
    result: Result,
    away: dict[NodeId, TracedSteps | None],
    now: Instant,
) -> Document:
    """dyn.trace/v1. A coordinator's steps are put into the middle of the time that it had the write: clocks are not
    compared."""
    cluster = shared.cluster
    mine = steps_of(shared, trace)
    steps, dropped, silent = list(mine.steps), mine.dropped, []
    for peer, told in away.items():
        name = cluster.name(peer)
        if told is None:
            silent.append(name)
        else:
            steps += _placed(name, told, mine.steps)
            dropped += told.dropped
    steps.sort(key=lambda step: step.at_ms)
    owners = cluster.owners(of.key)
    text, encoding = as_text(of.key)
    return {
        "schema": "dyn.trace/v1",
        "op": "get" if isinstance(of, Get) else "del" if of.value is None else "put",
        "key": text,
        "enc": encoding,
        "node": cluster.me.name,
        "partition": partition_of(of.key, cluster.partitions),
        "epoch": cluster.epoch,
        "owners": [{"node": cluster.name(owner), "state": cluster.health(owner, now)} for owner in owners],
        "answered_ms": None if trace.answered_at is None else _ms(trace.answered_at - trace.began),
        "followed_ms": _ms(now - trace.began),
        "steps": steps,
        "dropped": dropped,
        "untold": silent,
        "result": _result(shared, result),
    }


def _placed(name: str, told: TracedSteps, mine: list[TracedStep]) -> list[TracedStep]:
    """The steps of a coordinator on our clock: its time lies within ours, from the write to its answer."""
    handed = next((step for step in mine if step.what == "forward" and step.peer == name), None)
    answered = [step.at_ms for step in told.steps if step.what == "answer"]
    at_ms = 0.0 if handed is None else handed.at_ms
    if handed is not None and handed.took_ms is not None and answered:
        at_ms += max(0.0, handed.took_ms - answered[0]) / 2
    return [
        msgspec.structs.replace(step, at_ms=round(at_ms + step.at_ms, 3), node=name)
        for step in told.steps[:TRACE_STEPS_MAX]
    ]


def _result(shared: Shared, result: Result) -> Document:
    """What the client would have been told without the trace."""
    if isinstance(result, Failed):
        return {"error": {"code": result.code, "text": result.text}}
    if isinstance(result, Found):
        namer = Namer([result.row.clock], shared.cluster.names_by_epoch)
        live, dead = result.row.live, [version for version in result.row.versions if version.value is None]
        context = result.context.decode("ascii", "replace")
        return {"context": context, "values": [_version(version, namer) for version in (*live, *dead)]}
    if isinstance(result, Written):
        acks = [{"node": ack.node, "durable": ack.durable, "hint_for": ack.hint_for} for ack in result.acks]
        context = result.context.decode("ascii", "replace")
        return {"context": context, "acks": acks, "w": result.w, "siblings": result.siblings}
    raise AssertionError(f"no read or write ends as {result!r}")


def _version(version: Version, namer: Namer) -> Document:
    value, encoding = as_text(version.value or b"")
    return {
        "value": None if version.value is None else value,
        "enc": encoding,
        "dot": namer.dot(version.dot),
        "clock": namer.clock(own_clock(version)),
        "past": namer.clock(version.past),
        "written_at": as_time(version.written_at_ms),
        "writer": version.writer,
        "deleted": version.value is None,
    }

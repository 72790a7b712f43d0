"""`dyn bench`: how fast, and how evenly, a cluster answers."""

from __future__ import annotations

import os
from array import array
from typing import TYPE_CHECKING, Annotated, Any

from typer import Option

from dynamo_cli.arguments import choice, natural, seconds_long
from dynamo_cli.arguments import count as positive
from dynamo_cli.call import Call, Document, Rows, View
from dynamo_cli.client import parse_address
from dynamo_cli.errors import usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.load import Lane, Load, Outcome, Plan, percentile_ms
from dynamo_cli.options import command
from dynamo_cli.progress import progress

if TYPE_CHECKING:
    from rich.console import RenderableType

CLIENTS_MAX = 1000
"""Connections of one generator: more would measure the generator."""

OPS = ("get", "put", "mixed")
PERCENTILES = (("p50_ms", 0.5), ("p99_ms", 0.99), ("p999_ms", 0.999))


Op = Annotated[str, Option("--op", metavar="|".join(OPS), parser=choice(*OPS), help="What to do.")]
Reads = Annotated[int, Option("--reads", metavar="PERCENT", parser=natural, help="Share of gets in mixed.")]
Clients = Annotated[int, Option("--clients", metavar="N", parser=positive, help="Connections.")]
Pipeline = Annotated[int, Option("--pipeline", metavar="N", parser=positive, help="Commands in flight on each.")]
Size = Annotated[int, Option("--size", metavar="BYTES", parser=natural, help="Bytes of a value.")]
KeyCount = Annotated[int, Option("--keys", metavar="N", parser=positive, help="Different keys, drawn evenly.")]
Duration = Annotated[float, Option("--duration", metavar="S", parser=seconds_long, help="How long to measure.")]
Requests = Annotated[int | None, Option("--count", metavar="N", parser=positive, help="How many requests, instead.")]
Seed = Annotated[int, Option("--seed", metavar="N", parser=natural, help="Of the keys drawn.")]
Fill = Annotated[bool, Option("--fill/--no-fill", help="Write every key once before gets are measured.")]


@command(
    "bench",
    panel="Cluster",
    examples=[
        ("dyn bench", "gets and puts, half and half, for ten seconds"),
        ("dyn bench --op put --clients 64 --size 1000", "writes of 1,000 bytes over 64 connections"),
        ("dyn bench --op get --pipeline 16 --json", "pipelined reads, as JSON"),
    ],
    exits=[5, 7, 8],
    see=["cluster status", "node start"],
    completes={"op": "get put mixed"},
)
def bench(
    call: Call,
    op: Op = "mixed",
    reads: Reads = 50,
    clients: Clients = 16,
    pipeline: Pipeline = 1,
    size: Size = 100,
    keys: KeyCount = 10_000,
    duration: Duration = 10.0,
    count: Requests = None,
    seed: Seed = 1,
    fill: Fill = True,
) -> ExitStatus:
    """Measure throughput and latency: closed loop, one request in flight a connection unless --pipeline says more.

    Keys are named key:000000000000 and so on, as redis-benchmark names them; their values are overwritten.
    """
    if clients > CLIENTS_MAX:
        raise usage(f"--clients {clients} is over {CLIENTS_MAX}", "Run several generators instead")
    if reads > 100:
        raise usage(f"--reads {reads} is over 100 percent")
    plan = Plan(op, reads, clients, pipeline, size, keys, duration, count, seed)
    nodes = [parse_address(node) for node in call.env.nodes(call.options)]
    timeout_s = call.options.timeout_s
    password = call.env.password()
    tls = call.env.tls_context()
    lanes = [Lane(nodes[number % len(nodes)], password, timeout_s, tls) for number in range(clients)]
    try:
        load = Load(plan, lanes, timeout_s + 1)
        if fill and op != "put":
            with progress(call, "write keys", keys) as told:
                load.fill(told)
        total = float(count) if count else duration
        with progress(call, op, total) as told:
            outcome = load.run(lambda elapsed, done: told(done if count else elapsed))
    finally:
        for lane in lanes:
            lane.socket.close()
    document = report(plan, [str(node) for node in nodes], outcome)
    call.emit(document, View(_screen, bench_rows))
    if nodes[0].host.startswith("127.") or nodes[0].host in ("localhost", "::1"):
        cores = os.cpu_count()
        call.remark(
            f"The generator and the nodes share {cores} cores: this measures the machine as much as the cluster."
        )
    return ExitStatus.UNHEALTHY if outcome.errors else ExitStatus.OK


def report(plan: Plan, nodes: list[str], outcome: Outcome) -> Document:
    """The measurement as a document: rates per second, latencies in milliseconds."""
    ops = {
        op: _figures(latencies_s, outcome.elapsed_s) for op, latencies_s in outcome.latencies_s.items() if latencies_s
    }
    requests = sum(len(latencies_s) for latencies_s in outcome.latencies_s.values())
    return {
        "schema": "dyn.bench/v1",
        "plan": plan._asdict(),
        "nodes": nodes,
        "elapsed_s": round(outcome.elapsed_s, 3),
        "requests": requests,
        "ops_per_s": round(requests / outcome.elapsed_s, 1) if outcome.elapsed_s else None,
        "slowest_second": min(outcome.per_second, default=None),
        "errors": dict(sorted(outcome.errors.items())),
        "ops": ops,
    }


def _figures(latencies_s: array[float], elapsed_s: float) -> dict[str, Any]:
    ordered = sorted(latencies_s)
    figures: dict[str, Any] = {"count": len(ordered), "ops_per_s": round(len(ordered) / elapsed_s, 1)}
    figures["mean_ms"] = round(sum(ordered) / len(ordered) * 1000, 3)
    for name, share in PERCENTILES:
        latency_ms = percentile_ms(ordered, share)
        figures[name] = None if latency_ms is None else round(latency_ms, 3)
    return figures | {"max_ms": round(ordered[-1] * 1000, 3)}


def bench_rows(document: Document) -> Rows:
    """One row an operation."""
    names = ("op", "ops_per_s", "mean_ms", *(name for name, _ in PERCENTILES), "max_ms", "count")
    return names, [(op, *(str(figures[name]) for name in names[1:])) for op, figures in document["ops"].items()]


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.bench import bench_screen

    return bench_screen(document)

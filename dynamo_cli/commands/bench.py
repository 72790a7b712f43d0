"""`dyn bench`: how fast, and how evenly, a cluster answers; also while it is being broken."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

from typer import Option

from dynamo_cli.arguments import choice, natural, rate, seconds_long, text
from dynamo_cli.arguments import count as positive
from dynamo_cli.asking import members
from dynamo_cli.bench.asserting import Claims, claims, judge
from dynamo_cli.bench.faulting import Fault, Nemesis, Schedule, schedule
from dynamo_cli.bench.plan import DISTRIBUTIONS, OPS, READING, Plan
from dynamo_cli.call import Call, Document, Rows, View
from dynamo_cli.client import Address, Client, parse_address
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.progress import lasting
from dynamo_cli.render.plain import show

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dynamo_cli.bench.effects import Look
    from dynamo_cli.bench.load import Outcome

CLIENTS_MAX = 1000
"""Connections of one generator: more would measure the generator."""
KEYS_MAX = 10_000_000
"""Different keys: a skewed draw sums over all of them first."""
LAST = "last"
SIBLINGS = "SIBLINGS"
"""The error of a GET that found two values."""

Op = Annotated[str, Option("--op", metavar="|".join(OPS), parser=choice(*OPS), help="What to do.")]
Reads = Annotated[int, Option("--reads", metavar="PERCENT", parser=natural, help="Share of gets in mixed.")]
Clients = Annotated[int, Option("--clients", metavar="N", parser=positive, help="Connections.")]
Pipeline = Annotated[int, Option("--pipeline", metavar="N", parser=positive, help="Commands in flight on each.")]
Rate = Annotated[
    float | None,
    Option("--rate", metavar="N", parser=rate,
           help="So many requests are due each second, answered or not (open loop)."),
]  # fmt: skip
Size = Annotated[int, Option("--size", metavar="BYTES", parser=natural, help="Bytes of a value.")]
KeyCount = Annotated[int, Option("--keys", metavar="N", parser=positive, help="Different keys.")]
Dist = Annotated[
    str,
    Option("--dist", metavar="|".join(DISTRIBUTIONS), parser=choice(*DISTRIBUTIONS),
           help="Evenly; or some more often: zipf 0.99; nine in ten for one key in a hundred."),
]  # fmt: skip
Duration = Annotated[float, Option("--duration", metavar="S", parser=seconds_long, help="How long to measure.")]
Requests = Annotated[int | None, Option("--count", metavar="N", parser=positive, help="How many requests, instead.")]
Seed = Annotated[int, Option("--seed", metavar="N", parser=natural, help="Of the keys drawn.")]
Fill = Annotated[bool, Option("--fill/--no-fill", help="Write every key once before gets are measured.")]
Spread = Annotated[
    bool, Option("--spread/--no-spread", help="Connect to all members, or only to the nodes that are named.")
]
Assert = Annotated[
    Claims | None,
    Option("--assert", metavar="CLAIMS", parser=claims, help="Exit 8 unless they hold: 'p99<10,get.p50<2,errors=0'."),
]
Faults = Annotated[
    Schedule | None,
    Option("--fault", metavar="FAULTS", parser=schedule,
           help="Break something meanwhile: 'kill n2 @3s; heal @7s'; see dyn help bench."),
]  # fmt: skip
Compare = Annotated[
    str | None, Option("--compare", metavar="last|FILE", parser=text, help="With the last run, or with a kept one.")
]
Save = Annotated[bool, Option("--save/--no-save", help="Keep the figures in the state directory.")]


class Scene(NamedTuple):
    """Where a measurement takes place: the nodes to connect to, and all members by name."""

    addresses: list[Address]
    members: dict[str, str]


@command(
    "bench",
    panel="Cluster",
    danger="mild",
    guarded=True,
    examples=[
        ("dyn bench", "gets and puts, half and half, for ten seconds"),
        ("dyn bench --rate 2000 --assert 'p99<20,errors=0'", "open loop, and a verdict"),
        ("dyn bench --fault 'kill n2 @3s; heal @7s'", "second by second, on a demo"),
        ("dyn bench --op get --dist zipf --json", "skewed reads, as JSON"),
        ("dyn bench --op merge", "conflicts: two writes that miss each other, a read, a merge"),
    ],
    exits=[3, 5, 7, 8],
    see=["cluster status", "node stats", "fault list"],
    completes={"op": " ".join(OPS), "dist": " ".join(DISTRIBUTIONS), "compare": "files"},
)
def bench(
    call: Call,
    op: Op = "mixed",
    reads: Reads = 50,
    clients: Clients = 16,
    pipeline: Pipeline = 1,
    rate: Rate = None,
    size: Size = 100,
    keys: KeyCount = 10_000,
    dist: Dist = "uniform",
    duration: Duration = 10.0,
    count: Requests = None,
    seed: Seed = 1,
    fill: Fill = True,
    spread: Spread = True,
    assert_: Assert = None,
    fault: Faults = None,
    compare: Compare = None,
    save: Save = True,
) -> ExitStatus:
    """Measure throughput and latency: closed loop, or with --rate open loop, where latency counts from when it was due.

    Keys are named key:000000000000 and so on, as redis-benchmark names them; their values are overwritten.
    With --op merge each connection writes a key twice without a context, reads both values, and writes over them what
    stands for their merge; put counts the first two, merge the last. A round that the end interrupts leaves its values.
    Faults: kill N, restart N (of a demo); partition A,B / C,D; cut A B; slow N MS; delay A B MS; drop A B PERCENT;
    pause N MS; skew N S; disk N full|error|ok (of nodes started with --allow-faults); heal undoes links and kills.
    A connection whose node ends goes to another node, if there is one; what was under way counts as LOST.
    Errors exit 8, unless --assert says something about errors; SIBLINGS do not: two SETs of one key raced, as blind
    writes may, and both values are there.
    """
    for name, given, most in (("--clients", clients, CLIENTS_MAX), ("--reads", reads, 100), ("--keys", keys, KEYS_MAX)):
        if given > most:
            raise usage(f"{name} {given} is over {most}", "See: dyn help bench")
    if op == "merge" and pipeline > 1:
        raise usage("a merge writes what the read before it gave: --pipeline is of the others", "Leave it away")
    wanted = assert_.claims if assert_ else ()
    plan = Plan(op, reads, clients, pipeline, size, keys, duration, count, seed, rate, dist)
    before = _earlier(call, compare)
    scene = _scene(call, spread)
    document = measure(call, plan, scene, fault.faults if fault else (), fill=fill)
    folder = call.env.directory("state") / "bench"
    _compare(document, before, folder, compare)
    judged = judge(wanted, document)
    document["claims"] = [each._asdict() for each in judged]
    document["saved"] = _saved(call, folder, document) if save else None
    call.emit(document, View(_screen, bench_rows))
    _remarks(call, scene, document)
    failed = [each for each in judged if not each.holds]
    for each in failed:
        found = "unknown" if each.found is None else f"{each.found:,.10g}"
        call.note(f"does not hold: {each.claim} (found {found})")
    tolerated = any(claim.name == "errors" for claim in wanted) or set(document["errors"]) <= {SIBLINGS}
    if not tolerated and call.format in ("plain", "csv", "value"):  # which have no place for them
        told = ", ".join(f"{count:,} {show(code)}" for code, count in document["errors"].items())
        call.note(f"requests failed: {told}. See them: dyn bench -o table")
    return ExitStatus.OK if tolerated and not failed else ExitStatus.UNHEALTHY


def measure(call: Call, plan: Plan, scene: Scene, faults: tuple[Fault, ...], *, fill: bool) -> Document:
    """Fill, measure and break, in this order; the document."""
    from dynamo_cli.bench.effects import effects, nodes_cpu
    from dynamo_cli.bench.lane import Access, Lane
    from dynamo_cli.bench.load import Load
    from dynamo_cli.bench.reconnect import Reconnector
    from dynamo_cli.bench.report import report

    access = Access(call.env.password(), call.options.timeout_s, call.env.tls_context())
    with ExitStack() as stack:
        nemesis = Nemesis(faults, scene.members, _client_of(call), _processes(scene)) if faults else None
        lanes = []
        for number in range(plan.clients):
            lane = Lane(scene.addresses[number % len(scene.addresses)], access)
            stack.callback(lane.close)
            lanes.append(lane)
        if fill and plan.op in READING:
            with lasting(call, "write keys", plan.keys) as told:
                Load(plan, lanes, access.timeout_s + 1, None).fill(lambda done: told(done, ""))
        elsewhere = nemesis is not None or len(scene.addresses) > 1  # what a client does whose node dies
        reconnect = Reconnector(scene.addresses) if elsewhere else None
        if reconnect is not None:
            stack.callback(reconnect.close)
        load = Load(plan, lanes, access.timeout_s + (0 if reconnect else 1), reconnect)
        first = _look(call, scene)
        begun_at = datetime.now(UTC)
        with lasting(call, plan.op, plan.requests or plan.duration_s) as told:

            def tell(elapsed: float) -> None:
                last = f"  {nemesis.happened[-1].what}" if nemesis is not None and nemesis.happened else ""
                told(load.done if plan.requests else elapsed, f"{load.done / elapsed:,.0f}/s{last}")

            outcome = _run(load.run, tell, nemesis)
        names = {address: name for name, address in scene.members.items()}
        document = report(
            plan, [str(address) for address in scene.addresses], outcome, names=names,
            happened=nemesis.happened if nemesis is not None else (),
            begun_at=begun_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        )  # fmt: skip
        last = _look(call, scene) if first is not None else None
        document["effects"] = document["nodes_cpu"] = None
        if first is not None and last is not None:
            document["effects"] = effects(first, last)
            document["nodes_cpu"] = nodes_cpu(first, last, document["requests"])
    if nemesis is not None and nemesis.left_broken:
        call.note(f"still in force: {nemesis.left_broken}. See: dyn fault list, dyn cluster status")
    return document


def _run(
    run: Callable[[Callable[[float], None]], Outcome], tell: Callable[[float], None], nemesis: Nemesis | None
) -> Outcome:
    if nemesis is None:
        return run(tell)
    nemesis.start()
    try:
        return run(tell)
    finally:
        nemesis.stop()


# Where it takes place ------------------------------------------------------------------------------------


def _scene(call: Call, spread: bool) -> Scene:
    """The nodes to connect to: those named, or all members that can be reached if one of those tells who they are."""
    named = [parse_address(node) for node in call.env.nodes(call.options)]
    known: dict[str, str] = {}
    try:
        for name, address in members(call.client).items():
            parse_address(address)  # a member may say of itself what it likes
            known[name] = address
    except CliError:  # it need not be a node to be measured; whether it can be reached is seen when we connect
        known = {}
    if not spread or not known:
        return Scene(named, known)
    silent = _silent(call, known)
    for name in silent:
        call.note(f"{show(name)} at {show(known[name])} does not answer and is left out")
    return Scene([parse_address(known[name]) for name in sorted(known) if name not in silent] or named, known)


def _silent(call: Call, known: dict[str, str]) -> list[str]:
    from dynamo_cli.asking import ask

    return [told.node for told in ask(known, _client_of(call), "STATS") if told.error is not None]


def _client_of(call: Call) -> Callable[[str], Client]:
    return lambda address: call.env.client_apart((address,), call.options.timeout_s)


def _look(call: Call, scene: Scene) -> Look | None:
    """What the nodes say now; None if nobody knows them."""
    from dynamo_cli.bench.effects import look

    return look(scene.members, _client_of(call)) if scene.members else None


def _processes(scene: Scene) -> Callable[[str, str], None] | None:
    """What ends and starts node processes: the demo that the nodes are of, None if they are of none."""
    from dynamo_cli.demo.control import order
    from dynamo_cli.demo.finding import folder_of

    folder = folder_of(list(scene.members.values()))
    if folder is None:
        return None

    def do(verb: str, name: str) -> None:
        for _ in order(folder, verb, name):
            pass

    return do


# What is kept and shown ----------------------------------------------------------------------------------


def _earlier(call: Call, compare: str | None) -> tuple[str, Document] | None:
    """The run that was named for comparison: read before anything is measured. Raises CliError."""
    from dynamo_cli.bench import saved

    if compare is None:
        return None
    if compare != LAST:
        path = Path(compare).expanduser()
        return str(path), saved.load(path)
    kept = saved.runs(call.env.directory("state") / "bench")
    if not kept:
        raise CliError(ExitStatus.NOT_FOUND, "no run was kept yet to compare with", "Make one: dyn bench")
    return kept[-1].name, saved.load(kept[-1])


def _compare(document: Document, before: tuple[str, Document] | None, folder: Path, wanted: str | None) -> None:
    """Add the comparison: with the one that was named, else with the last one that was like it."""
    from dynamo_cli.bench import saved

    if wanted is None and (found := saved.last_like(folder, document)) is not None:
        before = found[0].name, found[1]
    document["compared"] = None if before is None else saved.compared(before[1], document, before[0])


def _saved(call: Call, folder: Path, document: Document) -> str | None:
    from dynamo_cli.bench import saved

    try:
        return str(saved.save(folder, document, datetime.now().astimezone()))  # a name for people: local time
    except OSError as error:
        call.remark(f"The figures are not kept: {error.strerror} ({show(str(folder))})")
        return None


def _remarks(call: Call, scene: Scene, document: Document) -> None:
    if any(address.host.startswith("127.") or address.host in ("localhost", "::1") for address in scene.addresses):
        call.remark(f"! generator and nodes share {os.cpu_count()} cores: this measures the machine, too")
    if document["saved"]:
        call.remark(f"kept  {show(_short(call, document['saved']))}")
        call.remark("next  dyn bench --compare last")


def _short(call: Call, path: str) -> str:
    """A path as people write it."""
    home = call.env.environ.get("HOME", "").rstrip("/")
    return f"~{path[len(home) :]}" if home and path.startswith(f"{home}/") else path


def bench_rows(document: Document) -> Rows:
    """One row an operation."""
    names = ("op", "ops_per_s", "mean_ms", "p50_ms", "p95_ms", "p99_ms", "p999_ms", "max_ms", "count")
    return names, [(op, *(str(figures[name]) for name in names[1:])) for op, figures in document["ops"].items()]


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.bench import bench_screen

    return bench_screen(document)

"""The screens of `dyn` as files, from fixed documents: `python -m tests.helpers.golden` draws them anew.

Each file in tests/cli/golden has one screen as it is at 80 and at 120 columns, in colour (escapes shown as `\\e`), and
where there is only ASCII (LC_ALL=C). What a change does to a screen is read in the diff of its file.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from dynamo_cli.app import run
from dynamo_cli.demo.processes import places
from dynamo_cli.demo.showing import banner
from dynamo_cli.doctor.cluster import Heard, Node, cluster
from dynamo_cli.doctor.findings import FAIL, WARN
from dynamo_cli.doctor.machine import Machine, Port, machine
from dynamo_cli.environment import Environment
from dynamo_cli.render.bench import bench_screen
from dynamo_cli.render.doctor import doctor_screen
from dynamo_cli.render.process import info_screen, ping_screen
from tests.helpers.cli import Terminal
from tests.helpers.documents import explain, hints, joining, plan, ring, settled, stats, status, transfers, views
from tests.helpers.fake_node import fake_node, reading, version

FOLDER = Path(__file__).parents[1] / "cli" / "golden"


class Look(NamedTuple):
    """How a screen is drawn."""

    title: str
    columns: int
    colored: bool
    encoding: str
    locale: str


LOOKS = (
    Look("80 columns", 80, colored=False, encoding="utf-8", locale="C.UTF-8"),
    Look("120 columns", 120, colored=False, encoding="utf-8", locale="C.UTF-8"),
    Look("80 columns, colour", 80, colored=True, encoding="utf-8", locale="C.UTF-8"),
    Look("80 columns, ASCII", 80, colored=False, encoding="ascii", locale="C"),
)

Draw = Callable[[Environment], None]


def command(*argv: str, **replies: Any) -> Draw:
    """A screen that a command draws of what a node tells."""

    def draw(env: Environment) -> None:
        with fake_node({name.replace("_", "."): reply for name, reply in replies.items()}) as node:
            environ = {**env.environ, "DYN_NODES": node.address}
            run(argv, Environment(stdin=env.stdin, stdout=env.stdout, stderr=env.stderr, environ=environ))

    return draw


def drawn(screen: Callable[[dict[str, Any]], Any], document: dict[str, Any]) -> Draw:
    """A screen made of one document."""
    return lambda env: env.draw(screen(document))


# Documents that only screens need ----------------------------------------------------------------------------------


def five(**more: Any) -> dict[str, Any]:
    """DYN.STATUS of five nodes, of which one is down."""
    told = status("n5", health="degraded", hints=49, siblings=2, n=3, r=2, w=2, answered_by="n3")
    up, down = told["nodes"][0], told["nodes"][-1]
    figures = ((1204, 1_153_433, 37, 1.9), (1188, 1_101_004, 12, 2.1), (1231, 1_258_291, 0, 1.8), (1196, 999, 0, 24.0))
    nodes = []
    for i, (keys, size, held, p99) in enumerate(figures, 1):
        facts: dict[str, Any] = {"keys": keys, "bytes": size, "hints": held, "p99_ms": p99, "partitions": 51 + (i == 1)}
        facts |= {"zone": "abc"[i % 3], "seen_by": ["n1", "n2", "n3", "n4"]}
        nodes.append(up | facts | {"name": f"n{i}", "address": f"127.0.0.1:770{i}"})
    repair = {"last_pass_s_ago": 245.0, "divergent": 0}
    return told | {"nodes": [*nodes, down | {"partitions": 51, "zone": "c"}], "repair": repair} | more


def conflict() -> dict[str, Any]:
    """DYN.EXPLAIN of a key with two values, one owner of which is down."""
    told = explain("cart:1042")
    base = told["replicas"][0]["versions"][0] | {"writer": "ada@host", "bytes": 15}
    a = base | {"dot": "n3:2", "clock": {"n3": 2}}
    b = base | {"dot": "n4:1", "clock": {"n3": 1, "n4": 1}, "written_at": "2026-11-23T12:03:14.977Z"}
    facts = {"state": "up", "hint_for": None, "note": ""}
    replicas = [
        {"node": "n3", "role": "owner", "versions": [a, b], **facts},
        {"node": "n4", "role": "owner", "versions": [a, b], **facts},
        {"node": "n5", "role": "owner", "versions": None, **facts, "state": "down", "note": "no answer"},
        {"node": "n1", "role": "stand-in", "versions": [b], **facts, "note": "stale"},
    ]
    merged = [
        {"clock": clock, "value": value, "enc": "utf8", "deleted": False}
        for clock, value in ((a["clock"], '["milk","eggs"]'), (b["clock"], '["milk","beer"]'))
    ]
    return told | {"preference": ["n3", "n4", "n5", "n1", "n2"], "replicas": replicas, "merged": merged,
                   "verdict": "conflict", "why": "2 values that nobody has settled"}  # fmt: skip


def doctored() -> dict[str, Any]:
    """A dyn.doctor/v1 document in which something of each kind is wrong."""
    here = Machine(
        "3.11.7", (3, 40, 1), 256, utf8=True, columns=120, colors=True, data_dir="~/.local/share/dyn",
        free_bytes=61 << 30, no_wal="", wrong_setting="", no_mdns="No such device", exposed=(), loose=(), gone=(),
        shell="bash", completion=("~/.local/share/bash-completion/completions/dyn", True),
        ports=(Port(7700, "dyn node n1 (pid 21457)", node=True), Port(7800, "", node=False)),
    )  # fmt: skip
    fine = stats()
    fine["storage"] |= {"stopped": None, "room": "ample", "near_full": False, "free_bytes": 61 << 30}
    fine["background"], fine["queues"] = [], {"requests_refused": 0}
    info = {"dyn_version": "0.1.0", "wire_newest": "2", "wire_oldest": "1"}
    nodes = {
        "n1": Node(fine, info, 1.1, 0.0, "full", 0),
        "n2": Node(fine, info, 1.3, 0.004, "full", 0),
        "n3": Node(
            fine, info | {"dyn_version": "0.0.9", "wire_newest": "0", "wire_oldest": "0"}, 1.2, 0.0, "normal", 0
        ),
    }
    told = status("n3", health="healthy", reasons=[], siblings=0)
    heard = Heard(told, ring(3, 64), views("n3", agree=True), hints(), settled(), nodes, {})
    checks = [finding._asdict() for finding in (*machine(here), *cluster(heard))]
    levels = [check["level"] for check in checks]
    return {"schema": "dyn.doctor/v1", "version": "0.1.0", "python": "3.11.7", "asked": "3 of 3 nodes asked",
            "checks": checks, "failures": levels.count(FAIL), "warnings": levels.count(WARN)}  # fmt: skip


def benched() -> dict[str, Any]:
    """A dyn.bench/v1 document."""
    get = {"count": 48_120, "ops_per_s": 4812.0, "mean_ms": 1.62, "p50_ms": 1.41, "p95_ms": 3.02, "p99_ms": 5.9,
           "p999_ms": 14.1, "max_ms": 31.2, "service": None}  # fmt: skip
    put = get | {"count": 47_960, "ops_per_s": 4796.0, "mean_ms": 1.71, "p99_ms": 6.31, "max_ms": 44.0}
    bars = [{"below_ms": edge, "count": count} for edge, count in
            ((0.5, 6_000), (1.0, 40_000), (2.0, 30_000), (4.0, 18_000), (8.0, 2_000), (None, 80))]  # fmt: skip
    by_node = [{"node": f"n{i}", "address": f"127.0.0.1:770{i}", "requests": 19_000, "ops_per_s": 1900.0 + i}
               for i in range(1, 6)]  # fmt: skip
    plan = {"op": "mixed", "reads_percent": 50, "clients": 16, "pipeline": 1, "size_bytes": 100, "keys": 10_000,
            "rate": None, "dist": "zipf", "seed": 1}  # fmt: skip
    return {"schema": "dyn.bench/v1", "plan": plan, "nodes": [each["address"] for each in by_node], "elapsed_s": 10.0,
            "requests": 96_080, "ops_per_s": 9608.0, "slowest_second": 8904, "stdev_per_second": 312.0, "unsent": 0,
            "generator_cpu": 0.48, "errors": {"UNKNOWN": 3}, "ops": {"get": get, "put": put}, "histogram": bars,
            "by_node": by_node, "seconds": [], "faults": []}  # fmt: skip


def informed() -> dict[str, Any]:
    """A dyn.node.info/v1 document."""
    info = {"dyn_version": "0.1.0", "wire_oldest": "1", "wire_newest": "1", "process_id": "21457", "members": "5",
            "uptime_in_seconds": "8040", "used_memory_rss": "47185920", "connected_clients": "3", "maxclients": "10000",
            "cluster": "carts", "cluster_id": "90873d12aa", "node_id": "f5" * 16, "peer_port": "7801",
            "http_port": "7901", "tls": "0"}  # fmt: skip
    settings = {"listen": "127.0.0.1", "port": "7701", "zone": "a", "weight": "1", "partitions": "256",
                "data-dir": "/var/lib/dyn/dyn/carts/n1", "durability": "full"}  # fmt: skip
    return {"schema": "dyn.node.info/v1", "node": "n1", "address": "127.0.0.1:7701", "info": info, "settings": settings,
            "storage": {"free_bytes": 61 << 30, "room": "ample"}}  # fmt: skip


def pinged() -> dict[str, Any]:
    """A dyn.node.ping/v1 document."""
    nodes = [{"node": f"n{i}", "address": f"127.0.0.1:770{i}", "ms": [1.0 * i, 1.5], "error": None} for i in (1, 2)]
    silent = {"node": "n3", "address": "127.0.0.1:7703", "ms": [], "error": "cannot reach 127.0.0.1:7703 (refused)"}
    return {"schema": "dyn.node.ping/v1", "nodes": [*nodes, silent]}


class FiveNodes:
    """What the banner of a demo looks at, without processes."""

    class _Node(NamedTuple):
        name: str
        place: Any

    latency_ms = 0.0

    def __init__(self) -> None:
        self.nodes = [self._Node(place.name, place) for place in places(5, 7700)]

    def __len__(self) -> int:
        return len(self.nodes)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.nodes)


def demo_banner(env: Environment) -> None:
    """What `dyn demo` says before its shell."""
    env.write(banner(FiveNodes(), 1.9, env.columns()))  # type: ignore[arg-type]  # it starts no process


EVENTS = {"schema": "dyn.events/v1", "events": [
    {"at": "2026-11-23T12:03:09.100Z", "kind": "peer_down", "node": "n5", "address": "127.0.0.1:7805"},
    {"at": "2026-11-23T12:03:31.400Z", "kind": "repaired", "node": "n3", "differing": 3, "repaired": 3, "failed": 0},
]}  # fmt: skip


def events(env: Environment) -> None:
    """`dyn cluster events` of one node, which is asked under its own address."""
    with fake_node(DYN_EVENTS=EVENTS) as node:
        node.replies["DYN.RING"] = {"members": [{"name": "n1", "address": node.address}]}
        environ = {**env.environ, "DYN_NODES": node.address}
        run(["cluster", "events"], Environment(stdin=env.stdin, stdout=env.stdout, stderr=env.stderr, environ=environ))


def nowhere(document: dict[str, Any]) -> dict[str, Any]:
    """A DYN.RING document whose members are asked where nobody listens: not the nodes that may run on this machine."""
    members = [member | {"address": f"127.0.0.1:{i}"} for i, member in enumerate(document["members"], 1)]
    return document | {"members": members}


SIBLINGS = reading(
    version(b'["milk","eggs"]', {"n3": 2}),
    version(b'["milk","beer"]', {"n3": 1, "n4": 1}, writer="eve@laptop", written_at="2026-11-23T12:03:14.977Z"),
)

SCREENS: Mapping[str, Draw] = {
    "status": command("cluster", "status", DYN_STATUS=five()),
    "status-views": command("cluster", "status", "--views", DYN_STATUS=five(), DYN_VIEWS=views("n5")),
    "views": command("cluster", "views", DYN_VIEWS=views("n5")),
    "hints": command("cluster", "hints", DYN_HINTS=hints("n5")),
    "events": events,
    "transfers": command("cluster", "transfers", DYN_TRANSFERS=transfers()),
    "plan": command("cluster", "plan", "leave", "n3", DYN_CLUSTER=plan()),
    "ring-show": command("ring", "show", DYN_RING=nowhere(ring(5, 256))),
    "ring-show-moving": command("ring", "show", DYN_RING=nowhere(joining(4, 64))),
    "ring-strip": command("ring", "show", "--strip", DYN_RING=ring(5, 256)),
    "ring-owner": command("ring", "owner", "cart:1042", "user:7", DYN_RING=nowhere(ring(5, 256))),
    "get-siblings": command("get", "cart:1042", DYN_GET=SIBLINGS),
    "key-explain": command("key", "explain", "cart:1042", DYN_EXPLAIN=conflict()),
    "node-stats": command("node", "stats", DYN_STATS=stats()),
    "node-info": drawn(info_screen, informed()),
    "node-ping": drawn(ping_screen, pinged()),
    "doctor": drawn(doctor_screen, doctored()),
    "explain-quorum": command("explain", "quorum", DYN_RING=nowhere(ring(5, 256)), DYN_STATUS=five()),
    "bench": drawn(bench_screen, benched()),
    "demo-banner": demo_banner,
}
"""Every screen by the name of its file."""


# Drawing --------------------------------------------------------------------------------------------------------------


def shown(draw: Draw, look: Look) -> str:
    """One screen under one look, as text with its escapes."""
    out, err = io.BytesIO(), io.BytesIO()
    colors = {"DYN_COLOR": "always"} if look.colored else {"NO_COLOR": "1"}
    env = Environment(
        stdin=Terminal(io.BytesIO(), encoding="utf-8"),
        stdout=Terminal(out, encoding=look.encoding, write_through=True),
        stderr=Terminal(err, encoding=look.encoding, write_through=True),
        environ={"HOME": "/nonexistent", "USER": "ada", "TERM": "xterm", "COLUMNS": str(look.columns),
                 "LC_ALL": look.locale, **colors},
    )  # fmt: skip
    draw(env)
    return out.getvalue().decode(look.encoding)


def page(name: str) -> str:
    """The whole file of one screen."""
    parts, first = [], ""
    for look in LOOKS:
        text = shown(SCREENS[name], look)
        body = "(as at 80 columns)\n" if first and text == first else text.replace("\x1b", "\\e")
        first = first or text
        parts.append(f"=== {look.title}\n{body}")
    return "\n".join(parts)


def main() -> int:
    """Write all files; what is no screen any more goes."""
    FOLDER.mkdir(exist_ok=True)
    for path in FOLDER.glob("*.txt"):
        if path.stem not in SCREENS:
            path.unlink()
    for name in SCREENS:
        path = FOLDER / f"{name}.txt"
        text = page(name)
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
            sys.stdout.write(f"{path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""How a node comes or goes, shown to whoever asked for it: the steps of `demo.changing`, live on a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from dynamo_cli.call import Call, Document, View
from dynamo_cli.demo.changing import Step
from dynamo_cli.demo.control import DemoFailed
from dynamo_cli.demo.processes import DemoCluster, NodeFailed
from dynamo_cli.demo.seen import DEFAULT_PORT
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.following import Progress
from dynamo_cli.render.plain import show
from dynamo_cli.render.rows import Rows
from dynamo_cli.render.transfers import progress_line

if TYPE_CHECKING:
    from rich.console import RenderableType


def show_steps(call: Call, steps: Iterable[Step]) -> ExitStatus:
    """Show each step as it comes, and how it ended. Programs get the last one, a dyn.demo/v1 document."""
    progress = Progress(call)
    try:
        for step in steps:
            if step["step"] == "moving":
                progress.show(progress_line(step["transfers"]))
                continue
            progress.clear()
            if step["step"] == "started" and call.for_people:
                call.say(started_line(step))
            elif step["step"] == "done":
                call.emit(step["document"], View(_screen, demo_rows))
    except (NodeFailed, DemoFailed) as error:
        progress.clear()
        for line in error.lines:
            call.env.write(f"{show(line)}\n", error=True)
        raise
    finally:
        progress.clear()
    return ExitStatus.OK


def started_line(step: Step) -> str:
    """What has begun."""
    node = step["node"]
    if "change" in step:
        return f"decided: {show(str(step['change']))}"
    return f"{show(str(node['name']))} runs at {show(str(node['address']))} (pid {node['pid']}) and asks for a seat"


def done_line(document: Document) -> str:
    """What has come of it."""
    node, nodes, partitions = show(str(document["node"]["name"])), len(document["nodes"]), document["partitions"]
    if partitions is None:
        return f"{node} {document['did']}" + (f" in {document['took_s']:.1f} s" if document["took_s"] else "")
    part = f"{partitions} partition{'s' if partitions != 1 else ''}"
    what = f"in: primary of {part}" if document["did"] == "added" else f"gone: others have its {part}"
    plural = "s" if nodes != 1 else ""
    return f"{node} is {what}; epoch {document['epoch']}, {nodes} node{plural}, {document['took_s']:.1f} s"


def demo_rows(document: Document) -> Rows:
    """A dyn.demo/v1 document as one row."""
    node: dict[str, Any] = document["node"]
    names = ("did", "node", "address", "epoch", "partitions", "nodes", "took_s")
    cells = [document["did"], node["name"], node["address"], *(document[name] for name in names[3:5])]
    cells += [" ".join(document["nodes"]), document["took_s"]]
    return names, [tuple("" if cell is None else show(str(cell)) for cell in cells)]


def _screen(document: Document, wide: bool) -> RenderableType:
    from rich.text import Text

    return Text(done_line(document))


# How a demo begins ---------------------------------------------------------------------------------------


SIDE_MAX = 4
"""More nodes than this on the other side of a cut need not be named."""


def banner(cluster: DemoCluster, took_s: float, columns: int, holds: str = "", name: str = "") -> str:
    """What is there, and what can be done with it, in its shell. `name`: of its context, while it runs."""
    which = f"-c {name}" if name else f"-n :{cluster.nodes[0].place.port}"
    first, last = cluster.nodes[0].place, cluster.nodes[-1].name
    few = [node.name for node in cluster][: 1 if len(cluster) < 4 else 2]
    others = [node.name for node in cluster][len(few) :]
    cut = f"{','.join(few)} / {','.join(others)}" if len(others) <= SIDE_MAX else ",".join(few)
    steps = [
        ("from another terminal", f"dyn {which} status      redis-cli -p {first.port}"),
        ("break something", f"\\kill {last}      \\restart {last}      \\nodes      \\faults"),
        ("let it grow and shrink", f"\\add      \\remove {last}"),
        ("guided tour", "\\tour"),
    ]
    if len(cluster) > 1:
        steps.insert(2, ("cut it in two", f"\\partition {cut}      \\heal"))
        steps.insert(3, ("and more gently", f"\\slow {last} 200      \\pause {last}      \\skew {last} 30"))
    ports = [f"{node.name} :{node.place.port}" for node in cluster]
    late = f"every link is {cluster.latency_ms:g} ms late" if cluster.latency_ms else ""
    return _block(ports, took_s, steps, columns, *filter(None, (holds, late)))


def started_text(document: Document, columns: int, *, background: bool) -> str:
    """What runs without a shell, and what can be done with it from anywhere."""
    nodes = document["nodes"]
    first, last = nodes[0]["address"].rpartition(":")[2], nodes[-1]["name"]
    base = f" --base-port {document['base_port']}" if document["base_port"] != DEFAULT_PORT else ""
    name = f" {show(document['name'])}" if document["name"] else ""
    cut = f"{nodes[0]['name']}{base}      dyn demo heal{base}"
    which = f"-c{name}" if name else f"-n :{first}"
    steps = [
        ("use it", f"dyn {which} shell      redis-cli -p {first}"),
        ("break something", f"dyn demo kill {last}{base}"),
        ("see it", f"dyn {which} status"),
        ("guided tour", f"dyn {which} shell, and in it:  \\tour"),
        ("end it", f"dyn demo stop{name}" if background else "Ctrl-C"),
    ]
    if len(nodes) > 1:
        steps.insert(2, ("", f"dyn demo partition {cut}"))
    ports = [f"{show(node['name'])} :{node['address'].rpartition(':')[2]}" for node in nodes]
    lasting = "temporary data" if document["temporary"] else "data"
    head = f"dyn demo: {len(nodes)} node processes in the background, {lasting} in\n  {show(document['folder'])}\n"
    late = f"every link is {document['latency_ms']:g} ms late" if document["latency_ms"] else ""
    holds = [show(document["holds"] or ""), late]
    return (head if background else "") + _block(ports, document["took_s"], steps, columns, *filter(None, holds))


def _block(ports: Sequence[str], took_s: float, steps: Sequence[tuple[str, str]], columns: int, *told: str) -> str:
    ready = textwrap.fill(
        f"{'   '.join(ports)}   ready in {took_s:.1f} s", max(40, columns - 2), initial_indent="  ",
        subsequent_indent="  ", drop_whitespace=True, break_on_hyphens=False,
    )  # fmt: skip
    named = (f"  {title:<24}{line}" for title, line in steps)
    return "\n".join(["", ready, *(f"  {line}" for line in told), "", *named, ""]) + "\n"


def started_rows(document: Document) -> Rows:
    """A dyn.demo.started/v1 document: a row a node."""
    names = ("name", "address", "peer_port", "http_port", "pid", "state", "log")
    return names, [tuple(show(str(node[name])) for name in names) for node in document["nodes"]]

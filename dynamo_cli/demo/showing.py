"""How a node comes or goes, shown to whoever asked for it: the steps of `demo.changing`, live on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from dynamo_cli.call import Call, Document, View
from dynamo_cli.demo.changing import Step
from dynamo_cli.demo.control import DemoFailed
from dynamo_cli.demo.processes import NodeFailed
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
    return names, [tuple(show(str(cell)) for cell in cells)]


def _screen(document: Document, wide: bool) -> RenderableType:
    from rich.text import Text

    return Text(done_line(document))

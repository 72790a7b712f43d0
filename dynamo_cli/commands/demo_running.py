"""`dyn demo ls`, `stop` and `rm`: the demos of this machine, from any terminal."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dynamo_cli.arguments import text
from dynamo_cli.call import Call, Document, Rows, View
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.plain import show

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dynamo_cli.demo.registry import Entry

STOP_S = 30.0
"""How long a demo may take to end: each node stops cleanly, or is killed after five seconds."""
POLL_S = 0.05

Name = Annotated[
    str | None, typer.Argument(metavar="[NAME]", parser=text, help="Which demo; default the only one that runs.")
]


@command(
    "demo ls",
    panel="Start here",
    examples=[
        ("dyn demo ls", "those that run, and those that are kept"),
        ("dyn demo ls -o plain", "a line each, for scripts"),
        ("dyn demo ls --json", "with every node, its ports, its process and its log"),
    ],
    see=["demo", "demo stop", "demo rm"],
)
def ls(call: Call) -> ExitStatus:
    """List the demos of this machine: in a shell, in the background, and those that are kept for the next time.

    A node that crashed is shown with the end of its log.
    """
    from dynamo_cli.demo import registry

    demos = [_described(entry) for entry in registry.entries(call.env.directory("state"))]
    call.emit({"schema": "dyn.demo.list/v1", "demos": demos}, View(_screen, demo_rows, lambda d: list(d["demos"])))
    if not demos:
        call.remark("No demo runs, and none is kept. Start one: dyn demo")
    return ExitStatus.OK


def _described(entry: Entry) -> Document:
    """What there is to know of a demo: from itself while it runs, else from what it left."""
    from dynamo_cli.demo.changing import read_record
    from dynamo_cli.demo.control import order

    nodes: list[Document] | None = None
    try:
        if entry.running:
            for step in order(entry.folder, "nodes", None):
                nodes = step["document"]["nodes"]
        else:
            nodes = [{"name": name, "state": "stopped"} for name in read_record(entry.folder)]
    except CliError:
        nodes = None  # one whose shell is not open yet, or the tour: it takes no orders
    state = "running" if entry.running else "stopped" if entry.folder.is_dir() else "gone"
    made = {**entry.document, "state": state, "nodes": nodes}
    return made if entry.running else {**made, "pid": None}


@command(
    "demo stop",
    panel="Start here",
    examples=[
        ("dyn demo stop", "end the only demo that runs; temporary data goes"),
        ("dyn demo stop demo-8700", "one of several, by its name"),
        ("dyn demo ls", "which there are"),
    ],
    exits=[3, 7],
    see=["demo ls", "demo rm", "demo"],
    danger="mild",
)
def stop(call: Call, name: Name = None) -> ExitStatus:
    """End a demo: its nodes stop cleanly, temporary data is removed, kept data stays.

    Of a demo in another terminal the shell is closed, too.
    """
    from dynamo_cli.demo import registry

    state = call.env.directory("state")
    entry = registry.find(state, name, running=True)
    if not registry.stop(state, entry):
        raise CliError(ExitStatus.NOT_FOUND, f"the demo {entry.name} does not run", "See: dyn demo ls")
    deadline = time.monotonic() + STOP_S
    while registry.is_running(state, entry):
        if time.monotonic() > deadline:
            raise CliError(
                ExitStatus.UNKNOWN, f"{entry.name} (pid {entry.pid}) still runs after {STOP_S:g} s", "See: dyn demo ls"
            )
        time.sleep(POLL_S)
    call.say(f"stopped {show(entry.name)}, {'removed' if entry.temporary else 'kept'} {show(str(entry.folder))}")
    return ExitStatus.OK


@command(
    "demo rm",
    panel="Start here",
    examples=[
        ("dyn demo rm carts", "its nodes' data and logs, and that it was there"),
        ("dyn demo rm carts -y", "without being asked"),
        ("dyn demo stop carts", "it must not run"),
    ],
    exits=[3, 9],
    see=["demo ls", "demo stop"],
    danger="moderate",
)
def rm(
    call: Call,
    name: Annotated[str, typer.Argument(metavar="NAME", parser=text, help="A kept demo, as dyn demo ls names it.")],
) -> ExitStatus:
    """Delete a kept demo: the data and logs of its nodes, and its key. Other files in its folder stay."""
    from dynamo_cli.demo import registry

    state = call.env.directory("state")
    entry = registry.find(state, name, running=False)
    if entry.running:
        raise CliError(ExitStatus.REFUSED, f"{entry.name} runs", f"End it first: dyn demo stop {entry.name}")
    call.confirm(f"Delete the demo {show(entry.name)} in {show(str(entry.folder))}?", here=True)
    with registry.forgotten(state, entry):
        left = _deleted(entry.folder)
    if left:
        call.note(f"not the demo's, and still there: {', '.join(show(path.name) for path in left)}")
    call.say(f"deleted {show(entry.name)}{f', but not {show(str(entry.folder))}' if left else ''}")
    return ExitStatus.OK


def _deleted(folder: Path) -> list[Path]:
    """Delete what a demo wrote into its folder, and the folder if nothing else is in it; what is."""
    import shutil

    from dynamo_cli.demo.changing import read_record
    from dynamo_cli.demo.control import SOCKET
    from dynamo_cli.demo.host import LOG
    from dynamo_cli.demo.processes import KEY_FILE, RECORD

    if not (folder / RECORD).exists():
        return sorted(folder.iterdir()) if folder.is_dir() else []  # it is no demo's any more
    for name in read_record(folder):
        if (folder / name).is_symlink():
            continue
        shutil.rmtree(folder / name, ignore_errors=True)
        (folder / f"{name}.log").unlink(missing_ok=True)
    for name in (RECORD, SOCKET, LOG, KEY_FILE):
        (folder / name).unlink(missing_ok=True)
    left = sorted(folder.iterdir())
    if not left:
        folder.rmdir()
    return left


def demo_rows(document: Document) -> Rows:
    """A dyn.demo.list/v1 document: a row a demo."""
    names = ("name", "state", "by", "nodes", "up", "port", "pid", "started_at", "folder")
    return names, [
        (
            show(demo["name"]), demo["state"], show(demo["by"]), _count(demo["nodes"]), _count(_up(demo["nodes"])),
            str(demo["base_port"] + 1), "" if demo["pid"] is None else str(demo["pid"]), show(demo["started_at"]),
            show(demo["folder"]),
        )
        for demo in document["demos"]
    ]  # fmt: skip


def _up(nodes: list[Document] | None) -> list[Document] | None:
    return None if nodes is None else [node for node in nodes if node["state"] == "up"]


def _count(nodes: list[Any] | None) -> str:
    return "" if nodes is None else str(len(nodes))


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.demo import demos_screen

    return demos_screen(document)

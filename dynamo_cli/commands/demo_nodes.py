"""`dyn demo add`, `remove`, `kill`, `pause`, `resume`, `restart`: orders from any terminal to a demo that runs."""

from __future__ import annotations

from typing import Annotated

import typer

from dynamo_cli.arguments import count, text
from dynamo_cli.call import Call
from dynamo_cli.commands.demo import BASE_PORT
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command

Node = Annotated[str, typer.Argument(metavar="NODE", parser=text, help="A node of the demo.")]
BasePort = Annotated[
    int, typer.Option("--base-port", metavar="P", parser=count, help="That of the demo; default 7700.")
]


@command(
    "demo add",
    panel="Start here",
    danger="mild",
    examples=[
        ("dyn demo add", "one more node in the demo of another terminal"),
        ("dyn demo add ada", "by this name"),
        ("dyn demo add --base-port 8700", "in the demo that has these ports"),
    ],
    exits=[1, 5, 9],
    see=["demo", "demo remove", "cluster transfers"],
)
def add(
    call: Call,
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", parser=text, help="Its name; default the next free one.")
    ] = None,
    base_port: BasePort = BASE_PORT,
) -> ExitStatus:
    """Start one more node in a demo that runs in another terminal, and end when the ring has settled.

    In the demo's own shell: \\add
    """
    return _ordered(call, base_port, "add", name)


@command(
    "demo remove",
    panel="Start here",
    danger="moderate",
    examples=[
        ("dyn demo remove n5", "n5 hands over what it holds, and its process ends"),
        ("dyn demo remove n2", "of one that was killed: the others rebuild its part"),
        ("dyn demo remove n5 --base-port 7800", "of the demo on those ports"),
    ],
    exits=[1, 3, 5, 6, 9],
    see=["demo", "demo add", "cluster leave"],
    completes={"node": "names"},
)
def remove(
    call: Call,
    node: Node,
    base_port: BasePort = BASE_PORT,
) -> ExitStatus:
    """Have a node of a demo that runs in another terminal leave, end its process, and delete its data.

    It hands over what it holds first. In the demo's own shell: \\remove NODE
    """
    return _ordered(call, base_port, "remove", node)


@command(
    "demo kill",
    panel="Start here",
    examples=[
        ("dyn demo kill n2", "the others notice within seconds"),
        ("dyn demo restart n2", "bring it back"),
        ("dyn demo kill n2 --base-port 8700", "in the demo that has these ports"),
    ],
    exits=[1, 3, 5, 9],
    see=["demo restart", "demo pause", "cluster status"],
    completes={"node": "names"},
    danger="mild",
)
def kill(call: Call, node: Node, base_port: BasePort = BASE_PORT) -> ExitStatus:
    """End a node's process at once, as a power cut would (kill -9).

    Of a demo in another terminal or in the background. In the demo's own shell: \\kill NODE
    """
    return _ordered(call, base_port, "kill", node)


@command(
    "demo pause",
    panel="Start here",
    examples=[
        ("dyn demo pause n2", "n2 is silent, and does not know it"),
        ("dyn demo resume n2", "it goes on as if nothing had been"),
        ("dyn demo pause n2 --base-port 8700", "in the demo that has these ports"),
    ],
    exits=[1, 3, 5, 9],
    see=["demo resume", "demo kill", "fault pause"],
    danger="mild",
    completes={"node": "names"},
)
def pause(call: Call, node: Node, base_port: BasePort = BASE_PORT) -> ExitStatus:
    """Stop a node's process where it is, as a long garbage collection would; its sockets stay open.

    Of a demo in another terminal or in the background. In the demo's own shell: \\pause NODE
    """
    return _ordered(call, base_port, "pause", node)


@command(
    "demo resume",
    panel="Start here",
    examples=[
        ("dyn demo resume n2", "after dyn demo pause n2"),
        ("dyn cluster hints", "what it missed meanwhile"),
        ("dyn demo resume n2 --base-port 8700", "in the demo that has these ports"),
    ],
    exits=[1, 3, 5, 9],
    see=["demo pause", "cluster hints"],
    danger="mild",
    completes={"node": "names"},
)
def resume(call: Call, node: Node, base_port: BasePort = BASE_PORT) -> ExitStatus:
    """Let a node's process go on that was paused.

    Of a demo in another terminal or in the background. In the demo's own shell: \\resume NODE
    """
    return _ordered(call, base_port, "resume", node)


@command(
    "demo restart",
    panel="Start here",
    examples=[
        ("dyn demo restart n2", "after dyn demo kill n2"),
        ("dyn cluster hints", "what is handed over to it"),
        ("dyn demo restart n2 --base-port 8700", "in the demo that has these ports"),
    ],
    exits=[1, 3, 5, 9],
    see=["demo kill", "cluster hints", "node start"],
    danger="mild",
    completes={"node": "names"},
)
def restart(call: Call, node: Node, base_port: BasePort = BASE_PORT) -> ExitStatus:
    """Start a node's process again, on the data it left; one that runs is stopped cleanly first.

    Of a demo in another terminal or in the background. In the demo's own shell: \\restart NODE
    """
    return _ordered(call, base_port, "restart", node)


def _ordered(call: Call, base_port: int, do: str, name: str | None) -> ExitStatus:
    from dynamo_cli.demo.control import order
    from dynamo_cli.demo.finding import find_demo
    from dynamo_cli.demo.showing import show_steps

    found = find_demo(call.env, call.options.nodes, base_port)
    return show_steps(call, order(found.folder, do, name))

"""`dyn demo partition`, `heal`, `slow`, `drop`, `skew`, `faults`, `reset`: a demo's network and clocks, from anywhere.

What the verbs of its shell do (`demo.effects`), for a demo that another process holds. Programs get the faults that are
in force then, as by `dyn fault list`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli.arguments import amount, text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.commands.demo import BASE_PORT
from dynamo_cli.commands.demo_nodes import BasePort, Node
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.faults import fault_rows
from dynamo_cli.render.plain import show
from node.core.limits import FAULT_MS_MAX, FAULT_SKEW_S_MAX

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dynamo_cli.demo.effects import Effect
    from dynamo_cli.demo.facility import Demo

EXITS = [1, 3, 5, 9]
MS = amount(0, FAULT_MS_MAX)


@command(
    "demo partition",
    panel="Start here",
    examples=[
        ("dyn demo partition n1,n2 / n3,n4,n5", "no message passes between the two sides"),
        ("dyn demo partition n1,n2 n3,n4,n5", "the same"),
        ("dyn demo partition n1", "n1 alone, all others on the other side"),
    ],
    exits=EXITS,
    see=["demo heal", "demo faults", "fault cut"],
    completes={"sides": "names"},
    danger="mild",
)
def partition(
    call: Call,
    sides: Annotated[
        list[str], typer.Argument(metavar="A,B…", parser=text, help="The sides, nodes with commas; / may be between.")
    ],
    base_port: BasePort = BASE_PORT,
) -> ExitStatus:
    """Cut the network of a demo in two or more, and tell how its nodes notice, and what each side can do.

    Of a demo in another terminal or in the background. In the demo's own shell: \\partition A,B / C,D
    """
    from dynamo_cli.demo import effects

    return _told(call, base_port, effects.partition, sides)


@command(
    "demo heal",
    panel="Start here",
    examples=[
        ("dyn demo heal", "no cut, no delay, no loss"),
        ("dyn demo faults", "what is left"),
        ("dyn demo heal --base-port 8700", "in the demo that has these ports"),
    ],
    exits=EXITS,
    see=["demo partition", "demo reset", "fault heal"],
    danger="mild",
)
def heal(call: Call, base_port: BasePort = BASE_PORT) -> ExitStatus:
    """Make every link of a demo whole again, and tell what was handed over, and what conflicts came to light.

    A demo that was started with --latency is as slow again as it was. In the demo's own shell: \\heal
    """
    from dynamo_cli.demo import effects

    return _told(call, base_port, effects.heal, ())


@command(
    "demo slow",
    panel="Start here",
    examples=[
        ("dyn demo slow n4 200", "each message to and from n4 is 200 ms late"),
        ("dyn demo slow n4 200 --jitter 50", "… 200 to 250 ms, each by lot"),
        ("dyn demo slow n4 0", "no longer"),
    ],
    exits=EXITS,
    see=["demo heal", "demo drop", "fault delay"],
    completes={"node": "names"},
    danger="mild",
)
def slow(
    call: Call,
    node: Node,
    ms: Annotated[str, typer.Argument(metavar="MS", parser=MS, help="Milliseconds each way; 0: none.")],
    jitter: Annotated[
        str, typer.Option("--jitter", metavar="MS", parser=MS, help="And up to so many more, by lot; default 0.")
    ] = "0",
    base_port: BasePort = BASE_PORT,
) -> ExitStatus:
    """Make all links of one node of a demo slow, and say who waits for it.

    In the demo's own shell: \\slow NODE MS [--jitter MS]
    """
    from dynamo_cli.demo import effects

    return _told(call, base_port, effects.slow, (node, ms, *([jitter] if float(jitter) else ())))


@command(
    "demo drop",
    panel="Start here",
    examples=[
        ("dyn demo drop n1 n2 30", "of the messages each way, 30 % are lost"),
        ("dyn demo drop n1,n2 n3 5", "between two nodes and a third"),
        ("dyn demo drop n1 n2 0", "no longer"),
    ],
    exits=EXITS,
    see=["demo heal", "demo slow", "fault drop"],
    completes={"a": "names", "b": "names"},
    danger="mild",
)
def drop(
    call: Call,
    a: Annotated[str, typer.Argument(metavar="A", parser=text, help="A node of the demo, or several: n1,n2.")],
    b: Annotated[str, typer.Argument(metavar="B", parser=text, help="The other end, or ends.")],
    percent: Annotated[
        str, typer.Argument(metavar="PERCENT", parser=amount(0, 100), help="Of the messages each way; 0: none.")
    ],
    base_port: BasePort = BASE_PORT,
) -> ExitStatus:
    """Make links of a demo lose messages, and say what the nodes do about it.

    In the demo's own shell: \\drop A B PERCENT
    """
    from dynamo_cli.demo import effects

    return _told(call, base_port, effects.drop, (a, b, percent))


@command(
    "demo skew",
    panel="Start here",
    examples=[
        ("dyn demo skew n3 30", "n3's wall clock is 30 s ahead"),
        ("dyn demo skew n3 3600 --behind", "an hour behind"),
        ("dyn demo skew n3 0", "right again"),
    ],
    exits=EXITS,
    see=["demo reset", "fault skew"],
    completes={"node": "names"},
    danger="mild",
)
def skew(
    call: Call,
    node: Node,
    seconds: Annotated[
        str, typer.Argument(metavar="S", parser=amount(0, FAULT_SKEW_S_MAX), help="Seconds ahead; 0: right.")
    ],
    behind: Annotated[bool, typer.Option("--behind", help="So many seconds behind, not ahead.")] = False,
    base_port: BasePort = BASE_PORT,
) -> ExitStatus:
    """Set the clock of one node of a demo wrong, and say what that does: next to nothing.

    In the demo's own shell: \\skew NODE SECONDS
    """
    from dynamo_cli.demo import effects

    return _told(call, base_port, effects.skew, (node, f"-{seconds}" if behind else seconds))


@command(
    "demo reset",
    panel="Start here",
    examples=[
        ("dyn demo reset", "whatever was broken"),
        ("dyn demo faults", "nothing is left"),
        ("dyn demo reset --base-port 8700", "in the demo that has these ports"),
    ],
    exits=EXITS,
    see=["demo heal", "demo restart", "demo faults"],
    danger="mild",
)
def reset(call: Call, base_port: BasePort = BASE_PORT) -> ExitStatus:
    """Undo all faults of a demo: links, clocks and disks; start nodes again that ended, let paused ones go on.

    What was written stays. In the demo's own shell: \\reset
    """
    from dynamo_cli.demo import effects

    return _told(call, base_port, effects.reset, ())


@command(
    "demo faults",
    panel="Start here",
    examples=[
        ("dyn demo faults", "what is broken, node by node"),
        ("dyn demo faults -o plain", "one fault a line"),
        ("dyn demo faults --json", "for programs"),
    ],
    exits=EXITS,
    see=["demo heal", "demo reset", "fault list"],
)
def list_faults(call: Call, base_port: BasePort = BASE_PORT) -> ExitStatus:
    """List the faults in force on every node of a demo, and the nodes that are paused or gone.

    In the demo's own shell: \\faults
    """
    from dynamo_cli.demo import effects

    demo = _demo(call, base_port)
    _show(call, demo)
    for line in effects.mending(demo):
        call.remark(line)
    return ExitStatus.OK


def _demo(call: Call, base_port: int) -> Demo:
    """The demo that is meant, and how its user speaks. Raises CliError."""
    from dynamo_cli.demo.elsewhere import Elsewhere
    from dynamo_cli.demo.facility import Demo, Tongue
    from dynamo_cli.demo.finding import find_demo, option

    found = find_demo(call.env, call.options.nodes, base_port)
    cluster = Elsewhere(found.folder)
    cluster.look()
    return Demo.elsewhere(cluster, Tongue("dyn demo ", f"dyn {found.which} ", option(base_port)))


def _told(call: Call, base_port: int, effect: Effect, words: Sequence[str]) -> ExitStatus:
    """Have something done; tell people what comes of it, and programs what is in force then."""
    from dynamo_cli.demo.control import DemoFailed

    demo = _demo(call, base_port)
    try:
        for line in effect(demo, words):
            if call.for_people:
                call.say(line)
    except DemoFailed as error:
        for line in error.lines:
            call.env.write(f"{show(line)}\n", error=True)
        raise
    if not call.for_people:
        _show(call, demo)
    return ExitStatus.OK


def _show(call: Call, demo: Demo) -> None:
    """Show what is in force now. Raises CliError."""
    from dynamo_cli.demo import effects

    def screen(document: Document, wide: bool) -> RenderableType:
        from dynamo_cli.render.faults import fault_screen

        return fault_screen(effects.broken(demo, document))

    call.emit(effects.listed(demo), View(screen, fault_rows, lambda d: list(d["nodes"])))

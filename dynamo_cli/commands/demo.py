"""`dyn demo`: a cluster of real processes on this machine; a shell on it, or without a terminal the tour."""

from __future__ import annotations

import signal
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

from typer import Option

from dynamo_cli.arguments import count, text
from dynamo_cli.call import Call
from dynamo_cli.environment import Environment
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import Options, command
from dynamo_cli.render.plain import show

if TYPE_CHECKING:
    from dynamo_cli.demo.processes import DemoCluster

NODES = 5
BASE_PORT = 7700
OURS = ("DYN_NODES", "DYN_PASSWORD", "DYN_PASSWORD_FILE", "DYN_TLS_CA", "DYN_TLS_CERT", "DYN_TLS_KEY")
"""Variables that speak of another cluster than the demo's."""


@command(
    "demo",
    panel="Start here",
    examples=[
        ("dyn demo", "five nodes and a shell; Ctrl-D stops and removes everything"),
        ("dyn demo | cat", "the tour: what dyn does, shown and checked; exit 0 if all holds"),
        ("dyn demo --keep ~/dyn-demo", "data and logs stay there for the next time"),
    ],
    exits=[1],
    see=["shell", "node start", "demo add", "demo remove"],
    completes={"keep": "files"},
)
def demo(
    call: Call,
    nodes: Annotated[
        int | None,
        Option("--nodes", metavar="N", parser=count, help="How many; default 5, or as many as a kept demo has."),
    ] = None,
    base_port: Annotated[
        int,
        Option(
            "--base-port", metavar="P", parser=count,
            help="Node i has client port P+i, peer port P+100+i, HTTP port P+200+i; default 7700.",
        ),
    ] = BASE_PORT,
    keep: Annotated[
        str | None, Option("--keep", metavar="DIR", parser=text, help="Data and logs go there, and stay.")
    ] = None,
) -> ExitStatus:  # fmt: skip
    """Start a cluster of real node processes on this machine, and open a shell on it.

    Without a terminal it plays the tour instead: writes, a conflict, its merge, a node killed and started again, each
    shown, explained and checked; the exit status says whether all was as it must be. It cleans up after itself.
    """
    from dynamo_cli.demo.changing import numbers_wanted, read_record, write_record
    from dynamo_cli.demo.processes import DemoCluster, NodeFailed, check_ports, make_folder, places_of

    kept = read_record(Path(keep).expanduser().absolute()) if keep is not None else {}
    wanted = places_of(numbers_wanted(kept, nodes, NODES), base_port)
    if not is_for_people(call.env):
        from dynamo_cli.demo.tour import check_enough

        check_enough(len(wanted))
    check_ports(wanted)
    with signals_raised():
        folder, temporary = make_folder(keep)
        cluster = DemoCluster(folder, wanted, call.env.environ, temporary=temporary, base_port=base_port)
        try:
            lasting = "temporary data" if temporary else "data"
            call.note(f"dyn demo: {len(cluster)} real node processes, {lasting} in {show(str(folder))}")
            took_s = cluster.start(Progress(call))
            if not temporary:
                write_record(cluster)
            status = play(call, cluster, took_s)
        except NodeFailed as error:
            for line in error.lines:
                call.env.write(f"{show(line)}\n", error=True)
            raise
        finally:
            cluster.close()
    if status is None:
        call.note(f"stopped {len(cluster)} nodes, {'removed' if temporary else 'kept'} {show(str(folder))}")
        if temporary:
            call.note("keep it next time:  dyn demo --keep DIR")
    return status or ExitStatus.OK


def is_for_people(env: Environment) -> bool:
    """Whether there is a terminal to open a shell on."""
    return env.stdin.isatty() and env.stdout_is_terminal


def play(call: Call, cluster: DemoCluster, took_s: float) -> ExitStatus | None:
    """The shell on a terminal (None), else the tour and how it ended."""
    from dynamo_cli.commands.shell import history_path
    from dynamo_cli.demo.changing import Changes
    from dynamo_cli.demo.control import Control
    from dynamo_cli.demo.tour import Tour
    from dynamo_cli.demo.verbs import Demo
    from dynamo_cli.repl.session import Session, ShellEnvironment
    from dynamo_cli.repl.start import run_on_terminal

    outer = call.env
    environ = {name: value for name, value in outer.environ.items() if name not in OURS}
    environ["DYN_NODES"] = ",".join(cluster.addresses)  # this cluster, whatever context is in force
    env = Environment(stdin=outer.stdin, stdout=outer.stdout, stderr=outer.stderr, environ=environ)
    if not is_for_people(outer):
        call.note(f"{len(cluster)} nodes ready in {took_s:.1f} s")
        return Tour(cluster, env).run()
    env.write(banner(cluster, took_s, outer.columns()))
    options = Options(nodes=cluster.addresses, timeout_s=call.options.timeout_s, color=call.options.color)
    shell = ShellEnvironment(env, options)
    changes = Changes(cluster)
    control = Control(changes)
    control.start()
    try:
        run_on_terminal(Session(shell, facilities=[Demo(cluster, changes)]), history_path(env))
    finally:
        control.close()
        shell.hang_up()
    return None


def banner(cluster: DemoCluster, took_s: float, columns: int) -> str:
    """What is there, and what can be done with it."""
    first = cluster.nodes[0].place
    last = cluster.nodes[-1].name
    ports = "   ".join(f"{node.name} :{node.place.port}" for node in cluster)
    ready = textwrap.fill(
        f"{ports}   ready in {took_s:.1f} s", max(40, columns - 2), initial_indent="  ", subsequent_indent="  ",
        drop_whitespace=True, break_on_hyphens=False,
    )  # fmt: skip
    steps = [
        ("from another terminal", f"dyn -n :{first.port} cluster status      redis-cli -p {first.port}"),
        ("break something", f"\\kill {last}      \\restart {last}      \\nodes"),
        ("let it grow and shrink", f"\\add      \\remove {last}"),
        ("guided tour", "\\tour"),
    ]
    if len(cluster) > 1:
        steps.insert(2, ("cut it in two", f"fault cut {first.name} {last}      fault list      fault heal"))
    lines = ["", ready, "", *(f"  {title:<24}{line}" for title, line in steps), ""]
    return "\n".join(lines) + "\n"


class Progress:
    """How far the start is, on standard error: one line that changes on a terminal, nothing in a log."""

    def __init__(self, call: Call) -> None:
        self._call = call

    def __call__(self, ready: int, count: int) -> None:
        """Show where we are; the line goes when all are ready."""
        env = self._call.env
        if env.stderr_is_terminal and not self._call.options.quiet and env.environ.get("TERM") != "dumb":
            env.write("\r\x1b[K" + (f"  {ready} of {count} nodes ready" if ready < count else ""), error=True)


@contextmanager
def signals_raised() -> Iterator[None]:
    """Let SIGTERM and SIGHUP unwind the stack, as Ctrl-C does, so that everything is cleaned up."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

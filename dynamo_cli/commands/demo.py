"""`dyn demo`: a cluster of real processes on this machine; a shell on it, or without a terminal the tour."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from types import FrameType
from typing import TYPE_CHECKING, Annotated

from typer import Option

from dynamo_cli.arguments import amount, choice, count, text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.environment import Environment
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import Options, command
from dynamo_cli.render.plain import json_text, show
from node.core.limits import FAULT_MS_MAX

if TYPE_CHECKING:
    from dynamo_cli.demo.running import Running, Wanted

NODES = 5
BASE_PORT = 7700
OURS = ("DYN_NODES", "DYN_PASSWORD", "DYN_PASSWORD_FILE", "DYN_TLS_CA", "DYN_TLS_CERT", "DYN_TLS_KEY")
"""Variables that speak of another cluster than the demo's."""


Nodes = Annotated[
    int | None,
    Option("--nodes", metavar="N", parser=count, help="How many; default 5, or as many as a kept demo has."),
]
BasePort = Annotated[
    int,
    Option(
        "--base-port", metavar="P", parser=count,
        help="Node i has client port P+i, peer port P+100+i, HTTP port P+200+i; default 7700.",
    ),
]  # fmt: skip
Nrw = Annotated[
    str | None,
    Option("--nrw", metavar="N/R/W", parser=text, help="Quorums of a new cluster; default 3/2/2."),
]
Latency = Annotated[
    str,
    Option("--latency", metavar="MS", parser=amount(0, FAULT_MS_MAX), help="Every link is late by so much; default 0."),
]
Seed = Annotated[
    str,
    Option(
        "--seed-data", metavar="none|tour|carts", parser=choice("none", "tour", "carts"),
        help="What a new one holds: nothing, sample keys of which one has a conflict, sample keys; default carts.",
    ),
]  # fmt: skip
Keep = Annotated[
    str | None, Option("--keep", "--dir", metavar="DIR", parser=text, help="Data and logs go there, and stay.")
]
Ephemeral = Annotated[
    bool, Option("--ephemeral", help="Data and logs go to a temporary folder, and go with the demo: the default.")
]
Background = Annotated[bool, Option("--background", help="Open no shell; the nodes go on until dyn demo stop.")]
NoShell = Annotated[bool, Option("--no-shell", help="Open no shell; the nodes run here until Ctrl-C.")]
WithTour = Annotated[bool, Option("--tour", help="Begin with the guided tour.")]


@command(
    "demo",
    panel="Start here",
    examples=[
        ("dyn demo", "five nodes and a shell; Ctrl-D stops and removes everything"),
        ("dyn demo --tour", "the same, with a guided tour first"),
        ("dyn demo --background", "five nodes that go on until dyn demo stop"),
        ("dyn demo --no-shell --nrw 3/1/3 --latency 20", "other quorums, a slow network, and no shell"),
        ("dyn demo | cat", "the tour: what dyn does, shown and checked; exit 0 if all holds"),
        ("dyn demo --keep ~/dyn-demo", "data and logs stay there for the next time"),
    ],
    exits=[1, 9],
    see=["shell", "node start", "demo ls", "demo stop", "demo add", "demo kill", "demo partition"],
    completes={"keep": "files", "seed_data": "none tour carts"},
)
def demo(
    call: Call,
    nodes: Nodes = None,
    base_port: BasePort = BASE_PORT,
    nrw: Nrw = None,
    latency: Latency = "0",
    seed_data: Seed = "carts",
    keep: Keep = None,
    ephemeral: Ephemeral = False,
    background: Background = False,
    no_shell: NoShell = False,
    tour: WithTour = False,
) -> ExitStatus:
    """Start a cluster of real node processes on this machine, and open a shell on it.

    Without a terminal it plays the tour instead: writes, a conflict, its merge, a node killed and started again, each
    shown, explained and checked; the exit status says whether all was as it must be. It cleans up after itself.
    With --background it says where the nodes are (without a terminal as JSON), and they live on; with --no-shell it
    says so, too, and holds them until Ctrl-C.
    """
    from dynamo_cli.demo.changing import numbers_wanted, read_record
    from dynamo_cli.demo.processes import places_of
    from dynamo_cli.demo.room import check_nrw, check_ports, founded
    from dynamo_cli.demo.running import Wanted

    check_together(keep=keep, ephemeral=ephemeral, background=background, no_shell=no_shell, tour=tour)
    folder = str(Path(keep).expanduser().absolute()) if keep is not None else None
    kept = read_record(Path(folder)) if folder is not None else {}
    numbers = numbers_wanted(kept, nodes, NODES)
    if nrw is not None:
        check_nrw(nrw, founded(folder, numbers))
    wanted = Wanted(numbers, base_port, folder, call.env.directory("state"), nrw or "", float(latency), seed_data)
    places = places_of(wanted.numbers, base_port)
    if tour or not (background or no_shell or is_for_people(call.env)):
        from dynamo_cli.demo.tour import NRW, check_enough, check_quorums

        check_enough(len(places))
        check_quorums(nrw or NRW)
    check_free(call, base_port)
    check_ports(places)
    return in_background(call, wanted) if background else in_foreground(call, wanted, tour=tour, shell=not no_shell)


def check_together(*, keep: str | None, ephemeral: bool, background: bool, no_shell: bool, tour: bool) -> None:
    """Raise a usage error for options that do not go together."""
    if background and tour:
        raise usage("the tour needs a reader, whom --background has not", "Leave one of them away")
    if no_shell and tour:
        raise usage("the tour needs a shell", "Leave --no-shell away")
    if no_shell and background:
        raise usage("--background ends this command, and --no-shell holds it", "Choose one of them")
    if keep is not None and ephemeral:
        raise usage("--keep keeps the data, and --ephemeral removes it", "Choose one of them")


def check_free(call: Call, base_port: int) -> None:
    """Raise CliError if a demo has these ports already: what to do with it is more use than who has a port."""
    from dynamo_cli.demo import registry

    for entry in registry.entries(call.env.directory("state")):
        if entry.running and entry.base_port == base_port:
            raise CliError(
                ExitStatus.REFUSED,
                f"the demo {entry.name} has these ports already (pid {entry.pid}, started {entry.started_at})",
                f"Use it: dyn -c {entry.name} shell, end it: dyn demo stop {entry.name}, "
                f"or start another one: dyn demo --base-port {base_port + 1000}",
                code="PORT",
            )


def in_foreground(call: Call, wanted: Wanted, *, tour: bool, shell: bool) -> ExitStatus:
    """Start it, play, and clean up."""
    from dynamo_cli.demo.processes import NodeFailed
    from dynamo_cli.demo.running import FOREGROUND, SHELL, TOUR, running

    def made(folder: Path, temporary: bool) -> None:
        what = "temporary data" if temporary else "data"
        count = f"{len(wanted.numbers)} real node process{'es' if len(wanted.numbers) != 1 else ''}"
        call.note(f"dyn demo: {count}, {what} in {show(str(folder))}")

    by = FOREGROUND if not shell else SHELL if is_for_people(call.env) else TOUR
    with signals_raised():
        try:
            with running(wanted, call.env.environ, by, made=made, tell=Progress(call)) as demo:
                if demo.unlisted:
                    call.remark(f"dyn demo ls will not know it: {show(demo.unlisted)}")
                cluster = demo.cluster
                if shell:
                    status = play(call, demo, tour=tour)
                else:
                    status = hold(call, demo)
        except NodeFailed as error:
            for line in error.lines:
                call.env.write(f"{show(line)}\n", error=True)
            raise
    if status is None:
        done = "removed" if cluster.temporary else "kept"
        plural = "s" if len(cluster) != 1 else ""
        call.note(f"stopped {len(cluster)} node{plural}, {done} {show(str(cluster.folder))}")
        if cluster.temporary:
            call.note("keep it next time:  dyn demo --keep DIR")
    return status or ExitStatus.OK


def in_background(call: Call, wanted: Wanted) -> ExitStatus:
    """Have another process start and hold it; say where it is."""
    from dynamo_cli.demo.control import DemoFailed
    from dynamo_cli.demo.host import launch

    progress = Progress(call)
    document: Document = {}
    with signals_raised():
        try:
            for step in launch(wanted, call.env.environ):
                if step["step"] == "ready":
                    progress(step["ready"], step["count"])
                else:
                    document = step["document"]
        except DemoFailed as error:
            for line in error.lines:
                call.env.write(f"{show(line)}\n", error=True)
            raise
    tell_started(call, document, background=True)
    return ExitStatus.OK


def tell_started(call: Call, document: Document, *, background: bool) -> None:
    """Say where a demo is that has no shell here."""
    from dynamo_cli.demo.showing import started_rows, started_text

    if call.for_people:
        call.env.write(started_text(document, call.env.columns(), background=background))
    elif call.options.output is None:
        call.env.write(json_text(document))  # a program that starts a demo wants to know where it is
    else:
        call.emit(document, View(lambda document, wide: "", started_rows, lambda d: list(d["nodes"])))


def hold(call: Call, demo: Running) -> ExitStatus | None:
    """Say where it is, and take orders from other terminals, until Ctrl-C or SIGTERM; None, as when a shell is left."""
    from dynamo_cli.demo.changing import Changes
    from dynamo_cli.demo.control import Control
    from dynamo_cli.demo.crashes import Crashes

    control = Control(Changes(demo.cluster))
    crashes = Crashes(demo.cluster, call.note)
    control.start()
    crashes.start()
    try:
        tell_started(call, demo.document, background=False)
        Event().wait()
    except KeyboardInterrupt:
        pass
    except SystemExit as told:
        if told.code != 128 + signal.SIGTERM:
            raise
    finally:
        crashes.stop()
        control.close()
    return None


def is_for_people(env: Environment) -> bool:
    """Whether there is a terminal to open a shell on."""
    return env.stdin.isatty() and env.stdout_is_terminal


def play(call: Call, demo: Running, *, tour: bool) -> ExitStatus | None:
    """The shell on a terminal (None), else the tour and how it ended."""
    from dynamo_cli.commands.shell import history_path
    from dynamo_cli.demo.changing import Changes
    from dynamo_cli.demo.control import Control
    from dynamo_cli.demo.crashes import Crashes, above_the_prompt
    from dynamo_cli.demo.showing import banner
    from dynamo_cli.demo.tour import Tour
    from dynamo_cli.demo.verbs import Demo
    from dynamo_cli.repl.session import Session, ShellEnvironment
    from dynamo_cli.repl.start import run_on_terminal

    outer, cluster = call.env, demo.cluster
    environ = {name: value for name, value in outer.environ.items() if name not in OURS}
    environ["DYN_NODES"] = ",".join(cluster.addresses)  # this cluster, whatever context is in force
    env = Environment(stdin=outer.stdin, stdout=outer.stdout, stderr=outer.stderr, environ=environ)
    if not is_for_people(outer):
        call.note(f"{len(cluster)} nodes ready in {demo.took_s:.1f} s")
        return Tour(Demo.of(Changes(cluster)), env).run()
    env.write(banner(cluster, demo.took_s, outer.columns(), demo.holds, demo.name))
    options = Options(nodes=cluster.addresses, timeout_s=call.options.timeout_s, color=call.options.color)
    shell = ShellEnvironment(env, options)
    changes = Changes(cluster)
    ours = Demo.of(changes)
    control, crashes = Control(changes), Crashes(cluster, above_the_prompt(shell))
    control.start()
    crashes.start()
    ours.faults.start()
    try:
        session = Session(shell, facilities=[ours])
        if tour:
            session.run("\\tour")
        run_on_terminal(session, history_path(env))
    finally:
        ours.faults.stop()
        crashes.stop()
        control.close()
        shell.hang_up()
    return None


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

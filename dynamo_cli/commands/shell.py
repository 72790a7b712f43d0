"""`dyn shell`: the same commands without `dyn`, one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from dynamo_cli.arguments import text
from dynamo_cli.call import Call
from dynamo_cli.errors import usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.plain import show

if TYPE_CHECKING:
    from dynamo_cli.environment import Environment

Execute = Annotated[
    list[str] | None, Option("-e", "--exec", metavar="CMD", parser=text, help="Run this; several: in order.")
]
Script = Annotated[
    str | None, Option("-f", "--file", metavar="FILE", parser=text, help="Run a script; - is standard input.")
]
ReadOnly = Annotated[bool, Option("--read-only", help="Refuse what writes.")]
KeepGoing = Annotated[bool, Option("--keep-going", help="Run the rest of a script after an error.")]

Check = Annotated[
    bool, Option("--check", help="Compare what a script shows with what it expects: see \\record in the shell.")
]
Init = Annotated[
    str | None, Option("--init", metavar="FILE", parser=text, help="Lines to run first; errors in it are told.")
]
NoHistory = Annotated[
    bool, Option("--no-history", help="Read and write no history file; earlier lines are those of this shell.")
]
Vi = Annotated[bool, Option("--vi", help="Keys as in vi; F4 turns it on and off.")]


@command(
    "shell",
    panel="Start here",
    examples=[
        ("dyn shell", "an interactive shell"),
        ("dyn shell -e 'put k v' -e 'get k'", "two commands over one connection"),
        ("dyn shell -f setup.dyn", "a script, up to its first error"),
        ("dyn shell -f tour.dyn --check", "a script as a test: fails with the line, and the difference"),
        ("dyn shell --init ~/.config/dyn/init.dyn", "begin with these lines: \\set, \\alias, …"),
    ],
    see=["get", "put", "merge"],
    completes={"file": "files", "init": "files"},
)
def shell(
    call: Call,
    execute: Execute = None,
    file: Script = None,
    read_only: ReadOnly = False,
    keep_going: KeepGoing = False,
    check: Check = False,
    init: Init = None,
    no_history: NoHistory = False,
    vi: Vi = False,
) -> ExitStatus:
    """Open a shell: the same commands without `dyn`, with completion and history, over one connection.

    It remembers the context of every key it reads: a put or del of that key replaces what was shown, and says so.
    Without a terminal it runs the lines of standard input.
    """
    from dynamo_cli.demo.attach import Attached
    from dynamo_cli.repl.script import lines_in, lines_of, open_script, run_init, run_script
    from dynamo_cli.repl.session import Session, ShellEnvironment
    from dynamo_cli.repl.start import run_on_terminal

    env = ShellEnvironment(call.env, call.options)
    session = Session(env, read_only=read_only)
    typed = not (execute or file) and env.stdin.isatty() and env.stdout_is_terminal
    attached = Attached(session, watched=typed)
    if init == "-":
        raise usage("--init needs a file, and - is what is typed", "Name it: --init FILE")
    if check and not file:
        raise usage("--check needs a script", "Name it: -f FILE; record one: \\record FILE in the shell")
    try:
        name = "" if read_only else attached.look()
        if init is not None:
            run_init(session, init)
        if not typed:
            lines = list(lines_of(execute or ()))
            if file or not execute:
                where = file or "-"
                with open_script(where, env.stdin) as script:
                    lines += lines_in(script, "stdin" if where == "-" else where)
            if check:
                from dynamo_cli.repl.recording import run_check

                return ExitStatus(run_check(session, lines, file or "-", keep_going=keep_going))
            return ExitStatus(run_script(session, lines, keep_going=keep_going))
        if name:
            call.note(f"\\tour, \\kill, \\partition … work here: these are nodes of {show(name)}")
        run_on_terminal(session, None if no_history else history_path(env), vi=vi)
        return ExitStatus.OK
    finally:
        attached.close()
        session.close()


def history_path(env: Environment) -> Path | None:
    """Where lines are remembered: DYN_HISTORY, or our state directory; an empty DYN_HISTORY means nowhere."""
    chosen = env.environ.get("DYN_HISTORY")
    if chosen is not None:
        return Path(chosen).expanduser() if chosen else None
    return env.directory("state") / "history"

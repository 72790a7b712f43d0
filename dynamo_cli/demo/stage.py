"""What a tour is played on: commands that are shown and then run for real, and checks that are shown and counted.

At a terminal a reader types the commands, or others before them; in a pipe they are typed at once.
"""

from __future__ import annotations

import shlex
import signal
import textwrap
from collections.abc import Callable, Mapping

from dynamo_cli.app import run
from dynamo_cli.client import Client, Reply, Word, parse_address
from dynamo_cli.demo.reader import Reader
from dynamo_cli.environment import Environment, ReaderGone
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import Options
from dynamo_cli.render.plain import show
from dynamo_cli.repl.session import Session, ShellEnvironment

COLUMNS = 80
CLOSED_PIPE = 128 + signal.SIGPIPE
"""How a command ends whose reader went away."""
TIMEOUT_S = 3.0


class CheckFailed(Exception):
    """Something is not as it must be; the message says what was expected, and what was found."""


class Stage:
    """Shows and runs, in the order in which a person reads. `environ` is what the shown commands see."""

    def __init__(self, outer: Environment, environ: Mapping[str, str]) -> None:
        terminal = outer.stdout_is_terminal
        self.reader = Reader(outer) if outer.stdin.isatty() and terminal else None
        """Who reads along; None in a pipe."""
        self.strayed = False
        """Whether the reader has run other commands than the tour's: they may be why a check fails."""
        self.environ = {
            **outer.environ,
            **environ,
            "DYN_OUTPUT": "table",
            **({} if terminal else {"COLUMNS": str(COLUMNS), "DYN_COLOR": "never"}),
        }
        self.outer = outer
        self.env = self._environment()
        self._gap = False
        self.scenes = 0
        self.checks = 0
        self._clients: dict[str, Client] = {}

    def _environment(self, **more: str) -> Environment:
        """An environment for a shown command. Errors go where results go: a transcript has one order."""
        outer = self.outer
        return Environment(
            stdin=outer.stdin, stdout=outer.stdout, stderr=outer.stdout, environ={**self.environ, **more}
        )

    # Words -----------------------------------------------------------------------------------------------

    def scene(self, title: str, words: str = "") -> None:
        """Begin a scene: its title, and what it is about."""
        self.scenes += 1
        head = f"--- {self.scenes}. {title} "
        self._gap = True
        self.show(f"{head.ljust(COLUMNS - 2, '-')}\n")
        if words:
            self.say(words)

    def read(self, words: str) -> None:
        """Say more to somebody who has the time to read it: a pipe has not."""
        if self.reader is not None:
            self.say(words)

    def show(self, line: str) -> None:
        """Write a line, with an empty one above it after checks."""
        self.env.write(("\n" if self._gap else "") + line + "\n")
        self._gap = False

    def goes_on(self) -> None:
        """Let a person read before the next scene; a pipe goes on at once. Raises Left."""
        if self.reader is not None:
            self.reader.goes_on()

    def say(self, words: str) -> None:
        """Say something about what comes."""
        self.show(textwrap.fill(words, COLUMNS - 2, break_on_hyphens=False) + "\n")

    def check(self, holds: object, expected: str, found: object = "") -> None:
        """Show that something is as expected; raises CheckFailed if it is not."""
        self.checks += 1
        if not holds:
            raise CheckFailed(f"expected: {expected}" + (f"; found: {show(str(found))}" if found != "" else ""))
        self.env.write(f"  ok  {expected}\n")
        self._gap = True

    def note(self, words: str) -> None:
        """Add something to a check."""
        self.env.write(textwrap.fill(words, COLUMNS - 2, initial_indent="      ", subsequent_indent="      ") + "\n")

    # Commands --------------------------------------------------------------------------------------------

    def dyn(self, line: str, status: ExitStatus = ExitStatus.OK) -> None:
        """Show `$ dyn LINE` and run it."""
        self.typed("$ ", f"dyn {line}", self._other)
        self._ended(f"dyn {line}", run(shlex.split(line), self.env), status)

    def act(self, line: str) -> None:
        """Show a line that the tour carries out itself: nothing else is run at this prompt."""

        def other(typed: str) -> None:
            self.env.write(f"here only this: {line}\n")

        self.typed("$ ", line, other)
        self.env.write("\n")

    def typed(self, prompt: str, line: str, other: Callable[[str], object]) -> None:
        """Show a prompt and a line. A reader types it, or has it typed; `other` runs what else is typed before that."""
        if self.reader is None:
            self.show(f"{prompt}{line}")
            return
        self.env.write("\n" if self._gap else "")
        self._gap = False
        while not same(typed := self.reader.line(prompt, line), line):
            self.strayed = True
            other(typed)

    def _other(self, typed: str) -> None:
        """Run what a reader wants to try."""
        try:
            words = shlex.split(typed)
        except ValueError as error:
            self.env.write(f"{error}\n")
            return
        run(words[1:] if words[:1] == ["dyn"] else words, self.env)

    def shell(self, writer: str, address: str) -> Shell:
        """Open a shell of somebody called `writer` on one node."""
        return Shell(self, writer, self._environment(DYN_WRITER=writer, DYN_NODES=address))

    def _ended(self, line: str, found: int, expected: ExitStatus) -> None:
        if found == CLOSED_PIPE:
            raise ReaderGone  # the command said it quietly, as commands do; the whole tour must end
        if found == ExitStatus.INTERRUPTED:
            raise KeyboardInterrupt
        self.env.write("\n")
        if found != expected:
            raise CheckFailed(f"expected: {line} ends with exit code {int(expected)}; found: {int(found)}")

    # Questions that are not shown ------------------------------------------------------------------------

    def client(self, address: str) -> Client:
        """A client of one node, kept open until `close`."""
        if address not in self._clients:
            self._clients[address] = Client([parse_address(address)], timeout_s=TIMEOUT_S, writer="tour")
        return self._clients[address]

    def ask(self, address: str, *words: Word) -> Reply:
        """One command to one node, as any Redis client would send it."""
        return self.client(address).read(*words)

    def close(self) -> None:
        """Hang up."""
        for client in self._clients.values():
            client.close()


class Shell:
    """Somebody's `dyn shell` on one node: it remembers what it read, as the interactive one does."""

    def __init__(self, stage: Stage, writer: str, env: Environment) -> None:
        self._stage = stage
        self._writer = writer
        self._env = ShellEnvironment(env, Options())
        self._session = Session(self._env)

    def type(self, line: str) -> None:
        """Show the prompt and the line, and run it."""
        self._stage.typed(f"{self._writer}> ", line, self._session.run)
        self._stage._ended(line, self._session.run(line), ExitStatus.OK)

    def close(self) -> None:
        """Leave it."""
        self._env.hang_up()


def same(typed: str, line: str) -> bool:
    """Whether two lines are the same command, however they are quoted."""
    try:
        found, wanted = shlex.split(typed), shlex.split(line)
    except ValueError:
        return False
    return found == wanted or ["dyn", *found] == wanted

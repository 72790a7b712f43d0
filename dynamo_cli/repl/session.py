"""One shell: commands run one after the other over one connection, and the contexts that were read are kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import TypeVar

from dynamo_cli.app import run
from dynamo_cli.client import Client, Files
from dynamo_cli.environment import Environment
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import Options
from dynamo_cli.repl.parse import LEAVE, arguments, split
from dynamo_cli.repl.verbs import Facility, Verb, available, named, parts_of, refused
from dynamo_cli.store import Memory

MODULES = ("dynamo_cli.repl.basic",)
"""The modules with verbs of every shell, in the order of `\\help`: importing one enters them."""

F = TypeVar("F", bound=Facility)


class ShellEnvironment(Environment):
    """The environment of the outer command, with a memory, and with connections that stay open between commands."""

    program = "error"

    def __init__(self, outer: Environment, options: Options) -> None:
        super().__init__(stdin=outer.stdin, stdout=outer.stdout, stderr=outer.stderr, environ=outer.environ)
        self.memory = self.contexts = Memory()
        self.tls = outer.tls
        self._outer = options
        self._clients: dict[tuple[tuple[str, ...], float, Files], Client] = {}

    def nodes(self, options: Options) -> tuple[str, ...]:
        """The nodes of the command, else those the shell was started with."""
        return super().nodes(options if options.nodes else self._outer)

    def client_of(self, nodes: Sequence[str], timeout_s: float) -> Client:
        """The open client of these nodes, or a new one."""
        wanted = (tuple(nodes), timeout_s, self.tls)
        if wanted not in self._clients:
            self._clients[wanted] = super().client_of(nodes, timeout_s)
        return self._clients[wanted]

    def fresh_client(self, timeout_s: float) -> Client:
        """A client for the background, which shares nothing."""
        return super().client_of(self.nodes(Options()), timeout_s)

    def release(self, client: Client) -> None:
        """Keep the connection for the next command."""

    def hang_up(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()


class Session:
    """Runs lines. `left` is set by `exit`. `facilities` are what its verbs may need: see `verbs`."""

    def __init__(self, env: ShellEnvironment, *, read_only: bool = False, facilities: Iterable[Facility] = ()) -> None:
        for module in MODULES:
            import_module(module)
        self.env = env
        self.read_only = read_only
        self.left = False
        self._facilities: dict[type[Facility], Facility] = {type(facility): facility for facility in facilities}

    def provide(self, facility: Facility) -> None:
        """Have the verbs that need this."""
        self._facilities[type(facility)] = facility

    def has(self, kind: type[Facility]) -> bool:
        """Whether verbs that need this are there."""
        return kind in self._facilities

    def facility(self, kind: type[F]) -> F:
        """What was given of this kind, to a verb that needs it."""
        found = self._facilities[kind]
        assert isinstance(found, kind)
        return found

    @property
    def verbs(self) -> list[Verb]:
        """The verbs that are there."""
        return available(self.has)

    def run(self, line: str) -> int:
        """Run one line and return its exit status; every error has been told."""
        try:
            if line.lstrip().startswith("\\"):
                return self._verb(line)
            words = split(line)
            if not words:
                return ExitStatus.OK
            if words[0] in LEAVE:
                self.left = True
                return ExitStatus.OK
            if words == ["clear"]:
                self.env.write("\x1b[H\x1b[2J" if self.env.stdout_is_terminal else "")
                return ExitStatus.OK
            if words[0] == "?":
                words[0] = "help"
            status = run(arguments(words, read_only=self.read_only), self.env)
            if status == ExitStatus.INTERRUPTED:
                self.env.write("\n", error=True)  # the terminal showed ^C, and the prompt begins a line
            return status
        except CliError as error:
            self.env.write(f"{self.env.program}: {error.line()}\n", error=True)
            return error.status
        except KeyboardInterrupt:
            self.env.write("\n", error=True)
            return ExitStatus.INTERRUPTED

    def _verb(self, line: str) -> int:
        """Run a line that begins with a backslash. Raises CliError."""
        name, rest = parts_of(line)
        found = named(name, self.has)
        words = [rest] if found.takes_line else split(rest)
        found.check(words)
        if self.read_only and found.writes:
            raise refused(found)
        return found.run(self, words)

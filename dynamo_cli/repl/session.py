"""One shell: commands run one after the other over one connection, and the contexts that were read are kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from dynamo_cli.app import run
from dynamo_cli.client import Client, Files
from dynamo_cli.environment import Environment
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import Options
from dynamo_cli.repl.parse import LEAVE, arguments, split
from dynamo_cli.store import Memory


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


class Word(NamedTuple):
    """A word that a shell understands beside the commands; its name begins with a backslash, as the demo's `\\kill`.

    `run` takes the words after it; `completes` says what the first of these may be.
    """

    run: Callable[[Sequence[str]], int]
    metavar: str
    meaning: str
    completes: Callable[[], Iterable[str]] = tuple


class Session:
    """Runs lines. `left` is set by `exit`."""

    def __init__(
        self, env: ShellEnvironment, *, read_only: bool = False, words: Mapping[str, Word] | None = None
    ) -> None:
        self.env = env
        self.read_only = read_only
        self.words = words or {}
        self.left = False

    def run(self, line: str) -> int:
        """Run one line and return its exit status; every error has been told."""
        try:
            words = split(line)
            if not words:
                return ExitStatus.OK
            if words[0] in LEAVE:
                self.left = True
                return ExitStatus.OK
            if words == ["clear"]:
                self.env.write("\x1b[H\x1b[2J" if self.env.stdout_is_terminal else "")
                return ExitStatus.OK
            if words[0].startswith("\\"):
                return self._extra(words[0]).run(words[1:])
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

    def _extra(self, name: str) -> Word:
        """The word of this name; raises a usage error."""
        if name in self.words:
            return self.words[name]
        there = ", ".join(" ".join(filter(None, (known, word.metavar))) for known, word in self.words.items())
        raise usage(
            f"no word {name}", f"There are {there}" if there else "Words with a backslash are those of dyn demo"
        )

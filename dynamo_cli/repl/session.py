"""One shell: commands run one after the other over one connection, and the contexts that were read are kept."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, TextIO, TypeVar

from dynamo_cli.app import run
from dynamo_cli.call import Document, View
from dynamo_cli.catalog import find
from dynamo_cli.client import Client, Files
from dynamo_cli.contexts import NONE, read
from dynamo_cli.environment import Environment, ReaderGone
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.line import expanded
from dynamo_cli.options import Options
from dynamo_cli.render.plain import show
from dynamo_cli.repl.output import piped
from dynamo_cli.repl.parse import LEAVE, REDIS, arguments, split
from dynamo_cli.repl.places import through
from dynamo_cli.repl.settings import Settings
from dynamo_cli.repl.verbs import Facility, Verb, available, named, parts_of, refused, takes_line
from dynamo_cli.repl.words import split_pipe
from dynamo_cli.store import Memory

if TYPE_CHECKING:
    from dynamo_cli.repl.recording import Recorder

MODULES = tuple(
    f"dynamo_cli.repl.{name}"
    for name in ("basic", "again", "aliases", "output", "places", "recording", "settings", "shortcuts")
)
"""The modules with verbs of every shell: importing one enters them."""

CLOSED_PIPE = 128 + signal.SIGPIPE
"""How a command ends whose reader needs no more."""

LAST_MAX = 100
"""Results of one line that `\\last` shows again."""

F = TypeVar("F", bound=Facility)


class ShellEnvironment(Environment):
    """The environment of the outer command, with a memory, and with connections that stay open between commands."""

    program = "error"

    def __init__(self, outer: Environment, options: Options) -> None:
        super().__init__(stdin=outer.stdin, stdout=outer.stdout, stderr=outer.stderr, environ=outer.environ)
        self.contexts = Memory()
        self._elsewhere: dict[str | None, Memory] = {}
        self.tls = outer.tls
        self.manner = outer.manner._replace(pages=False, field=None)
        self._context = outer.manner.context
        self._in_force: str | None = None
        self._outer = options
        self._through: tuple[str, ...] = ()
        self._screen = self.stdout
        self._file: TextIO | None = None
        self._fresh = True
        self.last: list[tuple[Document, View]] = []
        self._clients: dict[tuple[tuple[str, ...], float, Files, str | None], Client] = {}

    def nodes(self, options: Options) -> tuple[str, ...]:
        """The nodes of the command, of the context that it names, of `\\node`, or those the shell was started with."""
        if options.nodes or self.manner.context != self._context:
            return super().nodes(options)
        return self._through or super().nodes(self._outer)

    def asked(self) -> tuple[str, ...]:
        """The nodes that a command asks which names none."""
        return self.nodes(Options())

    def ask_through(self, nodes: tuple[str, ...]) -> None:
        """Ask these nodes from now on; none: as at the start."""
        self._through = nodes

    @property
    def memory(self) -> Memory:
        """What was read of the cluster that the line speaks to: a context of one is worth nothing to another."""
        if self.manner.context == self._context:
            return self.contexts
        return self._elsewhere.setdefault(self.manner.context, Memory())

    @memory.setter
    def memory(self, memory: Memory | None) -> None:
        raise AssertionError("the shell's own")

    def use(self, context: str) -> None:
        """Speak to a saved context from now on, whatever the shell was started with. Raises CliError."""
        if context != NONE:
            read(self.environ, context)
        self.manner = self.manner._replace(context=context)
        self._context = context
        self._outer = self._outer._replace(nodes=())
        self._through = ()
        self._elsewhere.clear()
        self.hang_up()
        self.begin_line()

    @property
    def aliases(self) -> dict[str, str]:
        """The user's own words for commands."""
        known = self.layers.config.get("alias")
        return {name: str(meaning) for name, meaning in known.items()} if isinstance(known, dict) else {}

    def client_of(self, nodes: Sequence[str], timeout_s: float) -> Client:
        """The open client of these nodes, or a new one."""
        wanted = (tuple(nodes), timeout_s, self.tls, self.layers.name)
        if wanted not in self._clients:
            self._clients[wanted] = super().client_of(nodes, timeout_s)
        return self._clients[wanted]

    def background(self) -> Callable[[float], Client]:
        """A maker of clients for threads, given a deadline: of what is in force now, whatever later lines say.

        Raises CliError.
        """
        frozen = Environment(stdin=self.stdin, stdout=self.stdout, stderr=self.stderr, environ=self.environ)
        frozen.tls, frozen.manner, frozen._layers = self.tls, self.manner, self.layers  # a copy
        nodes = self.asked()
        return lambda timeout_s: frozen.client_of(nodes, timeout_s)

    def release(self, client: Client) -> None:
        """Keep the connection for the next command."""

    def hang_up(self) -> None:
        """Close every connection."""
        self.send_to(None)
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def terminal_columns(self, stream: TextIO) -> int:
        """Width of the terminal, also for what is drawn elsewhere first."""
        return super().terminal_columns(self._screen)

    # Results ------------------------------------------------------------------------------------------

    def begin_line(self) -> None:
        """What is shown from now on is the result of another line, and files may have changed. Raises CliError."""
        self._fresh = True
        self.read_again()
        if self.layers.name != self._in_force:
            self._in_force = self.layers.name
            self.contexts.clear()

    def shown(self, document: Document, view: View) -> None:
        """Remember what a line showed, for `\\last`."""
        self.last = [(document, view)] if self._fresh else [*self.last[: LAST_MAX - 1], (document, view)]
        self._fresh = False

    def send_to(self, file: TextIO | None) -> None:
        """Have results go to a file, or to the screen again."""
        if self._file is not None:
            self._file.close()
        self._file = file
        self.stdout = file or self._screen

    @contextmanager
    def writing(self, stdout: TextIO, stderr: TextIO | None = None) -> Iterator[None]:
        """Have results, and remarks if `stderr` is given, go elsewhere for a while."""
        before = self.stdout, self.stderr
        self.stdout, self.stderr = stdout, stderr or self.stderr
        try:
            yield
        finally:
            self.stdout, self.stderr = before


class Session:
    """Runs lines. `left` is set by `exit`. `facilities` are what its verbs may need: see `verbs`."""

    def __init__(self, env: ShellEnvironment, *, read_only: bool = False, facilities: Iterable[Facility] = ()) -> None:
        for module in MODULES:
            import_module(module)
        self.env = env
        self.read_only = read_only
        self.left = False
        self.depth = 0
        self._within = False
        self.recorder: Recorder | None = None
        self.settings = Settings()
        self.took_s: float | None = None
        """How long the last line took."""
        self.moved: Callable[[], object] = lambda: None
        """Called when it speaks to other nodes from now on."""
        self._facilities: dict[type[Facility], Facility] = {type(facility): facility for facility in facilities}

    def provide(self, facility: Facility) -> None:
        """Have the verbs that need this."""
        self._facilities[type(facility)] = facility

    def withdraw(self, facility: Facility) -> None:
        """Have the verbs no more that need this."""
        if self._facilities.get(type(facility)) is facility:
            del self._facilities[type(facility)]

    def has(self, kind: type[Facility]) -> bool:
        """Whether verbs that need this are there."""
        return kind in self._facilities

    def facility(self, kind: type[F]) -> F:
        """What was given of this kind, to a verb that needs it."""
        found = self._facilities[kind]
        assert isinstance(found, kind)
        return found

    @property
    def marks(self) -> list[str]:
        """The words for the prompt: of facilities, and REC while a script is recorded."""
        marks = [mark for facility in self._facilities.values() if (mark := facility.mark())]
        return [*marks, *(["REC"] if self.recorder else [])]

    @property
    def verbs(self) -> list[Verb]:
        """The verbs that are there."""
        return available(self.has)

    def _meant(self, words: list[str]) -> list[str]:
        """The words, with the user's alias replaced: what a read-only shell refuses is refused under any name."""
        at = words[0] == "dyn"
        return [*words[:at], *expanded(words[at:], self.env, lambda word: word in REDIS or find((word,)) is not None)]

    def note(self, text: str) -> None:
        """A remark that only a person wants."""
        if self.env.stderr_is_terminal:
            self.env.write(f"{text}\n", error=True)

    def run(self, line: str) -> int:
        """Run one line and return its exit status; every error has been told."""
        within, self._within = self._within, True  # what a line runs in turn is not of the script that is recorded
        try:
            recorder = self.recorder
            if within or recorder is None or not recorder.wants(line):
                return self._told(line)
            return recorder.run(self, line)
        finally:
            self._within = within

    def _told(self, line: str) -> int:
        """Run one line, and tell what goes wrong."""
        begun_s = self.env.now_s()
        try:
            text, command = split_pipe(line) if self.settings["pipes"] and not self._takes_line(line) else (line, None)
            if command is None:
                return self._run(text)
            with piped(self, command) as pipe:
                try:
                    status = self._run(text)
                except ReaderGone:
                    status = CLOSED_PIPE
            ended = ExitStatus.FAILURE if pipe.status else ExitStatus.OK
            return ended if status in (ExitStatus.OK, CLOSED_PIPE) else status
        except CliError as error:
            self.env.write(f"{self.env.program}: {show(error.line())}\n", error=True)
            return error.status
        except KeyboardInterrupt:
            self.env.write("\n", error=True)
            return ExitStatus.INTERRUPTED
        finally:
            self.took_s = self.env.now_s() - begun_s

    def _takes_line(self, line: str) -> bool:
        """Whether a line is of a verb that takes the rest as it was typed, pipes and all."""
        return line.lstrip().startswith("\\") and takes_line(parts_of(line)[0])

    def _run(self, line: str) -> int:
        """Run a line without its pipe. Raises CliError and KeyboardInterrupt."""
        if line.lstrip().startswith("\\"):
            return self._verb(line)
        words = split(line)
        if not words:
            return ExitStatus.OK
        if words[0] in LEAVE:
            self.left = True
            return ExitStatus.OK
        if words == ["clear"]:
            moves = self.env.stdout_is_terminal and self.env.environ.get("TERM") != "dumb"
            self.env.write("\x1b[H\x1b[2J" if moves else "")
            return ExitStatus.OK
        if words[0] == "?":
            words[0] = "help"
        self.env.begin_line()
        argv = arguments(through(self, self._meant(words)), read_only=self.read_only)
        self.env.expanded = self.settings["expanded"]
        self.env.tracing = self.settings["trace"]
        self.env.manner = self.env.manner._replace(pages=self.settings["pager"])
        begun_s = self.env.now_s()
        status = run(argv, self.env)
        if status == ExitStatus.INTERRUPTED:
            self.env.write("\n", error=True)  # the terminal showed ^C, and the prompt begins a line
        if self.settings["timing"]:
            self.env.write(f"time {(self.env.now_s() - begun_s) * 1000:.1f} ms\n", error=True)
        return status

    def close(self) -> None:
        """End what is open: a recording, and connections."""
        if self.recorder is not None:
            self.recorder.close()
            self.recorder = None
        self.env.hang_up()

    def _verb(self, line: str) -> int:
        """Run a line that begins with a backslash. Raises CliError."""
        name, rest = parts_of(line)
        found = named(name, self.has)
        words = [rest] if found.takes_line else split(rest)
        found.check(words)
        if self.read_only and found.writes:
            raise refused(found)
        return found.run(self, words)

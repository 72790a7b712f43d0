"""The world around a command: streams, terminal facts, directories, colour, and where clients come from.

Commands touch the world only through this object, so a test, or the shell, hands them another one.
"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from dynamo_cli import contexts, settings
from dynamo_cli.client import Client, Files, parse_address
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.layers import Layers, Nothing
from dynamo_cli.options import Manner, Options

if TYPE_CHECKING:
    from ssl import SSLContext

    from rich.console import Console, RenderableType

    from dynamo_cli.call import Document, View
    from dynamo_cli.store import Memory

WRITER_BYTES_MAX = 64
"""As long as a writer's label may be (`node.core.limits`)."""

TLS_SETTINGS = ("tls-ca", "tls-cert", "tls-key")

PIPE_COLUMNS = 2000
"""Width of a table that no terminal bounds: as wide as its content."""


class ReaderGone(Exception):
    """Who read our output has closed it. No OSError: typer would end the process by itself, with another status."""


class Environment:
    """Streams, `environ` and factories of one run of `dyn`. `memory` is set by the shell: the contexts it has read.

    `tls` are the files that the line under way names, or the line that began the shell; `manner` is likewise its.
    """

    memory: Memory | None = None
    tls = Files(None, None, None)
    manner = Manner()
    program = "dyn"
    expanded = False
    """Whether tables are drawn one column a line, as `\\x` of the shell wishes."""
    tracing = False
    """Whether each get, put and del shows its way, as `\\trace on` of the shell wishes."""

    def __init__(
        self,
        *,
        stdin: TextIO | None = None,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.stdin = stdin or sys.stdin
        self.stdout = stdout or sys.stdout
        self.stderr = stderr or sys.stderr
        self.environ = os.environ if environ is None else environ
        self._layers: Layers | None = None

    # Settings -----------------------------------------------------------------------------------------

    @property
    def layers(self) -> Layers:
        """What environment and files say, read once for each command line. Raises CliError."""
        if self._layers is None or self._layers.given != self.manner.context:
            self._layers = Layers(self.environ, self.manner.context)
        return self._layers

    def read_again(self, *, files: bool = True) -> None:
        """Forget what the files said: the next line reads them anew; `files` False: they count for nothing."""
        self._layers = None if files else Nothing(self.environ)

    @property
    def context_name(self) -> str | None:
        """The saved context in force."""
        return self.layers.name

    @property
    def protected(self) -> bool:
        """Whether the context in force is protected."""
        return "protected" in self.layers.context and bool(settings.value(self.layers, "protected"))

    # Streams ------------------------------------------------------------------------------------------

    @property
    def stdout_is_terminal(self) -> bool:
        """Whether a person reads the results."""
        return self.stdout.isatty()

    @property
    def stderr_is_terminal(self) -> bool:
        """Whether a person reads the remarks."""
        return self.stderr.isatty()

    @property
    def can_ask(self) -> bool:
        """Whether a question would reach a person."""
        if not (self.manner.asks and self.stdin.isatty() and self.stderr.isatty()):
            return False
        return not settings.value(self.layers, "no-input")

    def write(self, text: str, *, error: bool = False) -> None:
        """Write text, or the one field of it that the line asks for; what the encoding lacks as an escape.

        Raises ReaderGone.
        """
        if self.manner.field is not None and not error:
            from dynamo_cli.fields import pick

            text = pick(text, self.manner.field, safe=self.stdout_is_terminal)
        stream = self.stderr if error else self.stdout
        encoding = getattr(stream, "encoding", None) or "utf-8"
        try:
            stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
            stream.flush()
        except BrokenPipeError:
            raise ReaderGone from None

    def write_bytes(self, data: bytes) -> None:
        """Write bytes to standard output as they are. Raises ReaderGone."""
        try:
            self.stdout.flush()
            self.stdout.buffer.write(data)
            self.stdout.buffer.flush()
        except BrokenPipeError:
            raise ReaderGone from None

    def read_bytes(self) -> bytes:
        """Everything on standard input."""
        return self.stdin.buffer.read()

    # Screens ------------------------------------------------------------------------------------------

    def has_color(self, when: str, *, error: bool = False) -> bool:
        """Whether a stream is coloured: flag, then NO_COLOR, then FORCE_COLOR, then what the stream is."""
        if when != "auto":
            return when == "always"
        if self.environ.get("NO_COLOR"):
            return False
        if self.environ.get("FORCE_COLOR"):
            return True
        terminal = self.stderr_is_terminal if error else self.stdout_is_terminal
        return terminal and self.environ.get("TERM") != "dumb"

    def columns(self, *, error: bool = False) -> int:
        """Width to draw in: the terminal's, or without one as wide as needed."""
        if self.environ.get("COLUMNS", "").isdigit() and int(self.environ["COLUMNS"]):
            return int(self.environ["COLUMNS"])
        stream = self.stderr if error else self.stdout
        return self.terminal_columns(stream) if stream.isatty() else PIPE_COLUMNS

    def terminal_columns(self, stream: TextIO) -> int:
        """Width of the terminal that a stream leads to."""
        try:
            return os.get_terminal_size(stream.fileno()).columns or 80
        except (OSError, ValueError):
            return 80

    def draw(self, screen: RenderableType, *, color: str = "auto", wide: bool = False, error: bool = False) -> None:
        """Draw a rich renderable, without the spaces that rich leaves at the ends of lines. `wide`: cut nothing."""
        self.write(self.drawn(screen, color=color, wide=wide, error=error), error=error)

    def page(self, text: str) -> None:
        """Write text for a person to read: through the pager if it is taller than the terminal."""
        words: list[str] = []
        if self.manner.pages and self.stdout_is_terminal and self.stdin.isatty() and self._is_tall(text):
            from dynamo_cli.paging import page, pager_of

            words = pager_of(settings.value(self.layers, "pager"), self.environ)
            if words and page(text, words, self.environ):
                return
        self.write(text)

    def _is_tall(self, text: str) -> bool:
        try:
            return text.count("\n") >= os.get_terminal_size(self.stdout.fileno()).lines > 0
        except (OSError, ValueError):
            return False

    @property
    def draws_ascii(self) -> bool:
        """Whether screens may have ASCII alone: --ascii, the setting, a C locale, or a stream that takes no more."""
        environ = self.environ
        locale = environ.get("LC_ALL") or environ.get("LC_CTYPE") or environ.get("LANG") or ""
        encoding = (getattr(self.stdout, "encoding", None) or "utf-8").lower().replace("-", "")
        if self.manner.ascii or locale in ("C", "POSIX") or encoding != "utf8":
            return True
        return bool(settings.value(self.layers, "ascii"))

    def drawn(self, screen: RenderableType, *, color: str = "auto", wide: bool = False, error: bool = False) -> str:
        """A rich renderable as the text to write."""
        from io import StringIO

        from dynamo_cli.render.theme import ASCII, THEME

        sink = StringIO()
        columns = PIPE_COLUMNS if wide else self.columns(error=error)
        console = self.console(sink, colored=self.has_color(color, error=error), columns=columns)
        console.push_theme(THEME)
        console.print(screen)
        lines = sink.getvalue().split("\n")
        text = "\n".join(line.rstrip(" ") for line in lines)
        return text.translate(ASCII) if self.draws_ascii else text

    def console(self, sink: TextIO, *, colored: bool, columns: int) -> Console:
        """A rich console that decides nothing by itself and trusts no text."""
        from rich.console import Console

        return Console(
            file=sink,
            width=columns,
            force_terminal=colored,
            color_system="standard" if colored else None,
            no_color=not colored,
            markup=False,
            highlight=False,
            emoji=False,
            safe_box=self.draws_ascii,
            legacy_windows=False,
        )

    def shown(self, document: Document, view: View) -> None:
        """A command shows this: the shell remembers it."""

    # Places -------------------------------------------------------------------------------------------

    def directory(self, kind: str) -> Path:
        """Our directory of a kind: `config`, `data` or `state`, by the XDG rules. It may not exist yet."""
        return Path(contexts.directory(self.environ, kind))

    # Clients ------------------------------------------------------------------------------------------

    def nodes(self, options: Options) -> tuple[str, ...]:
        """The nodes to ask, in order: `-n`, else those of the settings, else this machine's default."""
        listed = options.nodes or settings.value(self.layers, "nodes") or ()
        return tuple(",".join(listed).replace(",", " ").split()) or (settings.DEFAULT_NODE,)

    def client(self, options: Options) -> Client:
        """A client of the nodes that the options name. On a terminal it says for whom it waits, if that takes long."""
        client = self.client_of(self.nodes(options), options.timeout_s)
        is_seen = self.stderr is sys.stderr and self.stderr_is_terminal and self.environ.get("TERM") != "dumb"
        if is_seen and not options.quiet:
            from dynamo_cli.waiting import Waiting

            client.waiting = Waiting(lambda text: self.write(text, error=True))
        return client

    def client_of(self, nodes: Sequence[str], timeout_s: float) -> Client:
        """A client of these nodes, with our password and our name."""
        layers = self.layers  # of this line: a client that connects later must not take another context's password
        return Client(
            [parse_address(text) for text in nodes],
            timeout_s=timeout_s,
            password=lambda: password_of(layers),
            writer=self.writer(),
            tls=self.tls_files(),
            tell=self.tell if self.manner.verbose else None,
        )

    def tell(self, text: str) -> None:
        """Say on standard error what `-v` asks for."""
        from dynamo_cli.render.plain import show

        self.write(f"{show(text)}\n", error=True)

    def tls_of(self, options: Options) -> Files:
        """The files of the line, or where it names none those that were in force before it."""
        named = Files(options.tls_ca, options.tls_cert, options.tls_key)
        return named if any(named) else self.tls

    def tls_files(self) -> Files | None:
        """The files to speak TLS with: of the line, else of the settings; None without a CA. Raises CliError."""
        named = self.tls
        ca, cert, key = (
            path or settings.value(self.layers, name) or None for name, path in zip(TLS_SETTINGS, named, strict=True)
        )
        if ca is None and any(named):
            raise usage("--tls-cert and --tls-key are of use only with --tls-ca", "Name the CA: --tls-ca FILE")
        if key is not None and cert is None and ca is not None:
            raise usage("a TLS key without its certificate", "Name it: --tls-cert FILE")
        return None if ca is None else Files(ca, cert, key)

    def tls_context(self) -> SSLContext | None:
        """What connections are made with, for those who make their own. Raises CliError."""
        files = self.tls_files()
        if files is None:
            return None
        from dynamo_cli.tls import context_of

        return context_of(files)

    def client_apart(self, nodes: Sequence[str], timeout_s: float) -> Client:
        """A client of these nodes that the caller closes: also in the shell, which else keeps its connections."""
        return Environment.client_of(self, nodes, timeout_s)

    def release(self, client: Client) -> None:
        """A command is done with its client: hang up. (The shell keeps its connection.)"""
        client.close()

    def password(self) -> str | None:
        """The client password that the settings name. Raises CliError."""
        return password_of(self.layers)

    def writer(self) -> str:
        """The label that our writes carry: that of the settings, or user@host."""
        label = settings.value(self.layers, "writer")
        if not label:
            label = f"{self.environ.get('USER') or _account()}@{socket.gethostname()}"
        return "".join(c for c in label if "!" <= c <= "~")[:WRITER_BYTES_MAX] or "dyn"

    def now_s(self) -> float:
        """Seconds on a clock that never goes back: for showing how long something took."""
        return time.perf_counter()


def password_of(layers: Layers) -> str | None:
    """The client password: from the file that the settings name, or DYN_PASSWORD itself. Raises CliError.

    DYN_PASSWORD goes with the environment: it is not for a context that the line names, nor beside a context's file.
    """
    found = layers.find("password-file")
    here = layers.environ.get("DYN_PASSWORD") if layers.named is None else None
    if found is None or (here and found.origin != "DYN_PASSWORD_FILE"):
        return here or None
    name = settings.checked("password-file", found)
    try:
        return Path(name).expanduser().read_text("utf-8").rstrip("\r\n") or None
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        hint = (
            f"Set {found.origin}"
            if found.origin.startswith("DYN_")
            else f"Set it anew: {settings.set_again('password-file', found)}"
        )
        raise CliError(ExitStatus.REFUSED, f"cannot read the password file {name}: {why}", hint) from None


def _account() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())

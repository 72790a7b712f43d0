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

from dynamo_cli.client import PORT, Client, Files, parse_address
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import Options

if TYPE_CHECKING:
    from ssl import SSLContext

    from rich.console import Console, RenderableType

    from dynamo_cli.call import Document, View
    from dynamo_cli.store import Memory

DEFAULT_NODE = f"127.0.0.1:{PORT}"
WRITER_BYTES_MAX = 64
"""As long as a writer's label may be (`node.core.limits`)."""

TLS_VARIABLES = ("DYN_TLS_CA", "DYN_TLS_CERT", "DYN_TLS_KEY")

PIPE_COLUMNS = 2000
"""Width of a table that no terminal bounds: as wide as its content."""


class ReaderGone(Exception):
    """Who read our output has closed it. No OSError: typer would end the process by itself, with another status."""


class Environment:
    """Streams, `environ` and factories of one run of `dyn`. `memory` is set by the shell: the contexts it has read.

    `tls` are the files that the line under way names, or the line that began the shell.
    """

    memory: Memory | None = None
    tls = Files(None, None, None)
    program = "dyn"
    expanded = False
    """Whether tables are drawn one column a line, as `\\x` of the shell wishes."""

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
        return self.stdin.isatty() and self.stderr.isatty()

    def write(self, text: str, *, error: bool = False) -> None:
        """Write text; what the stream's encoding lacks as an escape. Raises ReaderGone."""
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
        from io import StringIO

        from dynamo_cli.render.theme import THEME

        sink = StringIO()
        columns = PIPE_COLUMNS if wide else self.columns(error=error)
        console = self.console(sink, colored=self.has_color(color, error=error), columns=columns)
        console.push_theme(THEME)
        console.print(screen)
        lines = sink.getvalue().split("\n")
        self.write("\n".join(line.rstrip(" ") for line in lines), error=error)

    def console(self, sink: TextIO, *, colored: bool, columns: int) -> Console:
        """A rich console that decides nothing by itself and trusts no text."""
        from rich.console import Console

        unicode = (getattr(self.stdout, "encoding", None) or "").lower().replace("-", "") in ("utf8", "")
        return Console(
            file=sink,
            width=columns,
            force_terminal=colored,
            color_system="standard" if colored else None,
            no_color=not colored,
            markup=False,
            highlight=False,
            emoji=False,
            safe_box=not unicode,
            legacy_windows=False,
        )

    def shown(self, document: Document, view: View) -> None:
        """A command shows this: the shell remembers it."""

    # Places -------------------------------------------------------------------------------------------

    def directory(self, kind: str) -> Path:
        """Our directory of a kind: `config`, `data` or `state`, by the XDG rules. It may not exist yet."""
        override = self.environ.get(f"DYN_{kind.upper()}_DIR")
        if override:
            return Path(override)
        home = Path(self.environ.get("HOME") or Path.home())
        default = {"config": home / ".config", "data": home / ".local/share", "state": home / ".local/state"}[kind]
        base = self.environ.get(f"XDG_{kind.upper()}_HOME", "")
        return (Path(base) if os.path.isabs(base) else default) / "dyn"

    # Clients ------------------------------------------------------------------------------------------

    def nodes(self, options: Options) -> tuple[str, ...]:
        """The nodes to ask, in order: `-n`, else DYN_NODES, else this machine's default."""
        listed = ",".join(options.nodes) or self.environ.get("DYN_NODES", "") or DEFAULT_NODE
        return tuple(listed.replace(",", " ").split()) or (DEFAULT_NODE,)

    def client(self, options: Options) -> Client:
        """A client of the nodes that the options name."""
        return self.client_of(self.nodes(options), options.timeout_s)

    def client_of(self, nodes: Sequence[str], timeout_s: float) -> Client:
        """A client of these nodes, with our password and our name."""
        addresses = [parse_address(text) for text in nodes]
        return Client(
            addresses, timeout_s=timeout_s, password=self.password, writer=self.writer(), tls=self.tls_files()
        )

    def tls_of(self, options: Options) -> Files:
        """The files of the line, or where it names none those that were in force before it."""
        named = Files(options.tls_ca, options.tls_cert, options.tls_key)
        return named if any(named) else self.tls

    def tls_files(self) -> Files | None:
        """The files to speak TLS with: of the line, else DYN_TLS_CA and so on; None without a CA. Raises CliError."""
        named = self.tls
        ca, cert, key = (
            path or self.environ.get(variable) or None for variable, path in zip(TLS_VARIABLES, named, strict=True)
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
        """The client password: from the file that DYN_PASSWORD_FILE names, or DYN_PASSWORD itself."""
        name = self.environ.get("DYN_PASSWORD_FILE")
        if not name:
            return self.environ.get("DYN_PASSWORD") or None
        try:
            return Path(name).expanduser().read_text("utf-8").rstrip("\r\n") or None
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not UTF-8"
            raise CliError(
                ExitStatus.REFUSED, f"cannot read the password file {name}: {why}", "Set DYN_PASSWORD_FILE"
            ) from None

    def writer(self) -> str:
        """The label that our writes carry: DYN_WRITER, or user@host."""
        label = self.environ.get("DYN_WRITER")
        if not label:
            label = f"{self.environ.get('USER') or _account()}@{socket.gethostname()}"
        return "".join(c for c in label if "!" <= c <= "~")[:WRITER_BYTES_MAX] or "dyn"

    def now_s(self) -> float:
        """Seconds on a clock that never goes back: for showing how long something took."""
        return time.perf_counter()


def _account() -> str:
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())

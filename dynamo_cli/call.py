"""One call of one command: what it was asked, and the means to answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from dynamo_cli.client import Client
from dynamo_cli.environment import Environment
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import Options
from dynamo_cli.render.plain import csv_text, expanded_text, json_text, show, tsv_text

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = dict[str, Any]
"""What a command found out, as the JSON document of the interface. Everything that is shown is made from it."""

Rows = tuple[tuple[str, ...], list[tuple[str, ...]]]
"""Column names and rows, as text that is safe to print: the plain and csv formats."""


class View(NamedTuple):
    """The ways a document may be shown. `items`: the objects that `jsonl` prints one a line; None: the document."""

    screen: Callable[[Document, bool], RenderableType]
    rows: Callable[[Document], Rows]
    items: Callable[[Document], list[Document]] | None = None
    value: Callable[[Document], bytes] | None = None


class Call:
    """Environment and options of one command, its client, and its output."""

    def __init__(self, env: Environment, options: Options | None = None) -> None:
        self.env = env
        self.options = options or Options()
        self._client: Client | None = None

    # Asking -------------------------------------------------------------------------------------------

    @property
    def client(self) -> Client:
        """The client, made on first use."""
        if self._client is None:
            self._client = self.env.client(self.options)
        return self._client

    def close(self) -> None:
        """Give the client back."""
        if self._client is not None:
            self.env.release(self._client)
            self._client = None

    @contextmanager
    def timed(self) -> Iterator[Callable[[], float]]:
        """Time a piece of work; the value is a function that says how many milliseconds it took."""
        begun = self.env.now_s()
        yield lambda: (self.env.now_s() - begun) * 1000

    # Answering ----------------------------------------------------------------------------------------

    @property
    def format(self) -> str:
        """The output format in force."""
        return self.options.output or ("table" if self.env.stdout_is_terminal else "plain")

    @property
    def for_people(self) -> bool:
        """Whether the answer is drawn, not listed."""
        return self.format in ("table", "wide")

    def emit(self, document: Document, view: View) -> None:
        """Print a document in the format in force."""
        self.env.shown(document, view)
        if self.for_people and self.env.expanded:
            self.env.page(expanded_text(*view.rows(document)))
        elif self.for_people:
            wide = self.format == "wide"
            self.env.page(self.env.drawn(view.screen(document, wide), color=self.options.color, wide=wide))
        elif self.format == "json":
            self.env.write(json_text(document))
        elif self.format == "jsonl":
            items = view.items(document) if view.items else [document]
            self.env.write("".join(json_text(item) for item in items))
        elif self.format == "value":
            if view.value is None:
                raise usage("this command has no single value to print", "Choose another format: -o json")
            self.env.write_bytes(view.value(document))
        else:
            names, rows = view.rows(document)
            text = csv_text if self.format == "csv" else tsv_text
            self.env.write(text(names, rows, header=self.options.header))

    def draw(self, screen: RenderableType, *, error: bool = False) -> None:
        """Draw on standard output, or on standard error."""
        self.env.draw(screen, color=self.options.color, wide=self.format == "wide", error=error)

    def say(self, text: str) -> None:
        """Print one line of result that is words, such as OK; `-q` silences it."""
        if not self.options.quiet:
            self.env.write(f"{text}\n")

    def note(self, text: str) -> None:
        """Remark on standard error; `-q` silences it."""
        if not self.options.quiet:
            self.env.write(f"{text}\n", error=True)

    def remark(self, text: str) -> None:
        """A remark that only a person wants: nothing in pipes and logs."""
        if self.env.stderr_is_terminal and self.for_people:
            self.note(text)

    def suggest(self, *commands: str) -> None:
        """Remark what to type next: of `commands` as many as fit on a line, and at least the first."""
        line = f"Next:  {commands[0]}"
        for command in commands[1:]:
            longer = f"{line}      {command}"
            line = longer if len(longer) <= self.env.columns(error=True) else line
        self.remark(line)

    def complain(self, error: CliError) -> None:
        """Print an error: one line, or an object when the output is JSON."""
        if self.format in ("json", "jsonl"):
            self.env.write(json_text(error.document()), error=True)
        else:
            self.env.write(f"{self.env.program}: {show(error.line())}\n", error=True)

    def confirm(self, question: str, *, here: bool = False) -> None:
        """Go on only with the user's consent: `-y`, or an answer. Never hangs without a terminal.

        In a protected context neither is enough: it takes the context's name, by `--confirm` or typed. `here`: it is
        about this machine alone, whatever context is in force.
        """
        if self.env.protected and not here:
            self.guard(question)
            return
        if self.options.yes:
            return
        if not self.env.can_ask:
            raise CliError(ExitStatus.REFUSED, f"not confirmed: {question}", "Pass --yes to confirm")
        where = "" if here else f"{self.whereabouts()}\n"
        self.env.write(f"{where}{question} [y/N] ", error=True)
        if self.env.stdin.readline().strip().lower() not in ("y", "yes"):
            raise CliError(ExitStatus.REFUSED, "not confirmed", "Nothing was changed")

    def whereabouts(self) -> str:
        """Which cluster a question is about: the context in force, and the node that is asked."""
        name = self.env.context_name
        node = str(self._client.address) if self._client is not None else self.env.nodes(self.options)[0]
        return show(f"context {name}, through {node}" if name else f"through {node}")

    def guard(self, question: str) -> None:
        """In a protected context, go on only for who gives its name. Raises REFUSED."""
        name = self.env.context_name
        if not self.env.protected or name is None or self.options.confirmed == name:
            return
        if self.options.confirmed is not None:
            raise CliError(ExitStatus.REFUSED, f"--confirm names {self.options.confirmed}, and this is {name}")
        if not self.env.can_ask:
            raise CliError(ExitStatus.REFUSED, f"context {name} is protected: {question}", f"Pass --confirm {name}")
        asked = f"{self.whereabouts()}\n{question}\nContext {name} is protected. Type its name to go on: "
        self.env.write(asked, error=True)
        if self.env.stdin.readline().strip() != name:
            raise CliError(ExitStatus.REFUSED, "not confirmed", "Nothing was changed")

"""The options that every command takes, anywhere on the line, and the table that commands enter themselves into.

A command is a plain function over a `Call`; it knows neither typer nor the process it runs in. `app` makes the typer
tree out of `REGISTRY`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

if TYPE_CHECKING:
    from dynamo_cli.exit_status import ExitStatus

FORMATS = ("table", "wide", "plain", "json", "jsonl", "csv", "value")
COLORS = ("auto", "always", "never")
TIMEOUT_S = 3.0
"""As long as a request may take by default (interface: TIMEOUT)."""


class Options(NamedTuple):
    """The global options of one command line. `output` None: a table on a terminal, plain elsewhere. Those of TLS as
    they stand on the line; what the environment adds is `Environment.tls_files`."""

    nodes: tuple[str, ...] = ()
    output: str | None = None
    timeout_s: float = TIMEOUT_S
    quiet: bool = False
    yes: bool = False
    color: str = "auto"
    header: bool = True
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    confirmed: str | None = None


class Manner(NamedTuple):
    """How one command line is run: what is not of its command but of the way it reads, asks and shows.

    `context` is the context that the line names, `field` the path of the one field to print. In a shell, what the
    line that began it says goes for each of its lines.
    """

    context: str | None = None
    field: str | None = None
    ascii: bool = False
    asks: bool = True
    pages: bool = True
    debug: bool = False
    verbose: bool = False


class Command(NamedTuple):
    """One command: its words, the function, and what only the help page and the completions need.

    `examples` are (command line, what it does); `exits` the exit codes beside 0, 1 and 2 that it is known for;
    `completes` says what an argument or option value is: `keys`, `files`, or the words to choose from, by parameter.
    `danger` is one of DANGERS: "" for what only reads. `guarded`: in a protected context it runs only for who gives the
    context's name (what asks by itself need not be). `risky` are options with which a command that else only reads is
    mildly dangerous.
    """

    path: tuple[str, ...]
    function: Callable[..., ExitStatus]
    panel: str
    examples: tuple[tuple[str, str], ...]
    exits: tuple[int, ...]
    see: tuple[str, ...]
    completes: dict[str, str]
    danger: str = ""
    guarded: bool = False
    risky: tuple[str, ...] = ()


DANGERS = ("", "mild", "moderate", "severe")
"""What a command may do, at most. Nothing; write a few keys, or what can be undone at once (it does not ask); change
the ring, or what a node holds (it asks, or takes --yes); what cannot be undone. A read-only shell refuses all but the
first, and a shell never suggests such a line from its history."""

REGISTRY: dict[tuple[str, ...], Command] = {}
"""Every command by its words, in the order of the help page."""

PANELS = ("Start here", "Data", "Cluster", "Ring", "Node", "Observe", "Faults", "Configure", "Help")

Function = TypeVar("Function", bound=Callable[..., Any])


def command(
    path: str,
    *,
    panel: str,
    examples: Iterable[tuple[str, str]] = (),
    exits: Iterable[int] = (),
    see: Iterable[str] = (),
    completes: dict[str, str] | None = None,
    danger: str = "",
    guarded: bool = False,
    risky: Iterable[str] = (),
) -> Callable[[Function], Function]:
    """Enter a function into the command table under the words of `path`. Its first parameter is the `Call`."""
    words = tuple(path.split())
    assert panel in PANELS, panel
    assert danger in DANGERS, danger

    def enter(function: Function) -> Function:
        assert words not in REGISTRY, f"command {path!r} is entered twice"
        REGISTRY[words] = Command(
            words,
            function,
            panel,
            tuple(examples),
            tuple(map(int, exits)),
            tuple(see),
            completes or {},
            danger,
            guarded,
            tuple(risky),
        )
        return function

    return enter

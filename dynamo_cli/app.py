"""The command line: the typer tree made from the command table, and the one place where errors become exit codes."""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
import typing
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

from dynamo_cli.arguments import choice, parse_by_ourselves, seconds, text
from dynamo_cli.call import Call
from dynamo_cli.environment import Environment, ReaderGone
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import COLORS, FORMATS, REGISTRY, TIMEOUT_S, Command, Options

MODULES = (
    "start", "demo", "demo_nodes", "shell", "values", "merge", "keys", "key", "export", "import_keys", "cluster",
    "change", "transfers", "repair", "events", "doctor", "ring", "diff", "simulate", "node", "data", "cert", "stats",
    "fault", "bench", "bundle", "help",
)  # fmt: skip
"""The modules of `dynamo_cli.commands`, in the order of the help page: importing one enters its commands."""

for _module in MODULES:
    import_module(f"dynamo_cli.commands.{_module}")

GROUPS = {
    "demo": "A cluster of real processes on this machine.",
    "cluster": "Members, health and views of the cluster.",
    "ring": "Who owns what.",
    "node": "Run a node.",
    "node data": "The store of a node: back it up, look into a backup, put one back.",
    "fault": "Break nodes and links on purpose (nodes started with --allow-faults), and heal them.",
    "debug": "What others need to help with a cluster.",
    "key": "One key, on every node that holds it.",
}
"""Commands that only hold others, and what their help says."""

GLOBALS: dict[str, tuple[Any, object]] = {
    "nodes": (
        Annotated[
            list[str] | None,
            typer.Option("-n", "--node", metavar="HOST:PORT", parser=text, help="Node to ask; several: in order."),
        ],
        None,
    ),
    "output": (
        Annotated[
            str | None,
            typer.Option("-o", "--output", metavar="|".join(FORMATS), parser=choice(*FORMATS), help="Output format."),
        ],
        None,
    ),
    "json": (Annotated[bool, typer.Option("--json", help="Same as -o json.")], False),
    "timeout_s": (
        Annotated[
            float | None,
            typer.Option("--timeout", metavar="S", parser=seconds, help=f"Deadline in seconds; default {TIMEOUT_S:g}."),
        ],
        None,
    ),
    "quiet": (Annotated[bool, typer.Option("-q", "--quiet", help="No remarks.")], False),
    "yes": (Annotated[bool, typer.Option("-y", "--yes", help="Confirm what would be asked.")], False),
    "color": (
        Annotated[
            str | None,
            typer.Option("--color", metavar="|".join(COLORS), parser=choice(*COLORS), help="Colour; default auto."),
        ],
        None,
    ),
    "tls_ca": (
        Annotated[
            str | None,
            typer.Option("--tls-ca", metavar="FILE", parser=text, help="Speak TLS; the CA that signs nodes."),
        ],
        None,
    ),
    "tls_cert": (
        Annotated[str | None, typer.Option("--tls-cert", metavar="FILE", parser=text, help="Certificate to show.")],
        None,
    ),
    "tls_key": (
        Annotated[str | None, typer.Option("--tls-key", metavar="FILE", parser=text, help="Key of that certificate.")],
        None,
    ),
    "no_header": (Annotated[bool, typer.Option("--no-header", help="No header line in plain and csv.")], False),
}
"""The global options: annotation and default by parameter name. Every command takes them, and so does every group."""

PREFIX = "global_"


class Run:
    """One command line under way: the global options found so far, wherever they stood."""

    def __init__(self, env: Environment) -> None:
        self.env = env
        self.given: dict[str, Any] = {}
        self.call = Call(env)

    def take(self, values: dict[str, object]) -> None:
        """Move the global options out of `values`; what stands further right wins."""
        for name in GLOBALS:
            value = values.pop(PREFIX + name)
            if value:
                self.given[name] = value

    def begin(self) -> Call:
        """The call, with the options that are now known."""
        given, environ = self.given, self.env.environ
        output = "json" if given.get("json") else given.get("output") or environ.get("DYN_OUTPUT") or None
        color = given.get("color") or environ.get("DYN_COLOR") or "auto"
        for name, value, allowed in (("DYN_OUTPUT", output, FORMATS), ("DYN_COLOR", color, COLORS)):
            if value is not None and value not in allowed:
                raise usage(f"{name} is {value!r}, which is none of {', '.join(allowed)}", f"Set or unset {name}")
        try:
            timeout_s = given.get("timeout_s") or seconds(environ.get("DYN_TIMEOUT") or TIMEOUT_S)
        except ValueError as error:
            raise usage(f"DYN_TIMEOUT: {error}", "Set or unset DYN_TIMEOUT") from None
        self.call.options = Options(
            nodes=tuple(given.get("nodes") or ()),
            output=output,
            timeout_s=timeout_s,
            quiet=bool(given.get("quiet")),
            yes=bool(given.get("yes")),
            color=color,
            header=not given.get("no_header"),
            tls_ca=given.get("tls_ca"),
            tls_cert=given.get("tls_cert"),
            tls_key=given.get("tls_key"),
        )
        self.env.tls = self.env.tls_of(self.call.options)
        return self.call


def run(argv: Sequence[str], env: Environment) -> int:
    """Run one command line (without the program's name) and return its exit status. The shell calls this per line."""
    line = Run(env)
    tls = env.tls
    try:
        try:
            # When the first word is a command, the others need not be built: that is a tenth of the time of a get.
            words = {path[0] for path in REGISTRY if path}
            made = tree(argv[0]) if argv and argv[0] in words else tree()
            return int(made(list(argv), prog_name="dyn", standalone_mode=False, obj=line) or ExitStatus.OK)
        except typer.TyperException as error:
            if wants_json(argv):
                line.call.options = Options(output="json")
            raise _usage(error) from None
        except ReaderGone:
            return _closed_pipe(env)
        except OSError as error:
            raise CliError(ExitStatus.FAILURE, f"{error.strerror or error}") from None
        finally:
            line.call.close()
            env.tls = tls  # of the line alone, in a shell
    except CliError as error:
        line.call.complain(error)
        return error.status
    except (KeyboardInterrupt, typer.Abort):
        return ExitStatus.INTERRUPTED


def wants_json(argv: Sequence[str]) -> bool:
    """Whether a command line that cannot be parsed asks for JSON errors."""
    outputs = {f"{option}{between}{kind}" for option in ("-o", "--output") for between in (" ", "=", "")
               for kind in ("json", "jsonl")}  # fmt: skip
    return "--json" in argv or bool(outputs & {*argv, *map(" ".join, zip(argv, argv[1:], strict=False))})


def _usage(error: typer.TyperException) -> CliError:
    context = getattr(error, "ctx", None)
    words = context.command_path.split()[1:] if context is not None else []
    message = " ".join(error.format_message().split()).rstrip(".")
    return usage(message[:1].lower() + message[1:], f"See: {' '.join(['dyn help', *words])}")


def _closed_pipe(env: Environment) -> int:
    """The reader of our output is gone, as in `dyn keys | head`: end quietly, as other tools do (128 + SIGPIPE)."""
    if env.stdout is sys.stdout:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE


# The tree ---------------------------------------------------------------------------------------------


def _show_help(ctx: typer.Context, wanted: bool) -> None:
    if wanted:
        from dynamo_cli.commands.help import help_page

        line: Run = ctx.obj
        line.env.write(help_page(tuple(ctx.command_path.split()[1:])))
        raise typer.Exit


HELP = Annotated[bool, typer.Option("--help", "-h", is_eager=True, callback=_show_help, help="Show this page.")]


def _entry(function: Callable[..., Any] | None) -> Callable[..., Any]:
    """What typer calls for a command or a group: `function` with the global options added to its parameters."""

    def entry(global_context: typer.Context, **values: object) -> int | None:
        line: Run = global_context.obj
        values.pop("global_help")
        line.take(values)
        if function is None:
            return None
        if (word := global_context.invoked_subcommand) is not None:
            _none_given(values, function, word)
            return None
        status: int = function(line.begin(), **values)
        return status

    hints = typing.get_type_hints(function, include_extras=True) if function else {}
    own = list(inspect.signature(function).parameters.values())[1:] if function else []
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(PREFIX + "context", keyword, annotation=typer.Context)]
    parameters += [p.replace(kind=keyword, annotation=hints[p.name]) for p in own]
    for name, (annotation, default) in {**GLOBALS, "help": (HELP, False)}.items():
        parameters.append(inspect.Parameter(PREFIX + name, keyword, default=default, annotation=annotation))
    entry.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # how inspect is told
    entry.__annotations__ = {p.name: p.annotation for p in parameters}
    entry.__doc__ = function.__doc__ if function else None
    return entry


def _none_given(values: dict[str, object], function: Callable[..., Any], word: str) -> None:
    """Raise a usage error for an option of a command before the word of another one: it would count for nothing."""
    for name, parameter in inspect.signature(function).parameters.items():
        if name in values and values[name] != parameter.default:
            raise usage(
                f"--{name.replace('_', '-')} stands before {word!r}, where it counts for nothing", "Leave it away"
            )


@functools.cache
def tree(only: str | None = None) -> Callable[..., Any]:
    """The typer command made from REGISTRY, or of it what begins with the word `only`: call it with the arguments."""
    chosen = {path: entry for path, entry in REGISTRY.items() if path and only in (None, path[0])}
    root = _group(None, _function(()))
    groups: dict[tuple[str, ...], typer.Typer] = {(): root}
    for path in map(tuple, map(str.split, GROUPS)):  # a group stands before those within it
        if any(chosen_path[: len(path)] == path for chosen_path in chosen):
            groups[path] = _group(groups[path[:-1]], _function(path), path)
    for path, entry in chosen.items():
        if path not in groups:
            groups[path[:-1]].command(path[-1], add_help_option=False)(_entry(entry.function))
    made = typer.main.get_command(root)
    parse_by_ourselves(made)
    return made


def _function(path: tuple[str, ...]) -> Callable[..., Any] | None:
    entry: Command | None = REGISTRY.get(path)
    return entry.function if entry else None


def _group(parent: typer.Typer | None, function: Callable[..., Any] | None, path: tuple[str, ...] = ()) -> typer.Typer:
    """A group of commands. Without a subcommand it is a command itself if it has a function, else a usage error."""
    made = typer.Typer(
        name=path[-1] if path else None,
        help=GROUPS.get(" ".join(path)),
        add_completion=False,
        add_help_option=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        invoke_without_command=function is not None,
        callback=_entry(function),
    )
    if parent is not None:
        parent.add_typer(made)
    return made

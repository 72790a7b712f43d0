"""The command line: the typer tree made from the command table, and the one place where errors become exit codes."""

from __future__ import annotations

import functools
import inspect
import os
import re
import signal
import sys
import typing
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

from dynamo_cli.arguments import parse_by_ourselves
from dynamo_cli.client import Interrupted
from dynamo_cli.crash import crash
from dynamo_cli.environment import Environment, ReaderGone
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.line import GLOBALS, PREFIX, Run, expanded, first_word
from dynamo_cli.options import REGISTRY, Command, Options
from dynamo_cli.render.plain import show_lines
from dynamo_cli.unoffered import answer_to

MODULES = (
    "start", "demo", "demo_running", "demo_nodes", "demo_faults", "shell", "explain", "values", "writes", "merge",
    "keys", "key", "watch", "export", "import_keys", "cluster", "change", "unplanned", "transfers", "pace", "repair",
    "cluster_settings", "events", "doctor", "ring", "diff", "simulate", "node", "process", "draining", "logs", "data",
    "upkeep", "cert", "stats", "stat", "top", "latency", "slo", "hot", "monitor", "check", "trace", "fault", "bench",
    "context_look", "context", "config", "alias", "completion", "bundle", "schema", "manual", "help",
)  # fmt: skip
"""The modules of `dynamo_cli.commands`, in the order of the help page: importing one enters its commands."""

DEFAULTS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("cluster",): ("cluster", "status"),
    ("ring",): ("ring", "show"),
    ("context",): ("context", "ls"),
    ("config",): ("config", "show"),
    ("alias",): ("alias", "ls"),
    ("trace",): ("trace", "ls"),
    ("schema",): ("schema", "ls"),
}
"""What a group shows when nothing follows it: its one obvious screen. It takes that command's options, too."""

EXPRESS = {"get": "values", "put": "writes", "del": "writes", "merge": "merge", "keys": "keys", "": "start"}
"""The module that has all commands of a first word: for those that scripts call in loops no other is imported."""


def load(word: str | None = None) -> None:
    """Import the commands: those of a first word if that is enough, else all, in the order of the help page."""
    for module in [EXPRESS[word]] if word in EXPRESS else MODULES:
        import_module(f"dynamo_cli.commands.{module}")


def entries() -> dict[tuple[str, ...], Command]:
    """What is in REGISTRY, in the order of MODULES, whichever of them was imported first."""
    places = {f"dynamo_cli.commands.{module}": place for place, module in enumerate(MODULES)}
    return dict(sorted(REGISTRY.items(), key=lambda item: places[item[1].function.__module__]))


GROUPS = {
    "demo": "A cluster of real processes on this machine.",
    "cluster": "Members, health and views of the cluster.",
    "cluster transfers": "How far a change of the ring is, and how fast it may go.",
    "ring": "Who owns what.",
    "node": "Run a node, and look after it.",
    "node data": "The store of a node: back it up, look into a backup, put one back.",
    "trace": "Requests that were followed on their way (--trace).",
    "fault": "Break nodes and links on purpose (nodes started with --allow-faults), and heal them.",
    "debug": "What others need to help with a cluster.",
    "key": "One key, on every node that holds it.",
    "context": "Clusters under names: which nodes to ask, and how.",
    "config": "The settings of dyn, and where each comes from.",
    "alias": "Words of your own for commands.",
    "schema": "The JSON Schemas of what dyn prints.",
}
"""Commands that only hold others, and what their help says."""


def run(argv: Sequence[str], env: Environment) -> int:
    """Run one command line (without the program's name) and return its exit status. The shell calls this per line."""
    line = Run(env)
    before = env.tls, env.manner
    env.read_again()
    try:
        try:
            try:
                return _run(argv, line)
            except CliError as error:
                if error.code == "ERR" and not error.hint and "dyn " not in error.message:
                    # A node could not take the words, and did not say which others to type.
                    error.hint = f"See: {' '.join(['dyn help', *line.path])}"
                _show_origin(env, argv)
                line.call.complain(error)
                return error.status
            finally:
                line.call.close()
        except ReaderGone:
            return _closed_pipe(env)
        except (KeyboardInterrupt, typer.Abort):
            return ExitStatus.INTERRUPTED
        except Exception as error:  # noqa: BLE001  # a bug: told in one line, with all of it in a file
            _show_origin(env, argv)
            line.call.complain(crash(error, env))
            return ExitStatus.FAILURE
    finally:
        env.tls, env.manner = before  # of the line alone, in a shell


def _run(argv: Sequence[str], line: Run) -> int:
    """Run one command line. Raises CliError, ReaderGone, and whatever a bug raises."""
    try:
        # When its first word is a command, the others need not be built: that is a tenth of the time of a get.
        argv = with_alias(argv, line.env)
        at = first_word(argv)
        word = argv[at] if at < len(argv) else ""
        made = tree(word if any(path[:1] == (word,) for path in REGISTRY) else None)
        return int(made(list(argv), prog_name="dyn", standalone_mode=False, obj=line) or ExitStatus.OK)
    except typer.TyperException as error:
        if wants_json(argv):
            line.call.options = Options(output="json")
        raise _usage(error) from None
    except OSError as error:
        raise CliError(ExitStatus.FAILURE, f"{error.strerror or error}") from None


def with_alias(argv: Sequence[str], env: Environment) -> list[str]:
    """The command line with the user's alias, if it begins with one, replaced. Loads the commands. Raises CliError."""

    def known(word: str) -> bool:
        load(word)
        return any(path[:1] == (word,) for path in REGISTRY)

    load(argv[0] if argv else "")
    return expanded(argv, env, known)


def _show_origin(env: Environment, argv: Sequence[str]) -> None:
    """With --debug, where the error came from."""
    if env.manner.debug or "--debug" in argv:
        import traceback

        env.write(show_lines(traceback.format_exc().encode("utf-8", "backslashreplace")), error=True)


def wants_json(argv: Sequence[str]) -> bool:
    """Whether a command line that cannot be parsed asks for JSON errors."""
    outputs = {f"{option}{between}{kind}" for option in ("-o", "--output") for between in (" ", "=", "")
               for kind in ("json", "jsonl")}  # fmt: skip
    return "--json" in argv or bool(outputs & {*argv, *map(" ".join, zip(argv, argv[1:], strict=False))})


def _usage(error: typer.TyperException) -> CliError:
    context = getattr(error, "ctx", None)
    words = context.command_path.split()[1:] if context is not None else []
    if (answer := answer_to(_not_here(error))) is not None:
        return answer
    message = " ".join(error.format_message().split()).rstrip(".")
    return usage(message[:1].lower() + message[1:], f"See: {' '.join(['dyn help', *words])}")


def _not_here(error: typer.TyperException) -> str:
    """The option, or the command, that an error says is not here; "" for another error."""
    option = getattr(error, "option_name", None)
    command = re.match(r"No such command '(.*?)'", error.format_message())
    return option if isinstance(option, str) else command[1] if command else ""


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
        line.env.page(help_page(tuple(ctx.command_path.split()[1:])))
        raise typer.Exit


HELP = Annotated[bool, typer.Option("--help", "-h", is_eager=True, callback=_show_help, help="Show this page.")]


def _entry(function: Callable[..., Any] | None, path: tuple[str, ...]) -> Callable[..., Any]:
    """What typer calls for the command or group `path`: `function`, and the global options added to its parameters."""

    def entry(global_ctx: typer.Context, **values: object) -> int | None:
        line: Run = global_ctx.obj
        values.pop("global_help")
        line.take(values)
        if function is None:
            return None
        if (word := global_ctx.invoked_subcommand) is not None:
            _none_given(values, function, word)
            return None
        try:
            status: int = function(line.begin(path), **values)
        except Interrupted as stop:  # told here: typer makes a mere status of every Ctrl-C
            hint = "Look before writing again: dyn get KEY"
            line.call.complain(CliError(ExitStatus.INTERRUPTED, str(stop), hint))
            raise
        return status

    hints = typing.get_type_hints(function, include_extras=True) if function else {}
    own = list(inspect.signature(function).parameters.values())[1:] if function else []
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(PREFIX + "ctx", keyword, annotation=typer.Context)]
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
    if only is None:
        load()
    chosen = {path: entry for path, entry in entries().items() if path and only in (None, path[0])}
    root = _group(None, _function(()))
    groups: dict[tuple[str, ...], typer.Typer] = {(): root}
    for path in map(tuple, map(str.split, GROUPS)):  # a group stands before those within it
        if any(chosen_path[: len(path)] == path for chosen_path in chosen):
            groups[path] = _group(groups[path[:-1]], _function(path), path)
    for path, entry in chosen.items():
        if path not in groups:
            groups[path[:-1]].command(path[-1], add_help_option=False)(_entry(entry.function, path))
    made = typer.main.get_command(root)
    parse_by_ourselves(made)
    return made


def _function(path: tuple[str, ...]) -> Callable[..., Any] | None:
    entry: Command | None = REGISTRY.get(path) or REGISTRY.get(DEFAULTS.get(path, path))
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
        callback=_entry(function, path),
    )
    if parent is not None:
        parent.add_typer(made)
    return made

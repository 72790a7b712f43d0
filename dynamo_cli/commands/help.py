"""`dyn help`, `dyn version`: what `dyn` says about itself, made from the catalog."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable
from textwrap import fill, wrap
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli.arguments import text
from dynamo_cli.call import Call, Document
from dynamo_cli.errors import usage
from dynamo_cli.exit_status import MEANINGS, ExitStatus
from dynamo_cli.options import PANELS, command
from dynamo_cli.render.plain import json_text

if TYPE_CHECKING:
    from dynamo_cli.catalog import CommandSpec

COLUMNS = 80
"""Width of help pages: they read alike everywhere, and may be piped."""
LABEL_COLUMNS = 26
EXAMPLE_COLUMNS = 44
"""An example that is longer has what it does in the next line, and room for it."""

TOPICS: dict[str, str | Callable[[], str]] = {
    "ctx": """\
A causal context says what a writer has seen. A write replaces exactly what its
context covers; what it does not cover stays beside it, as a sibling. So two
writers who did not see each other lose nothing.

  --ctx last     what was last read: in the shell its last get of the key, else
                 a read made now (the default)
  --ctx TOKEN    the context of an earlier read: dyn get KEY --json, or --ctx
  --ctx none     a blind write: it replaces nothing and becomes a sibling
  --if-absent, --if-context TOKEN
                 read first, and write only if there is no value, or exactly
                 what TOKEN covers; else exit 4, and nothing was written
  --return-ctx   print the context of what was written, for the next write

Without --ctx, a write whose read shows siblings is not done (exit 4): settle
them with dyn merge.

See also  dyn explain context, dyn explain siblings, dyn explain blind-write""",
    "formats": """\
  table     for people; the default on a terminal
  wide      as table, with all columns and nothing cut
  plain     TAB-separated lines with a header (--no-header); the default on a
            pipe. A single value: its bytes and a newline
  json      one document with a "schema"; unknown is null; bytes that are not
            UTF-8 are base64 and say so in "enc"
  jsonl     one object a line
  csv       as plain, as CSV
  value     only the value's bytes (get), or the new context (put, del, merge)

One field alone: --field PATH, as in nodes.0.name, or nodes.*.name for each, a
line each as jq -r would print it. What documents hold: dyn schema.

In plain and csv, backslashes and control bytes are escaped (\\\\, \\n, \\x1b). In
JSON formats errors are objects too.""",
    "environment": """\
A flag counts before its variable, that before [client] in ./dyn.toml, the saved
context in force (dyn context), config.toml (dyn config), and the default. With
DYN_NODES set no context is in force; with -c NAME nodes, password and TLS come
from that context alone.

  DYN_CONTEXT        saved context in force, as -c; none for none
  DYN_NODES          nodes to ask, in order: HOST:PORT, separated by commas;
                     default 127.0.0.1:7700
  DYN_OUTPUT         output format, as -o
  DYN_TIMEOUT        deadline in seconds, as --timeout
  DYN_COLOR          auto, always or never, as --color; NO_COLOR and
                     FORCE_COLOR are heeded
  DYN_PASSWORD_FILE  file that holds the client password
  DYN_TLS_CA         speak TLS, as --tls-ca; likewise DYN_TLS_CERT, DYN_TLS_KEY
  DYN_WRITER         label on our writes; default user@host
  DYN_NO_INPUT       1: ask nothing, as --no-input
  DYN_ASCII          1: draw with ASCII alone, as --ascii
  DYN_PAGER          program for what is taller than the screen; off for none;
                     else PAGER, else less
  DYN_CONFIG_DIR     instead of $XDG_CONFIG_HOME/dyn; likewise DYN_DATA_DIR and
                     DYN_STATE_DIR""",
    "scripts": """\
A script holds what is typed in dyn shell, a command a line; # begins a comment.
It runs with  dyn shell -f FILE  up to its first error (--keep-going: all of it).

Comments under a command may say what it is to show. dyn shell -f FILE --check
compares, and fails with the line and the difference:

  get user:7            a command
  #= Ada                a line of its results, exactly
  #~ k  <clock> <time>  a line with places for what differs from run to run:
                        <time> <took> <clock> <dot> <writer> <address> <pid>
                        <number> <token> <any>
  #...                  any lines
  #! 3 no key           how it ends, if not with 0 (#! 0|3: either), and how its
                        error begins
  #? 10s                try for so long, a command that only reads

In the shell, \\record FILE writes such a script of what you type; \\check FILE
runs it there.""",
    "ports": """\
  7700  clients: dyn, redis-cli, any Redis client       --port
  7800  the other nodes; the client port + 100          --peer-port
  7900  HTTP: /health, /metrics, a page; + 200          --http-port

All on 127.0.0.1, unless a node has another --listen. The n-th node of dyn demo
has 7700 + n, and so on (--base-port). A port that is taken is an error that
says who has it, never another port.""",
    "shell-keys": lambda: "".join(f"  {keys:<19}{meaning}\n" for keys, meaning in _shortcuts()).rstrip("\n"),
    "exit-codes": "\n".join(f"  {int(status):3d}  {meaning}" for status, meaning in MEANINGS.items()),
}
"""Pages beside those of the commands: texts, or what makes one."""


def topic(name: str) -> str:
    """The page of a topic."""
    page = TOPICS[name]
    return page if isinstance(page, str) else page()


def _shortcuts() -> Iterable[tuple[str, str]]:
    from dynamo_cli.repl.shortcuts import SHORTCUTS

    return SHORTCUTS


@command(
    "help",
    panel="Help",
    examples=[
        ("dyn help", "all of them, by what they are for"),
        ("dyn help get", "one command"),
        ("dyn help exit-codes", f"also: {', '.join(TOPICS)}"),
    ],
    completes={"words": "topics"},
)
def show_help(
    call: Call,
    words: Annotated[
        list[str] | None, typer.Argument(metavar="[COMMAND|TOPIC]", parser=text, help="What about.")
    ] = None,
) -> ExitStatus:
    """Explain a command or a topic."""
    path = tuple(words or ())
    if call.format in ("json", "jsonl"):
        call.env.write(json_text(help_document(path)))
    else:
        call.env.page(help_page(path))
    return ExitStatus.OK


def help_document(path: tuple[str, ...]) -> Document:
    """A topic, a command, or with () all commands, for programs. Raises a usage error."""
    from dynamo_cli.catalog import catalog, find

    if " ".join(path) in TOPICS:
        return {"schema": "dyn.help.topic/v1", "topic": " ".join(path), "text": topic(" ".join(path))}
    if path and find(path) is None:
        help_page(path)  # says what is wrong
    commands = [spec for spec in catalog() if spec.path[: len(path)] == path and spec.runs]
    return {"schema": "dyn.help/v1", "commands": [_about(spec) for spec in commands]}


def _about(spec: CommandSpec) -> Document:
    own = [*spec.arguments, *spec.own_options]
    return {
        "command": " ".join(spec.path),
        "summary": spec.summary,
        "description": spec.description,
        "danger": spec.danger or None,
        "parameters": [
            {"name": p.name, "flags": list(p.flags), "metavar": p.metavar or None, "required": p.required,
             "repeats": p.repeats, "help": p.help}
            for p in own
        ],
        "examples": [{"command": line, "what": what} for line, what in spec.examples],
        "exits": sorted({0, 2, *spec.exits}),
        "see": list(spec.see),
    }  # fmt: skip


@command(
    "version",
    panel="Help",
    examples=[
        ("dyn version", "of this program"),
        ("dyn version --json", "and of the Python under it"),
        ("dyn doctor --only cluster", "of the nodes: whether they are of one release"),
    ],
)
def version(call: Call) -> ExitStatus:
    """Print the version of dyn, and with --json of what it runs on."""
    found = dyn_version()
    if call.format in ("json", "jsonl"):
        call.env.write(json_text({"schema": "dyn.version/v1", "version": found, "python": platform.python_version()}))
    else:
        call.env.write(f"dyn {found}\n")
    return ExitStatus.OK


def dyn_version() -> str:
    """The version of this distribution."""
    from node import __version__

    return __version__


# Pages ------------------------------------------------------------------------------------------------


def help_page(path: tuple[str, ...]) -> str:
    """The page of a command, a group or a topic; raises a usage error when there is none."""
    from dynamo_cli.app import DEFAULTS
    from dynamo_cli.catalog import find

    if not path:
        return _contents()
    if " ".join(path) in TOPICS:
        return topic(" ".join(path)) + "\n"
    spec = find(path)
    if spec is None:
        from dynamo_cli.concepts.pages import meant

        term = meant(" ".join(path))
        hint = f"That is a concept: dyn explain {term}" if term else "See what there is: dyn help"
        raise usage(f"no help on {' '.join(path)!r}", hint)
    arguments = [a.metavar.rstrip("…") + "…" * a.repeats for a in spec.arguments]
    usage_line = " ".join([spec.name, *arguments, "[OPTION]…" if spec.runs else "COMMAND"])
    blocks = [fill(usage_line, COLUMNS, subsequent_indent="  ", break_on_hyphens=False)]
    blocks.append("\n".join(wrap(spec.description, COLUMNS, break_on_hyphens=False)))
    children = [(child.name, child.summary) for name in spec.subcommands if (child := find((*path, name)))]
    blocks += _block("Commands", children)
    if path in DEFAULTS:
        blocks.append(f"Without a command it is dyn {' '.join(DEFAULTS[path])}.")
    short = [len(line) + 2 for line, _ in spec.examples if len(line) <= EXAMPLE_COLUMNS]
    blocks += _block("Examples", list(spec.examples), columns=max([4, *short]))
    blocks += _block("Options", [(", ".join(p.flags) + f" {p.metavar}".rstrip(), p.help) for p in spec.own_options])
    blocks += _block("Anywhere", [(", ".join(p.flags) + f" {p.metavar}".rstrip(), p.help) for p in spec.global_options])
    known = sorted({0, 2, *spec.exits}) if spec.runs else []
    blocks += _block("Exit codes", [(str(code), MEANINGS[ExitStatus(code)]) for code in known], columns=4)
    if spec.see:
        others = ", ".join(f"dyn help {name}".replace(" ", "\xa0") for name in spec.see)  # a command stays whole
        blocks.append("\n".join(wrap(f"See also  {others}", COLUMNS, subsequent_indent=" " * 10)).replace("\xa0", " "))
    return "\n\n".join(blocks) + "\n"


def _contents() -> str:
    from dynamo_cli.catalog import catalog

    blocks = ["dyn: a key-value store that takes every write and shows every conflict."]
    specs = [spec for spec in catalog() if spec.runs and spec.path]
    for panel in PANELS:
        blocks += _block(panel, [(spec.name, spec.summary) for spec in specs if spec.panel == panel])
    topics = "\n".join(wrap(f"One in detail: dyn help COMMAND. Topics: {', '.join(TOPICS)}.", COLUMNS))
    blocks.append(f"{topics}\nConcepts, such as quorum: dyn explain.")
    return "\n\n".join(blocks) + "\n"


def _block(title: str, rows: list[tuple[str, str]], *, columns: int = LABEL_COLUMNS) -> list[str]:
    """A titled list of two columns; nothing when there are no rows."""
    if not rows:
        return []
    lines = [title]
    for label, what in rows:
        rest = wrap(what, COLUMNS - columns - 2, break_on_hyphens=False) or [""]
        if len(label) >= columns:
            lines.append(f"  {label}")
        else:
            lines.append(f"  {label:<{columns}}{rest.pop(0)}".rstrip())
        lines += [f"  {'':<{columns}}{line}" for line in rest]
    return ["\n".join(lines)]

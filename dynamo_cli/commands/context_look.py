"""`dyn context ls`, `show`, `check`: which clusters are saved under which names, and whether they answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dynamo_cli import contexts, settings, store
from dynamo_cli.arguments import text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.layers import as_text
from dynamo_cli.options import command
from dynamo_cli.render.plain import show
from dynamo_cli.render.settings import check_rows, context_rows, setting_rows

if TYPE_CHECKING:
    from rich.console import RenderableType

MaybeName = Annotated[
    str | None, typer.Argument(metavar="[NAME]", parser=text, help="The context; default: the one in force.")
]


@command(
    "context ls",
    panel="Configure",
    examples=[
        ("dyn context ls", "all saved contexts, and which one is in force"),
        ("dyn context", "the same"),
        ("dyn context ls -o plain", "a line a context, for scripts"),
    ],
    see=["context add", "context use"],
)
def list_contexts(call: Call) -> ExitStatus:
    """List the saved contexts. The star marks the one in force."""
    layers = call.env.layers
    document = {"schema": "dyn.contexts/v1", "in_force": layers.name, "contexts": list(_summaries(call))}
    call.emit(document, View(_contexts_screen, context_rows, lambda d: list(d["contexts"])))
    if layers.displaced and layers.chosen is not None:
        call.remark(f"DYN_NODES is set: it counts instead of {show(str(layers.chosen.value))}")
    elif document["contexts"] and layers.name is None:
        call.suggest("dyn context use NAME", "dyn -c NAME …")
    return ExitStatus.OK


def _summaries(call: Call) -> Iterator[Document]:
    environ = call.env.environ
    for name in sorted({*contexts.names(environ), *contexts.demos(environ)}):
        try:
            saved, problem = contexts.read(environ, name), None
        except CliError as error:
            saved, problem = {}, error.message
        nodes = saved.get("nodes")
        yield {
            "name": name,
            "in_force": name == call.env.context_name,
            "nodes": [str(node) for node in nodes] if isinstance(nodes, list) else [],
            "tls": "tls-ca" in saved,
            "password_file": _text(saved.get("password-file")),
            "protected": saved.get("protected") is True,
            "note": _text(saved.get("note")),
            "problem": problem,
        }


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _contexts_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.settings import contexts_screen

    return contexts_screen(document, wide=wide)


@command(
    "context show",
    panel="Configure",
    examples=[
        ("dyn context show", "the context in force, and what it sets"),
        ("dyn context show prod", "another one"),
        ("dyn context show --field name", "only its name, for a prompt"),
    ],
    exits=[3],
    see=["context ls", "config show"],
    completes={"name": "contexts"},
)
def show_context(call: Call, name: MaybeName = None) -> ExitStatus:
    """Show what a context sets. (What counts in the end, with environment and flags, is dyn config show.)"""
    chosen = _in_force(call, name)
    saved = contexts.read(call.env.environ, chosen)
    path = contexts.context_path(call.env.environ, chosen)
    listed = [
        {"name": key, "value": as_text(value), "origin": path, "meaning": settings.BY_NAME[key].meaning}
        for key, value in saved.items()
        if key in settings.BY_NAME
    ]
    document = {"schema": "dyn.context/v1", "name": chosen, "file": path, "settings": listed}
    call.emit(document, View(_context_screen, setting_rows))
    return ExitStatus.OK


def _context_screen(document: Document, wide: bool) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    from dynamo_cli.render.settings import settings_screen

    head = Text(f"context {show(document['name'])}   {show(document['file'])}")
    return Group(head, Text(""), settings_screen(document))


def _in_force(call: Call, name: str | None) -> str:
    """The context that is named, or the one in force; raises NOT_FOUND if there is none."""
    found = name or call.env.context_name
    if found is None:
        why = "DYN_NODES is set, which counts instead" if call.env.layers.displaced else "no context is in force"
        raise CliError(ExitStatus.NOT_FOUND, why, "Choose one: dyn context use NAME")
    return found


@command(
    "context check",
    panel="Configure",
    examples=[
        ("dyn context check prod", "does each of its nodes answer, with its password and TLS"),
        ("dyn context check", "the one in force"),
        ("dyn context check prod --json", "for scripts; exit 8 unless all answer"),
    ],
    exits=[3, 5, 8],
    see=["context show", "doctor"],
    completes={"name": "contexts"},
)
def check(call: Call, name: MaybeName = None) -> ExitStatus:
    """Ask each node of a context who it is, the way every command would."""
    chosen = _in_force(call, name)
    call.env.manner = call.env.manner._replace(context=chosen)
    nodes = [_asked(call, address) for address in call.env.nodes(call.options._replace(nodes=()))]
    document = {"schema": "dyn.context.check/v1", "name": chosen, "nodes": nodes}
    call.emit(document, View(_check_screen, check_rows, lambda d: list(d["nodes"])))
    answering = sum(node["answers"] for node in nodes)
    clusters = {node["cluster"] for node in nodes if node["answers"]}
    if len(clusters) > 1:
        call.remark("! its nodes are of different clusters")
    if not answering:
        return ExitStatus.UNREACHABLE
    return ExitStatus.OK if answering == len(nodes) and len(clusters) == 1 else ExitStatus.UNHEALTHY


def _asked(call: Call, address: str) -> Document:
    found: dict[str, Any] = {"address": address, "answers": False, "cluster": None, "took_ms": None, "why": None}
    try:
        with closing(call.env.client_apart((address,), call.options.timeout_s)) as client, call.timed() as took_ms:
            document = store.document(client, "STATUS")
            return found | {"answers": True, "cluster": document["cluster"], "took_ms": took_ms()}
    except CliError as error:
        return found | {"why": error.message}


def _check_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.settings import check_screen

    return check_screen(document)

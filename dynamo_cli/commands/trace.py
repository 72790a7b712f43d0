"""`dyn trace`: the requests that nodes followed lately (`--trace`), each shown again, or taken elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli.arguments import choice, text
from dynamo_cli.arguments import count as whole
from dynamo_cli.asking import Told, ask, members
from dynamo_cli.call import Call, Document, View
from dynamo_cli.client import Client
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.plain import json_text, show
from dynamo_cli.render.trace_list import trace_list_rows
from dynamo_cli.told import items, word

if TYPE_CHECKING:
    from rich.console import RenderableType

SHOWN = 20
FORMS = ("json", "shiviz")
Id = Annotated[str, typer.Argument(metavar="ID", parser=text, help="Of a trace, as dyn trace ls tells it: n1-17.")]


@command(
    "trace ls",
    panel="Observe",
    examples=[
        ("dyn trace ls", "what was followed lately, on every node; the newest last"),
        ("dyn get cart --trace", "one more"),
        ("dyn trace ls -o plain", "a line each, for scripts"),
    ],
    exits=[5, 7],
    see=["trace show", "trace export", "get"],
)
def ls(
    call: Call,
    count: Annotated[
        int, typer.Option("--count", metavar="N", parser=whole, help=f"As many, the newest; default {SHOWN}.")
    ] = SHOWN,
) -> ExitStatus:
    """List the requests that were followed lately by --trace, or by \\trace on in a shell.

    Each node keeps the last hundred that it was asked for, in memory: one that was started again has none.
    """
    told = ask(members(call.client), lambda address: _client(call, address), "TRACES")
    if all(each.document is None for each in told):
        raise next(each.error for each in told if each.error is not None)
    document = listed(told, count)
    call.emit(document, View(_list_screen, trace_list_rows, lambda d: list(d["traces"])))
    for silent in document["silent"]:
        call.remark(f"{show(silent['node'])} did not tell: {show(silent['error'])}")
    if document["traces"]:
        call.suggest(f"dyn trace show {show(str(document['traces'][-1]['id']))}")
    else:
        call.suggest("dyn get KEY --trace")
    return ExitStatus.OK


def listed(told: list[Told], count: int) -> Document:
    """A dyn.traces/v1 document of what the nodes keep."""
    traces = [trace for each in told if each.document is not None for trace in items(each.document, "traces")]
    traces.sort(key=lambda trace: word(trace, "at", ""))
    silent = [
        {"node": each.node, "address": each.address, "error": each.error.message}
        for each in told
        if each.error is not None
    ]
    return {"schema": "dyn.traces/v1", "traces": traces[-count:], "silent": silent}


@command(
    "trace show",
    panel="Observe",
    examples=[
        ("dyn trace show n1-17", "whom it asked, who answered when, and what took longest"),
        ("dyn trace show n1-17 -o wide", "nothing is cut"),
        ("dyn trace show n1-17 --json", "for programs"),
    ],
    exits=[3, 5, 7],
    see=["trace ls", "trace export"],
)
def show_trace(call: Call, name: Id) -> ExitStatus:
    """Show the way of a request that was followed, as --trace did. The values that it gave are not kept."""
    document = found(call, name)
    call.emit(document, View(_screen, trace_rows, lambda d: list(d["steps"])))
    call.suggest(f"dyn trace export {show(name)} --format shiviz")
    return ExitStatus.OK


@command(
    "trace export",
    panel="Observe",
    examples=[
        ("dyn trace export n1-17 --format shiviz > way.log", "a log with vector clocks, for ShiViz"),
        ("dyn trace export n1-17 --format json", "the whole document"),
        ("dyn trace ls", "which there are"),
    ],
    exits=[3, 5, 7],
    see=["trace ls", "trace show"],
    completes={"form": " ".join(FORMS)},
)
def export(
    call: Call,
    name: Id,
    form: Annotated[
        str, typer.Option("--format", metavar="|".join(FORMS), parser=choice(*FORMS), help="Default json.")
    ] = FORMS[0],
) -> ExitStatus:
    """Write the way of a request for other programs: its JSON, or a log that ShiViz draws as a space-time diagram.

    The log has a line an event: host, vector clock as JSON, words. ShiViz reads it by the expression
    (?<host>\\S+) (?<clock>{.*?}) (?<event>.*)
    """
    from dynamo_cli.shiviz import EXPRESSION, lines

    document = found(call, name)
    if form == "json":
        call.env.write(json_text(document))
        return ExitStatus.OK
    call.env.write("".join(f"{line}\n" for line in lines(document)))
    call.remark(f"ShiViz reads it by the expression  {EXPRESSION}")
    return ExitStatus.OK


def found(call: Call, name: str) -> Document:
    """The dyn.trace/v1 document of this id, from the node that it begins with. Raises CliError."""
    node, _, number = name.rpartition("-")
    known = members(call.client)
    if not number.isdigit() or node not in known:
        raise CliError(ExitStatus.NOT_FOUND, f"no node keeps a trace {name!r}", "See which there are: dyn trace ls")
    [told] = ask({node: known[node]}, lambda address: _client(call, address), "TRACES", name)
    if told.document is not None:
        return told.document
    assert told.error is not None, "it told, or there is an error"
    if "no trace of this id" in told.error.message:
        raise CliError(
            ExitStatus.NOT_FOUND, f"{node} has no trace {name} any more", "See which there are: dyn trace ls"
        )
    raise told.error


def _client(call: Call, address: str) -> Client:
    return call.env.client_apart((address,), call.options.timeout_s)


def trace_rows(document: Mapping[str, object]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A dyn.trace/v1 document: a row a step."""
    names = ("at_ms", "node", "what", "peer", "took_ms", "note")
    steps = items(document, "steps")
    return names, [tuple("" if step.get(n) is None else show(str(step[n])) for n in names) for step in steps]


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.trace import trace_screen

    return trace_screen(document, wide=wide)


def _list_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.trace_list import trace_list_screen

    return trace_list_screen(document)

"""`dyn check`: one figure against two thresholds, in the forms that monitoring reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli.arguments import choice, text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.checking import CRITICAL, KINDS, OK, UNKNOWN, WORDS, Kind, level_of, threshold
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.check import check_rows, nagios, prometheus
from dynamo_cli.render.plain import json_text, show

if TYPE_CHECKING:
    from rich.console import RenderableType

FORMATS = ("text", "json", "nagios", "prometheus")

Limit = str | None


@command(
    "check",
    panel="Observe",
    examples=[
        ("dyn check quorum", "a line, and exit 8 unless it is ok"),
        ("dyn check hints --warn 5m --critical 1h", "with thresholds of your own"),
        ("dyn check disk --format nagios", "as a monitoring plugin: a line with figures, exit 0, 1, 2 or 3"),
        ("dyn check siblings --format prometheus > dyn.prom", "for the textfile collector of node_exporter"),
    ],
    exits=[5, 7, 8],
    see=["doctor", "cluster status", "slo"],
    completes={"name": " ".join(KINDS), "form": " ".join(FORMATS)},
)
def check(
    call: Call,
    name: Annotated[str, typer.Argument(metavar="CHECK", parser=choice(*KINDS), help=f"One of {', '.join(KINDS)}.")],
    form: Annotated[
        str | None,
        typer.Option("--format", metavar="|".join(FORMATS), parser=choice(*FORMATS), help="For whom; default text."),
    ] = None,
    warn: Annotated[
        Limit, typer.Option("--warn", metavar="X", parser=text, help="A warning beyond it: 5, 10m, 2G.")
    ] = None,
    critical: Annotated[Limit, typer.Option("--critical", metavar="X", parser=text, help="Critical beyond it.")] = None,
) -> ExitStatus:
    """Hold one figure of the cluster to two thresholds. It only reads, and asks every node once.

    Exit 0 if it is ok and 8 if it is not, as elsewhere; 5 if no node answers. Only --format nagios ends as plugins of
    monitoring do: 0 ok, 1 warning, 2 critical, 3 unknown, also where no node answers.
    """
    try:
        return _check(call, name, form, warn, critical)
    except CliError as error:
        if form != "nagios":
            raise
        call.env.write(f"DYN {name.upper()} UNKNOWN - {show(error.line()).replace('|', '/')}\n")
        return ExitStatus(UNKNOWN)  # any other number would be taken for a level


def _check(call: Call, name: str, form: str | None, warn: Limit, critical: Limit) -> ExitStatus:
    kind = KINDS[name]
    at = _threshold("--warn", warn, kind), _threshold("--critical", critical, kind)
    limits = kind.warn if at[0] is None else at[0], kind.critical if at[1] is None else at[1]
    if limits[1] is not None and (limits[0] < limits[1] if kind.low else limits[0] > limits[1]):
        raise usage(f"critical ({limits[1]:g}) comes before warn ({limits[0]:g})", "Give both: --warn X --critical Y")
    document = _document(call, name, kind, *limits)
    level: int = document["exit"]
    if document["error"] is not None and form != "nagios":
        raise CliError(ExitStatus.UNREACHABLE, document["text"], "Start one: dyn node start; or name one: -n HOST:PORT")
    if form in ("nagios", "prometheus"):
        call.env.write((nagios if form == "nagios" else prometheus)(document))
    elif form == "json":
        call.env.write(json_text(document))
    else:
        call.emit(document, View(_screen, check_rows))
    if form == "nagios":
        return ExitStatus(level)  # the numbers are of that standard; what ours mean by them is no matter here
    return ExitStatus.OK if level == OK else ExitStatus.UNHEALTHY


def _threshold(flag: str, given: str | None, kind: Kind) -> float | None:
    try:
        return None if given is None else threshold(given, kind.unit)
    except ValueError as error:
        raise usage(f"{flag}: {error}") from None


def _document(call: Call, name: str, kind: Kind, warn: float, critical: float | None) -> Document:
    from dynamo_cli.doctor.hear import hear

    heard = hear(call, keys=False)
    if heard.status is None:
        value, told, level = None, heard.why, UNKNOWN
    else:
        figure = kind.figure(heard)
        value, told, level = figure.value, figure.text, level_of(kind, figure, warn, critical)
    return {
        "schema": "dyn.check/v1",
        "check": name,
        "level": WORDS[level],
        "exit": level,
        "value": value,
        "unit": kind.unit,
        "warn": warn,
        "critical": critical,
        "worse": "smaller" if kind.low else "greater",
        "what": kind.what,
        "text": told,
        "error": heard.why if heard.status is None else None,
    }


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.check import check_screen

    return check_screen(document, bad=document["exit"] >= CRITICAL)

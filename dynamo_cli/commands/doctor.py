"""`dyn doctor`: what is wrong here and in the cluster, and the command that mends it."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli.arguments import choice, text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.doctor.catalog import CHECKS
from dynamo_cli.doctor.cluster import cluster
from dynamo_cli.doctor.findings import FAIL, LOCAL, WARN, Finding, chosen, known, part_of
from dynamo_cli.doctor.hear import hear
from dynamo_cli.doctor.here import machine_facts
from dynamo_cli.doctor.machine import machine
from dynamo_cli.doctor.mending import Mended, mend, mendable
from dynamo_cli.errors import usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.doctor import catalog_rows, doctor_rows
from dynamo_cli.render.plain import show

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import RenderableType

    from dynamo_cli.doctor.cluster import Heard
    from dynamo_cli.errors import CliError

SIDES = ("local", "cluster")
Wanted = Annotated[
    list[str] | None,
    typer.Argument(metavar="[CHECK]…", parser=text, help="By id, or host, cluster, ring, data, node."),
]
Only = Annotated[
    str | None,
    typer.Option("--only", metavar="|".join(SIDES), parser=choice(*SIDES), help="This machine, or the cluster."),
]


@command(
    "doctor",
    panel="Cluster",
    examples=[
        ("dyn doctor", "this machine and the whole cluster; exit 8 if something fails"),
        ("dyn doctor node data.hints", "only some checks, by id or by what stands before the dot"),
        ("dyn doctor --only local", "this machine alone: no node is asked"),
        ("dyn doctor --explain data.hints", "what a check looks at, and why that matters"),
        ("dyn doctor --fix", "mend what is safe to mend: file modes, an old completion file"),
    ],
    exits=[8],
    see=["debug bundle", "cluster status", "explain"],
    completes={
        "wanted": " ".join(CHECKS),
        "only": " ".join(SIDES),
        "skip": " ".join(CHECKS),
        "explain": " ".join(CHECKS),
        "bundle": "files",
    },
    risky=["--fix"],
)
def doctor(
    call: Call,
    wanted: Wanted = None,
    listed: Annotated[bool, typer.Option("--list", help="List the checks and make none.")] = False,
    only: Only = None,
    skip: Annotated[
        list[str] | None, typer.Option("--skip", metavar="CHECK", parser=text, help="Leave this out; several.")
    ] = None,
    fix: Annotated[
        bool, typer.Option("--fix", help="Mend on this machine what is safe to mend; shown first, asks unless -y.")
    ] = False,
    explain: Annotated[
        str | None,
        typer.Option("--explain", metavar="ID", parser=text, help="Say what a check is about, and make none."),
    ] = None,
    bundle: Annotated[
        str | None,
        typer.Option("--bundle", metavar="FILE", parser=text, help="Write what there is to know into a zip, too."),
    ] = None,
) -> ExitStatus:
    """Say what is wrong here and in the cluster, and the command that mends it.

    It only reads, and may run every minute. With --fix it shows what it would mend on this machine (--list says which
    checks have that), asks, mends it, and looks again.
    A warning is what somebody should look at; a failure costs requests or data.
    """
    names = known(CHECKS)
    for word in (*(wanted or ()), *(skip or ())):
        if word not in names:
            raise _no_check(word)
    if explain is not None and explain not in CHECKS:
        raise _no_check(explain)
    is_wanted = chosen(wanted or (), only, skip or ())
    if listed or explain is not None:
        call.emit(_catalog([explain] if explain is not None else list(filter(is_wanted, CHECKS))), CATALOG)
        return ExitStatus.OK
    heard = hear(call, keys=is_wanted("data.siblings")) if any(map(is_wanted, _of_cluster())) else None
    found = findings(call, heard, is_wanted)
    mended: list[Mended] | None = None
    if fix:
        mended = mend_all(call, found)
        found = findings(call, heard, is_wanted) if mended else found
    document = document_of(call, found, heard, mended)
    if bundle is not None:
        from dynamo_cli.commands.bundle import write_bundle

        document["bundle"] = write_bundle(call, bundle)["file"]
    call.emit(document, View(_screen, doctor_rows, lambda d: list(d["checks"])))
    if bundle is not None:
        call.note(f"wrote {show(document['bundle'])}, without secrets, keys and values; look: unzip -l {show(bundle)}")
    elif not fix and mendable(found):
        call.remark("To mend what is safe:  dyn doctor --fix     One check:  dyn doctor --explain ID")
    elif document["failures"] or document["warnings"]:
        call.remark("To share this:  dyn debug bundle bug.zip     One check:  dyn doctor --explain ID")
    return ExitStatus.UNHEALTHY if document["failures"] else ExitStatus.OK


def mend_all(call: Call, found: list[Finding]) -> list[Mended]:
    """Show what can be mended without harm, and with the user's consent mend it. Raises REFUSED."""
    wanted = mendable(found)
    if not wanted:
        call.remark("Nothing that is wrong is for --fix to mend.")
        return []
    for finding in wanted:
        call.note(f"{finding.id}: {show(finding.text)}\n  {show(finding.fix)}")
    call.confirm(f"Run {'this' if len(wanted) == 1 else f'these {len(wanted)}'}?", here=True)
    mended = [mend(finding, call.env) for finding in wanted]
    for each in mended:
        call.note(
            f"{'not mended' if each.error else 'mended'}: {show(each.command)}{each.error and f': {show(each.error)}'}"
        )
    return mended


def _of_cluster() -> list[str]:
    return [name for name in CHECKS if part_of(name) != LOCAL]


def findings(call: Call, heard: Heard | None, is_wanted: Callable[[str], bool]) -> list[Finding]:
    """What the checks that are wanted find. `heard` None: no node was asked."""
    found: list[Finding] = []
    if any(is_wanted(name) for name in CHECKS if part_of(name) == LOCAL):
        found += machine(machine_facts(call.env, is_wanted))
    if heard is not None:
        found += cluster(heard)
    return [finding for finding in found if is_wanted(finding.id)]


def document_of(call: Call, found: list[Finding], heard: Heard | None, mended: list[Mended] | None = None) -> Document:
    """The dyn.doctor/v1 document of these findings. `mended` None: nobody asked for it."""
    from node import __version__

    levels = [finding.level for finding in found]
    asked = (
        "no node asked"
        if heard is None
        else f"{len(heard.nodes)} of {len(heard.nodes) + len(heard.silent)} nodes asked"
    )
    if call.env.layers.name is not None:
        asked = f"context {call.env.layers.name}, {asked}"
    if heard is not None and heard.status is None:
        asked = f"no node at {', '.join(call.env.nodes(call.options))}"
    return {
        "schema": "dyn.doctor/v1",
        "version": __version__,
        "python": platform.python_version(),
        "asked": asked,
        "checks": [finding._asdict() for finding in found],
        "failures": levels.count(FAIL),
        "warnings": levels.count(WARN),
        "mended": None if mended is None else [{**each._asdict(), "error": each.error or None} for each in mended],
        "bundle": None,
    }


def _catalog(names: list[str]) -> Document:
    checks = [{"id": name, **CHECKS[name]._asdict(), "also": list(CHECKS[name].also)} for name in names]
    return {"schema": "dyn.doctor.checks/v1", "checks": checks}


def _no_check(word: str) -> CliError:
    from difflib import get_close_matches

    close = get_close_matches(word, known(CHECKS), n=1)
    return usage(
        f"no check {word!r}" + (f". Did you mean {close[0]}?" if close else ""), "dyn doctor --list has them all"
    )


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.doctor import doctor_screen

    return doctor_screen(document)


def _catalog_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.doctor import catalog_screen

    return catalog_screen(document)


CATALOG = View(_catalog_screen, catalog_rows, lambda d: list(d["checks"]))

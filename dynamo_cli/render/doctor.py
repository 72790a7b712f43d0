"""The screens and the rows of `dyn doctor`: a line a finding, and under it what mends it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING, Any

from dynamo_cli.render.plain import show
from dynamo_cli.render.rows import Rows

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]

STYLES = {"ok": "good", "warn": "warn", "fail": "bad"}
MARKS = {"ok": "ok  ", "warn": "warn", "fail": "FAIL"}
SECTIONS = {"host": "THIS MACHINE", "cluster": "CLUSTER", "ring": "RING", "data": "DATA", "node": "NODES"}


def doctor_rows(document: Document) -> Rows:
    """A dyn.doctor/v1 document: a row a finding."""
    names = ("id", "level", "text", "fix")
    return names, [tuple(show(str(finding[name])) for name in names) for finding in document["checks"]]


def catalog_rows(document: Document) -> Rows:
    """A dyn.doctor.checks/v1 document: a row a check."""
    names = ("id", "looks", "why", "term", "mends")
    return names, [tuple(show(str(check[name] or "")) for name in names) for check in document["checks"]]


def doctor_screen(document: Document) -> RenderableType:
    """A dyn.doctor/v1 document, made for 80 columns."""
    from rich.console import Group
    from rich.text import Text

    checks = document["checks"]
    head = Text.assemble(("dyn ", "quiet"), (show(document["version"]), "label"))
    head.append(f"   Python {show(document['python'])}   {show(document['asked'])}", style="quiet")
    lines: list[RenderableType] = [head]
    for part, found in groupby(checks, key=lambda finding: finding["id"].partition(".")[0]):
        rows = [(MARKS[each["level"]], STYLES[each["level"]], each["text"], each["fix"]) for each in found]
        lines += [Text(SECTIONS.get(part, show(part)), style="heading"), _lines(rows)]
    failures, warnings = document["failures"], document["warnings"]
    fine = sum(finding["level"] == "ok" for finding in checks)
    count = (
        f"{failures} failure{'' if failures == 1 else 's'}, {warnings} warning{'' if warnings == 1 else 's'}, {fine} ok"
    )
    return Group(*lines, Text(), Text(count, style="bad" if failures else "warn" if warnings else "good"))


def catalog_screen(document: Document) -> RenderableType:
    """A dyn.doctor.checks/v1 document: the checks by their parts, or everything about one."""
    from rich.console import Group
    from rich.text import Text

    checks = document["checks"]
    if len(checks) == 1:
        [check] = checks
        about = [("looks at", "quiet", check["looks"], ""), ("matters", "quiet", check["why"], "")]
        about += [("--fix", "quiet", check["mends"], "")] if check["mends"] else []
        term = [f"dyn explain {check['term']}"] if check["term"] else []
        steps = [f"dyn doctor {check['id']}", *check["also"], *term]
        rest = [Text(f"  {show(line)}", style="command") for line in steps]
        return Group(Text(show(check["id"]), style="label"), Text(), _lines(about), Text(), *rest)
    screen: list[RenderableType] = []
    for part, found in groupby(checks, key=lambda check: check["id"].partition(".")[0]):
        rows = [(each["id"], "label", each["looks"], each["mends"] and f"--fix {each['mends']}") for each in found]
        screen += [Text(SECTIONS.get(part, show(part)), style="heading"), _lines(rows)]
    return Group(*screen)


def _lines(rows: list[tuple[str, str, str, str]]) -> RenderableType:
    """A table without lines: a mark and its style, what there is to say, and what mends it."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for mark, style, words, fix in rows:
        told = Text(show(words))
        if fix:
            told.append(f"\n{show(fix if fix.startswith('--fix ') else f'fix: {fix}')}", style="command")
        table.add_row(Text(f"  {mark}", style=style), told)
    return table

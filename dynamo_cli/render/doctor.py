"""The screen and the rows of `dyn doctor`: a line a finding, and under it what mends it."""

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
SECTIONS = {"host": "THIS MACHINE", "cluster": "CLUSTER", "ring": "RING", "data": "DATA", "node": "NODES"}


def doctor_rows(document: Document) -> Rows:
    """A dyn.doctor/v1 document: a row a finding."""
    names = ("id", "level", "text", "fix")
    return names, [tuple(show(str(finding[name])) for name in names) for finding in document["checks"]]


def doctor_screen(document: Document) -> RenderableType:
    """A dyn.doctor/v1 document, made for 80 columns."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    checks = document["checks"]
    lines: list[RenderableType] = []
    for part, found in groupby(checks, key=lambda finding: finding["id"].partition(".")[0]):
        table = Table(box=None, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
        for finding in found:
            level = finding["level"]
            mark = {"fail": "FAIL", "ok": "ok  "}.get(level, level) or finding["id"]
            words = Text(show(finding["text"]))
            if finding["fix"]:
                words.append(f"\nfix: {show(finding['fix'])}", style="command")
            table.add_row(Text(f"  {mark}", style=STYLES.get(level, "label")), words)
        lines += [Text(SECTIONS.get(part, show(part)), style="heading"), table]
    failures, warnings = document["failures"], document["warnings"]
    fine = sum(finding["level"] == "ok" for finding in document["checks"])
    count = (
        f"{failures} failure{'' if failures == 1 else 's'}, {warnings} warning{'' if warnings == 1 else 's'}, {fine} ok"
    )
    style = "bad" if failures else "warn" if warnings else "good"
    made = any(finding["level"] for finding in checks)
    return Group(*lines, *([Text(), Text(count, style=style)] if made else []))

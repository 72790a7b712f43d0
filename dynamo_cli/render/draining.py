"""The screen and the rows of `dyn node drain`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamo_cli.render.plain import exact, show
from dynamo_cli.render.rows import Rows
from dynamo_cli.told import whole, word

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]


def drain_rows(document: Document) -> Rows:
    """A dyn.node.drain/v1 document: one row."""
    left = sum(whole(hint, "keys") or 0 for hint in document["left"])
    figures = (document["pid"], document["delivered"], left, document["took_s"])
    return ("node", "pid", "delivered", "left", "took_s"), [(exact(document["node"]), *map(str, figures))]


def drain_screen(document: Document) -> RenderableType:
    """The same for people, with what is left and why."""
    from rich.console import Group
    from rich.text import Text

    plural = "" if document["delivered"] == 1 else "s"
    told = f"stopped {show(document['node'])} (pid {document['pid']}) in {document['took_s']:.1f} s; "
    lines = [Text(f"{told}{document['delivered']:,} row{plural} delivered first")]
    for hint in document["left"]:
        rows, owner, why = whole(hint, "keys") or 0, word(hint, "for"), word(hint, "waits_because")
        lines.append(Text(f"  ! {rows:,} rows for {show(owner)} are left: {show(why)}", style="warn"))
    if document["left"]:
        lines.append(Text("They are delivered once it runs again.", style="quiet"))
    return Group(*lines)

"""The screens of `dyn export` and `dyn import`: what was carried out of a cluster, or into one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dynamo_cli.render.plain import decode, quoted, show
from dynamo_cli.render.rows import size_text

Document = Mapping[str, Any]


def labelled(label: str, words: str, style: str = "") -> Text:
    """A line of a label and what it is about."""
    return Text.assemble((f"{label:<12}", "label"), (words, style))


def export_screen(document: Document) -> RenderableType:
    """A dyn.export.done/v1 document."""
    words = f"{document['keys']:,} keys, {size_text(document['bytes'])}"
    if document["siblings"]:
        words += f", {document['siblings']:,} of them in conflict: all {document['values']:,} values are there"
    return Group(labelled("exported", words, "good"), labelled("file", show(document["file"])))


IMPORTED = (
    ("new", "keys that were not there", "good"),
    ("same", "that have exactly these values already", "quiet"),
    ("added", "that got the values they lacked, as siblings", "good"),
    ("replaced", "whose values were replaced", "good"),
    ("left", "that have other values were left alone", "warn"),
    ("failed", "could not be written", "bad"),
    ("passed_over", "were passed over: of another prefix, or before the line of --resume", "quiet"),
)


def import_screen(document: Document) -> RenderableType:
    """A dyn.import/v1 document."""
    head = "would be imported, nothing was written" if document["dry_run"] else "imported"
    lines: list[RenderableType] = [
        Text(f"{document['keys']:,} keys in {show(document['file'])}: {head}", style="label")
    ]
    for name, words, style in IMPORTED:
        if document[name]:
            lines.append(Text(f"  {document[name]:>9,}  {words}", style=style))
    lines += [
        Text(f"             {quoted(decode(left['key'], left['enc']))}", style="quiet")
        for left in document["left_keys"]
    ]
    for failed in document["failed_keys"]:
        words = f"             {quoted(decode(failed['key'], failed['enc']))} {show(failed['why'])}"
        lines.append(Text(words, style="bad"))
    if document["left"]:
        lines.append(
            Text("Replace them: --existing replace; or keep both as siblings: --existing beside", style="warn")
        )
    return Group(*lines)

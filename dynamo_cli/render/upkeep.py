"""Screens and rows of `dyn node data path`, `verify` and `compact`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamo_cli.render.plain import decode, exact, quoted, show
from dynamo_cli.render.rows import Rows, size_text

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]


def path_rows(document: Document) -> Rows:
    """A dyn.node.data.path/v1 document: one row."""
    names = ("node", "data_dir", "file", "here")
    return names, [tuple(exact(str(document[name])) for name in names)]


def verify_rows(document: Document) -> Rows:
    """A dyn.node.data.verify/v1 document: one row. Unknown is empty."""
    names = ("file", "file_bytes", "in_use", "sound", "structure", "rows", "bytes", "damaged", "quarantined", "counted")
    told = (document[name] for name in names)
    cells = ("" if each is None else str(each).lower() if isinstance(each, bool) else exact(str(each)) for each in told)
    return names, [tuple(cells)]


def verify_screen(document: Document) -> RenderableType:
    """The same for people: what was read, and what is wrong."""
    from rich.console import Group
    from rich.text import Text

    used = "while a node uses it" if document["in_use"] else "at rest"
    lines = [Text.assemble(("store  ", "quiet"), (show(document["file"]), "label"))]
    lines.append(Text(f"       {size_text(document['file_bytes'])}, read {used}", style="quiet"))
    if document["structure"]:
        lines.append(Text(f"  ! the file is damaged: {show(document['structure'])}", style="bad"))
    lines.append(Text(f"rows   {document['rows']:,} intact, {size_text(document['bytes'])}"))
    if document["damaged"]:
        lines.append(Text(f"  ! {document['damaged']:,} rows fail their checksum", style="bad"))
    lines += [Text(f"    {quoted(decode(named['key'], named['enc']))}") for named in document["damaged_keys"]]
    read = document["rows"] + document["damaged"]
    if document["counted"] is not None and document["counted"] != read:
        lines.append(Text(f"  ! the store counts {document['counted']:,} rows, and there are {read:,}", style="bad"))
    if document["quarantined"]:
        lines.append(Text(f"  ! {document['quarantined']:,} rows were set aside before", style="warn"))
    if document["sound"]:
        lines.append(Text("sound  structure and checksums are as they were written", style="good"))
    else:
        lines.append(Text("What others hold comes back by itself once the node runs: dyn cluster repair", style="warn"))
    return Group(*lines)


def compact_rows(document: Document) -> Rows:
    """A dyn.node.data.compact/v1 document: one row."""
    names = ("file", "before_bytes", "after_bytes")
    return names, [tuple(exact(str(document[name])) for name in names)]


def compact_screen(document: Document) -> RenderableType:
    """The same for people."""
    from rich.text import Text

    before, after = document["before_bytes"], document["after_bytes"]
    return Text(f"compacted {show(document['file'])}: {size_text(before)} before, {size_text(after)} now")

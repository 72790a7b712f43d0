"""The screens of `dyn cluster repair` and `dyn key repair`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dynamo_cli.render.plain import decode, quoted, show
from dynamo_cli.render.rows import duration_text, size_text, spans_text
from dynamo_cli.render.table import SPANS_SHOWN, bare_table

Document = Mapping[str, Any]

FOUND_STYLES = {"same": "good", "behind": "warn", "unreadable": "bad"}


def passes_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """A dyn.repairs/v1 document: pass after pass, and who could not be asked."""
    lines: list[RenderableType] = []
    for told in document["passes"]:
        lines += [*([Text()] if lines else []), pass_screen(told, wide=wide)]
    lines += [
        Text(f"  ! {show(node['node'])} was not asked: {show(node['because'])}", style="warn")
        for node in document["silent"]
    ]
    return Group(*lines)


def pass_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """A dyn.repair/v1 document: how far the pass is, what it found, and who was left out."""
    took = document["took_s"]
    head = Text.assemble(("repair ", "quiet"), (show(document["node"]), "label"))
    head.append(f"   {'running for' if document['running'] else 'took'} {took:.1f} s", style="quiet")
    if document.get("partitions"):
        head.append(f"   partitions {spans_text(document['partitions'], SPANS_SHOWN)}", style="quiet")
    if document.get("cancelled"):
        head.append("   given up before its end", style="warn")
    compared = Text(
        f"compared   {document['compared']:,} of {document['total']:,}: each partition here with each other owner"
    )
    differing, failed = document["differing"], document["failed"]
    lines: list[RenderableType] = [head, Text(), compared]
    if differing or failed:
        lines.append(Text(f"differing  {differing:,} keys", style="warn"))
        lines.append(Text(f"repaired   {document['repaired']:,} keys", style="good"))
    else:
        lines.append(Text("differing  none", style="good"))
    if failed:
        lines.append(Text(f"failed     {failed:,} keys: the next pass tries again", style="bad"))
    lines += [
        Text(f"  ! {show(peer['node'])} was left out: {show(peer['because'])}", style="warn")
        for peer in document["left_out"]
    ]
    ago = document["last_pass_s_ago"]
    if ago is not None:
        lines.append(Text(f"last full pass {duration_text(ago)} ago, {document['divergent']} divergent", style="quiet"))
    return Group(*lines)


def key_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """A dyn.repair.key/v1 document: what each owner held, and what was done about it."""
    key = decode(document["key"], document["enc"])
    head = Text.assemble(("key  ", "label"), quoted(key))
    head.append(f"   {size_text(len(key))}   partition {document['partition']}", style="quiet")
    table = bare_table()
    for name in ("OWNER", "BEFORE", "AFTER", "NOTE"):
        table.add_column(name, no_wrap=name != "NOTE" and not wide, overflow="fold" if wide else "ellipsis")
    for owner in document["owners"]:
        found = owner["found"]
        after = "repaired" if owner["repaired"] else "as it was" if found is not None else "?"
        table.add_row(
            Text(show(owner["node"]), style="label"),
            Text(show(found or "?"), style=FOUND_STYLES.get(found, "quiet")),
            Text(after, style="good" if owner["repaired"] else "quiet"),
            Text(show(owner["note"]), style="warn"),
        )
    verdict = "the owners differed" if document["differed"] else "the owners that answer hold the same"
    return Group(head, Text(), table, Text(), Text(verdict, style="warn" if document["differed"] else "good"))

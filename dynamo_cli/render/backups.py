"""The screens of `dyn node data`: a backup that was made, looked into, or put back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dynamo_cli.render.carried import labelled
from dynamo_cli.render.plain import decode, quoted, show
from dynamo_cli.render.rows import size_text, time_text

Document = Mapping[str, Any]


def backup_screen(document: Document) -> RenderableType:
    """A dyn.backup/v1 document of a backup that is finished."""
    of = f"{show(document['node'])} of cluster {show(document['cluster'])}"
    lines = [
        labelled("backed up", f"{of}, in {document['took_s']:.1f} s", "good"),
        labelled("file", f"{show(document['file'])}   {size_text(document['file_bytes'])}"),
        *_held(document),
    ]
    return Group(*lines)


def _held(document: Document) -> list[Text]:
    """What is in a backup."""
    lines = [labelled("holds", f"{document['keys']:,} keys, {size_text(document['bytes'])}")]
    if document["tombstones"]:
        lines.append(labelled("", f"{document['tombstones']:,} of them deleted, and not reaped yet"))
    if document["siblings"]:
        lines.append(labelled("", f"{document['siblings']:,} of them in conflict: all values are there"))
    if document["quarantined"]:
        words = f"{document['quarantined']:,} damaged rows were set aside in that store, and are missing"
        lines.append(labelled("", words, "warn"))
    return lines


def info_screen(document: Document) -> RenderableType:
    """A dyn.backup.info/v1 document."""
    cluster = f"{show(document['cluster'])} ({show(document['cluster_id'])[:8]}), {document['partitions']} partitions"
    lines = [
        labelled("backup of", f"{show(document['node'])}, which took clients on {show(document['address'])}"),
        labelled("cluster", cluster),
        labelled("made", f"{time_text(document['at'])} UTC   dyn {show(document['version'])}"),
        labelled("file", f"{show(document['file'])}   {size_text(document['file_bytes'])}"),
        *_held(document),
    ]
    if document["damaged"] is not None:
        good = f"all {document['rows_read']:,} rows are what was written"
        bad = f"{document['damaged']:,} rows are damaged, {document['rows_read']:,} are not"
        lines.append(
            labelled("checked", bad if document["damaged"] else good, "bad" if document["damaged"] else "good")
        )
    return Group(*lines)


def put_back_screen(document: Document) -> RenderableType:
    """A dyn.put_back/v1 document: what was made, and how to start it."""
    lines = [
        labelled("put back", f"{show(document['node'])} of cluster {show(document['cluster'])}", "good"),
        labelled("data", show(document["data_dir"])),
        *_held(document),
        Text(),
        Text("It may lack what came after the backup: it counts for no read until the other", style="quiet"),
        Text("owners have made it whole. Start it, with the cluster's --join, --key-file …:", style="quiet"),
        Text(f"  {show(document['start'])}", style="command"),
    ]
    return Group(*lines)


RESTORED = (
    ("merged", "merged: the cluster lacked what they say", "good"),
    ("known", "known already: the cluster holds that, or something newer", "quiet"),
    ("older", "refused: deleted or lost since the backup, nobody can tell which", "warn"),
    ("failed", "could not be merged", "bad"),
    ("damaged", "left out: they fail their checksum", "bad"),
)


def restore_screen(document: Document) -> RenderableType:
    """A dyn.restore/v1 document: what became of the rows."""
    of = f"of {show(document['node'])} into cluster {show(document['cluster'])}"
    lines: list[RenderableType] = [Text(f"{document['rows']:,} rows {of}", style="label")]
    for name, words, style in RESTORED:
        if document[name]:
            lines.append(Text(f"  {document[name]:>9,}  {words}", style=style))
    lines += [
        Text(f"             {quoted(decode(key['key'], key['enc']))}", style="quiet") for key in document["older_keys"]
    ]
    for failed in document["failed_keys"]:
        words = f"             {quoted(decode(failed['key'], failed['enc']))} {show(failed['why'])}"
        lines.append(Text(words, style="bad"))
    if document["untraced"]:
        lines.append(Text(f"Of {document['untraced']:,} the owners held no trace at all.", style="quiet"))
    if document["older"]:
        words = "Let them live again, deleted ones too: the same with --undelete"
        lines.append(Text(words, style="warn"))
    return Group(*lines)

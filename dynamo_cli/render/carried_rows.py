"""The plain and csv formats of export, import and backups: one document in, one row of safe text out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dynamo_cli.render.plain import exact

Document = Mapping[str, Any]
Rows = tuple[tuple[str, ...], list[tuple[str, ...]]]

HELD = ("keys", "bytes", "siblings", "tombstones", "quarantined", "file_bytes")
"""What a backup holds."""


def _row(document: Document, names: Iterable[str]) -> Rows:
    """One row of a document: these of its facts."""
    chosen = tuple(names)
    cells = []
    for name in chosen:
        value = document.get(name)
        cells.append("" if value is None else str(value).lower() if isinstance(value, bool) else exact(str(value)))
    return chosen, [tuple(cells)]


def export_rows(document: Document) -> Rows:
    """dyn.export.done/v1: one row."""
    return _row(document, ("file", "cluster", "keys", "values", "siblings", "bytes"))


def import_rows(document: Document) -> Rows:
    """dyn.import/v1: one row."""
    counts = ("keys", "new", "same", "added", "replaced", "left", "failed", "passed_over")
    return _row(document, ("file", "existing", "dry_run", *counts))


def backup_rows(document: Document) -> Rows:
    """dyn.backup/v1: one row."""
    return _row(document, ("file", "node", "cluster", *HELD, "took_s"))


def info_rows(document: Document) -> Rows:
    """dyn.backup.info/v1: one row."""
    about = ("file", "node", "cluster", "cluster_id", "partitions", "at", "version")
    return _row(document, (*about, *HELD, "rows_read", "damaged"))


def put_back_rows(document: Document) -> Rows:
    """dyn.put_back/v1: one row."""
    return _row(document, ("data_dir", "node", "cluster", "keys", "start"))


def restore_rows(document: Document) -> Rows:
    """dyn.restore/v1: one row."""
    counts = ("rows", "merged", "known", "older", "failed", "damaged", "untraced")
    return _row(document, ("file", "node", "cluster", "undelete", *counts))

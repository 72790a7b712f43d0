"""The screens and the rows of `dyn keys --tombstones` and `--stale`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamo_cli.render.hot import KEY_COLUMNS, key_text
from dynamo_cli.render.plain import shortened, show
from dynamo_cli.render.rows import Rows, duration_text
from dynamo_cli.render.table import table_of

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]


def tombstone_rows(document: Document) -> Rows:
    """A dyn.keys/v1 document of deleted keys. Unknown is empty."""
    names = ("key", "deleted_at", "age_s", "writer")
    return names, [(key_text(each), *(_text(each[name]) for name in names[1:])) for each in document["keys"]]


def stale_rows(document: Document) -> Rows:
    """A dyn.keys/v1 document of keys whose owners differ."""
    rows = [
        (key_text(each), *(show(",".join(each[name])) for name in ("behind", "lacking")),
         *(_text(each[name]) for name in ("versions", "deleted")))
        for each in document["keys"]
    ]  # fmt: skip
    return ("key", "behind", "lacking", "versions", "deleted"), rows


def _text(value: object) -> str:
    return "" if value is None else show(str(value).lower() if isinstance(value, bool) else str(value))


def tombstone_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """Deleted keys for people, made for 80 columns."""
    from rich.text import Text

    table = table_of(("KEY", False), ("AGE", True), ("DELETED", False), ("BY", False))
    for each in document["keys"]:
        key = key_text(each) if wide else shortened(key_text(each), KEY_COLUMNS)
        age = "?" if each["age_s"] is None else duration_text(each["age_s"])
        at = "?" if each["deleted_at"] is None else each["deleted_at"].replace("T", " ").removesuffix("Z")
        table.add_row(Text(key), age, Text(show(at if wide else at[:19])), Text(show(each["writer"] or "?")))
    return table


def stale_screen(document: Document, *, wide: bool = False) -> RenderableType:
    """Keys whose owners differ, for people."""
    from rich.text import Text

    table = table_of(("KEY", False), ("OLDER ON", False), ("MISSING ON", False), ("IS", False))
    for each in document["keys"]:
        key = key_text(each) if wide else shortened(key_text(each), KEY_COLUMNS)
        behind, lacking = (show(" ".join(each[name])) or "-" for name in ("behind", "lacking"))
        state = "deleted" if each["deleted"] else "a value" if each["versions"] == 1 else f"{each['versions']} siblings"
        table.add_row(Text(key), Text(behind), Text(lacking), "?" if each["versions"] is None else state)
    return table

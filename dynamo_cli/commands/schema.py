"""`dyn schema`: the JSON Schemas of the documents that `-o json` prints."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli.arguments import text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.plain import json_text
from dynamo_cli.schemas.notation import json_schema
from dynamo_cli.schemas.table import SCHEMAS

if TYPE_CHECKING:
    from rich.console import RenderableType


@command(
    "schema ls",
    panel="Help",
    examples=[
        ("dyn schema ls", "every document, and what it is"),
        ("dyn schema", "the same"),
        ("dyn schema ls --field 'schemas.*.name'", "their names alone"),
    ],
    see=["schema show", "help"],
)
def list_schemas(call: Call) -> ExitStatus:
    """List the documents that dyn prints as JSON. Each says its name in its field schema."""
    listed = [{"name": name, "meaning": told.meaning} for name, told in sorted(SCHEMAS.items())]
    call.emit({"schema": "dyn.schemas/v1", "schemas": listed}, View(_screen, _rows, lambda d: list(d["schemas"])))
    return ExitStatus.OK


def _rows(document: Document) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    return ("schema", "what"), [(told["name"], told["meaning"]) for told in document["schemas"]]


def _screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.table import table_of

    table = table_of(("SCHEMA", False), ("WHAT IT IS", False))
    for told in document["schemas"]:
        table.add_row(told["name"], told["meaning"])
    return table


@command(
    "schema show",
    panel="Help",
    examples=[
        ("dyn schema show dyn.status/v1", "as JSON Schema (draft 2020-12)"),
        ("dyn schema show status > status.schema.json", "the short name will do"),
        ("dyn schema show dyn.error/v1", "what errors are in JSON formats"),
    ],
    exits=[3],
    see=["schema ls"],
    completes={"name": " ".join(sorted(SCHEMAS))},
)
def show_schema(
    call: Call,
    name: Annotated[str, typer.Argument(metavar="NAME", parser=text, help="As in a document's field schema.")],
) -> ExitStatus:
    """Print the JSON Schema of a document. Within v1 fields are only ever added; unknown is null."""
    import json

    full = name if name in SCHEMAS else f"dyn.{name}/v1"
    if full not in SCHEMAS:
        raise CliError(ExitStatus.NOT_FOUND, f"no schema {name!r}", "See all: dyn schema ls")
    schema = json_schema(full, SCHEMAS[full])
    call.env.write(json_text(schema) if call.format in ("json", "jsonl") else json.dumps(schema, indent=2) + "\n")
    return ExitStatus.OK

"""Every document that a test has `dyn` print is held to the schema that dyn ships for it."""

from __future__ import annotations

import functools
import json
from typing import Any

from jsonschema import Draft202012Validator

from dynamo_cli.schemas.notation import json_schema
from dynamo_cli.schemas.table import SCHEMAS
from tests.helpers.shapes import draft

MARK = b'"schema":"dyn.'


@functools.cache
def validator(name: str) -> Draft202012Validator:
    """Return what holds documents to the schema of this name."""
    return Draft202012Validator(json_schema(name, SCHEMAS[name]))


def check(output: bytes) -> None:
    """Raise AssertionError for a document on a line of `output` that is not as its schema says, or that has none."""
    if MARK not in output:
        return
    for line in output.splitlines():
        try:
            document = json.loads(line) if line.startswith(b"{") else None
        except ValueError:
            continue
        if isinstance(document, dict) and str(document.get("schema", "")).startswith("dyn."):
            check_document(document)


def check_document(document: dict[str, Any]) -> None:
    """Raise AssertionError unless the document is as its schema says."""
    name = document["schema"]
    assert name in SCHEMAS, f"{name} has no schema; correct this, and put it into dynamo_cli/schemas/:\n" + draft(
        name, [document]
    )
    wrong = [f"{error.json_path}: {error.message[:200]}" for error in validator(name).iter_errors(document)]
    assert not wrong, f"not as dyn schema show {name} says: " + "; ".join(wrong)

"""The shape of JSON documents as they were seen: a draft of an entry of `dynamo_cli.schemas`, to be corrected."""

from __future__ import annotations

import pprint
from typing import Any

from dynamo_cli.schemas.notation import Null

MAP_KEYS = 12
"""An object of more names than this is taken for one whose names are data."""


def seen(documents: list[Any]) -> Any:
    """Return the shape that all of these have."""
    there = [document for document in documents if document is not None]
    may_be_null = len(there) < len(documents)
    if not there:
        return "any?"
    if all(isinstance(document, dict) for document in there):
        shape: Any = _object(there)
    elif all(isinstance(document, list) for document in there):
        items = [item for document in there for item in document]
        shape = [seen(items) if items else "any"]
    else:
        return _word(there) + "?" * may_be_null
    return Null(shape) if may_be_null else shape


def _word(there: list[Any]) -> str:
    kinds = {type(document) for document in there}
    if kinds == {str}:
        return "text"
    if kinds == {bool}:
        return "bool"
    if kinds == {int}:
        return "int"
    return "number" if kinds <= {int, float} else "any"


def _object(there: list[dict[str, Any]]) -> dict[str, Any]:
    names = dict.fromkeys(name for document in there for name in document)
    if len(names) > MAP_KEYS * 3:
        return {"*": seen([value for document in there for value in document.values()])}
    return {
        name + ("" if all(name in document for document in there) else "?"): seen(
            [document[name] for document in there if name in document]
        )
        for name in names
        if name != "schema"
    }


def draft(name: str, documents: list[Any]) -> str:
    """Return an entry of a table of schemas, to be corrected by who knows what else may be there."""
    return f'    "{name}": Told("…", {pprint.pformat(seen(documents), width=100, sort_dicts=False, compact=True)}),'

"""The short form in which the shapes of our JSON documents are written down, and JSON Schema made of it.

    "text" "int" "number" "bool" "any"      a value; with ? it may be null
    "healthy|degraded|critical"             one of these words; with ? behind the last it may be null
    [shape]                                 a list of such
    {"*": shape}                            an object whose names are data
    {"name": shape, "more?": shape}         an object; with ? the field may be absent
    Null(shape)                             a list or an object, or null

Fields that are not named are allowed: documents only ever get more of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

Schema = dict[str, Any]
DIALECT = "https://json-schema.org/draft/2020-12/schema"

TYPES = {"text": "string", "int": "integer", "number": "number", "bool": "boolean"}


class Null(NamedTuple):
    """A list or an object that may be null."""

    shape: Any


class Told(NamedTuple):
    """One document: what it is, in a sentence, and its shape. Its name is its key in the table."""

    meaning: str
    shape: dict[str, Any]


def json_schema(name: str, told: Told) -> Schema:
    """The JSON Schema of a document."""
    if told.shape.keys() == {"error"}:  # what fails prints no document
        made = _of(told.shape)
    else:
        made = _of({"schema": "text", **told.shape})
        made["properties"]["schema"] = {"const": name}
    about = {"title": name, "description": told.meaning}
    return {"$schema": DIALECT, "$id": f"urn:{name.replace('/', ':')}", **about, **made}


def _of(shape: Any) -> Schema:  # noqa: ANN401  # the notation above
    if isinstance(shape, Null):
        return {"anyOf": [_of(shape.shape), {"type": "null"}]}
    if isinstance(shape, list):
        return {"type": "array", "items": _of(shape[0])}
    if isinstance(shape, dict):
        return _object(shape)
    word = shape.removesuffix("?")
    may_be_null = word != shape
    if word == "any":
        return {}
    if word in TYPES:
        return {"type": [TYPES[word], "null"] if may_be_null else TYPES[word]}
    words = word.split("|")
    return {"enum": [*words, None] if may_be_null else words}


def _object(shape: dict[str, Any]) -> Schema:
    if list(shape) == ["*"]:
        return {"type": "object", "additionalProperties": _of(shape["*"])}
    return {
        "type": "object",
        "properties": {name.removesuffix("?"): _of(field) for name, field in shape.items()},
        "required": [name for name in shape if not name.endswith("?")],
    }

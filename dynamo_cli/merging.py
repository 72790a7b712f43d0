"""Settling siblings: which value, or which union of values, replaces them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from dynamo_cli.render.plain import shell_word, sibling_label


class CannotUnite(ValueError):
    """These values have no obvious union; the message says why."""


def union(values: Sequence[bytes]) -> bytes:
    """The union of JSON arrays (first come, each element once) or of JSON objects that agree on what they share.

    Raises CannotUnite, in words for the user, for everything else.
    """
    import json

    parsed = []
    for index, value in enumerate(values):
        try:
            parsed.append(json.loads(value))
        except ValueError:
            raise CannotUnite(f"{sibling_label(index)} is no JSON array or object") from None
    if all(isinstance(value, list) for value in parsed):
        elements: dict[str, object] = {}
        for element in (element for value in parsed for element in value):
            elements.setdefault(json.dumps(element, sort_keys=True), element)
        return json.dumps(list(elements.values()), ensure_ascii=False, separators=(",", ":")).encode()
    if all(isinstance(value, dict) for value in parsed):
        return json.dumps(_join(parsed), ensure_ascii=False, separators=(",", ":")).encode()
    raise CannotUnite("the siblings are not all JSON arrays, nor all JSON objects")


def _join(values: list[dict[str, object]]) -> dict[str, object]:
    joined: dict[str, object] = {}
    for value in values:
        for name, member in value.items():
            if joined.setdefault(name, member) != member:
                raise CannotUnite(f"the siblings differ in {name!r}")
    return joined


def settle_hint(key: bytes, values: Sequence[bytes]) -> str:
    """The line under siblings: the ways of merge that work on these values, so a union only where there is one."""
    try:
        union(values)
        ways = "--take A  ·  --union  ·  --value V"
    except CannotUnite:
        ways = "--take A  ·  --value V"
    return f"settle it:  dyn merge {shell_word(key)} {ways}"

"""Settling siblings: which value, or which union of values, replaces them, and the text they are edited in. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from dynamo_cli.render.plain import clock_text, shell_word, show, sibling_label
from dynamo_cli.store import Reading, Version


class CannotMerge(ValueError):
    """These siblings cannot be settled in this way; the message says why."""


def values_of(reading: Reading) -> list[bytes]:
    """The values of the siblings, A first."""
    return [version.value for version in reading.live if version.value is not None]


def union(values: Sequence[bytes]) -> bytes:
    """The union of JSON arrays (first come, each element once) or of JSON objects that agree on what they share.

    Raises CannotMerge, in words for the user, for everything else.
    """
    import json

    parsed = []
    for index, value in enumerate(values):
        try:
            parsed.append(json.loads(value))
        except ValueError:
            raise CannotMerge(f"{sibling_label(index)} is no JSON array or object") from None
    if all(isinstance(value, list) for value in parsed):
        elements: dict[str, object] = {}
        for element in (element for value in parsed for element in value):
            elements.setdefault(json.dumps(element, sort_keys=True), element)
        return json.dumps(list(elements.values()), ensure_ascii=False, separators=(",", ":")).encode()
    if all(isinstance(value, dict) for value in parsed):
        return json.dumps(_join(parsed), ensure_ascii=False, separators=(",", ":")).encode()
    raise CannotMerge("the siblings are not all JSON arrays, nor all JSON objects")


def _join(values: list[dict[str, object]]) -> dict[str, object]:
    joined: dict[str, object] = {}
    for value in values:
        for name, member in value.items():
            if joined.setdefault(name, member) != member:
                raise CannotMerge(f"the siblings differ in {name!r}")
    return joined


def can_unite(values: Sequence[bytes]) -> bool:
    """Whether there is a union."""
    try:
        union(values)
    except CannotMerge:
        return False
    return True


def settle_hint(key: bytes, values: Sequence[bytes]) -> str:
    """The line under siblings: ways of merge that work on these values, so a union only where there is one."""
    ways = ["--take A", *(["--union"] if can_unite(values) else []), "--edit"]
    return f"settle it:  dyn merge {shell_word(key)} {'  ·  '.join(ways)}"


# The last writer wins -------------------------------------------------------------------------------------


def latest(reading: Reading) -> tuple[int, str]:
    """Which sibling was written last, by what its coordinator's clock said; and in words whose clock decided.

    Raises CannotMerge if that is not known, or if two have the same time.
    """
    times = [_time(version, index) for index, version in enumerate(reading.live)]
    order = sorted(range(len(times)), key=lambda index: times[index], reverse=True)
    first, second = order[0], order[1]
    apart_s = (times[first] - times[second]).total_seconds()
    if not apart_s:
        raise CannotMerge(f"{sibling_label(first)} and {sibling_label(second)} were written in the same millisecond")
    winner, loser = _clock_of(reading.live[first]), _clock_of(reading.live[second])
    said = f"{sibling_label(first)} was written last, {apart_s:.3f} s after {sibling_label(second)}"
    if winner == loser:
        return first, f"{said}, by the clock of {winner}, unless that was set"
    return first, f"{said}, unless the clocks of {winner} and {loser} differ by more"


def _time(version: Version, index: int) -> datetime:
    try:
        return datetime.fromisoformat(version.written_at or "")
    except ValueError:
        raise CannotMerge(f"nobody says when {sibling_label(index)} was written") from None


def _clock_of(version: Version) -> str:
    """The node that minted the version: its wall clock is the one in it."""
    return show(str(version.dot).rpartition(":")[0] or "?")


# In an editor ---------------------------------------------------------------------------------------------

SCISSORS = b"# ------------------------ >8 ------------------------\n"
"""What stands above it, and it itself, goes away: a value may well begin with #."""
FIRST, NEXT, LAST = b"<<<<<<< ", b"======= ", b">>>>>>> "


def edit_text(reading: Reading) -> bytes:
    """The siblings as the text of an editor. Raises CannotMerge for what is no text."""
    key = show(reading.key)
    head = [
        f"dyn merge {key}: {len(reading.live)} siblings, whose writers did not see each other.",
        "Make of what follows the line below the value that replaces all of them.",
        "Nothing is written if one of the lines <<<<<<< ======= >>>>>>> is left, or nothing.",
        "",
    ]
    body = b""
    for index, version in enumerate(reading.live):
        assert version.value is not None, "a live version has a value"
        label = sibling_label(index)
        try:
            version.value.decode()
        except UnicodeDecodeError:
            raise CannotMerge(f"{label} is no UTF-8 text, which an editor might change") from None
        by = f"  by {show(version.writer)}" if version.writer else ""
        head.append(f"{label}  {show(str(version.dot))}{by}  {show(version.written_at or '')}".rstrip())
        head.append(f"   its writer had read {clock_text(version.past)}")
        body += (NEXT if index else FIRST) + label.encode() + b"\n" + version.value
        body += b"" if version.value.endswith(b"\n") else b"\n"
    text = "".join(f"# {line}".rstrip() + "\n" for line in head)
    return text.encode() + SCISSORS + body + LAST + b"end\n"


def edited(text: bytes, values: Sequence[bytes]) -> bytes:
    """The value that an edited text stands for. Raises CannotMerge if it is not finished."""
    value = without_added_end(text.rpartition(SCISSORS)[2], values)
    if not value.strip():
        raise CannotMerge("nothing is left of the text")
    labels = [sibling_label(index).encode() for index in range(len(values))]
    marks = {FIRST + labels[0], *(NEXT + label for label in labels[1:]), LAST + b"end"}
    left = [line for line in value.split(b"\n") if line.rstrip() in marks]
    if left:
        raise CannotMerge(f"the line {show(left[0])} is still in the text")
    return value


def without_added_end(value: bytes, values: Sequence[bytes]) -> bytes:
    """A value without the line end that editors and programs add, if no sibling ends with one."""
    if any(sibling.endswith(b"\n") for sibling in values):
        return value
    return value.removesuffix(b"\n")

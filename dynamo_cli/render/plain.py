"""Text that programs read, and the escaping that keeps other people's bytes from becoming terminal commands."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0, DEL, C1: a terminal obeys these
    "\xad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"  # invisible, or turns the text around
    "\ud800-\udfff\U000e0000-\U000e007f]"  # no characters at all; tags
)


def _escaped(match: re.Match[str]) -> str:
    code = ord(match.group())
    if 0xDC80 <= code <= 0xDCFF:  # a byte that was not UTF-8 (surrogateescape)
        return f"\\x{code - 0xDC00:02x}"
    if code <= 0xFF:
        return {9: "\\t", 10: "\\n", 13: "\\r"}.get(code) or f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def show(data: bytes | str) -> str:
    """Bytes as safe text for people: what a terminal would obey or hide is an escape such as `\\x1b`."""
    text = data.decode("utf-8", "surrogateescape") if isinstance(data, bytes) else data
    return _UNSAFE.sub(_escaped, text)


def show_lines(data: bytes) -> str:
    """As `show`, for a value that has a screen to itself: its line ends and tabs stay what they are."""
    return "\n".join("\t".join(show(cell) for cell in line.split(b"\t")) for line in data.split(b"\n"))


def exact(data: bytes | str) -> str:
    """Bytes as safe text that can be turned back: as `show`, with backslashes doubled."""
    return show(data.replace(b"\\", b"\\\\") if isinstance(data, bytes) else data.replace("\\", "\\\\"))


def quoted(data: bytes) -> str:
    """A key within a sentence."""
    return f'"{show(data)}"'


def encode(data: bytes) -> tuple[str, str]:
    """Bytes for JSON: text and `utf8`, or base64 and `base64` when they are not valid UTF-8."""
    try:
        return data.decode("utf-8"), "utf8"
    except UnicodeDecodeError:
        return base64.b64encode(data).decode("ascii"), "base64"


def decode(text: str, encoding: str) -> bytes:
    """The bytes that `encode` was given."""
    return base64.b64decode(text) if encoding == "base64" else text.encode("utf-8")


def json_text(document: object) -> str:
    """One JSON document on one line, with its line end. Control characters are escaped by JSON itself."""
    import json

    # Readable, but safe on a terminal: JSON leaves DEL, C1 and direction marks as they are.
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return _UNSAFE.sub(lambda match: json.dumps(match.group())[1:-1].replace("\x7f", "\\u007f"), text) + "\n"


def tsv_text(names: Sequence[str], rows: Sequence[Sequence[str]], *, header: bool) -> str:
    """Lines of TAB-separated cells. Cells are already safe: no TAB and no line end in them."""
    lines = [names, *rows] if header else rows
    return "".join("\t".join(line) + "\n" for line in lines)


def csv_text(names: Sequence[str], rows: Sequence[Sequence[str]], *, header: bool) -> str:
    """The same as CSV (RFC 4180)."""
    import csv
    import io

    sink = io.StringIO()
    writer = csv.writer(sink, lineterminator="\n")
    writer.writerows([names, *rows] if header else rows)
    return sink.getvalue()


def expanded_text(names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """One cell a line, for rows that are wider than the screen; a row begins with its number."""
    width = max([0, *map(len, names)])
    lines = []
    for number, row in enumerate(rows, 1):
        lines.append(f"-- {number} of {len(rows)}")
        lines += [f"{name:<{width}}  {cell}".rstrip() for name, cell in zip(names, row, strict=True)]
    return "".join(f"{line}\n" for line in lines)


# Values and clocks ------------------------------------------------------------------------------------


def sibling_label(index: int) -> str:
    """The name of a sibling on the screen: A, B, … Z, AA, AB, …"""
    label = ""
    index += 1
    while index:
        index, digit = divmod(index - 1, len(ascii_uppercase))
        label = ascii_uppercase[digit] + label
    return label


def clock_text(clock: Mapping[str, int] | None) -> str:
    """A clock as people see it: `{n3:2, n1:1}`."""
    if clock is None:
        return "?"
    return "{" + ", ".join(f"{show(node)}:{n}" for node, n in clock.items()) + "}"


def shell_word(data: bytes) -> str:
    """A key as it can be typed in a shell."""
    import shlex

    word = show(data)
    return shlex.quote(word) if data.isascii() and word.encode() == data else f"'{word}'"


def receipt_line(document: Mapping[str, Any], words: str, took_ms: float, columns: int) -> str:
    """What a write became: `OK  replaces {n4:3}    W 2/2  n3 n1 (for n4)  2.0 ms`; two lines if need be."""
    parts = []
    if document["acks"]:
        names = [
            show(ack["node"]) + (f" (for {show(ack['hint_for'])})" if ack.get("hint_for") else "")
            for ack in document["acks"]
        ]
        parts.append(f"W {len(names)}/{document['w']}  {' '.join(names)}")
    head, tail = f"OK  {words}", "  ".join([*parts, f"{took_ms:.1f} ms"])
    gap = "    " if parts else "  "
    return f"{head}{gap}{tail}" if len(head + gap + tail) < columns else f"{head}\n    {tail}"


def shortened(text: str, columns: int) -> str:
    """As much of a text as fits, with an ellipsis where it was cut."""
    return text if len(text) <= columns else text[: columns - 1] + "…"

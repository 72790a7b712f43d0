"""What goes into a debug bundle, as files by name; and what must not: secrets never, keys and values of users not.

A bundle is given to others. So documents go through `without_keys`, which takes out whatever may be a key or a value,
and of the environment only names of variables that hold no secret come with what they hold.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from typing import Any, NamedTuple

LEFT_OUT = "(left out)"

OF_USERS = frozenset(("key", "keys", "value", "values", "md5", "value_digest"))
"""Fields that are a user's key or value, or tell of one, when they hold text or a list of texts."""

SECRETS = frozenset(("DYN_KEY", "DYN_PASSWORD"))
"""Variables that hold a secret. (The others name files, which are not read.)"""

LOG_LINES = 200
LOG_BYTES = 256 * 1024
"""As much of the end of a log comes with it."""


class Entry(NamedTuple):
    """One file of a bundle, and what it is."""

    name: str
    data: bytes
    what: str


def without_keys(document: object) -> Any:  # noqa: ANN401  # JSON in, JSON out
    """A JSON document without what may be a user's key or value."""
    if isinstance(document, Mapping):
        return {
            name: LEFT_OUT if name in OF_USERS and _is_text(inner) else without_keys(inner)
            for name, inner in document.items()
        }
    return [without_keys(inner) for inner in document] if isinstance(document, list) else document


def _is_text(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and any(isinstance(each, str) for each in value))


def variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of dyn that are set; of those that hold a secret only that they are."""
    return {
        name: LEFT_OUT if name in SECRETS else value
        for name, value in sorted(environ.items())
        if name.startswith("DYN_") or name in ("LANG", "LC_ALL", "NO_COLOR", "FORCE_COLOR", "TERM")
    }


def last_lines(data: bytes) -> bytes:
    """The end of a log: whole lines, LOG_LINES at most."""
    lines = data[-LOG_BYTES:].splitlines(keepends=True)
    return b"".join(lines[1 if len(data) > LOG_BYTES else 0 :][-LOG_LINES:])


def as_json(name: str, document: object, what: str) -> Entry:
    """A document as a file that people can read."""
    return Entry(name, (json.dumps(document, indent=2, ensure_ascii=False, default=str) + "\n").encode(), what)


def manifest(entries: list[Entry], about: Mapping[str, str], silent: Mapping[str, str], *, keys: bool) -> Entry:
    """The page that says what is in a bundle, and what is not."""
    lines = [f"{name}: {value}" for name, value in about.items()] + ["", "In this file:", ""]
    lines += [f"  {entry.name:<32} {entry.what}" for entry in entries]
    if silent:
        lines += ["", "Nodes that tell nothing:", "", *(f"  {name}: {why}" for name, why in silent.items())]
    lines += [
        "",
        "Not in it: the cluster key, passwords, private keys, the secret of contexts, and no value of any key.",
    ]
    lines += [
        "Keys are in it, since --keys was given." if keys else "No key is in it either (--keys adds those in conflict)."
    ]
    lines += ["Names and addresses of nodes are in it, and labels of writers (user@host) may be."]
    return Entry("README.txt", ("\n".join(lines) + "\n").encode(), "this page")


def zipped(entries: list[Entry], date_time: tuple[int, int, int, int, int, int]) -> bytes:
    """The bundle itself. `date_time` is that of its files, local time."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry in entries:
            archive.writestr(_info(entry.name, date_time), entry.data)
    return sink.getvalue()


def _info(name: str, date_time: tuple[int, int, int, int, int, int]) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, date_time)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = 0o600 << 16
    return info


def file_name(node: str) -> str:
    """A node's name as a part of a file's: what others say it is called must not lead elsewhere."""
    return "".join(char if char.isalnum() or char in "._-" else "_" for char in node).strip(".")[:64] or "node"

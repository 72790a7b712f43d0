"""A fake node that holds keys: for what goes through all of them, or writes many."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from node.core.ids import scan_position
from tests.helpers.cli import dyn
from tests.helpers.documents import status
from tests.helpers.fake_node import FakeNode, fake_node


@contextmanager
def store_of(rows: dict[bytes, list[bytes]], page: int = 3, **more: Any) -> Iterator[FakeNode]:
    """A node that holds these keys, and takes blind and covering puts; `rows` is what it holds."""

    def keys(*words: bytes) -> Any:
        prefix, at = words[1], int(words[3])
        listed = sorted((key for key in rows if key.startswith(prefix)), key=scan_position)
        beyond = [key for key in listed if int.from_bytes(scan_position(key), "big") >= at]
        last = int.from_bytes(scan_position(beyond[page - 1]), "big") + 1 if len(beyond) > page else 0
        return [b"%d" % last, beyond[:page]]

    def get(key: bytes, *words: bytes) -> Any:
        return [b"seen" if rows.get(key) else b"", rows.get(key, [])]

    def put(key: bytes, context: bytes, value: bytes, *words: bytes) -> Any:
        if context and context not in covered.setdefault(key, set()):
            covered[key].add(context)
            rows[key] = []
        rows.setdefault(key, []).append(value)
        return b"new"

    covered: dict[bytes, set[bytes]] = {}
    answers: dict[str, Any] = {"DYN.STATUS": status(), "DYN.KEYS": keys, "DYN.GET": get, "DYN.PUT": put}
    with fake_node(answers, **more) as node:
        yield node


ROWS = {b"key:%d" % n: [b"value %d" % n] for n in range(10)} | {b"siblings": [b"\x00b", b"a"], b"\xff": [b"\xfe"]}


def exported(rows: dict[bytes, list[bytes]] = ROWS) -> bytes:
    with store_of(dict(rows)) as node:
        return dyn("export", node=node).raw

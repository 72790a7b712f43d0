"""`dyn` in process: one command line, its exit status, its two streams, with or without a terminal around it."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import NamedTuple

from dynamo_cli.app import run
from dynamo_cli.environment import Environment
from tests.helpers.fake_node import FakeNode
from tests.helpers.schemas import check


class Terminal(io.TextIOWrapper):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Result(NamedTuple):
    """How a command line ended. `out` and `err` are text; `raw` is standard output as bytes."""

    status: int
    out: str
    err: str
    raw: bytes


Wrapper = Callable[[io.BytesIO], io.TextIOWrapper]


def environment(
    *,
    stdin: bytes = b"",
    terminal: bool = False,
    environ: Mapping[str, str] | None = None,
    encoding: str = "utf-8",
) -> tuple[Environment, io.BytesIO, io.BytesIO]:
    """An environment and what is written to its two streams."""
    out, err = io.BytesIO(), io.BytesIO()
    stream = Terminal if terminal else io.TextIOWrapper
    base = {"HOME": "/proc/nonexistent", "USER": "ada", "TERM": "xterm"}
    if terminal:
        base["COLUMNS"] = "80"
    made = Environment(
        stdin=stream(io.BytesIO(stdin), encoding="utf-8"),
        stdout=stream(out, encoding=encoding, write_through=True),
        stderr=stream(err, encoding=encoding, write_through=True),
        environ={**base, **(environ or {})},
    )
    return made, out, err


def dyn(
    *argv: str,
    node: FakeNode | None = None,
    stdin: bytes = b"",
    terminal: bool = False,
    environ: Mapping[str, str] | None = None,
    encoding: str = "utf-8",
) -> Result:
    """Run `dyn` with these arguments, against `node` if one is given."""
    known = {"DYN_NODES": node.address if node else "127.0.0.1:1", **(environ or {})}
    made, out, err = environment(stdin=stdin, terminal=terminal, environ=known, encoding=encoding)
    status = run(argv, made)
    raw = out.getvalue()
    check(raw)
    return Result(status, raw.decode(encoding, "replace"), err.getvalue().decode(encoding, "replace"), raw)

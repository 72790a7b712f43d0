"""`dyn keys`, `dyn key explain`: which keys there are, and what the nodes hold of one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli import store
from dynamo_cli.arguments import natural
from dynamo_cli.call import Call, Document, View
from dynamo_cli.commands.values import Key
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.plain import csv_text, encode, exact, json_text, shell_word
from dynamo_cli.render.rows import explain_rows

if TYPE_CHECKING:
    from rich.console import RenderableType

TERMINAL_LIMIT = 500
"""Keys a terminal is shown unless asked for more."""


@command(
    "keys",
    panel="Data",
    examples=[
        ("dyn keys cart:", "keys that begin with cart:"),
        ("dyn keys --siblings", "keys in conflict"),
        ("dyn keys -0 | xargs -0 dyn get", "any bytes, safely"),
    ],
    exits=[5, 6, 7],
    see=["get", "key explain"],
    completes={"prefix": "keys"},
)
def keys(
    call: Call,
    prefix: Annotated[bytes, typer.Argument(metavar="[PREFIX]", parser=os.fsencode, help="Only keys like this.")] = b"",
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit", metavar="N", parser=natural, help=f"At most N keys, 0: all. On a terminal {TERMINAL_LIMIT}."
        ),
    ] = None,
    siblings: Annotated[bool, typer.Option("--siblings", help="Only keys in conflict.")] = False,
    null: Annotated[bool, typer.Option("-0", "--null", help="Raw keys, a NUL after each, for xargs -0.")] = False,
) -> ExitStatus:
    """List the cluster's live keys, one a line. Backslashes and control bytes are escaped."""
    most = (TERMINAL_LIMIT if call.for_people else 0) if limit is None else limit
    listed: list[Document] = []
    if call.format == "csv" and call.options.header:
        call.env.write("key\n")
    shown = 0
    for key in _listed(call, prefix, siblings):
        if most and shown == most:
            call.note(f"the first {most} keys; all of them: --limit 0")
            break
        shown += 1
        name, enc = encode(key)
        if call.format == "json":
            listed.append({"key": name, "enc": enc})
        elif null:
            call.env.write_bytes(key + b"\0")
        elif call.format == "jsonl":
            call.env.write(json_text({"schema": "dyn.keys/v1", "key": name, "enc": enc}))
        elif call.format == "csv":
            call.env.write(csv_text((), [(exact(key),)], header=False))
        else:
            call.env.write(f"{exact(key)}\n")
    if call.format == "json":
        call.env.write(json_text({"schema": "dyn.keys/v1", "keys": listed}))
    if not shown:
        of = f" that begin with {exact(prefix)}" if prefix else ""
        call.remark(f"no keys{of}{' in conflict' if siblings else ''}")
    return ExitStatus.OK


def _listed(call: Call, prefix: bytes, siblings: bool) -> Iterator[bytes]:
    for page in store.keys(call.client, prefix, siblings=siblings):
        yield from page


EXITS_BY_VERDICT = {
    "conflict": ExitStatus.CONFLICT,
    "absent": ExitStatus.NOT_FOUND,
    "deleted": ExitStatus.NOT_FOUND,
    "unreachable": ExitStatus.UNAVAILABLE,
}


@command(
    "key explain",
    panel="Data",
    examples=[
        ("dyn key explain cart:7", "owners, what each holds, what that amounts to, and what would be lost with whom"),
        ("dyn key explain cart:7 --json", "one object for each node"),
    ],
    exits=[3, 4, 5, 6],
    see=["key history", "key repair", "merge", "ring owner"],
    completes={"key": "keys"},
)
def explain(call: Call, key: Key) -> ExitStatus:
    """Where a key lives, what each node of its preference list holds, and what that amounts to."""
    document = store.document(call.client, "EXPLAIN", key)
    call.emit(document, View(_explain_screen, explain_rows, lambda d: list(d["replicas"])))
    word, verdict = shell_word(key), document["verdict"]
    if verdict == "conflict":
        call.suggest(f"dyn merge {word}", f"dyn key history {word}")
    elif any(replica["state"] == "up" and replica["note"] for replica in document["replicas"]):
        call.suggest(f"dyn key repair {word}", f"dyn key history {word}")
    return EXITS_BY_VERDICT.get(document["verdict"], ExitStatus.OK)


def _explain_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.key_explain import explain_screen

    return explain_screen(document, wide=wide)

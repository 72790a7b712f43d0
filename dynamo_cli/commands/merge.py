"""`dyn merge`: one value for siblings, written over exactly what was seen of them."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from dynamo_cli import store
from dynamo_cli.arguments import text
from dynamo_cli.call import Call, View
from dynamo_cli.commands.values import Key, Strict, WriteQuorum, get_document, read_value, reading_screen, report
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.merging import CannotUnite, settle_hint, union
from dynamo_cli.options import command
from dynamo_cli.render.plain import clock_text, quoted, shell_word, shortened, show, sibling_label
from dynamo_cli.render.rows import reading_rows

WAYS = "--take A, --union or --value V"
VALUE_COLUMNS = 40
"""As much of the merged value as the receipt repeats."""


@command(
    "merge",
    panel="Data",
    danger="mild",
    examples=[
        ("dyn merge cart:7", "show the siblings"),
        ("dyn merge cart:7 --take B", "keep B, replace all that was shown"),
        ("dyn merge cart:7 --union", "the union of JSON arrays or objects"),
        ("dyn merge cart:7 --value '[\"milk\"]'", "write another value over all of them"),
    ],
    exits=[3, 4, 5, 6, 7],
    see=["get", "keys"],
    completes={"key": "keys"},
)
def merge(
    call: Call,
    key: Key,
    take: Annotated[str | None, typer.Option("--take", metavar="A", parser=text, help="Keep this sibling.")] = None,
    value: Annotated[
        bytes | None,
        typer.Option("--value", metavar="V|-|@FILE", parser=os.fsencode, help="Write this value."),
    ] = None,
    with_union: Annotated[bool, typer.Option("--union", help="Unite JSON arrays or objects.")] = False,
    w: WriteQuorum = None,
    strict: Strict = False,
) -> ExitStatus:
    """Settle siblings with one value. A sibling that came in since they were shown is not replaced."""
    if (take is not None) + (value is not None) + with_union > 1:
        raise usage("one way to merge at a time", f"Choose {WAYS}")
    reading = seen(call, key)
    if not reading.live:
        raise CliError(ExitStatus.NOT_FOUND, f"no key {quoted(key)}", "List what is there: dyn keys")
    if value is None and len(reading.live) == 1:
        call.note(f"nothing to merge: {quoted(key)} has one value")
        return ExitStatus.OK
    if take is None and value is None and not with_union:
        call.emit(get_document(reading), View(reading_screen, reading_rows))
        call.note(settle_hint(key, [version.value for version in reading.live if version.value is not None]))
        return ExitStatus.CONFLICT
    data = read_value(call, value) if value is not None else choose(reading, take)
    with call.timed() as took_ms:
        receipt = store.put(call.client, key, reading.context, data, w=w, strict=strict)
    report(call, "merge", receipt, f"{shortened(show(data), VALUE_COLUMNS)}  replaces {replaced(reading)}", took_ms())
    return ExitStatus.OK


def seen(call: Call, key: bytes) -> store.Reading:
    """The siblings to settle: as the shell last showed them, else as a read shows them now."""
    known = call.env.memory.recall(key) if call.env.memory is not None else None
    if known is not None and len(known[0].live) > 1:
        return known[0]
    reading = store.get(call.client, key, clocks=True)
    if call.env.memory is not None:
        call.env.memory.learn(reading, call.env.now_s())
    return reading


def choose(reading: store.Reading, take: str | None) -> bytes:
    """The value of the sibling `take`, or without one the union of all. Raises a usage error."""
    values = [version.value for version in reading.live if version.value is not None]
    labels = [sibling_label(index) for index in range(len(values))]
    if take is None:
        try:
            return union(values)
        except CannotUnite as error:
            raise CliError(ExitStatus.CONFLICT, f"no union: {error}", "Choose --take A or --value V") from None
    if take.upper() not in labels:
        raise usage(
            f"no sibling {take!r}: there are {', '.join(labels)}", f"See them: dyn merge {shell_word(reading.key)}"
        )
    return values[labels.index(take.upper())]


def replaced(reading: store.Reading) -> str:
    """The siblings by label and clock: `A {n3:2} and B {n3:1, n4:1}`."""
    names = [f"{sibling_label(index)} {clock_text(version.clock)}" for index, version in enumerate(reading.live)]
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)

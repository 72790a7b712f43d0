"""`dyn get`, `put`, `del`: values and the causal contexts they travel with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from dynamo_cli import store, tracing
from dynamo_cli.arguments import count, text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.plain import clock_text, encode, json_text, quoted, receipt_line, shell_word, show

if TYPE_CHECKING:
    from rich.console import RenderableType

Keys = Annotated[list[bytes], typer.Argument(metavar="KEY", parser=os.fsencode, help="Keys; any bytes.")]
Key = Annotated[bytes, typer.Argument(metavar="KEY", parser=os.fsencode, help="The key; any bytes.")]
ReadQuorum = Annotated[int | None, typer.Option("-r", metavar="R", parser=count, help="Replicas to hear.")]
WriteQuorum = Annotated[int | None, typer.Option("-w", metavar="W", parser=count, help="Replicas that must hold it.")]
Value = Annotated[
    bytes | None,
    typer.Argument(metavar="[VALUE|-|@FILE]", parser=os.fsencode, help="The value, standard input, or a file."),
]
Strict = Annotated[bool, typer.Option("--strict", help="Count owners only, no stand-ins.")]
Trace = Annotated[bool, typer.Option("--trace", help="Show the way through the nodes, with times.")]
Context = Annotated[
    str | None,
    typer.Option(
        "--ctx", metavar="TOKEN|last|none", parser=text, help="Causal context of the write; see dyn help ctx."
    ),
]


# get --------------------------------------------------------------------------------------------------


@command(
    "get",
    panel="Data",
    examples=[
        ("dyn get user:7", "the value; on a pipe its bytes and a newline"),
        ("dyn get user:7 -o value > file", "exactly its bytes"),
        ("dyn get cart:1 cart:2 --json", "one JSON object a line, with clocks and contexts"),
        ("dyn get user:7 -r 3 --trace", "who was asked, what each held, and how long it took"),
    ],
    exits=[3, 4, 5, 6, 7],
    see=["put", "merge"],
    completes={"keys": "keys"},
)
def get(
    call: Call,
    keys: Keys,
    r: ReadQuorum = None,
    strict: Strict = False,
    one: Annotated[bool, typer.Option("--one", help="A key with siblings is an error (exit 4).")] = False,
    ctx: Annotated[bool, typer.Option("--ctx", help="Print the causal context too.")] = False,
    trace: Trace = False,
) -> ExitStatus:
    """Read keys. Siblings are all shown on a terminal; on a pipe they are an error (exit 4)."""
    status = ExitStatus.OK
    documents: list[Document] = []
    remarks: list[str] = []
    ways: list[Document | None] = []
    clocks = call.format not in ("plain", "value") or len(keys) > 1
    for key in keys:
        try:
            with call.timed() as took_ms:
                reading, way = tracing.get(call, key, r=r, strict=strict, clocks=clocks, trace=trace)
            _check_found(call, reading, one=one, way=way)
            documents.append(get_document(reading) | ({"trace": way} if way is not None else {}))
        except CliError as error:
            if len(keys) == 1:
                raise
            call.complain(error)
            status = status or error.status
            continue
        if call.env.memory is not None:
            call.env.memory.learn(reading, call.env.now_s())
        if len(reading.live) > 1 and not call.for_people:
            status = status or ExitStatus.CONFLICT
        remarks.append(_remark(reading, took_ms()))
        ways.append(way)
    _print_found(call, documents, several=len(keys) > 1, ctx=ctx)
    for way in ways:
        tracing.show(call, way)
    for remark in remarks:
        call.remark(remark)
    return status


def _check_found(call: Call, reading: store.Reading, *, one: bool, way: Document | None) -> None:
    """Raise when there is nothing to show, or more than this format may show; the way there is shown all the same."""
    several = len(reading.live) > 1 and call.format not in ("json", "jsonl") and (one or not call.for_people)
    if several or not reading.live:
        tracing.show(call, way)
    if not reading.live:
        deleted = " (it was deleted)" if reading.context else ""
        raise CliError(ExitStatus.NOT_FOUND, f"no key {quoted(reading.key)}{deleted}", "List what is there: dyn keys")
    if several:
        raise conflict(reading)


def conflict(reading: store.Reading) -> CliError:
    """The error for a key whose siblings stand in the way."""
    return CliError(
        ExitStatus.CONFLICT,
        f"{quoted(reading.key)} has {len(reading.live)} siblings: their writers did not see each other",
        f"Settle them: dyn merge {shell_word(reading.key)}",
        code="SIBLINGS",
    )


def get_document(reading: store.Reading) -> Document:
    """The JSON document dyn.get/v1."""
    key, enc = encode(reading.key)
    values = []
    for version in reading.live:
        assert version.value is not None
        value, value_enc = encode(version.value)
        story: Document = {"value": value, "enc": value_enc, "clock": version.clock}
        story |= {"written_at": version.written_at, "writer": version.writer, "dot": version.dot, "past": version.past}
        values.append(story)
    context = reading.context.decode("ascii", "replace")
    return {"schema": "dyn.get/v1", "key": key, "enc": enc, "context": context, "values": values}


def _print_found(call: Call, documents: list[Document], *, several: bool, ctx: bool) -> None:
    from dynamo_cli.render.rows import reading_rows, reading_values

    view = View(reading_screen, reading_rows)
    if call.format == "value" or (call.format == "plain" and not several):
        for document in documents:
            for value in reading_values(document):
                call.env.write_bytes(value)
            if call.format == "plain":
                call.env.write_bytes(b"\n")
    elif call.for_people or call.format in ("json", "jsonl"):
        for document in documents:
            call.emit(document, view)
    elif documents:
        call.emit({"readings": documents}, view)
    if ctx and call.format not in ("json", "jsonl", "csv"):
        for document in documents:
            call.env.write(f"{document['context']}\n")


def reading_screen(document: Document, wide: bool) -> RenderableType:
    """What a read found, for people."""
    from dynamo_cli.render.values import reading_screen as screen

    return screen(document, wide=wide)


def _remark(reading: store.Reading, took_ms: float) -> str:
    """The last line under a read on a terminal: how to settle siblings, and how long it took."""
    if len(reading.live) > 1:
        from dynamo_cli.merging import settle_hint

        return settle_hint(reading.key, [version.value for version in reading.live if version.value is not None])
    return f"{took_ms:.1f} ms"


# put --------------------------------------------------------------------------------------------------


class Covered(NamedTuple):
    """What a write is going to replace: its context, and how the user should be told."""

    context: bytes
    words: str


@command(
    "put",
    panel="Data",
    danger="mild",
    examples=[
        ("dyn put user:7 'Ada Lovelace'", "read, then replace what was read"),
        ("dyn put photo @cat.jpg", "the bytes of a file; - is standard input"),
        ("dyn put user:7 Ada --ctx none", "a blind write: becomes a sibling, replaces nothing"),
    ],
    exits=[4, 5, 6, 7, 9],
    see=["get", "merge"],
    completes={"key": "keys", "value": "values", "ctx": "last none"},
)
def put(
    call: Call,
    key: Key,
    value: Value = None,
    w: WriteQuorum = None,
    strict: Strict = False,
    ctx: Context = None,
    trace: Trace = False,
) -> ExitStatus:
    """Write a value. It replaces what was read; if that is siblings, nothing is written (exit 4)."""
    data = read_value(call, value)
    with call.timed() as took_ms:
        covered = cover(call, key, ctx)
        receipt, way = tracing.write(call, key, covered.context, data, w=w, strict=strict, trace=trace)
    report(call, "put", receipt, covered.words, took_ms(), way)
    return ExitStatus.OK


def read_value(call: Call, value: bytes | None) -> bytes:
    """The bytes that VALUE stands for: itself, standard input (`-`, or nothing on a pipe), or `@FILE`."""
    if value is None and call.env.stdin.isatty():
        raise usage("no value given", "Write: dyn put KEY VALUE, or - for standard input, or @FILE")
    if value is None or value == b"-":
        return call.env.read_bytes()
    if not value.startswith(b"@"):
        return value
    name = os.fsdecode(value[1:])
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise CliError(
            ExitStatus.NOT_FOUND, f"cannot read {show(name)}: {error.strerror}", "A value that begins with @: use -"
        ) from None


def cover(call: Call, key: bytes, ctx: str | None, *, siblings: bool = False) -> Covered:
    """The context of a write. By default what the shell last read of the key, else what a read shows now.

    Raises the conflict error when a read made now shows siblings, unless `siblings` says that they are meant.
    """
    if ctx == "none":
        return Covered(b"", "blind: replaces nothing")
    if ctx not in (None, "last"):
        assert ctx is not None
        return Covered(ctx.encode(), "replaces what the given context covers")
    known = call.env.memory.recall(key) if call.env.memory is not None else None
    if known is not None and len(known[0].live) < 2:
        reading, read_at_s = known
        age_s = call.env.now_s() - read_at_s
        return Covered(reading.context, f"replaces {_named(reading)}, which you read {age_s:.0f} s ago")
    reading = store.get(call.client, key, clocks=call.for_people)
    if len(reading.live) > 1 and not siblings:
        raise conflict(reading)
    return Covered(reading.context, f"replaces {_named(reading)}" if reading.live else "new")


def _named(reading: store.Reading) -> str:
    if not reading.live:
        return "nothing"
    clocks = [clock_text(version.clock) for version in reading.live if version.clock]
    return " and ".join(clocks) or "what was read"


def report(
    call: Call, verb: str, receipt: store.Receipt, words: str, took_ms: float, way: Document | None = None
) -> None:
    """Say what a write became, and which way it took if that was traced."""
    if call.env.memory is not None:
        # The new context covers siblings that came in meanwhile and that nobody here has seen: read again first.
        call.env.memory.forget(receipt.key)
    key, enc = encode(receipt.key)
    context = receipt.context.decode("ascii", "replace")
    document: Document = {"schema": f"dyn.{verb}/v1", "key": key, "enc": enc, "context": context}
    document |= {"acks": list(receipt.acks), "w": receipt.w} | ({"trace": way} if way is not None else {})
    if call.format in ("json", "jsonl"):
        call.env.write(json_text(document))
    elif call.format == "value":
        call.env.write_bytes(receipt.context)
    elif call.for_people:
        call.say(receipt_line(document, words, took_ms, call.env.columns()))
    else:
        call.say("OK")
    tracing.show(call, way)


# del --------------------------------------------------------------------------------------------------


@command(
    "del",
    panel="Data",
    danger="mild",
    examples=[("dyn del user:7", "delete what a read shows now, siblings too")],
    exits=[3, 5, 6, 7, 9],
    see=["get"],
    completes={"keys": "keys", "ctx": "last"},
)
def delete(
    call: Call,
    keys: Keys,
    w: WriteQuorum = None,
    strict: Strict = False,
    ctx: Context = None,
    trace: Trace = False,
) -> ExitStatus:
    """Delete keys: what was read of them. What others write meanwhile stays."""
    if ctx == "none":
        raise usage("a delete needs a context: it deletes what was read", "Leave --ctx away")
    if ctx not in (None, "last") and len(keys) > 1:
        raise usage("one context belongs to one key", "Delete the keys one by one")
    status = ExitStatus.OK
    for key in keys:
        try:
            with call.timed() as took_ms:
                covered = cover(call, key, ctx, siblings=True)
                if covered.words in ("new", "replaces nothing"):
                    raise CliError(ExitStatus.NOT_FOUND, f"no key {quoted(key)}", "List what is there: dyn keys")
                receipt, way = tracing.write(call, key, covered.context, None, w=w, strict=strict, trace=trace)
            report(call, "del", receipt, covered.words.replace("replaces", "deleted"), took_ms(), way)
        except CliError as error:
            if len(keys) == 1:
                raise
            call.complain(error)
            status = status or error.status
    return status

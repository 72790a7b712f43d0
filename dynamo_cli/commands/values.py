"""`dyn get`: values, and the causal contexts with which they are written over."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from dynamo_cli import store, tracing
from dynamo_cli.arguments import count, text
from dynamo_cli.call import Call, Document, View
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.member import alone
from dynamo_cli.options import command
from dynamo_cli.render.plain import encode, quoted, shell_word, show

if TYPE_CHECKING:
    from rich.console import RenderableType

Keys = Annotated[list[bytes], typer.Argument(metavar="KEY", parser=os.fsencode, help="Keys; any bytes.")]
Key = Annotated[bytes, typer.Argument(metavar="KEY", parser=os.fsencode, help="The key; any bytes.")]
ReadQuorum = Annotated[int | None, typer.Option("-r", metavar="R", parser=count, help="Replicas to hear.")]
Strict = Annotated[bool, typer.Option("--strict", help="Count owners only, no stand-ins.")]
Trace = Annotated[bool, typer.Option("--trace", help="Show the way through the nodes, with times.")]


# get --------------------------------------------------------------------------------------------------


@command(
    "get",
    panel="Data",
    examples=[
        ("dyn get user:7", "the value; on a pipe its bytes and a newline"),
        ("dyn get user:7 --raw > file", "exactly its bytes"),
        ("dyn get cart:1 cart:2 --json", "one JSON object a line, with clocks and contexts"),
        ("dyn get user:7 -r 3 --trace", "who was asked, what each held, and how long it took"),
        ("dyn get user:7 --from n2", "what n2 holds, whatever the others have"),
    ],
    exits=[3, 4, 5, 6, 7],
    see=["put", "merge", "key explain"],
    completes={"keys": "keys", "node": "names"},
)
def get(
    call: Call,
    keys: Keys,
    r: ReadQuorum = None,
    strict: Strict = False,
    one: Annotated[bool, typer.Option("--one", help="A key with siblings is an error (exit 4).")] = False,
    every: Annotated[bool, typer.Option("--all", help="Show siblings on a pipe, too: a row each, and exit 4.")] = False,
    raw: Annotated[bool, typer.Option("--raw", help="Only the bytes of one value, also on a terminal.")] = False,
    ctx: Annotated[bool, typer.Option("--ctx", help="Print the causal context too.")] = False,
    node: Annotated[
        str | None,
        typer.Option("--from", metavar="NODE", parser=text, help="What that node itself holds: no quorum, no repair."),
    ] = None,
    trace: Trace = False,
) -> ExitStatus:
    """Read keys. Siblings are all shown on a terminal; on a pipe they are an error (exit 4), unless --all is given."""
    manner = Manner(one, every, raw, ctx, node)
    _check(manner, keys, call.options.output, quorum=r is not None or strict)
    if raw:
        call.options = call.options._replace(output="value")
    status = ExitStatus.OK
    found: list[_Found] = []
    clocks = call.format not in ("plain", "value") or len(keys) > 1 or every
    with alone(call, node) as client:
        if node is not None:
            call.remark(f"{show(node)} alone: what it holds, which the others may know better")
        for key in keys:
            try:
                with call.timed() as took_ms:
                    reading, way = tracing.get(call, key, r=r, strict=strict, clocks=clocks, trace=trace, alone=client)
                _check_found(call, reading, manner, way)
            except CliError as error:
                if len(keys) == 1:
                    raise
                call.complain(error)
                status = status or error.status
                continue
            if call.env.memory is not None and node is None:  # what one node has missed is no context to write with
                call.env.memory.learn(reading, call.env.now_s())
            if len(reading.live) > 1 and not call.for_people:
                status = status or ExitStatus.CONFLICT
            found.append(_Found(_document(reading, node, way), way, _remark(reading, took_ms())))
    _print_found(call, [each.document for each in found], several=len(keys) > 1 or every, ctx=ctx)
    for each in found:
        tracing.show(call, each.way)
    for each in found:
        call.remark(each.remark)
    return status


class Manner(NamedTuple):
    """How a read is to be shown, and of whom. `node`: of that one alone."""

    one: bool = False
    every: bool = False
    raw: bool = False
    ctx: bool = False
    node: str | None = None


class _Found(NamedTuple):
    document: Document
    way: Document | None
    remark: str


def _check(manner: Manner, keys: list[bytes], output: str | None, *, quorum: bool) -> None:
    """Raise a usage error for options that contradict each other."""
    if manner.one and manner.every:
        raise usage("--one refuses siblings, and --all shows them", "Choose one of the two")
    if manner.raw and (manner.every or manner.ctx or len(keys) > 1):
        raise usage("--raw prints one value and nothing else", "Leave away --all, --ctx and further keys")
    if manner.raw and output not in (None, "plain", "value"):
        raise usage("--raw prints bytes, and no other format", f"Leave away --raw, or -o {output}")
    if manner.node is not None and quorum:
        raise usage("--from asks one node, and no quorum", "Leave -r and --strict away, or --from")


def _check_found(call: Call, reading: store.Reading, manner: Manner, way: Document | None) -> None:
    """Raise when there is nothing to show, or more than this format may show; the way there is shown all the same."""
    may = call.for_people or (manner.every and call.format != "value")
    several = len(reading.live) > 1 and call.format not in ("json", "jsonl") and (manner.one or not may)
    if several or not reading.live:
        tracing.show(call, way)
    if not reading.live and manner.node is not None:
        holds = "holds, as deleted:" if reading.context else "holds nothing of"
        message = f"{manner.node} {holds} {quoted(reading.key)}"
        raise CliError(ExitStatus.NOT_FOUND, message, f"What the cluster has: dyn get {shell_word(reading.key)}")
    if not reading.live:
        deleted = " (it was deleted)" if reading.context else ""
        raise CliError(ExitStatus.NOT_FOUND, f"no key {quoted(reading.key)}{deleted}", "List what is there: dyn keys")
    if several:
        raise conflict(reading)


def _document(reading: store.Reading, node: str | None, way: Document | None) -> Document:
    more: Document = {} if node is None else {"from": node}
    return get_document(reading) | more | ({} if way is None else {"trace": way})


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

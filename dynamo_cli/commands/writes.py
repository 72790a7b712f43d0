"""`dyn put`, `del`: writes, and what each of them replaces."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from dynamo_cli import store, tracing
from dynamo_cli import told as telling
from dynamo_cli.arguments import count, text
from dynamo_cli.call import Call, Document
from dynamo_cli.commands.values import Key, Keys, Strict, Trace, conflict
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.plain import clock_text, encode, json_text, quoted, receipt_line, shell_word, shortened, show
from node.core.limits import SIBLINGS_WARN

WriteQuorum = Annotated[int | None, typer.Option("-w", metavar="W", parser=count, help="Replicas that must hold it.")]
Value = Annotated[
    bytes | None,
    typer.Argument(metavar="[VALUE|-|@FILE]", parser=os.fsencode, help="The value, standard input, or a file."),
]
Context = Annotated[
    str | None,
    typer.Option(
        "--ctx", metavar="TOKEN|last|none", parser=text, help="Causal context of the write; see dyn help ctx."
    ),
]

# put --------------------------------------------------------------------------------------------------


NAMED_COLUMNS = 30
"""Room for the names of nodes within a line."""


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
        ("dyn put user:7 Ada --if-absent", "only if it has no value now"),
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
    if_absent: Annotated[
        bool, typer.Option("--if-absent", help="Read first: if there is a value, write nothing (exit 4).")
    ] = False,
    if_context: Annotated[
        str | None,
        typer.Option(
            "--if-context", metavar="TOKEN", parser=text, help="Read first: if that is not what TOKEN covers, exit 4."
        ),
    ] = None,
    return_ctx: Annotated[bool, typer.Option("--return-ctx", help="Print the new context, and nothing else.")] = False,
    trace: Trace = False,
) -> ExitStatus:
    """Write a value. It replaces what was read; if that is siblings, nothing is written (exit 4).

    A condition (--if-absent, --if-context) is checked by a read, and no lock is held until the write: of two that pass
    it at the same time both are kept, as siblings, and neither replaces what it has not seen.
    """
    conditions = [f"--{name}" for name, given in (
        ("ctx", ctx is not None), ("if-absent", if_absent), ("if-context", if_context is not None)
    ) if given]  # fmt: skip
    if len(conditions) > 1:
        raise usage(f"{' and '.join(conditions)} each say what is replaced", "Choose one of them")
    data = read_value(call, value)
    with call.timed() as took_ms:
        if if_absent or if_context is not None:
            covered = cover_if(call, key, if_context)
        else:
            covered = cover(call, key, ctx)
        receipt, way = tracing.write(call, key, covered.context, data, w=w, strict=strict, trace=trace)
    report(call, "put", receipt, covered.words, took_ms(), way, context_only=return_ctx)
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
    if ctx == "":
        raise usage("--ctx is empty: a write over nothing would stand beside what is there", "Meant so: --ctx none")
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


def cover_if(call: Call, key: bytes, token: str | None) -> Covered:
    """The context of a write that is made only if a read shows now what `token` covers; with None: no value at all."""
    reading = store.get(call.client, key, clocks=call.for_people)
    word = shell_word(key)
    if token is None and reading.live:
        found = "a value" if len(reading.live) == 1 else f"{len(reading.live)} siblings"
        message = f"{quoted(key)} has {found}: nothing was written"
        raise CliError(ExitStatus.CONFLICT, message, f"Look at it: dyn get {word}", code="EXISTS")
    if token is not None and reading.context != token.encode():
        message = f"{quoted(key)} is not what the given context covers: nothing was written"
        raise CliError(ExitStatus.CONFLICT, message, f"Read it again: dyn get {word} --ctx", code="CHANGED")
    return Covered(reading.context, f"replaces {_named(reading)}" if reading.live else "new")


def _named(reading: store.Reading) -> str:
    if not reading.live:
        return "nothing"
    clocks = [clock_text(version.clock) for version in reading.live if version.clock]
    return " and ".join(clocks) or "what was read"


def report(
    call: Call,
    verb: str,
    receipt: store.Receipt,
    words: str,
    took_ms: float,
    way: Document | None = None,
    *,
    context_only: bool = False,
) -> None:
    """Say what a write became, and which way it took if that was traced. `context_only`: no more than the context."""
    if call.env.memory is not None:
        # The new context covers siblings that came in meanwhile and that nobody here has seen: read again first.
        call.env.memory.forget(receipt.key)
    key, enc = encode(receipt.key)
    context = receipt.context.decode("ascii", "replace")
    document: Document = {"schema": f"dyn.{verb}/v1", "key": key, "enc": enc, "context": context}
    document |= {"acks": list(receipt.acks), "w": receipt.w, "siblings": receipt.siblings}
    document |= {"trace": way} if way is not None else {}
    if call.format in ("json", "jsonl"):
        call.env.write(json_text(document))
    elif call.format == "value":
        call.env.write_bytes(receipt.context)
    elif context_only:
        call.env.write_bytes(receipt.context + b"\n")
    elif call.for_people:
        call.say(receipt_line(document, words, took_ms, call.env.columns()))
    else:
        call.say("OK")
    if receipt.siblings is not None and receipt.siblings >= SIBLINGS_WARN:
        call.note(
            f"{quoted(receipt.key)} has {receipt.siblings} siblings: it is written without a read."
            f" Settle them: dyn merge {shell_word(receipt.key)}"
        )
    tracing.show(call, way)


# del --------------------------------------------------------------------------------------------------


@command(
    "del",
    panel="Data",
    danger="mild",
    examples=[
        ("dyn del user:7", "delete what a read shows now, siblings too"),
        ("dyn del user:7 user:8", "several"),
        ("dyn del user:7 --ctx TOKEN", "only what that read saw: what was written since stays"),
    ],
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
    """Delete keys: what was read of them. What others write meanwhile stays.

    What is left is a tombstone, and it goes when every member of the cluster has confirmed that it holds nothing older.
    """
    if ctx == "none":
        raise usage("a delete needs a context: it deletes what was read", "Leave --ctx away")
    if ctx not in (None, "last") and len(keys) > 1:
        raise usage("one context belongs to one key", "Delete the keys one by one")
    status, deleted = ExitStatus.OK, 0
    for key in keys:
        try:
            with call.timed() as took_ms:
                covered = cover(call, key, ctx, siblings=True)
                if covered.words in ("new", "replaces nothing"):
                    raise CliError(ExitStatus.NOT_FOUND, f"no key {quoted(key)}", "List what is there: dyn keys")
                receipt, way = tracing.write(call, key, covered.context, None, w=w, strict=strict, trace=trace)
            report(call, "del", receipt, covered.words.replace("replaces", "deleted"), took_ms(), way)
            deleted += 1
        except CliError as error:
            if len(keys) == 1:
                raise
            call.complain(error)
            status = status or error.status
    if deleted and call.for_people and call.env.stderr_is_terminal and not call.options.quiet:
        call.remark(_tombstones(call, deleted))
    return status


def _tombstones(call: Call, deleted: int) -> str:
    """Until when the tombstones of keys that were just deleted stay: nobody knows the hour, only who has to agree."""
    stays, goes = ("its tombstone stays", "it") if deleted == 1 else (f"{deleted} tombstones stay", "them")
    until = f"{stays} until every member has confirmed {goes}"
    try:
        nodes = telling.items(store.document(call.client, "STATUS"), "nodes")
    except CliError:
        return until
    away = [telling.word(node, "name", "?") for node in nodes if telling.word(node, "state", "") != "up"]
    if away:
        return f"{until}: {shortened(show(', '.join(away)), NAMED_COLUMNS)} cannot now"
    return f"{until}; all {len(nodes)} are up" if len(nodes) > 1 else until

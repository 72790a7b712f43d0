"""`dyn merge`: one value for siblings, written over exactly what was seen of them."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Annotated, NamedTuple

import typer

from dynamo_cli import merging, store
from dynamo_cli.arguments import text
from dynamo_cli.call import Call, View
from dynamo_cli.commands.values import Key, Strict, get_document, reading_screen
from dynamo_cli.commands.writes import WriteQuorum, read_value, report
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import command
from dynamo_cli.render.plain import clock_text, json_text, quoted, shell_word, shortened, show, sibling_label
from dynamo_cli.render.rows import reading_rows

WAYS = "--take A, --union, --lww, --edit, --with CMD or --value V"
VALUE_COLUMNS = 40
"""As much of the merged value as the receipt repeats."""
CHOICE_COLUMNS = 60
"""As much of each sibling as the choice shows."""


class Way(NamedTuple):
    """How siblings become one value: `settle` gives it, and `stored` is told whether it was written."""

    settle: Callable[[], bytes]
    stored: Callable[[bool], None] = lambda written: None


@command(
    "merge",
    panel="Data",
    danger="mild",
    examples=[
        ("dyn merge cart:7", "show the siblings; on a terminal choose among them with the arrow keys"),
        ("dyn merge cart:7 --take B", "keep B, replace all that was shown"),
        ("dyn merge cart:7 --union", "the union of JSON arrays or objects"),
        ("dyn merge cart:7 --edit", "in $EDITOR, like a conflict of git"),
        ("dyn merge cart:7 --with \"jq -c '[.values[].value|fromjson]|add|unique'\"", "what a program prints"),
        ("dyn merge cart:7 --lww", "the one that was written last, as far as clocks can tell"),
    ],
    exits=[3, 4, 5, 6, 7],
    see=["get", "keys", "key history", "key compare"],
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
    lww: Annotated[bool, typer.Option("--lww", help="Keep the one written last; clocks may be wrong.")] = False,
    edit: Annotated[bool, typer.Option("--edit", help="Edit the siblings in $VISUAL or $EDITOR.")] = False,
    with_command: Annotated[
        str | None,
        typer.Option("--with", metavar="CMD", parser=text, help="Siblings as JSON to a command; it prints the value."),
    ] = None,
    w: WriteQuorum = None,
    strict: Strict = False,
) -> ExitStatus:
    """Settle siblings with one value. A sibling that came in since they were shown is not replaced.

    A command of --with reads the document of get --json, and prints the value; if it ends with anything but 0, or
    prints nothing, nothing is written.
    """
    if (take is not None) + (value is not None) + (with_command is not None) + with_union + lww + edit > 1:
        raise usage("one way to merge at a time", f"Choose {WAYS}")
    reading = seen(call, key)
    if not reading.live:
        raise CliError(ExitStatus.NOT_FOUND, f"no key {quoted(key)}", "List what is there: dyn keys")
    if value is None and len(reading.live) == 1:
        call.note(f"nothing to merge: {quoted(key)} has one value")
        return ExitStatus.OK
    way: Way | None
    if value is not None:
        given = value
        way = Way(lambda: read_value(call, given))
    elif with_command is not None:
        line = with_command
        way = Way(lambda: by_command(call, reading, line))
    elif take is None and not (with_union or lww or edit):
        way = asked(call, reading)
    else:
        way = way_of(call, reading, "edit" if edit else "lww" if lww else "union" if with_union else take or "")
    if way is None:
        return ExitStatus.CONFLICT
    data = way.settle()
    with call.timed() as took_ms:
        try:
            receipt = store.put(call.client, key, reading.context, data, w=w, strict=strict)
        except BaseException:
            way.stored(False)
            raise
    way.stored(True)
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


def way_of(call: Call, reading: store.Reading, word: str) -> Way:
    """The way that a word means: edit, lww, union, or the letter of a sibling."""
    if word == "edit":
        return in_editor(call, reading)
    if word == "lww":
        return Way(lambda: last_written(call, reading))
    if word == "union":
        return Way(lambda: united(reading))
    return Way(lambda: taken(reading, word))


def asked(call: Call, reading: store.Reading) -> Way | None:
    """Show the siblings, and let a person choose what becomes of them; None if nobody is there, or chooses nothing."""
    from dynamo_cli.choosing import can_choose, choose

    call.emit(get_document(reading), View(reading_screen, reading_rows))
    values = merging.values_of(reading)
    if not (call.for_people and can_choose(call.env)):
        call.note(merging.settle_hint(reading.key, values))
        return None
    options = [(sibling_label(i), shortened(show(value), CHOICE_COLUMNS)) for i, value in enumerate(values)]
    if merging.can_unite(values):
        options.append(("union", shortened(show(merging.union(values)), CHOICE_COLUMNS)))
    options.append(("edit", "all of them, in an editor"))
    # A letter means the sibling: what begins with one that is taken is chosen with the arrow keys.
    word = choose(call.env, "What replaces them?", options, "nothing: leave them as they are")
    return None if word is None else way_of(call, reading, word)


def taken(reading: store.Reading, letter: str) -> bytes:
    """The value of the sibling of this letter. Raises a usage error."""
    values = merging.values_of(reading)
    labels = [sibling_label(index) for index in range(len(values))]
    if letter.upper() not in labels:
        raise usage(
            f"no sibling {letter!r}: there are {', '.join(labels)}", f"See them: dyn merge {shell_word(reading.key)}"
        )
    return values[labels.index(letter.upper())]


def united(reading: store.Reading) -> bytes:
    """The union of the siblings, if they have one."""
    try:
        return merging.union(merging.values_of(reading))
    except merging.CannotMerge as error:
        raise CliError(ExitStatus.CONFLICT, f"no union: {error}", "Choose --take A, --edit or --value V") from None


def last_written(call: Call, reading: store.Reading) -> bytes:
    """The value that was written last. Says whose clock decided."""
    try:
        index, words = merging.latest(reading)
    except merging.CannotMerge as error:
        raise CliError(ExitStatus.CONFLICT, f"none is the last: {error}", "Choose --take A or --value V") from None
    call.note(words)
    return merging.values_of(reading)[index]


def in_editor(call: Call, reading: store.Reading) -> Way:
    """What the user's editor makes of the siblings. What was edited and is not written is kept, and said where."""
    from dynamo_cli.outside import Draft

    values = merging.values_of(reading)
    try:
        text = merging.edit_text(reading)
    except merging.CannotMerge as error:
        raise CliError(ExitStatus.CONFLICT, f"cannot be edited: {error}", "Choose --take A or --with CMD") from None
    draft = Draft(text, ".json" if merging.can_unite(values) else ".txt")

    def settle() -> bytes:
        try:
            changed = draft.edited(call.env)
        except BaseException:
            draft.discard()
            raise
        try:
            value = merging.edited(changed, values)
        except merging.CannotMerge as error:
            keeps = changed.strip() and changed != text
            if not keeps:
                draft.discard()
            hint = f"Your text is kept: {draft.path}" if keeps else ""
            raise CliError(ExitStatus.CONFLICT, f"nothing was written: {error}", hint) from None
        draft.path.write_bytes(value)
        return value

    def stored(written: bool) -> None:
        if written:
            draft.discard()
        else:
            call.note(f"what you edited is kept: dyn merge {shell_word(reading.key)} --value @{draft.path}")

    return Way(settle, stored)


def by_command(call: Call, reading: store.Reading, line: str) -> bytes:
    """What a command makes of the siblings."""
    from dynamo_cli.outside import printed_by

    printed = printed_by(line, json_text(get_document(reading)).encode(), call.env)
    value = merging.without_added_end(printed, merging.values_of(reading))
    if not value:
        raise CliError(
            ExitStatus.CONFLICT, "the command printed nothing: nothing was written", "An empty value: --value ''"
        )
    return value


def replaced(reading: store.Reading) -> str:
    """The siblings by label and clock: `A {n3:2} and B {n3:1, n4:1}`."""
    names = [f"{sibling_label(index)} {clock_text(version.clock)}" for index, version in enumerate(reading.live)]
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)

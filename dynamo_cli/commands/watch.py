"""`dyn watch`: changes of a key, or of all keys with a prefix, as they are seen."""

from __future__ import annotations

import io
import os
import subprocess
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from dynamo_cli import store, watching
from dynamo_cli.arguments import count, seconds, seconds_long, text
from dynamo_cli.asking import SILENT
from dynamo_cli.call import Call
from dynamo_cli.changed import Known, change_document, change_line, change_rows, kind
from dynamo_cli.commands.monitor import RATE_MAX
from dynamo_cli.commands.values import get_document
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.jsonl import encoded
from dynamo_cli.options import command
from dynamo_cli.render.plain import csv_text, decode, exact, json_text, show, tsv_text
from node.core.limits_backup import RESTORE_ROWS

if TYPE_CHECKING:
    from dynamo_cli.panel import Panel

LOOK_S = 0.5
"""Between two looks."""

LOOK_S_MAX = 2.0
"""Nodes forget within five seconds who does not ask again."""

ANSWER_S = 1.0
"""How long one node may keep a look waiting: the others must be asked again before they forget us."""

PENDING_MAX = 10_000
"""Changed keys that could not be read yet; later ones are given up, and that is said."""

PASSING = (*SILENT, ExitStatus.UNAVAILABLE)
"""Errors of a look after which the next one may be well."""


def interval(word: str | float) -> float:
    """Between two looks: `2`, `0.5`, `2s` or `500ms`."""
    number = seconds(word, most=LOOK_S_MAX)
    if number < watching.INTERVAL_S_MIN:
        raise ValueError(f"{word!r} is less than {watching.INTERVAL_S_MIN:g} s")
    return number


@command(
    "watch",
    panel="Data",
    examples=[
        ("dyn watch cart:7", "each change of a key, until Ctrl-C"),
        ("dyn watch 'cart:*' | jq .key", "of all keys that begin with cart:, as JSON lines"),
        ("dyn watch cart:7 --first --exec 'tee cart'", "a program for each change, with the value on its input"),
        ("dyn watch cart:7 --count 1 --for 60", "wait for one change, a minute at most"),
    ],
    exits=[1, 5, 6, 7],
    see=["get", "monitor", "key history"],
    completes={"pattern": "keys"},
    risky=["--exec"],
)
def watch(
    call: Call,
    pattern: Annotated[
        bytes, typer.Argument(metavar="KEY|PREFIX*", parser=os.fsencode, help="A key, or a prefix and a star.")
    ],
    exact_key: Annotated[bool, typer.Option("--exact", help="It is a key, although it ends with a star.")] = False,
    first: Annotated[bool, typer.Option("--first", help="Tell first what is there now.")] = False,
    run: Annotated[
        str | None,
        typer.Option("--exec", metavar="CMD", parser=text, help="Run a shell command per change; see above."),
    ] = None,
    most: Annotated[int | None, typer.Option("--count", metavar="N", parser=count, help="End after N changes.")] = None,
    span: Annotated[
        float | None, typer.Option("--for", metavar="S", parser=seconds_long, help="End after S; default: Ctrl-C.")
    ] = None,
    every_s: Annotated[
        float, typer.Option("--interval", metavar="S", parser=interval, help=f"Between looks; default {LOOK_S:g}.")
    ] = LOOK_S,
) -> ExitStatus:
    """Tell changes as reads show them: a line each on a terminal, else JSON lines.

    A key is read again and again. Of a prefix all nodes are asked which keys clients wrote, and those are read. Either
    way what changes twice between two looks is told once, as what became of it. Of a prefix changes are missed above
    1,000 writes a second at one node, and at nodes that do not answer or have just joined; that is said.

    CMD has the key in $DYN_WATCH_KEY ($DYN_WATCH_ENC says utf8 or base64), what it became in $DYN_WATCH_CHANGE: value,
    siblings or deleted, and on its input the value, or all siblings as JSON. Commands run one after the other; if one
    fails, the exit code is 1.
    """
    if call.options.output is None and not call.env.stdout_is_terminal:
        call.options = call.options._replace(output="jsonl")
    if call.format in watching.ENDLESS and call.format != "csv":
        raise usage("what goes on has no end, which that format needs", "Choose another: -o jsonl or -o plain")
    if not pattern:
        raise usage("the key is empty", "All keys: dyn watch '*'")
    teller = _Teller(call, run, most)
    ends_at = None if span is None else time.monotonic() + span
    with watching.widened(call) as wide:
        seen = _Keys(wide, pattern[:-1]) if pattern.endswith(b"*") and not exact_key else _Key(wide, pattern)
        try:
            _follow(seen, teller, first=first, ends_at=ends_at, every_s=every_s)
        except KeyboardInterrupt:
            if not teller.failed:  # else that is what there is to tell
                raise
        finally:
            seen.close()
    return ExitStatus.FAILURE if teller.failed else ExitStatus.OK


def _follow(seen: _Seen, teller: _Teller, *, first: bool, ends_at: float | None, every_s: float) -> None:
    for reading in seen.begin(first=first):
        teller.tell(reading)
        if teller.enough:
            return
    while ends_at is None or time.monotonic() < ends_at:
        watching.pause(every_s if ends_at is None else min(every_s, max(0.0, ends_at - time.monotonic())))
        for reading in seen.look():
            teller.tell(reading)
            if teller.enough:
                return


class _Seen(Protocol):
    """Where changes are seen. `begin` yields what is there first, if that is wanted, `look` what has changed since."""

    def begin(self, *, first: bool) -> Iterator[store.Reading]: ...

    def look(self) -> Iterator[store.Reading]: ...

    def close(self) -> None: ...


class _Key:
    """One key, read again and again."""

    def __init__(self, call: Call, key: bytes) -> None:
        self._call = call
        self._key = key
        self._known = Known()
        self._silent = False

    def begin(self, *, first: bool) -> Iterator[store.Reading]:
        """The key as it is. What is wrong at once is an error."""
        reading = store.get(self._call.client, self._key, clocks=True)
        self._known.changed(reading)
        if first and reading.live:
            yield reading
        else:
            now = {"value": "has a value", "siblings": "has siblings", "deleted": "has no value"}[kind(reading)]
            self._call.remark(f"{exact(self._key)} {now}; changes from now on, Ctrl-C ends")

    def look(self) -> Iterator[store.Reading]:
        """The key, if it has changed."""
        try:
            reading = store.get(self._call.client, self._key, clocks=True)
        except CliError as error:
            if error.status not in PASSING and error.code != "BUSY":
                raise
            if not self._silent:
                self._call.note(f"cannot be read for now: {show(error.message)}")
            self._silent = True
            return
        self._silent = False
        if self._known.changed(reading):
            yield reading

    def close(self) -> None:
        """Nothing is held."""


class _Keys:
    """All keys with a prefix: nodes tell which were written, and those are read."""

    def __init__(self, call: Call, prefix: bytes) -> None:
        from dynamo_cli.ear import Ear
        from dynamo_cli.panel import Panel

        self._call = call
        self._prefix = prefix
        self._known = Known()
        self._pending: dict[bytes, None] = {}
        self._panel: Panel = Panel(call, wait_s=ANSWER_S)
        self._ear = Ear(self._panel, call.note, literal(prefix) + b"*", "put,del", rate_each=RATE_MAX)

    def begin(self, *, first: bool) -> Iterator[store.Reading]:
        """Listen, and only then look at what is there: nothing falls between the two."""
        self._listen()
        if first:
            for page in store.keys(self._call.client, self._prefix):
                for at in range(0, len(page), RESTORE_ROWS):
                    yield from self._read(page[at : at + RESTORE_ROWS])
        else:
            self._call.remark(f"changes of keys {exact(self._prefix)}* from now on, Ctrl-C ends")

    def look(self) -> Iterator[store.Reading]:
        """What was written since, as it is now."""
        self._panel.refresh()
        self._listen()
        keys = list(self._pending)
        for at in range(0, len(keys), RESTORE_ROWS):
            yield from self._read(keys[at : at + RESTORE_ROWS])

    def _listen(self) -> None:
        heard = self._ear.listen()
        lost = heard.dropped
        for row in heard.requests:
            if row.get("outcome") not in ("ok", "UNKNOWN"):
                continue
            key = _key_of(row)
            if key is None or len(self._pending) >= PENDING_MAX:
                lost += 1
            elif key.startswith(self._prefix):
                self._pending[key] = None
        if lost:
            self._call.note(
                f"… {lost:,} more {'write' if lost == 1 else 'writes'}, too many at a time: changes may be missing here"
            )
        for node in heard.forgotten:
            self._call.note(f"{show(node)} was not listened to for a while: changes may be missing here")

    def _read(self, keys: list[bytes]) -> Iterator[store.Reading]:
        from dynamo_cli.windows import get_many

        try:
            readings = get_many(self._call.client, keys, clocks=True)
        except CliError as error:
            if error.status not in PASSING:
                raise
            self._call.note(f"cannot be read for now: {show(error.message)}")
            self._pending |= dict.fromkeys(keys)
            return
        for key, reading in zip(keys, readings, strict=True):
            if isinstance(reading, CliError):  # the next look tries again
                self._pending[key] = None
                continue
            self._pending.pop(key, None)
            if self._known.changed(reading):
                yield reading

    def close(self) -> None:
        """Hang up: nodes forget us within seconds."""
        self._panel.close()


def literal(prefix: bytes) -> bytes:
    """A pattern of Redis that matches these very bytes."""
    return b"".join(b"\\" + bytes([char]) if char in b"*?[\\" else bytes([char]) for char in prefix)


def _key_of(row: dict[str, object]) -> bytes | None:
    """The key that a node tells, or None for what is none."""
    try:
        return decode(str(row["key"]), str(row["enc"]))
    except (KeyError, ValueError):
        return None


class _Teller:
    """Prints changes, or runs the command for each. `enough`: it has told as many as are wanted."""

    def __init__(self, call: Call, run: str | None, most: int | None) -> None:
        self._call = call
        self._run = run
        self._most = most
        self._told = 0
        self.failed = False

    @property
    def enough(self) -> bool:
        """Whether no more are wanted."""
        return self._most is not None and self._told >= self._most

    def tell(self, reading: store.Reading) -> None:
        """One change."""
        if self._run is None:
            self._print(reading)
        else:
            self._execute(self._run, reading)
        self._told += 1

    def _print(self, reading: store.Reading) -> None:
        call = self._call
        if call.format == "jsonl":
            call.env.write(json_text(change_document(reading, get_document(reading)["values"])))
        elif call.for_people:
            call.env.write(change_line(reading, None if call.format == "wide" else call.env.columns()))
        else:
            from dynamo_cli.changed import NAMES

            written = csv_text if call.format == "csv" else tsv_text
            call.env.write(written(NAMES, change_rows(reading), header=call.options.header and not self._told))

    def _execute(self, line: str, reading: store.Reading) -> None:
        """Run a command. The key is in its environment and never in its text: no key can be a command."""
        key, enc = encoded(reading.key)
        environ = {
            **self._call.env.environ, "DYN_WATCH_KEY": key, "DYN_WATCH_ENC": enc, "DYN_WATCH_CHANGE": kind(reading),
        }  # fmt: skip
        if self._call.options.nodes:  # a dyn in the command asks the cluster that this one asks
            environ["DYN_NODES"] = ",".join(self._call.options.nodes)
        if self._call.env.manner.context:
            environ["DYN_CONTEXT"] = self._call.env.manner.context
        given = b""
        if len(reading.live) == 1:
            given = reading.live[0].value or b""
        elif reading.live:
            given = json_text(get_document(reading)).encode()
        stdout = self._call.env.stdout
        stdout.flush()
        try:
            target: int = stdout.fileno()
        except (io.UnsupportedOperation, ValueError):
            target = subprocess.PIPE
        done = subprocess.run(["/bin/sh", "-c", line], input=given, stdout=target, env=environ, check=False)
        if done.stdout:
            self._call.env.write_bytes(done.stdout)
        if done.returncode:
            self.failed = True
            self._call.note(f"{exact(reading.key)}: the command ended with {done.returncode}")

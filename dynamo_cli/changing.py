"""Carrying out a change of the ring: its plan is shown, confirmed and committed, after whatever is under way.

The ring makes one change at a time. Who comes while it moves waits for its turn, with a line that says for what, and
then makes a new plan: the one that was shown before is void. So of several people who want something at once all get
it, one after the other, and each has seen what the others left.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from dynamo_cli import store
from dynamo_cli.call import Call, Document, View
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.following import Looker, Progress, look_again, until_settled
from dynamo_cli.render.plain import json_text, shortened, show
from dynamo_cli.render.plan import change_line, plan_rows, question
from dynamo_cli.render.transfers import progress_line

if TYPE_CHECKING:
    from rich.console import RenderableType

DECIDING_S = 5.0
"""So long a node may be at the decision of another change before it is told to somebody who wants one."""

BALLOT_S = 2.0
"""And so long after a ballot that came to nothing it shows whether that was for another one."""

Result = TypeVar("Result")

Ask = Callable[[Document], None]
"""Shows a plan to who is to confirm it, and asks. Raises CliError if it is not confirmed, or must not be done."""


class Doing:
    """How a change is made: only shown, or in its turn (`queue`), and followed to its end (`wait`); how long each."""

    def __init__(
        self, *, dry_run: bool = False, queue: bool = True, wait: bool = False, at_most_s: float = 0.0
    ) -> None:
        self.dry_run = dry_run
        self.queue = queue and not dry_run
        self.wait = wait
        self.at_most_s = at_most_s


def carry_out(call: Call, doing: Doing, ask: Ask, *words: str) -> ExitStatus:
    """Plan what the words of DYN.CLUSTER say, show and confirm it, and do it; in its turn."""
    epoch = -1
    while True:
        document = _in_turn(call, doing, lambda: planned(call, *words))
        if doing.dry_run:
            emit_plan(call, document)
            return ExitStatus.OK
        ask(document)
        try:
            return report(call, decided(call, document, document["id"], doing), doing)
        except CliError as error:
            if document["epoch"] <= epoch or not _is_overtaken(call, document["epoch"], error, doing):
                raise
            epoch = document["epoch"]
            call.note(f"{error.message}: planned anew")


def planned(call: Call, *words: str) -> Document:
    """The dyn.plan/v1 document of a change."""
    return store.document(call.client, "CLUSTER", "PLAN", *words)


def emit_plan(call: Call, document: Document) -> None:
    """A plan as the result of a command."""
    call.emit(document, View(_plan_screen, plan_rows, lambda d: list(d["moves"])))


def _plan_screen(document: Document, wide: bool) -> RenderableType:
    from dynamo_cli.render.plan import plan_screen

    return plan_screen(document, wide=wide)


def confirm(call: Call, document: Document) -> None:
    """Show a plan to a person, and ask."""
    if _is_watched(call):
        from dynamo_cli.render.plan import plan_screen

        call.draw(plan_screen(document, wide=call.format == "wide", commit=False), error=True)
        call.env.write("\n", error=True)
    call.confirm(question(document))


def _is_watched(call: Call) -> bool:
    """Whether a person is there to read what is not the result."""
    if call.options.yes:
        return call.for_people and call.env.stderr_is_terminal and not call.options.quiet
    return call.env.can_ask


def decided(call: Call, document: Document, plan_id: str, doing: Doing) -> Document:
    """The dyn.change/v1 document of what was decided, in the words of the plan: who is gone by now had a name then."""
    return {**_asked(call, doing, "COMMIT", plan_id), "change": document["change"]}


def _asked(call: Call, doing: Doing, *words: str) -> Document:
    """Ask for a change; again, if the node is just deciding another one: then nothing was done."""
    deadline = time.monotonic() + (DECIDING_S if doing.queue else 0.0)
    while True:
        try:
            return store.change(call.client, *words)
        except CliError as error:
            if error.code != "BUSY":
                raise
            if time.monotonic() >= deadline:
                raise CliError(
                    ExitStatus.REFUSED, error.message, "See what is under way: dyn cluster transfers"
                ) from None
        look_again()


def rotated(call: Call, doing: Doing) -> Document:
    """What was decided of a new context secret, in its turn."""
    epochs: list[int] = []

    def ask() -> Document:
        epochs.append(store.document(call.client, "TRANSFERS")["epoch"])
        return _asked(call, doing, "ROTATE", "EPOCH", str(epochs[-1]))

    while True:
        try:
            return _in_turn(call, doing, ask)
        except CliError as error:
            if not epochs or not _is_overtaken(call, epochs[-1], error, doing):
                raise


# Its turn ---------------------------------------------------------------------------------------------


def _in_turn(call: Call, doing: Doing, plan: Callable[[], Result]) -> Result:
    """What `plan` returns, which is refused while a change is under way: that is waited for, and it is tried again.

    Raises CliError if it takes longer than `--for`; nothing was done then.
    """
    deadline = time.monotonic() + doing.at_most_s
    told, settled = 0, -1
    while True:
        try:
            return plan()
        except CliError as error:
            seen = _looked(call) if doing.queue and error.status == ExitStatus.REFUSED else None
            if seen is None or (seen["state"] != "moving" and seen["epoch"] <= settled):
                raise
        if (
            seen["state"] != "moving"
        ):  # it may have moved when it was asked; refused in this epoch once more, it did not
            settled = seen["epoch"]
            continue
        if seen["epoch"] > told:
            _tell(call, seen)
            told = seen["epoch"]
        _wait_for(call, seen, deadline, doing.at_most_s)


def _tell(call: Call, seen: Document) -> None:
    """For what it waits; and how far that is, where no line follows that says so."""
    line = f"waits for its turn: epoch {seen['epoch']} moves: {show(seen['change'] or 'a change')}"
    if call.env.stderr_is_terminal:
        call.note(shortened(line, call.env.columns(error=True)))
        call.note("Ctrl-C ends that, and nothing is done")
    else:
        call.note(f"{line}; {progress_line(seen)}")


def _wait_for(call: Call, seen: Document, deadline: float, at_most_s: float) -> None:
    """Until the epoch that moves does not any more."""
    epoch = seen["epoch"]
    looker, progress = Looker(call), Progress(call)
    with _told_that_nothing_was_done(call, progress):
        look: Document | None = seen
        while look is None or look["epoch"] <= epoch:
            progress.show("nobody answers …" if look is None else progress_line(look))
            if time.monotonic() >= deadline:
                raise CliError(
                    ExitStatus.REFUSED,
                    f"epoch {epoch} still moves after {at_most_s:g} s: {seen['change']}; nothing was done",
                    "See why: dyn cluster transfers; give it up: dyn cluster abandon",
                )
            look_again()
            look = looker.look()


@contextmanager
def _told_that_nothing_was_done(call: Call, progress: Progress) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        progress.clear()
        call.note("not waited for any longer: nothing was done")
        raise
    finally:
        progress.clear()


def _is_overtaken(call: Call, epoch: int, error: CliError, doing: Doing) -> bool:
    """Whether a change was not taken on because another one was, after epoch `epoch`: then nothing was done of it.

    Of two ballots at once each may stop the other for a moment: which of them wins shows soon after.
    """
    if not doing.queue or error.status not in (ExitStatus.REFUSED, ExitStatus.UNAVAILABLE):
        return False
    deadline = time.monotonic() + (BALLOT_S if error.status == ExitStatus.UNAVAILABLE else 0.0)
    while True:
        seen = _looked(call)
        if seen is not None and seen["epoch"] > epoch:
            return True
        if time.monotonic() >= deadline:
            return False
        look_again()


def _looked(call: Call) -> Document | None:
    """What is under way; None if that cannot be said: then what is known already is told."""
    try:
        return store.document(call.client, "TRANSFERS")
    except CliError:
        return None


# What came of it --------------------------------------------------------------------------------------


def report(call: Call, document: Document, doing: Doing) -> ExitStatus:
    """Say what was decided, and follow it if that is wanted. Programs are told once, how it ended."""
    if doing.wait and document["state"] == "moving":
        _say(call, document, last=False)
        document = until_settled(call, document, doing.at_most_s)
    _say(call, document, last=True)
    if document["state"] == "moving":
        call.suggest("dyn cluster transfers --watch")
    return ExitStatus.OK


def _say(call: Call, document: Document, *, last: bool) -> None:
    if call.for_people or call.format in ("plain", "csv"):
        call.say(change_line(document))
    elif last and call.format == "value":
        call.env.write(str(document["epoch"]))
    elif last:
        call.env.write(json_text(document))

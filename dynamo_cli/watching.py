"""`--watch`: one question again and again. On a terminal in place with what changed marked, elsewhere as a stream.

    terminal   the screen, drawn over the one before; cells that changed are marked, what went is shown once more
    pipe       a look that differs from the one before: as rows, or with jsonl as one document a line

A node that goes silent is no reason to end: the other members are asked, and what was seen last stays until one of
them answers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from dynamo_cli.arguments import seconds
from dynamo_cli.asking import SILENT, is_address, members
from dynamo_cli.call import Call, Document, View
from dynamo_cli.errors import CliError, usage
from dynamo_cli.render.plain import json_text, shortened, show

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

INTERVAL_S = 1.0
INTERVAL_S_MIN, INTERVAL_S_MAX = 0.1, 3600.0
"""More often is of no use to eyes, and costs the nodes something; less often is what cron is for."""

ENDLESS = ("json", "csv", "value")
"""Formats of one document, which what goes on cannot have."""

pause = time.sleep
"""How the time between two looks passes."""


def interval(word: str | float) -> float:
    """The time between two looks: `2`, `0.5`, `2s` or `500ms`."""
    number = seconds(word, most=INTERVAL_S_MAX)
    if number < INTERVAL_S_MIN:
        raise ValueError(f"{word!r} is less than {INTERVAL_S_MIN:g} s")
    return number


Watch = Annotated[bool, typer.Option("--watch", help="Look again and again, until Ctrl-C.")]
Interval = Annotated[
    float | None,
    typer.Option(
        "--interval", metavar="S", parser=interval, help=f"Between two looks of --watch; default {INTERVAL_S:g}."
    ),
]


def every(watch: bool, interval_s: float | None) -> float | None:
    """The interval that the two options ask for; None: look once."""
    if interval_s is not None and not watch:
        raise usage("--interval counts for nothing without --watch", "Add it: --watch")
    return (interval_s or INTERVAL_S) if watch else None


def endless(call: Call) -> None:
    """Refuse a format that what goes on cannot have."""
    if call.format in ENDLESS:
        raise usage("what goes on has no end, which that format needs", "Choose another: -o jsonl or -o plain")


def watch(
    call: Call,
    look: Callable[[Call], Document],
    view: View,
    interval_s: float,
    *,
    until: Callable[[Document], bool] | None = None,
) -> Document:
    """Show what `look` finds, again and again; return the last document.

    Ends when `until` is true of it, or with Ctrl-C, as every command does (130).
    """
    endless(call)
    with widened(call) as wide:
        last = look(wide)  # what is wrong at once is an error, as without --watch
        with _painter(call, view, interval_s) as painter:
            painter.show(last, "")
            while until is None or not until(last):
                pause(interval_s)
                try:
                    last, silent = look(wide), ""
                except CliError as error:
                    if error.status not in SILENT:
                        raise
                    silent = error.message
                painter.show(last, silent)
    return last


@contextmanager
def widened(call: Call) -> Iterator[Call]:
    """A call that asks the nodes of the line first, and when they are silent any other member."""
    nodes = list(call.env.nodes(call.options))
    try:
        for address in members(call.client).values():
            if is_address(address) and address not in nodes:
                nodes.append(address)
    except CliError as error:
        if error.status in SILENT:
            raise
    wide = Call(call.env, call.options._replace(nodes=tuple(nodes)))
    try:
        yield wide
    finally:
        wide.close()


def in_place(call: Call) -> bool:
    """Whether there is a person's terminal that can be drawn on again."""
    return call.for_people and call.env.stdout_is_terminal and call.env.environ.get("TERM") != "dumb"


def live_console(call: Call) -> Console:
    """A console that draws on the terminal itself, in its size of the moment."""
    from rich.console import Console

    from dynamo_cli.render.theme import THEME

    colored = call.env.has_color(call.options.color)
    unicode = (getattr(call.env.stdout, "encoding", None) or "").lower().replace("-", "") in ("utf8", "")
    return Console(
        file=call.env.stdout,
        force_terminal=True,
        color_system="standard" if colored else None,
        no_color=not colored,
        theme=THEME,
        markup=False,
        highlight=False,
        emoji=False,
        safe_box=not unicode,
        legacy_windows=False,
        _environ=call.env.environ,
    )


@contextmanager
def _painter(call: Call, view: View, interval_s: float) -> Iterator[InPlace | Stream]:
    if not in_place(call):
        yield Stream(call, view)
        return
    from dynamo_cli.keyboard import endings

    with endings():
        painter = InPlace(call, view, interval_s)
        try:
            yield painter
        finally:
            painter.close()


class Stream:
    """Each look that differs from the one before, one after the other."""

    def __init__(self, call: Call, view: View) -> None:
        self._call = call
        self._view = view
        self._shown: Document | None = None
        self._silent = False

    def show(self, document: Document, silent: str) -> None:
        """Print a document, unless it was printed; that nobody answers, once."""
        if silent:
            if not self._silent:
                self._call.note(f"no answer: {show(silent)}")
        elif document != self._shown:
            if self._call.format == "jsonl":
                self._call.env.write(json_text(document))
            else:
                self._call.emit(document, self._view)
            if self._shown is None:
                self._call = Call(self._call.env, self._call.options._replace(header=False))
            self._shown = document
        self._silent = bool(silent)


class InPlace:
    """The screen, drawn over the one before. `close` leaves the last one, and the terminal as it was."""

    def __init__(self, call: Call, view: View, interval_s: float) -> None:
        from dynamo_cli.render.changes import Changes

        self._call = call
        self._view = view
        self._interval_s = interval_s
        self._changes = Changes()
        self._console = live_console(call)
        self._size = self._console.size
        self._live = self._begin()

    def _begin(self) -> Live:
        from rich.live import Live

        live = Live(
            console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False,
            vertical_overflow="ellipsis",
        )  # fmt: skip
        live.start()
        return live

    def show(self, document: Document, silent: str) -> None:
        """Draw it. `silent`: nobody answered, this is what was seen last."""
        from rich.console import Group

        if self._console.size != self._size:  # what was drawn has been wrapped anew: nobody knows where it begins
            self._live.stop()
            self._console.clear()
            self._size, self._live = self._console.size, self._begin()
        screen = self._changes.mark(self._view.screen(document, self._call.format == "wide"))
        self._live.update(Group(self._head(silent), screen), refresh=True)

    def _head(self, silent: str) -> RenderableType:
        from rich.text import Text

        columns = self._console.width
        words = f"every {self._interval_s:g} s   {time.strftime('%H:%M:%S')}   Ctrl-C ends"
        told = "; ".join(map(show, self._changes.words))
        if silent:
            second = Text(shortened(f"no answer, this is the last one: {show(silent)}", columns), style="bad")
        else:
            second = Text(shortened(f"changed: {told}" if told else "", columns), style="warn")
        return Text("\n").join([Text(shortened(words, columns), style="quiet"), second])

    def close(self) -> None:
        """End."""
        self._live.stop()

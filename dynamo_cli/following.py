"""Following a change of the ring until it is settled: the question again and again, and a line that says how far it is.

Whoever leaves stops a moment after, so a node that does not answer is no reason to end: the next member is asked.
"""

from __future__ import annotations

import time
from typing import Any

from dynamo_cli import store
from dynamo_cli.asking import SILENT, members
from dynamo_cli.call import Call
from dynamo_cli.client import parse_address
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.render.plain import shortened
from dynamo_cli.render.transfers import progress_line

Document = dict[str, Any]

LOOK_S = 1.0
"""Between two looks."""

WAIT_S = 600.0
"""As long as `--wait` waits by default."""


def look_again() -> None:
    """Let the time between two looks pass."""
    time.sleep(LOOK_S)


class Looker:
    """Asks for DYN.TRANSFERS: the nodes of the command line first, and when they are silent the members, by turns."""

    def __init__(self, call: Call) -> None:
        self.call = call
        self._others: list[str] = []
        self._turn = 0
        for address in members(call.client).values():
            try:
                parse_address(address)
            except CliError:
                continue  # a member may say of itself what it likes
            self._others.append(address)

    def look(self) -> Document | None:
        """The document, or None: who was asked is silent, and somebody else is asked the next time."""
        turn = self._turn % (1 + len(self._others))
        client = self.call.client
        if turn:
            client = self.call.env.client_apart((self._others[turn - 1],), self.call.options.timeout_s)
        try:
            return store.document(client, "TRANSFERS")
        except CliError as error:
            if error.status not in SILENT:
                raise
            self._turn += 1
            return None
        finally:
            if turn:
                client.close()


class Progress:
    """One line on standard error that is written over, where a person watches."""

    def __init__(self, call: Call) -> None:
        self.env = call.env
        self.shown = call.env.stderr_is_terminal and not call.options.quiet

    def show(self, line: str) -> None:
        """Write over the line before."""
        if self.shown:
            self.env.write(f"\r{shortened(line, self.env.columns(error=True) - 1)}\x1b[K", error=True)

    def clear(self) -> None:
        """Leave no trace."""
        if self.shown:
            self.env.write("\r\x1b[K", error=True)


def until_settled(call: Call, begun: Document, at_most_s: float) -> Document:
    """Wait until the change that `begun` (dyn.change/v1) tells of is settled; the same document, of that epoch.

    Raises CliError if it was given up, and UNKNOWN if it takes too long: it goes on by itself then.
    """
    deadline = time.monotonic() + at_most_s
    looker, progress = Looker(call), Progress(call)
    try:
        while True:
            seen = looker.look()
            if seen is not None and seen["epoch"] > begun["epoch"]:
                return _settled(begun, seen)
            progress.show("nobody answers …" if seen is None else progress_line(seen))
            if time.monotonic() >= deadline:
                raise CliError(
                    ExitStatus.UNKNOWN,
                    f"epoch {begun['epoch']} still moves after {at_most_s:g} s: {begun['change']}",
                    "It goes on; see it: dyn cluster transfers",
                )
            look_again()
    finally:
        progress.clear()


def _settled(begun: Document, seen: Document) -> Document:
    settled = begun["epoch"] + 1
    if seen["epoch"] == settled and seen["change"] is None:
        raise CliError(
            ExitStatus.FAILURE,
            f"given up: {begun['change']}; the ring of epoch {settled} is the one before",
            "See why: dyn cluster events",
            code="ABANDONED",
        )
    return {**begun, "epoch": settled, "state": "settled"}

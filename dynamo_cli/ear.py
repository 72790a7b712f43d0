"""A listener at every member (DYN.MONITOR): the requests of clients as they end, and what of them was not told."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dynamo_cli import told as telling
from dynamo_cli.asking import Told
from dynamo_cli.call import Document
from dynamo_cli.client import Word
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.panel import Panel
from dynamo_cli.render.plain import show


class Heard(NamedTuple):
    """What came since the last question, in the order of time. `dropped` were above the rate.

    `forgotten` are nodes that have forgotten us since, as after a restart, or that are heard for the first time only
    now, as newcomers: what they served meanwhile nobody tells.
    """

    requests: list[Document]
    dropped: int
    forgotten: list[str]


class Ear:
    """Listens at all nodes of a panel for requests of some keys and operations.

    At most `rate` a second together; or with `rate_each` that many at each node.
    """

    def __init__(
        self,
        panel: Panel,
        note: Callable[[str], None],
        key: str | bytes,
        op: str,
        *,
        rate: int = 0,
        rate_each: int = 0,
    ) -> None:
        self._panel = panel
        self._note = note
        self._key, self._op, self._rate, self._rate_each = key, op, rate, rate_each
        self._listeners: dict[str, int] = {}
        self._silent: dict[str, None] = {}
        self._first = True

    def _words(self, node: str) -> tuple[Word, ...]:
        share = self._rate_each or max(1, self._rate // max(1, len(self._panel.addresses)))
        return "LISTENER", self._listeners.get(node, 0), "KEY", self._key, "OP", self._op, "RATE", share

    def listen(self) -> Heard:
        """Ask all nodes once. Raises CliError if all of them refuse."""
        told = self._panel.look("MONITOR", more=self._words)
        if told and all(each.error is not None and not each.silent for each in told):
            raise told[0].error or CliError(ExitStatus.FAILURE, "no node tells")
        requests: list[Document] = []
        forgotten = []
        dropped = 0
        for each in told:
            self._note_silence(each)
            if each.document is None:
                continue
            listener = telling.whole(each.document, "listener") or 0
            if self._listeners.get(each.node, listener if self._first else 0) != listener:
                forgotten.append(each.node)
            self._listeners[each.node] = listener
            requests += [{"node": each.node, **row} for row in telling.items(each.document, "requests")]
            dropped += telling.whole(each.document, "dropped") or 0
        self._first = False
        return Heard(sorted(requests, key=lambda row: telling.word(row, "at", "")), dropped, forgotten)

    def _note_silence(self, told: Told) -> None:
        """Say once that a node is silent, and again when it is so anew."""
        if told.error is None:
            self._silent.pop(told.node, None)
        elif told.node not in self._silent:
            self._silent[told.node] = None
            self._note(f"{show(told.node)} tells nothing: {show(told.error.message)}")

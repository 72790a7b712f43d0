"""What `dyn top` shows: gathered in the background, so that no key waits for a node.

Two threads look: one at the figures of all nodes, every interval; one at health and events, which takes as long as a
silent node makes it take. What was seen last is a `Snapshot`; there is always one, and it says how old it is.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from dynamo_cli import told as telling
from dynamo_cli.asking import SILENT, Told, ask, survey
from dynamo_cli.call import Call
from dynamo_cli.client import Client
from dynamo_cli.errors import CliError
from dynamo_cli.meter import Meter
from dynamo_cli.panel import Panel
from node.words import in_words, level_of

Document = dict[str, Any]

SLOW_S = 2.0
"""Between two looks at health and events."""

EVENTS_ASKED = 30
"""Events asked of each node: more than a screen has lines for."""


class Snapshot(NamedTuple):
    """What was seen last. `stat` is dyn.stat/v1; `status` DYN.STATUS, or None and `silent` says why nobody told."""

    number: int
    stat: Document
    ring: Document
    status: Document | None
    silent: str
    events: tuple[Document, ...]


def now_text() -> str:
    """This moment as documents tell it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def events_of(told: Sequence[Told]) -> tuple[Document, ...]:
    """What all nodes noted by time: `by` is who noted it, `said` what it means."""
    merged = []
    for each in told:
        for event in telling.items(each.document, "events"):
            fields = {str(name): value for name, value in event.items() if name not in ("at", "kind")}
            kind = telling.word(event, "kind")
            noted = {"at": telling.word(event, "at", ""), "by": each.node, "level": level_of(kind)}
            merged.append({**noted, "said": in_words(kind, fields)})
    return tuple(sorted(merged, key=lambda event: (event["at"], event["by"]))[-EVENTS_ASKED:])


class Board:
    """Looks again and again until `stop`. The first look is made at once, in the caller's thread: CliError if it fails.

    `failed` is what ended a thread that should not have ended.
    """

    def __init__(self, call: Call, interval_s: float) -> None:
        self.interval_s = interval_s
        self.failed: BaseException | None = None
        self._call = call
        self._panel = Panel(call, wait_s=interval_s)
        self._meter = Meter()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        stat = self._meter.step(self._panel.look(), time.monotonic(), now_text())
        self._snapshot = Snapshot(1, stat, self._panel.ring, None, "not asked yet", ())
        self._threads = [
            threading.Thread(target=self._run, args=(look, every), daemon=True)
            for look, every in ((self._look, lambda: self.interval_s), (self._look_slowly, lambda: SLOW_S))
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Look no more; a question under way ends by its own deadline."""
        self._stop.set()
        self._panel.close()

    @property
    def snapshot(self) -> Snapshot:
        """What was seen last."""
        with self._lock:
            return self._snapshot

    def _show(self, **fields: Any) -> None:  # noqa: ANN401  # fields of Snapshot
        with self._lock:
            self._snapshot = self._snapshot._replace(number=self._snapshot.number + 1, **fields)

    def _run(self, look: Callable[[], None], every_s: Callable[[], float]) -> None:
        due = time.monotonic()
        try:
            while not self._stop.is_set():
                look()
                due = max(due + every_s(), time.monotonic())
                self._stop.wait(due - time.monotonic())
        except Exception as error:  # noqa: BLE001  # told by whoever draws: a thread has nobody to tell
            if not self._stop.is_set():  # (the sockets are closed under a question when it ends)
                self.failed = error

    def _look(self) -> None:
        self._panel.refresh()
        stat = self._meter.step(self._panel.look(), time.monotonic(), now_text())
        self._show(stat=stat, ring=self._panel.ring)

    def _look_slowly(self) -> None:
        """Health, from the first node that answers, and what all of them noted."""
        call = self._call
        nodes = dict.fromkeys([*call.env.nodes(call.options), *self._panel.addresses.values()])
        client = call.env.client_apart(tuple(nodes), call.options.timeout_s)
        try:
            status: Document | None = survey(client, "STATUS")
            silent = ""
        except CliError as error:
            if error.status not in SILENT:
                raise
            status, silent = self._snapshot.status, error.message
        finally:
            client.close()
        self._show(status=status, silent=silent)
        if not self._stop.is_set():
            told = ask(self._panel.addresses, self._apart, "EVENTS", EVENTS_ASKED)
            self._show(events=events_of(told))

    def _apart(self, address: str) -> Client:
        return self._call.env.client_apart((address,), self._call.options.timeout_s)

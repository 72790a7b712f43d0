"""Keys that begin like the word that is typed: those the shell has seen, and what the cluster knows within a moment.

One thread asks one bounded question at a time, always about the newest word; who wants keys waits BUDGET_S for it and
takes what there is. A node that is silent costs no keystroke, and a late answer is there for the next one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from dynamo_cli import store
from dynamo_cli.client import Client
from dynamo_cli.errors import CliError

KEYS_MAX = 50
"""Keys that one question asks for."""
BUDGET_S = 0.15
"""How long a completion waits for the cluster."""
ASK_S = 0.5
"""How long the thread goes on by itself: pages may be empty, and nodes silent."""
FRESH_S = 5.0
"""An answer is not asked for again for so long."""
ANSWERS_MAX = 100
IDLE_S = 30.0
"""A thread that nobody wants anything of ends."""


class Answer(NamedTuple):
    """What the cluster said about one beginning; `complete`: there are no more keys like that."""

    keys: tuple[bytes, ...]
    complete: bool
    at_s: float


class KeyFinder:
    """Finds keys. `client_of` makes a client with a deadline; `seen` are the keys of this shell, the latest last.

    `late` is called, in the thread, after an answer that somebody waited for in vain.
    """

    def __init__(
        self,
        client_of: Callable[[float], Client],
        seen: Callable[[], tuple[bytes, ...]],
        late: Callable[[], None] = lambda: None,
    ) -> None:
        self._client_of = client_of
        self._seen = seen
        self._late = late
        self._missed: bytes | None = None
        self._answers: dict[bytes, Answer] = {}
        self._changed = threading.Condition()
        self._wanted: bytes | None = None
        self._thread: threading.Thread | None = None

    def find(self, prefix: bytes) -> list[bytes]:
        """Keys seen here, then the cluster's, of which some may not begin so: all that may fit a word."""
        seen = list(reversed(self._seen()))
        with self._changed:
            if self._answer(prefix) is None:
                self._wanted = prefix
                if self._thread is None:
                    self._thread = threading.Thread(target=self._ask_on, name="keys", daemon=True)
                    self._thread.start()
                self._changed.notify_all()
                heard = self._changed.wait_for(lambda: self._answer(prefix) is not None, BUDGET_S)
                self._missed = None if heard else prefix
            answer = self._answer(prefix)
            known = [key for other in self._answers.values() for key in other.keys]
        return list(dict.fromkeys([*seen, *(answer.keys if answer else ()), *known]))

    def forget(self) -> None:
        """Another cluster, or keys have changed: ask again."""
        with self._changed:
            self._answers.clear()

    def _answer(self, prefix: bytes) -> Answer | None:
        """A fresh answer about the beginning, or a complete one about a shorter one."""
        since_s = time.monotonic() - FRESH_S
        for length in range(len(prefix), -1, -1):
            answer = self._answers.get(prefix[:length])
            if answer is not None and answer.at_s > since_s and (answer.complete or length == len(prefix)):
                return answer
        return None

    def _ask_on(self) -> None:
        while True:
            with self._changed:
                if not self._changed.wait_for(lambda: self._wanted is not None, IDLE_S):
                    self._thread = None
                    return
                prefix, self._wanted = self._wanted, None
            assert prefix is not None, "waited for"
            answer = self._ask(prefix)
            with self._changed:
                self._answers.pop(prefix, None)
                self._answers[prefix] = answer
                while len(self._answers) > ANSWERS_MAX:
                    del self._answers[next(iter(self._answers))]
                self._changed.notify_all()
                missed, self._missed = self._missed, None
            if missed == prefix and answer.keys:
                self._late()

    def _ask(self, prefix: bytes) -> Answer:
        """One bounded question. Silence is an answer, too: nobody is asked the same again at once."""
        found: list[bytes] = []
        deadline, complete = time.monotonic() + ASK_S, False
        try:
            client = self._client_of(ASK_S)
        except CliError:
            return Answer((), False, time.monotonic())
        try:
            cursor = b"0"
            while len(found) < KEYS_MAX and time.monotonic() < deadline:
                cursor, page = store.key_page(client, prefix, cursor, page=KEYS_MAX)
                found += page
                if cursor == b"0":
                    complete = True
                    break
        except CliError:
            pass
        finally:
            client.close()
        return Answer(tuple(found[:KEYS_MAX]), complete and len(found) <= KEYS_MAX, time.monotonic())

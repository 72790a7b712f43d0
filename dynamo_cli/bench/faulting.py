"""Faults at set moments of a measurement: `kill n2 @3s; heal @7s`, done by a thread beside the generator."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from dynamo_cli import breaking, faults
from dynamo_cli.arguments import seconds_long
from dynamo_cli.client import Client
from dynamo_cli.errors import CliError, usage

FAULTS_MAX = 100
"""More than this is a nemesis of its own, not a line."""


class Fault(NamedTuple):
    """One fault, and at which second of the run it is due."""

    at_s: float
    words: tuple[str, ...]


class Schedule(NamedTuple):
    """Faults in the order of time."""

    faults: tuple[Fault, ...]


class Happened(NamedTuple):
    """One fault as it was done: when, which, and what went wrong ("" if nothing did)."""

    at_s: float
    what: str
    error: str


def schedule(text: str) -> Schedule:
    """Read `kill n2 @3s; heal @7s`, in the order of time. Raises ValueError."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        match = re.fullmatch(r"(.+?)\s*@\s*(\S+)", part)
        if match is None:
            raise ValueError(f"{part!r} has no time; write: kill n2 @3s")
        found.append(Fault(seconds_long(match[2]) if match[2] not in ("0", "0s") else 0.0, tuple(match[1].split())))
    if not 0 < len(found) <= FAULTS_MAX:
        raise ValueError(f"{len(found)} faults are not between 1 and {FAULTS_MAX}")
    return Schedule(tuple(sorted(found, key=lambda fault: fault.at_s)))


class Nemesis:
    """Does what a schedule says. `processes(verb, node)` ends or starts a node's process; None: nobody here can.

    Raises a usage error if the schedule cannot be kept, before anything is broken.
    """

    def __init__(
        self,
        plan: Sequence[Fault],
        addresses: dict[str, str],
        client_of: Callable[[str], Client],
        processes: Callable[[str, str], None] | None,
    ) -> None:
        self._plan = plan
        self._addresses = addresses
        self._client_of = client_of
        self._processes = processes
        self._killed: list[str] = []
        self._halt = threading.Event()
        self._thread = threading.Thread(target=self._work, name="nemesis", daemon=True)
        self.happened: list[Happened] = []
        for fault in plan:
            breaking.check(fault.words, list(addresses))
            if fault.words[0] in breaking.PROCESS_VERBS and processes is None:
                raise usage(
                    f"{' '.join(fault.words)}: only a demo's processes can be ended and started from here",
                    "Start one: dyn demo --background",
                )

    def start(self) -> None:
        """Begin to count the time."""
        self._begun = time.perf_counter()
        self._thread.start()

    def stop(self) -> None:
        """Do nothing more; what is being done is finished."""
        self._halt.set()
        if self._thread.ident is not None:
            self._thread.join()

    @property
    def left_broken(self) -> str:
        """The words of the last fault after which nothing was healed; "" if all is well as far as we know."""
        last = next((one.what for one in reversed(self.happened) if not one.error), "heal")
        return "" if last == "heal" or last.endswith(" ok") or last.startswith("restart ") else last

    def _work(self) -> None:
        for fault in self._plan:
            if self._halt.wait(max(0.0, self._begun + fault.at_s - time.perf_counter())):
                return
            at_s, error = time.perf_counter() - self._begun, ""
            try:
                self._do(fault.words)
            except CliError as failed:
                error = failed.message
            self.happened.append(Happened(at_s, " ".join(fault.words), error))

    def _do(self, words: Sequence[str]) -> None:
        """Do one fault. Raises CliError."""
        verb = words[0]
        if verb in breaking.PROCESS_VERBS:
            assert self._processes is not None
            self._processes(verb, words[1])
            self._killed = [name for name in self._killed if name != words[1]]
            if verb == "kill":
                self._killed.append(words[1])
            return
        orders = breaking.orders_of(words, list(self._addresses))
        told = faults.tell(orders, self._addresses, self._client_of)
        if verb != "heal":
            wrong = faults.failure(told, orders)
            if wrong is not None:
                raise wrong
        else:  # whoever does not answer has no faults when it comes back
            for name in self._killed:
                assert self._processes is not None
                self._processes("restart", name)
            self._killed = []

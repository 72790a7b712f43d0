"""The way of a request as a log with vector clocks, for ShiViz, which draws it as a space-time diagram.

A line is an event: its host, its clock as JSON, and what happened. The hosts are the client and the nodes. A clock
counts events of hosts, and who hears of something has seen all that its teller had: so the picture shows what must have
come before what. Where a peer did not say when it answered, that is put between the question and the answer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from dynamo_cli.render.plain import show
from dynamo_cli.render.trace import step_text
from dynamo_cli.render.trace_list import key_text
from dynamo_cli.told import items, number, word, words

Document = Mapping[str, Any]

EXPRESSION = r"(?<host>\S+) (?<clock>{.*?}) (?<event>.*)"
"""What ShiViz is to be told: how a line is read."""
ROUNDED_MS = 0.003
"""By so much a time that is the sum of two may be late: nodes round each, and so does who puts their steps together."""
CLIENT = "client"
SENT = ("fetch", "replicate", "repair", "ping", "ask")
"""Steps that are messages to a peer of which nothing is known but its answer."""


class Event(NamedTuple):
    """Something that happened. `heard`: the number of the event that it comes of, None for one of its host alone."""

    at_ms: float
    host: str
    what: str
    heard: int | None


def lines(document: Document) -> Iterator[str]:
    """The lines of the log of a dyn.trace/v1 document, in the order of time, without their line ends."""
    clocks: dict[str, dict[str, int]] = {}
    stamps: dict[int, dict[str, int]] = {}
    events = _Story(document).events
    for place, event in sorted(enumerate(events), key=lambda item: (item[1].at_ms, item[0])):
        clock = clocks.setdefault(event.host, {})
        for host, count in stamps[event.heard].items() if event.heard is not None else ():
            clock[host] = max(count, clock.get(host, 0))
        clock[event.host] = clock.get(event.host, 0) + 1
        stamps[place] = dict(clock)
        yield f"{event.host} {json.dumps(clock, sort_keys=True)} {event.what}"


class _Story:
    """The events of a trace. What comes of an event has a later number, and no earlier time."""

    def __init__(self, document: Document) -> None:
        self.events: list[Event] = []
        self._answered: dict[str, int] = {}
        node = word(document, "node")
        request = f"{show(word(document, 'op'))} {key_text(document)}"
        asked = self._add(0.0, CLIENT, f"asks {show(node)}: {request}")
        self._add(0.0, _host(node), f"gets {request}", asked)
        steps = items(document, "steps")
        last = [step for step in steps if step.get("what") == "answer" and not _peer(step)]
        handed = [(step, self._hand_over(step)) for step in steps if step.get("what") == "forward"]
        for step in steps:
            if step.get("what") != "forward" and step not in last:
                self._step(step)
        for step, taken in handed:
            self._hear(step, self._answered.get(_host(_peer(step)), taken))
        for step in last:  # the answer is given in the very turn in which the last that it waits for is heard
            at_ms, host = _at(step), _host(word(step, "node"))
            heard = [event.at_ms for event in self.events if event.host == host and event.at_ms <= at_ms + ROUNDED_MS]
            answered = self._add(max([at_ms, *heard]), host, _words(step))
            self._add(at_ms, CLIENT, "has its answer", answered)

    def _add(self, at_ms: float, host: str, what: str, heard: int | None = None) -> int:
        """One more event; its number."""
        if heard is not None:
            at_ms = max(at_ms, self.events[heard].at_ms)  # times were rounded
        self.events.append(Event(at_ms, host, what, heard))
        return len(self.events) - 1

    def _hand_over(self, step: Document) -> int:
        """A write is handed to a coordinator, which tells its own steps; the number of the first."""
        sent = self._add(_at(step), _host(word(step, "node")), _words(step))
        return self._add(_at(step), _host(_peer(step)), "takes it over", sent)

    def _hear(self, step: Document, there: int) -> None:
        """What was asked in a step is answered by an event at the other host, if it was answered."""
        took_ms = number(step, "took_ms")
        if took_ms is not None:
            who = show(_peer(step))
            self._add(_at(step) + took_ms, _host(word(step, "node")), f"hears from {who}{_told(step)}", there)

    def _step(self, step: Document) -> None:
        at_ms, host, what, peer = _at(step), _host(word(step, "node")), word(step, "what"), _peer(step)
        begun, took_ms = self._add(at_ms, host, _words(step)), number(step, "took_ms")
        if what == "answer":
            self._answered[host] = begun
        elif took_ms is not None and what in SENT and peer:
            there = self._add(at_ms + took_ms / 2, _host(peer), f"answers {show(word(step, 'node'))}", begun)
            self._hear(step, there)
        elif took_ms is not None:
            self._add(at_ms + took_ms, host, f"{_words(step)}: done{_told(step)}")


def _at(step: Document) -> float:
    return number(step, "at_ms") or 0.0


def _peer(step: Document) -> str:
    return word(step, "peer", "")


def _words(step: Document) -> str:
    """What a step is, in words, whatever is missing of it."""
    return step_text({"what": word(step, "what"), "peer": _peer(step), "hint_for": words(step, "hint_for")})


def _told(step: Document) -> str:
    """What was told, for the end of a line."""
    told = word(step, "note", "") or " ".join(words(step, "versions"))
    return f": {show(told)}" if told else ""


def _host(name: str) -> str:
    """A node as one word; one that is called as the client is has another name here."""
    shown = "_".join(show(name).split()) or "?"
    return f"{shown}_" if shown == CLIENT else shown

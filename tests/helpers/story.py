"""Histories told by hand, for the checkers of the simulator."""

from __future__ import annotations

from typing import Any

from node.core.cluster import Quorums
from node.core.row import EMPTY, Actor, Clock, Dot, Row
from node.core.version import advance
from node.sim.checkers import Answer, judge
from node.sim.history import History, Kind, Record
from node.storage.port import Advance, Advanced
from node.wire.requests import Ack, Found, Written
from node.wire.rows import encode_row

KEY = b"k"
ACTOR = Actor(7, 1)
OK = Written(b"token", (Ack("n1", durable=True), Ack("n2", durable=True)), 2, replaced=False, siblings=1)


def dot(n: int, birth: int = 1) -> Dot:
    return Dot(7, birth, n)


class Story:
    """A history told by hand. Writes are c1.1, c1.2 … and get the dots 1, 2 … of one store, n1."""

    def __init__(self) -> None:
        self.history = History(Quorums(3, 2, 2), 3)
        self.row = EMPTY
        self.now = 0.0

    def request(self, kind: Kind, result: Any, **more: Any) -> Record:
        """One request of one second; `late` seconds over its deadline if so told."""
        self.now += 1
        tag = f"c1.{len(self.history.requests) + 1}"
        value = more.pop("value", KEY + b"|" + tag.encode() if kind in (Kind.PUT, Kind.SET) else None)
        late, begun = more.pop("late", -0.5), more.pop("begun", self.now)
        record = Record(tag, kind, "n1", KEY, value, begun=begun, deadline=begun + 1, **more)
        self.history.requests.append(record)
        if result != "nothing":
            record.end(result, begun + 1 + late)
        return record

    def write(self, kind: Kind = Kind.PUT, result: Any = OK, covers: Clock | None = None, **more: Any) -> Record:
        """A write that is committed over `covers` (else what it had seen) and kept."""
        record = self.request(kind, result, **more)
        past = covers if covers is not None else record.seen or ()
        before = self.row
        self.row, minted = advance(self.row, past, ACTOR, record.value, written_at_ms=0, writer=record.tag)
        write = Advance(KEY, record.value, past, False, 1, 0, record.tag)
        outcome = Advanced(encode_row(self.row), self.row.clock, minted, 0, 1)
        self.history.stored("n1", write, outcome, self.now)
        assert before is not self.row
        return record

    def read(self, row: Row | None = None, **more: Any) -> Record:
        return self.request(Kind.GET, Found(self.row if row is None else row, b"token"), **more)

    def end(self, **rows: Row) -> list[str]:
        """Names of the checkers that fire, when the disks hold `rows` at the end (default: all there is)."""
        self.history.final = {name: {KEY: row} for name, row in (rows or {"n1": self.row}).items()}
        verdicts = judge(self.history)
        assert all(verdict.answer is not Answer.UNKNOWN for verdict in verdicts), verdicts
        return [verdict.checker for verdict in verdicts if verdict.answer is Answer.VIOLATED]

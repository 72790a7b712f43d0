"""Operators who ask one engine for changes of its ring, and voters who agree to them."""

from __future__ import annotations

import json

from node.engine.events import Measured, Persisted
from node.engine.voting import STATE_VOTE
from node.storage.port import Saved, SaveState
from node.wire.change_messages import Accept, Prepare, Voted
from node.wire.messages import Answer
from node.wire.requests import Inspect
from tests.helpers.engine import Engine, node_id
from tests.helpers.moving import JOINED, tell


def agree(engine: Engine, *names: str) -> None:
    """Let voters promise and accept whatever is asked of them, and our own disk store our vote."""
    for _ in range(4):
        votes = [ticket for ticket, write in engine.out.persists if is_vote(write)]
        engine.out.persists = [each for each in engine.out.persists if not is_vote(each[1])]
        for ticket in votes:
            engine.step(Persisted([(ticket, Saved())]))
        for name in names:
            for message in engine.out.sends.pop(node_id(name), []):
                if isinstance(message, Prepare):
                    engine.receive(name, Voted(message.rid, message.ballot, None, None, ""))
                elif isinstance(message, Accept):
                    engine.receive(name, Voted(message.rid, message.ballot, message.ballot, message.ring, ""))


def is_vote(write: object) -> bool:
    return isinstance(write, SaveState) and write.name == STATE_VOTE


def operator(engine: Engine, *words: str) -> int:
    return engine.ask(Inspect("cluster", arguments=tuple(word.encode() for word in words)))


def told(engine: Engine, *words: str) -> object:
    """What an operator is told at once."""
    ticket = operator(engine, *words)
    return engine.replies[ticket]


def views(engine: Engine, **seen: dict[str, str]) -> None:
    """Answer the question who sees whom."""
    ticket = engine.out.measures[-1]
    engine.step(Measured(ticket, {}))
    for name, sees in seen.items():
        engine.receive(name, Answer(ticket, json.dumps({"sees": sees}).encode()))


def proposals(engine: Engine, name: str) -> list[Prepare]:
    return [message for message in engine.sent(name) if isinstance(message, Prepare)]


def tell_seated(engine: Engine) -> None:
    """All four have seats."""
    tell(engine, JOINED)
    engine.clear()

"""What a node itself holds (DYN.GET … LOCAL): its own row, and nobody is asked or changed."""

from __future__ import annotations

from node.core.context import open_token
from node.core.limits import TIMEOUT_MS
from node.core.row import EMPTY
from node.wire.messages import UNREADABLE, Fetch, Replicate
from node.wire.requests import Failed, Found, Get, Result
from tests.helpers.engine import KEY, SECRETS, Engine, row_of

LOCAL = Get(KEY, local=True)


def asked(engine: Engine) -> bool:
    """Whether any peer was asked, or told, anything about a row."""
    return any(isinstance(message, Fetch | Replicate) for name in ("n2", "n3") for message in engine.sent(name))


def test_it_is_our_row_alone_with_its_context() -> None:
    engine = Engine()
    ticket = engine.ask(LOCAL)
    row = row_of(b"a", b"b")
    engine.load(row)
    result = engine.replies[ticket]
    assert isinstance(result, Found)
    assert result.row == row
    assert open_token(result.context, KEY, "c1", SECRETS) == row.clock
    assert not asked(engine)


def test_nothing_is_an_answer() -> None:
    """It says nothing of the cluster, so one node's word is enough; also of one that does not own the key."""
    engine = Engine(4)
    for key in (KEY, engine.key_owned_by_others()):
        ticket = engine.ask(Get(key, local=True))
        engine.load(None)
        assert engine.replies[ticket] == Found(EMPTY, b"")
        assert not asked(engine)


def test_it_works_with_all_others_down() -> None:
    engine = Engine()
    engine.down("n2")
    engine.down("n3")
    ticket = engine.ask(LOCAL)
    engine.load(row_of(b"v"))
    assert isinstance(engine.replies[ticket], Found)


def failed(result: Result) -> str:
    """Why there is no answer."""
    assert isinstance(result, Failed)
    assert result.code == "UNAVAILABLE"
    return result.text


def test_an_unreadable_row_is_said_and_not_healed() -> None:
    engine = Engine()
    ticket = engine.ask(LOCAL)
    engine.load(None, readable=False)
    assert failed(engine.replies[ticket]) == f"n1: {UNREADABLE}"
    assert not asked(engine)


def test_a_disk_that_hangs_ends_it_at_its_deadline() -> None:
    engine = Engine()
    ticket = engine.ask(LOCAL)
    engine.wait(TIMEOUT_MS / 1000 + 0.1)
    assert "did not answer in time" in failed(engine.replies[ticket])
    assert not engine.node.shared.load.waiting

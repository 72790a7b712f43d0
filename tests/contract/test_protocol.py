"""One release back and forward: what peers said to each other in a release is read by this one, and the reverse.

`recorded/protocol-N.json` is what the release that first spoke version N said: every message with its frame, and an
opening. It is written once, by `python -m tests.contract.test_protocol`, and never changed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from node.core.cluster import Member, RingState
from node.wire.codec import decode_batch, encode_batch
from node.wire.handshake import NONCE_BYTES, Accepted, Acceptor, Dialer, Hello, derive_keys
from node.wire.messages import Gossip, Message
from node.wire.versions import NEWEST, OLDEST
from tests.helpers.next_release import MORE, say_more
from tests.unit.wire.test_codec import EVERY, MEMBER, RING

RECORDED = Path(__file__).parent / "recorded"
KEYS = derive_keys(b"recorded" * 4)
NONCES = bytes(NONCE_BYTES), bytes(range(NONCE_BYTES))
HELLOS = [
    Hello("c1", f"{number:032x}", f"n{number}", "127.0.0.1", 7800 + number, 2, True, f"s{number}", f"life{number}")
    for number in (1, 2)
]

Recording = dict[str, Any]


def named(value: object) -> Any:
    """A message as names and values, so that two fields that change places are noticed."""
    if isinstance(value, msgspec.Struct):
        return {"is": type(value).__name__, **{name: named(getattr(value, name)) for name in value.__struct_fields__}}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {"is": type(value).__name__, **{name: named(each) for name, each in value._asdict().items()}}
    if isinstance(value, tuple):
        return [named(each) for each in value]
    return value.hex() if isinstance(value, bytes) else value


def without_news(now: Any, then: Any) -> Any:
    """What is said now, less the fields that the recording does not have."""
    if isinstance(then, dict) and isinstance(now, dict):
        return {name: without_news(now[name], value) for name, value in then.items() if name in now}
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        return [without_news(*pair) for pair in zip(now, then, strict=True)]
    return now


def recordings() -> list[Recording]:
    found = [json.loads(path.read_text()) for path in sorted(RECORDED.glob("protocol-*.json"))]
    return [recording for recording in found if recording["protocol"] >= OLDEST]


def one_frame(message: Message) -> bytes:
    (frame,) = encode_batch([message])
    return frame


@pytest.mark.parametrize("recording", recordings(), ids=lambda recording: f"protocol-{recording['protocol']}")
def test_what_was_recorded_means_what_it_meant(recording: Recording) -> None:
    kinds = {message["means"]["is"] for message in recording["messages"]}
    assert kinds >= {"Replicate", "Gossip", "Accept"}
    for message in recording["messages"]:
        (read,) = decode_batch(bytes.fromhex(message["frame"])[4:])
        assert without_news(named(read), message["means"]) == message["means"]


@pytest.mark.parametrize("recording", recordings(), ids=lambda recording: f"protocol-{recording['protocol']}")
def test_an_opening_with_a_node_of_that_release_stands(recording: Recording) -> None:
    opened, replied, finished = (bytes.fromhex(frame) for frame in recording["opening"])
    dialer = Dialer(KEYS, "dyn", HELLOS[0], NONCES[0])
    assert dialer.first == opened, "a node of that release is not understood from its first word on"
    finish, outcome = dialer.receive(replied)
    assert finish is not None
    assert outcome == Accepted(HELLOS[1], recording["protocol"])
    acceptor = Acceptor((KEYS,), "dyn", HELLOS[1], NONCES[1])
    reply, _ = acceptor.receive(opened)
    assert reply is not None
    acceptor._said = opened, replied, HELLOS[0].node_id  # what that release said: ours may say more
    assert acceptor.receive(finished) == (None, Accepted(HELLOS[0], recording["protocol"]))


def test_this_release_says_what_was_recorded() -> None:
    """A change of what peers say to each other needs a new version and a new recording (`wire.versions`)."""
    recorded = [recording["protocol"] for recording in recordings()]
    assert recorded == list(range(OLDEST, NEWEST + 1)), "a version that is spoken was not recorded"
    then, now = recordings()[-1], record()
    assert then["opening"] == now["opening"]
    assert [message for message in then["messages"] if message not in now["messages"]] == []
    kinds = [{message["means"]["is"] for message in each["messages"]} for each in (then, now)]
    assert kinds[0] == kinds[1], "a message that no version has"


# What a later release says -------------------------------------------------------------------------------


@pytest.mark.parametrize("message", EVERY, ids=lambda message: type(message).__name__)
def test_fields_that_a_later_release_adds_are_dropped(message: Message) -> None:
    (later,) = say_more([message])
    assert MORE.encode() in later
    assert decode_batch(later[4:]) == [message]


def test_a_member_of_a_later_release_is_passed_on_without_what_this_one_does_not_know() -> None:
    """So whoever hears of it from us hears less: the record is the one that it was before that field came."""
    gossip = Gossip("c1", 4, True, (MEMBER,), RING, False)
    (read,) = decode_batch(say_more([gossip])[0][4:])
    assert isinstance(read, Gossip)
    assert isinstance(read.ring, RingState)
    assert type(read.members[0]) is Member
    assert decode_batch(one_frame(read)[4:]) == [gossip]


# The recording -------------------------------------------------------------------------------------------


def record() -> Recording:
    """Everything that this release says."""
    dialer = Dialer(KEYS, "dyn", HELLOS[0], NONCES[0])
    acceptor = Acceptor((KEYS,), "dyn", HELLOS[1], NONCES[1])
    reply, _ = acceptor.receive(dialer.first)
    assert reply is not None
    finish, _ = dialer.receive(reply)
    assert finish is not None
    return {
        "protocol": NEWEST,
        "opening": [frame.hex() for frame in (dialer.first, reply, finish)],
        "messages": [{"frame": one_frame(message).hex(), "means": named(message)} for message in EVERY],
    }


if __name__ == "__main__":
    path = RECORDED / f"protocol-{NEWEST}.json"
    if path.exists():
        raise SystemExit(f"{path.name} is there, and what was recorded is not changed")
    path.write_text(json.dumps(record(), indent=1) + "\n")

"""What a node of a large cluster says of its members: little in each message, and in the end all."""

from __future__ import annotations

import msgspec

from node.core.cluster import Member
from node.core.ids import NodeId
from node.core.limits import GOSSIP_INTERVAL_S
from node.core.limits_size import GOSSIP_MEMBERS_MAX, MEMBERS_SAVE_MAX
from node.engine.kept import STATE_MEMBERS
from node.engine.tidings import GREETING
from node.storage.port import SaveState
from node.wire.codec import encode_batch
from node.wire.messages import Gossip, Join
from tests.helpers.engine import EPOCH, Engine, member, node_id

MANY = 200
FEW = GOSSIP_MEMBERS_MAX
BYTES_MAX = 160 * (GOSSIP_MEMBERS_MAX + GREETING)


def rounds(engine: Engine, count: int) -> list[Gossip]:
    """Let so many rounds pass: what was said in each."""
    said = []
    for _ in range(count):
        engine.clear()
        engine.wait(GOSSIP_INTERVAL_S)
        said += [m for messages in engine.out.sends.values() for m in messages if isinstance(m, Gossip)]
    return said


def told_to(engine: Engine, name: str) -> Gossip:
    """The one message of gossip to a peer."""
    (message,) = [m for m in engine.out.sends.get(node_id(name), []) if isinstance(m, Gossip)]
    return message


def quiet(nodes: int = MANY) -> Engine:
    """A node that has told its news."""
    engine = Engine(nodes)
    engine.node.cluster.news.clear()
    return engine


def hear(engine: Engine, name: str, *members: Member, reply: bool = True) -> None:
    """A peer gossips these records."""
    engine.clear()
    engine.receive(name, Gossip("c1", EPOCH, True, members, None, reply))


def newer(name: str) -> Member:
    """The record of a node that has started again."""
    return member(name)._replace(incarnation=2, port=9999)


def test_few_members_are_told_whole_and_equal_tables_are_not_answered() -> None:
    engine = quiet(FEW)
    (said,) = rounds(engine, 1)
    assert said.members == tuple(engine.node.cluster.members.values())
    hear(engine, "n2", *said.members)
    assert not engine.out.sends
    hear(engine, "n2", *said.members[1:])
    assert told_to(engine, "n2").members == said.members


def test_a_message_stays_as_long_however_many_there_are() -> None:
    """… and the parts of the table that come by turns are all of it."""
    engine = quiet()
    said = rounds(engine, -(-MANY // (GOSSIP_MEMBERS_MAX - GREETING)))
    for message in said:
        assert len(message.members) == GOSSIP_MEMBERS_MAX
        assert engine.node.cluster.me in message.members
        assert sum(map(len, encode_batch([message]))) <= BYTES_MAX
    told = {each.id for message in said for each in message.members}
    assert told == set(engine.node.cluster.members)


def test_the_receiver_is_told_what_is_known_of_it() -> None:
    """A store that was put back learns so that others know more than it does (`engine.gossip`)."""
    engine = quiet()
    for peer, messages in _greetings(engine).items():
        assert {each.id for each in messages.members} == {node_id("n1"), peer}


def _greetings(engine: Engine) -> dict[NodeId, Gossip]:
    engine.clear()
    for name in ("n5", "n150"):
        engine.down(name)
        engine.up(name)
    return {node_id(name): told_to(engine, name) for name in ("n5", "n150")}


def test_news_come_first_so_often_as_is_enough() -> None:
    engine = quiet()
    hear(engine, "n2", newer("n77"), reply=False)
    said = rounds(engine, 30)
    has = [newer("n77") in message.members for message in said]
    assert all(has[: 2 * MANY.bit_length()])
    assert not all(has)


def test_what_others_have_told_is_news_no_more() -> None:
    engine = quiet()
    hear(engine, "n2", newer("n77"), reply=False)
    for _ in range(2 * MANY.bit_length()):
        assert node_id("n77") in engine.node.cluster.news
        hear(engine, "n3", newer("n77"), reply=False)
    assert not engine.node.cluster.news


def test_a_round_is_answered_with_news_and_with_what_the_sender_has_old() -> None:
    engine = quiet()
    hear(engine, "n2", newer("n77"), newer("n50"), reply=False)
    others = [member(f"n{number}") for number in range(10, 20)]
    hear(engine, "n3", *others, member("n50"))
    answer = told_to(engine, "n3").members
    assert newer("n50") in answer
    assert newer("n77") in answer
    assert len(answer) == 2 + GREETING, "and nothing else"
    assert not told_to(engine, "n3").reply
    engine.node.cluster.news.clear()
    hear(engine, "n3", *others)
    assert not engine.out.sends, "it knows the same"


def test_a_greeting_is_answered_only_if_it_is_wrong() -> None:
    """Else a start of one node would make all others tell it all their news."""
    engine = quiet()
    hear(engine, "n2", newer("n77"), reply=False)
    hear(engine, "n3", member("n3"), engine.node.cluster.me)
    assert not engine.out.sends
    hear(engine, "n77", member("n77"), engine.node.cluster.me)
    assert newer("n77") in told_to(engine, "n77").members


def test_who_is_gone_is_no_news() -> None:
    engine = quiet()
    hear(engine, "n2", newer("n77"), reply=False)
    cluster = engine.node.cluster
    cluster.adopt(cluster.state._replace(epoch=EPOCH + 1, gone=(node_id("n77"),)))
    assert node_id("n77") not in cluster.news
    engine.receive("n2", Gossip("c1", EPOCH + 1, True, (newer("n77"),), None, False))
    assert not any(each.id == node_id("n77") for message in rounds(engine, 8) for each in message.members)


def test_who_joins_is_told_of_all() -> None:
    engine = quiet()
    engine.clear()
    joiner = member("n999")
    engine.up("n999")
    engine.receive("n999", Join(joiner))
    answer = told_to(engine, "n999")
    assert answer.ring is not None
    assert len(answer.members) == MANY + 1
    (said,) = [m for m in rounds(engine, 1) if m.members]
    assert len(said.members) <= GOSSIP_MEMBERS_MAX + GREETING


def saved(engine: Engine) -> list[SaveState]:
    """How often the table of members is to be stored."""
    return [w for _, w in engine.out.persists if isinstance(w, SaveState) and w.name == STATE_MEMBERS]


def test_the_table_of_many_members_is_stored_once_a_round() -> None:
    engine = quiet()
    for number in range(10, 20):
        hear(engine, f"n{number}", newer(f"n{number}"), reply=False)
        assert not saved(engine)
    engine.clear()
    engine.wait(GOSSIP_INTERVAL_S)
    (table,) = saved(engine)
    assert set(msgspec.msgpack.decode(table.data, type=tuple[Member, ...])) >= {newer("n10"), newer("n19")}
    engine.clear()
    engine.wait(GOSSIP_INTERVAL_S)
    assert not saved(engine)


def test_the_table_of_few_members_is_stored_at_once() -> None:
    engine = quiet(MEMBERS_SAVE_MAX)
    hear(engine, "n9", newer("n9"), reply=False)
    assert len(saved(engine)) == 1

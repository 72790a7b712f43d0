"""Votes: durable before they are told, never taken back, and none of a store that may have forgotten one."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from node.core import change
from node.core.cluster import Ballot, Change, RingState, Vote
from node.core.limits_change import BALLOT_S, CHANGE_LOOK_S, RECALL_S
from node.core.vote import NEVER
from node.engine.events import Persisted
from node.engine.kept import STATE_MUTE, STATE_RING
from node.engine.node import Node
from node.engine.voting import MUTE, OUTBID, STATE_VOTE, Proposal
from node.storage.port import Identity, Outcome, Refusal, Refused, Saved, SaveState
from node.wire.change_messages import Accept, Prepare, Voted
from node.wire.messages import REBUILDING, Gossip
from tests.helpers.engine import EPOCH, Engine, node_id, sealed_ring
from tests.helpers.moving import SETTLED, settled_engine, tell

NEXT = EPOCH + 1
MINE, THEIRS, OTHER = (change.begin(SETTLED, Change(change.LEAVE, node_id(name))) for name in ("n1", "n2", "n3"))


def ballot(number: int, name: str = "n2") -> Ballot:
    return Ballot(number, node_id(name))


def prepare(engine: Engine, number: int, *, rid: int = 5, name: str = "n2", epoch: int = NEXT) -> None:
    engine.receive(name, Prepare(rid, "c1", epoch, ballot(number, name)))


def accept(engine: Engine, number: int, ring: RingState = OTHER, *, rid: int = 6, name: str = "n2") -> None:
    engine.receive(name, Accept(rid, "c1", ballot(number, name), ring))


def kept(engine: Engine, name: str = STATE_VOTE) -> list[tuple[int, bytes]]:
    """What is on its way to the disk, with its tickets."""
    return [(t, write.data) for t, write in engine.out.persists if isinstance(write, SaveState) and write.name == name]


def store(engine: Engine, outcome: Outcome | None = None) -> Vote:
    """The oldest vote is durable, or has another outcome; return it."""
    ticket, data = kept(engine)[0]
    del engine.out.persists[[each[0] for each in engine.out.persists].index(ticket)]
    engine.step(Persisted([(ticket, outcome or Saved())]))
    return msgspec.msgpack.decode(data, type=Vote)


def told(engine: Engine, name: str = "n2") -> list[Voted]:
    return [message for message in engine.sent(name) if isinstance(message, Voted)]


def compared(engine: Engine, name: str = "n2") -> bool:
    """Whether a peer was sent our ring, to compare."""
    sent = engine.out.sends.get(node_id(name), [])
    return any(isinstance(message, Gossip) and message.ring is not None and message.reply for message in sent)


def test_a_promise_is_told_when_it_is_durable_and_not_before() -> None:
    engine = Engine()
    prepare(engine, 3)
    assert not told(engine)
    assert store(engine) == Vote(NEXT, ballot(3))
    assert told(engine) == [Voted(5, ballot(3), None, None, "")]


def test_what_was_accepted_is_told_when_it_is_durable_and_to_whoever_asks_later() -> None:
    engine = Engine()
    prepare(engine, 3)
    store(engine)
    accept(engine, 3)
    assert len(told(engine)) == 1
    assert store(engine) == Vote(NEXT, ballot(3), ballot(3), OTHER)
    assert told(engine)[1:] == [Voted(6, ballot(3), ballot(3), OTHER, "")]
    prepare(engine, 4, name="n3")
    assert store(engine) == Vote(NEXT, ballot(4, "n3"), ballot(3), OTHER)
    assert told(engine, "n3") == [Voted(5, ballot(4, "n3"), ballot(3), OTHER, "")]


@pytest.mark.parametrize("why", [Refusal.DISK_FULL, Refusal.STOPPED])
def test_a_vote_that_the_disk_did_not_take_is_none(why: Refusal) -> None:
    engine = Engine()
    prepare(engine, 3)
    store(engine, Refused(why, ""))
    assert told(engine) == [Voted(5, NEVER, None, None, why.value)]


def test_of_two_votes_on_their_way_to_the_disk_each_is_told_as_it_was_stored() -> None:
    """The later one may never be stored: the earlier answer must not speak of it."""
    engine = Engine()
    prepare(engine, 3)
    accept(engine, 4, name="n3")
    prepare(engine, 3, rid=9)
    assert told(engine) == [Voted(9, ballot(4, "n3"), None, None, OUTBID)], "it binds already"
    assert store(engine) == Vote(NEXT, ballot(3))
    assert told(engine)[1:] == [Voted(5, ballot(3), None, None, "")]
    assert not told(engine, "n3")
    assert store(engine).ring == OTHER
    assert told(engine, "n3") == [Voted(6, ballot(4, "n3"), ballot(4, "n3"), OTHER, "")]


@pytest.mark.parametrize(("number", "name"), [(2, "n3"), (3, "n1"), (3, "n2")])
def test_a_ballot_that_is_not_later_is_refused_with_the_promised_one(number: int, name: str) -> None:
    """The same one, too: its proposer may have been started again, and want something else now."""
    engine = Engine(me="n3") if name != "n3" else Engine()
    prepare(engine, 3)
    store(engine)
    engine.clear()
    prepare(engine, number, rid=9, name=name)
    assert told(engine, name) == [Voted(9, ballot(3), None, None, OUTBID)]
    assert not engine.out.persists
    assert not compared(engine, name), "both have the same ring"


def test_a_ring_is_not_accepted_after_a_later_promise_nor_if_it_is_of_another_cluster() -> None:
    engine = Engine()
    prepare(engine, 3)
    prepare(engine, 3, name="n3")
    store(engine)
    store(engine)
    engine.clear()
    accept(engine, 3)
    accept(engine, 9, OTHER._replace(cluster_id="c2"))
    refused = (ballot(3, "n3"), OUTBID), (NEVER, "a ring of another cluster")
    assert told(engine) == [Voted(6, promised, None, None, why) for promised, why in refused]
    assert not engine.out.persists


def test_a_ring_is_accepted_without_a_promise_and_is_one() -> None:
    """A majority promised; that this voter was not among them does not matter."""
    engine = Engine()
    accept(engine, 3)
    assert store(engine) == Vote(NEXT, ballot(3), ballot(3), OTHER)
    engine.clear()
    prepare(engine, 2, name="n3")
    accept(engine, 2, THEIRS, name="n3")
    assert [(answer.promised, answer.refused) for answer in told(engine, "n3")] == [(ballot(3), OUTBID)] * 2


def engine_with(**changed: object) -> Engine:
    """One whose view of its cluster is another one in this."""
    engine = Engine()
    for name, value in changed.items():
        setattr(engine.node.cluster, name, value)
    return engine


def rebuilt() -> Engine:
    """Its store holds again what it acknowledged."""
    engine = engine_with(rebuilding=True)
    engine.do(lambda: engine.node.cluster.rebuilt(engine.out))
    return engine


@pytest.mark.parametrize(
    ("engine", "cluster_id", "epoch", "why"),
    [
        (settled_engine("n4"), "c1", NEXT, "no voter"),
        (engine_with(rebuilding=True), "c1", NEXT, REBUILDING),
        (rebuilt(), "c1", NEXT, MUTE),
        (engine_with(ring=SETTLED._replace(sealed=False)), "c1", NEXT, "no member of that cluster"),
        (Engine(), "c2", NEXT, "no member of that cluster"),
        (Engine(), "c1", EPOCH, Refusal.EPOCH.value),
        (Engine(), "c1", NEXT + 1, Refusal.EPOCH.value),
    ],
)
def test_who_has_no_vote_says_why(engine: Engine, cluster_id: str, epoch: int, why: str) -> None:
    """If the rings differ, so that the two are to compare them."""
    ring = OTHER._replace(cluster_id=cluster_id, epoch=epoch)
    for question in Prepare(5, cluster_id, epoch, ballot(3)), Accept(5, cluster_id, ballot(3), ring):
        engine.clear()
        engine.receive("n2", question)
        assert told(engine) == [Voted(5, NEVER, None, None, why)]
        assert not kept(engine)
        assert compared(engine) is (why == Refusal.EPOCH.value)


# Proposing -------------------------------------------------------------------------------------------------


class Proposing:
    """n1 (or n4, which has no vote) proposes that n1 leave; `ended` has what came of it."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.ended: list[tuple[RingState | None, str]] = []
        voting = engine.node.voting
        self.proposal = Proposal(engine.node.shared, voting, MINE, lambda ring, why, *_: self.ended.append((ring, why)))
        self.proposal.start(engine.now, engine.out)

    def asked(self, name: str) -> Prepare | Accept:
        return [each for each in self.engine.sent(name) if isinstance(each, Prepare | Accept)][-1]

    def says(self, name: str, accepted: Ballot | None = None, ring: RingState | None = None) -> None:
        question = self.asked(name)
        if isinstance(question, Accept):
            accepted, ring = question.ballot, question.ring
        self.engine.receive(name, Voted(question.rid, question.ballot, accepted, ring, ""))

    def refuses(self, name: str, why: str, promised: Ballot = NEVER) -> None:
        self.engine.receive(name, Voted(self.asked(name).rid, promised, None, None, why))


def test_a_majority_decides_and_our_own_durable_vote_is_one_of_it() -> None:
    proposing = Proposing(Engine())
    assert proposing.asked("n2") == Prepare(proposing.proposal.ticket, "c1", NEXT, ballot(1, "n1"))
    proposing.says("n2")
    promised = proposing.asked("n3")
    assert isinstance(promised, Prepare), "our own promise is not durable yet"
    assert store(proposing.engine) == Vote(NEXT, ballot(1, "n1"))
    assert proposing.asked("n3") == Accept(proposing.proposal.ticket, "c1", ballot(1, "n1"), MINE)
    assert store(proposing.engine).ring == MINE
    proposing.engine.receive("n3", Voted(promised.rid, promised.ballot, None, None, ""))
    assert not proposing.ended, "a promise that comes late is not taken for an acceptance"
    proposing.says("n3")
    assert proposing.ended == [(MINE, "")]


def test_a_ring_that_somebody_had_accepted_is_proposed_instead() -> None:
    """It may be decided; and who proposed is told which one it was."""
    proposing = Proposing(Engine())
    store(proposing.engine)
    proposing.says("n3", ballot(1, "n2"), THEIRS)
    question = proposing.asked("n2")
    assert isinstance(question, Accept) and question.ring == THEIRS
    assert store(proposing.engine).ring == THEIRS
    proposing.says("n2")
    assert proposing.ended == [(THEIRS, "")]


def test_a_ring_that_we_had_accepted_ourselves_is_proposed_instead() -> None:
    engine = Engine()
    accept(engine, 3)
    store(engine)
    proposing = Proposing(engine)
    assert proposing.asked("n2").ballot == ballot(4, "n1"), "beyond all that we have heard of"
    store(engine)
    proposing.says("n2", ballot(1, "n2"), THEIRS)
    question = proposing.asked("n2")
    assert isinstance(question, Accept) and question.ring == OTHER, "the one of the later ballot"


def test_whose_promise_went_to_a_later_ballot_is_no_vote_for_ours() -> None:
    """Our own, too, which was on its way to the disk."""
    proposing = Proposing(Engine())
    prepare(proposing.engine, 8, name="n3")
    store(proposing.engine)
    proposing.says("n2")
    assert isinstance(proposing.asked("n2"), Prepare)
    proposing.refuses("n3", OUTBID, ballot(12, "n3"))
    assert [ring for ring, _ in proposing.ended] == [None]
    assert f"n1: {OUTBID}; n3: {OUTBID}" in proposing.ended[0][1]
    assert Proposing(proposing.engine).asked("n2").ballot == ballot(13, "n1")


def test_the_word_of_somebody_who_has_no_vote_is_none() -> None:
    proposing = Proposing(settled_engine("n4"))
    assert not kept(proposing.engine), "nor has the proposer"
    ticket, mine = proposing.proposal.ticket, ballot(1, "n4")
    for _ in range(2):
        proposing.engine.receive("n9", Voted(ticket, mine, None, None, ""))
        proposing.says("n1")
        proposing.says("n1")
        assert isinstance(proposing.asked("n3"), Prepare)
    proposing.says("n2")
    assert proposing.asked("n3") == Accept(proposing.proposal.ticket, "c1", mine, MINE)


def test_without_a_majority_in_time_it_is_said_who_is_silent_and_who_refused() -> None:
    proposing = Proposing(Engine())
    store(proposing.engine)
    proposing.refuses("n2", REBUILDING)
    proposing.engine.wait(BALLOT_S - 0.02)
    assert not proposing.ended
    proposing.engine.wait(0.04)
    why = f"1 of the 2 voters needed agree (n2: {REBUILDING}; no answer from n3)"
    assert proposing.ended == [(None, why)] and not proposing.proposal.accepting
    again = Proposing(proposing.engine)
    store(proposing.engine)
    again.says("n2")
    store(proposing.engine, Refused(Refusal.DISK_FULL, ""))
    again.says("n2")
    proposing.engine.wait(BALLOT_S + 0.02)
    assert again.ended == [(None, "1 of the 2 voters needed agree (n1: disk full; no answer from n3)")]
    assert again.proposal.accepting, "it may be decided all the same"


def test_a_majority_that_refuses_ends_it_at_once_and_who_proposes_may_be_one_of_it() -> None:
    proposing = Proposing(rebuilt())
    assert not kept(proposing.engine), "it has no vote"
    assert not proposing.ended
    proposing.refuses("n2", "no voter")
    why = f"0 of the 2 voters needed agree (n1: {MUTE}; n2: no voter; no answer from n3)"
    assert proposing.ended == [(None, why)]


def test_a_proposal_ends_when_the_epoch_was_decided_otherwise() -> None:
    proposing = Proposing(Engine())
    tell(proposing.engine, OTHER)
    assert proposing.ended == [(None, "another change was decided first")]


# Started again, and rebuilt --------------------------------------------------------------------------------


def started_again(engine: Engine, **state: bytes) -> Engine:
    """The same node with what its store has kept."""
    engine.node.cluster.save_ring(engine.node.cluster.state, engine.out)
    ring = kept(engine, STATE_RING)[-1][1]
    again = Engine(nodes=len(engine.node.cluster.members))
    identity, me = Identity("store-n1", node_id("n1"), (1,), 2, "second", 0), again.node.config
    again.node = Node(
        me, identity, {STATE_RING: ring, **state}, rng=Random(3), entropy=Random(4).randbytes, wall_offset_s=0.0
    )
    return again


def test_who_is_started_again_stands_by_its_word() -> None:
    engine = Engine()
    accept(engine, 3)
    prepare(engine, 5)
    votes = [data for _, data in kept(engine)]
    again = started_again(engine, **{STATE_VOTE: votes[-1]})
    prepare(again, 4, name="n3")
    accept(again, 4, THEIRS, name="n3")
    assert [(answer.promised, answer.refused) for answer in told(again, "n3")] == [(ballot(5), OUTBID)] * 2
    prepare(again, 6, name="n3")
    assert store(again) == Vote(NEXT, ballot(6, "n3"), ballot(3), OTHER)
    assert Proposing(started_again(engine, **{STATE_VOTE: votes[-1]})).asked("n2").ballot == ballot(6, "n1")


def recalling(engine: Engine) -> list[Prepare]:
    """What a rebuilt voter asks n2 and n3."""
    questions = [[each for each in engine.sent(name) if isinstance(each, Prepare)] for name in ("n2", "n3")]
    assert questions[0] == questions[1]
    return questions[0]


def test_a_rebuilt_voter_has_no_vote_until_all_others_have_told_theirs() -> None:
    """Nor does it get one by being started again."""
    engine = started_again(rebuilt(), **{STATE_MUTE: kept(rebuilt(), STATE_MUTE)[0][1]})
    engine.wait(CHANGE_LOOK_S * 2)
    (question,) = recalling(engine)
    engine.receive("n2", Voted(question.rid, question.ballot, ballot(3), THEIRS, ""))
    prepare(engine, 9)
    assert told(engine) == [Voted(5, NEVER, None, None, MUTE)]
    assert not kept(engine)
    engine.receive("n3", Voted(question.rid, question.ballot, ballot(2), OTHER, ""))
    writes = [(write.name, write.data) for _, write in engine.out.persists if isinstance(write, SaveState)][-2:]
    assert [name for name, _ in writes] == [STATE_VOTE, STATE_MUTE], "in this order"
    assert msgspec.msgpack.decode(writes[0][1], type=Vote) == Vote(NEXT, question.ballot, ballot(3), THEIRS)
    assert writes[1][1] == b"%d %d" % (NEXT + 1, NEXT), "on this epoch, and not yet on the one after it"
    engine.clear()
    prepare(engine, 0, rid=7, name="n3")
    assert told(engine, "n3") == [Voted(7, question.ballot, None, None, OUTBID)]
    prepare(engine, 9, rid=8)
    store(engine)
    assert told(engine) == [Voted(8, ballot(9), ballot(3), THEIRS, "")]


def test_a_rebuilt_voter_asks_again_and_bids_higher_until_nobody_refuses() -> None:
    """One word is missing for as long as one voter is away: it may be the one that counts."""
    engine = rebuilt()
    engine.wait(CHANGE_LOOK_S * 2)
    (first,) = recalling(engine)
    engine.receive("n2", Voted(first.rid, first.ballot, None, None, ""))
    engine.receive("n3", Voted(first.rid, ballot(40, "n3"), None, None, OUTBID))
    engine.clear()
    engine.wait(BALLOT_S + CHANGE_LOOK_S)
    (second,) = recalling(engine)
    assert second.ballot == ballot(41, "n1")
    engine.receive("n3", Voted(first.rid, first.ballot, None, None, ""))
    engine.receive("n2", Voted(second.rid, second.ballot, None, None, ""))
    engine.receive("n4", Voted(second.rid, second.ballot, None, None, ""))
    assert engine.node.voting.refusal("c1", NEXT) == MUTE, "what n3 said was said to the first question"
    engine.receive("n3", Voted(second.rid, second.ballot, None, None, ""))
    assert engine.node.voting.refusal("c1", NEXT) == ""
    engine.clear()
    engine.wait(3 * RECALL_S)
    assert not recalling(engine)


def test_what_was_said_of_an_epoch_that_is_decided_binds_nobody_in_the_next() -> None:
    engine = Engine()
    accept(engine, 9)
    store(engine)
    tell(engine, OTHER)
    engine.clear()
    prepare(engine, 1, epoch=NEXT + 1)
    assert store(engine) == Vote(NEXT + 1, ballot(1))
    assert told(engine) == [Voted(5, ballot(1), None, None, "")]


def test_a_voter_that_is_the_only_one_contradicts_nobody_and_has_its_vote() -> None:
    assert engine_with(ring=sealed_ring(["n1"]), mute_until=NEXT).node.voting.refusal("c1", NEXT) == ""

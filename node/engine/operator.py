"""What an operator asks of the ring: a change, its plan, or that the one under way is given up (DYN.CLUSTER).

    LEAVE n · REMOVE n… [ACCEPT p] · REMOVE n FORCE · REPLACE old new · WEIGHT n w · ZONE n z [n z]… · ROTATE · ABANDON,
                             each with [EPOCH e]
    PLAN <one of these>      what it would do; COMMIT <its id> does just that, and nothing if the ring has changed

Any node takes it and proposes it; what the voters decide is what happens, and the answer says which that is.
What dead nodes may have held alone is given up with them only if a person says of how many partitions (ACCEPT).
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from node.core import change
from node.core.change import Impossible, Stake
from node.core.cluster import Change, Member, RingState
from node.core.ids import Instant, NodeId
from node.core.labels import label
from node.core.limits import PARTITIONS_MAX, WEIGHT_MAX
from node.engine.changes import Changes, replacing, seat_of
from node.engine.operation import Asker, Shared, unavailable, unknown
from node.engine.outbox import Outbox
from node.engine.plans import plan_document
from node.engine.seats import SECRET_BYTES
from node.engine.survey import Answers, Survey
from node.engine.voting import Done
from node.wire import requests
from node.wire.requests import Failed, Inspect

Words = tuple[str, ...]

USAGE = (
    "PLAN … | COMMIT id | LEAVE node | REMOVE node… [ACCEPT partitions] | REMOVE node FORCE | REPLACE old new | "
    "WEIGHT node w | ZONE node zone [node zone]… | ROTATE | ABANDON, each with [EPOCH e]"
)


DECIDING = "another change is being decided here: ask again in a moment"

NOTHING = Stake(0, 0)

WORDS_BYTES_MAX = 200
"""A ring tells the names of who was removed, if they are no longer than that: its words have a bound."""


class Wanted(NamedTuple):
    """What was asked, understood: the epoch that shall come next, and who is taken for dead in it.

    `forced`: without the voters. `stake` is what may be lost, and of so many partitions it was `accepted`.
    """

    ring: RingState
    dead: tuple[NodeId, ...] = ()
    forced: bool = False
    stake: Stake = NOTHING
    accepted: int = 0


class Operator:
    """Answers DYN.CLUSTER."""

    def __init__(self, shared: Shared, changes: Changes) -> None:
        self.shared = shared
        self.changes = changes

    def asked(self, request: Inspect, asker: Asker, now: Instant, out: Outbox) -> None:
        """Do what the arguments say, or say why not."""
        try:
            words = tuple([word.decode() for word in request.arguments])
        except UnicodeDecodeError:
            words = ()
        verb = words[0].upper() if words else ""
        plans = verb == "PLAN"
        if verb == "COMMIT" and len(words) == 2:
            words = tuple(words[1].split(":"))
        elif plans:
            words = words[1:]
        wanted = self._understand(words, now)
        if isinstance(wanted, Failed):
            asker.answer(wanted, out)
        elif plans:
            self._plan(unpinned(words), wanted, request.timeout_ms, asker, now, out)
        else:
            self._do(wanted, asker, now, out)

    def _understand(self, words: Words, now: Instant) -> Wanted | Failed:
        """The epoch that would come of it, or what is wrong."""
        state = self.shared.cluster.state
        if unpinned(words) != words and words[-1] != str(state.epoch):
            return _refused(f"that was meant for epoch {words[-1]}, and the ring is in {state.epoch}: plan it anew")
        words = unpinned(words)
        try:
            return self._next(words, state, now)
        except Impossible as error:
            return _refused(f"{' '.join(words).lower()}: {error}")

    def _next(self, words: Words, state: RingState, now: Instant) -> Wanted | Failed:
        verb, rest = words[0].upper() if words else "", words[1:]
        match verb, len(rest):
            case "ABANDON", 0:
                if state.before is None:
                    raise Impossible("nothing is moving")
                return Wanted(change.abandon(state))
            case "ROTATE", 0:
                return Wanted(change.rotate(state, self.changes.seats.entropy(SECRET_BYTES), self.shared.me))
            case "LEAVE", 1:
                leaver = self._member(rest[0])
                return Wanted(change.begin(state, Change(change.LEAVE, leaver.id, words=f"leave {leaver.name}")))
            case "REMOVE", 2 if rest[1].upper() == "FORCE":
                return self._remove_by_force(self._member(rest[0]), state)
            case "REMOVE", count if count > 0:
                return self._remove(rest, state)
            case "REPLACE", 2:
                old, new = self._member(rest[0]), self._member(rest[1])
                self._check_dead(old)
                return Wanted(change.begin(state, replacing(old, new), seat_of(new)), (old.id,))
            case "WEIGHT", 2 if _is_number(rest[1], WEIGHT_MAX):
                member = self._member(rest[0])
                seat = seat_of(member)._replace(weight=int(rest[1]))
                words_ = f"weight {member.name} {rest[1]}"
                return Wanted(change.begin(state, Change(change.WEIGHT, member.id, words=words_), seat))
            case "ZONE", count if count and count % 2 == 0:
                return Wanted(self._rezone(rest, state))
        return Failed("ERR", f"DYN.CLUSTER {USAGE}")

    def _member(self, name: str) -> Member:
        """The member of that name, or id."""
        members = self.shared.cluster.members.values()
        found = [member for member in members if name in (member.name, member.id)]
        if len(found) != 1:
            names = ", ".join(sorted(member.name for member in members))
            raise Impossible(f"no member is called {name}; there are {names}")
        return found[0]

    def _rezone(self, rest: Words, state: RingState) -> RingState:
        zones: dict[NodeId, str] = {}
        for name, zone in zip(rest[::2], rest[1::2], strict=True):
            member = self._member(name)
            if member.id in zones:
                raise Impossible(f"{member.name} is named twice")
            try:
                zones[member.id] = label(zone)
            except ValueError as error:
                raise Impossible(f"{zone!r} is no zone: {error}") from None
        names = [f"{self.shared.cluster.name(node)} {zone}" for node, zone in zones.items()]
        return change.rezone(state, zones, _named(change.ZONE, names))

    def _check_dead(self, member: Member) -> None:
        if self.shared.cluster.is_up(member.id):
            raise Impossible(f"{member.name} answers: to have it hand over what it holds, leave it")

    def _remove(self, rest: Words, state: RingState) -> Wanted:
        """All of them in one epoch: what each alone would need of another dead one, nobody waits for."""
        accepted = 0
        if len(rest) > 2 and rest[-2].upper() == "ACCEPT" and _is_number(rest[-1], PARTITIONS_MAX):
            rest, accepted = rest[:-2], int(rest[-1])
        members = list(dict.fromkeys(self._member(name) for name in rest))
        for member in members:
            self._check_dead(member)
        nodes = tuple([member.id for member in members])
        ring = change.remove(state, nodes, _named(change.REMOVE, [member.name for member in members]))
        return Wanted(ring, nodes, stake=change.at_stake(state, nodes), accepted=accepted)

    def _remove_by_force(self, member: Member, state: RingState) -> Wanted:
        """Of two nodes neither decides anything alone; a person may, who knows that the other is gone for good."""
        me = self.shared.cluster.me.id
        self._check_dead(member)
        if len(state.voters) != 2 or me not in state.voters:
            raise Impossible("force is for the last of two voters: more of them decide by majority")
        if state.before is not None:
            state = change.abandon(state)
        moving = change.remove(state, (member.id,), _named(change.REMOVE, [member.name]))
        return Wanted(change.settle(moving), forced=True)

    def _do(self, wanted: Wanted, asker: Asker, now: Instant, out: Outbox) -> None:
        if sum(wanted.stake) != wanted.accepted:
            asker.answer(_refused(_unaccepted(wanted)), out)
            return
        if wanted.forced:
            self.changes.decree(wanted.ring, now, out)
            _tell(asker, self._document(wanted.ring), out)
            return
        if self.changes.busy:
            asker.answer(Failed("BUSY", DECIDING), out)
            return

        def done(decided: RingState | None, why: str, then: Instant, effects: Outbox) -> None:
            if wanted.ring in (decided, self.shared.cluster.ring):
                _tell(asker, self._document(wanted.ring), effects)
            elif decided is not None or self.shared.cluster.epoch >= wanted.ring.epoch:
                now_is = self.shared.cluster.state
                text = f"another change was decided first: epoch {now_is.epoch}, {change.words(now_is)}"
                asker.answer(_refused(text), effects)
            elif self.changes.may_be_decided:
                asker.answer(unknown(f"membership: {why}"), effects)
            else:
                asker.answer(unavailable(f"membership cannot change here: {why}"), effects)

        if wanted.dead:
            self._propose_unless_heard(wanted.ring, wanted.dead, done, asker, now, out)
        else:
            self.changes.propose(wanted.ring, done, now, out)

    def _propose_unless_heard(
        self, ring: RingState, dead: tuple[NodeId, ...], done: Done, asker: Asker, now: Instant, out: Outbox
    ) -> None:
        """Nobody is taken for dead on the word of one node: what a live one holds for others would go with it."""

        def heard(answers: str, then: Instant, effects: Outbox) -> None:
            if answers:
                asker.answer(_refused(f"{answers}: to have it hand over what it holds, leave it"), effects)
            elif self.changes.busy:
                asker.answer(Failed("BUSY", DECIDING), effects)
            elif self.shared.cluster.epoch + 1 != ring.epoch:
                asker.answer(_refused("another change was decided first: plan it anew"), effects)
            else:
                self.changes.propose(ring, done, then, effects)

        self.changes.ask_who_hears(dead, heard, now, out)

    def _plan(self, words: Words, wanted: Wanted, timeout_ms: int, asker: Asker, now: Instant, out: Outbox) -> None:
        def heard(answers: Answers, then: Instant, effects: Outbox) -> None:
            _tell(asker, plan_document(self.shared, words, wanted.ring, wanted.stake, answers), effects)

        Survey(self.shared, heard).start("status", timeout_ms, now, out)

    def _document(self, ring: RingState) -> dict[str, object]:
        return {
            "schema": "dyn.change/v1",
            "epoch": ring.epoch,
            "change": change.words(ring),
            "state": "settled" if ring.before is None else "moving",
        }


def unpinned(words: Words) -> Words:
    """The words without the epoch that they are meant for."""
    return words[:-2] if len(words) > 2 and words[-2].upper() == "EPOCH" else words


def _is_number(word: str, most: int) -> bool:
    """Whether a word is a whole number, of no more digits than `most` has."""
    return word.isascii() and word.isdigit() and len(word) <= len(str(most))


def _named(kind: str, names: list[str]) -> str:
    """The words of a change of several nodes: with all names, if there is room for them."""
    text = f"{kind} {' '.join(names)}"
    return text if len(text.encode()) <= WORDS_BYTES_MAX or len(names) == 1 else f"{kind} {len(names)} nodes"


def _unaccepted(wanted: Wanted) -> str:
    """Why a removal is not done that may cost data."""
    lost, doubtful = wanted.stake
    if not lost + doubtful:
        return f"nothing is at stake, and not {wanted.accepted} partitions: plan it anew"
    parts = [f"{lost} partitions keep no owner"] if lost else []
    parts += [f"of {doubtful} the owners that go may have acknowledged writes alone"] if doubtful else []
    return f"{' and '.join(parts)}: say that this is accepted, with ACCEPT {lost + doubtful}"


def _refused(text: str) -> Failed:
    return Failed("REFUSED", text)


def _tell(asker: Asker, document: dict[str, object], out: Outbox) -> None:
    asker.answer(requests.Document(msgspec.json.encode(document)), out)

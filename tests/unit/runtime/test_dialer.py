"""Dialling again: the pauses, what is reported, and how many addresses."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from node.core.ids import NodeId
from node.runtime import dialer
from node.runtime.dialer import Redialer
from node.wire.handshake import Accepted, Hello, Outcome, Reason, Rejected
from tests.helpers.peers import until

PEER = NodeId("0" * 31 + "1")
HELLO = Hello("", PEER, "n1", "h", 1, 0, False, "s", "life")


class Dialled:
    """A redialer over a fake network: `answers` are given in order, the last one for ever."""

    def __init__(self, *answers: Outcome | OSError) -> None:
        self.answers = list(answers)
        self.attempts: list[float] = []
        self.facts: list[dict[str, object]] = []
        self.linked = False
        self.failed: list[str] = []
        self.redialer = Redialer(
            self.attempt, lambda _: self.linked, lambda _, fields: self.facts.append(fields), Random(1),
            self.failed.append,
        )  # fmt: skip

    async def attempt(self, address: str) -> Outcome:
        self.attempts.append(asyncio.get_running_loop().time())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, OSError):
            raise answer
        self.linked = isinstance(answer, Accepted)
        return answer

    @property
    def gaps(self) -> list[float]:
        return [b - a for a, b in zip(self.attempts, self.attempts[1:], strict=False)]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialer, "DIAL_BACKOFF_S_MIN", 0.02)
    monkeypatch.setattr(dialer, "DIAL_BACKOFF_S_MAX", 0.08)


def test_pauses_double_up_to_the_limit_and_are_drawn_by_lot() -> None:
    async def main() -> None:
        d = Dialled(OSError(111, "Connection refused"))
        d.redialer.keep("h:1")
        await until(lambda: len(d.attempts) == 9)
        await d.redialer.close()
        assert all(gap >= least / 2 for gap, least in zip(d.gaps, [0.02, 0.04, *[0.08] * 6], strict=True)), d.gaps
        assert min(d.gaps[2:]) < 0.078, "no lot was drawn"
        assert d.facts == [{"address": "h:1", "why": "Connection refused"}]

    asyncio.run(main())


def test_each_new_failure_is_reported() -> None:
    async def main() -> None:
        d = Dialled(OSError(111, "a"), OSError(111, "a"), Rejected(Reason.KEY, told=True), OSError(113, "b"))
        d.redialer.keep("h:1")
        await until(lambda: len(d.facts) == 3)
        await d.redialer.close()
        assert [fact["why"] for fact in d.facts] == ["a", "the node there says: another cluster key", "b"]

    asyncio.run(main())


def test_no_dial_while_linked_and_a_quick_one_after() -> None:
    async def main() -> None:
        d = Dialled(Accepted(HELLO))
        d.redialer.keep("h:1")
        await until(lambda: d.linked)
        d.redialer.retry_now()
        for _ in range(100):
            await asyncio.sleep(0)
        assert len(d.attempts) == 1
        d.linked = False
        d.redialer.unlinked(PEER)
        await until(lambda: len(d.attempts) == 2)
        await d.redialer.close()

    asyncio.run(main())


def test_who_accepts_and_hangs_up_is_not_dialled_in_a_circle() -> None:
    async def main() -> None:
        d = Dialled(Accepted(HELLO))
        d.redialer._is_linked = lambda _: False
        d.redialer.keep("h:1")
        await until(lambda: len(d.attempts) == 5)
        await d.redialer.close()
        assert all(gap >= least / 2 for gap, least in zip(d.gaps, [0.02, 0.04, 0.08, 0.08], strict=True)), d.gaps

    asyncio.run(main())


def test_only_what_proves_itself_to_be_this_node_is_never_dialled_again() -> None:
    async def main() -> None:
        d = Dialled(Rejected(Reason.SELF, told=True), Rejected(Reason.SELF))
        d.redialer.keep("h:1")
        await until(lambda: d.redialer.addresses == ())
        d.redialer.keep("h:1")
        assert d.redialer.addresses == () and len(d.attempts) == 2, "anybody can say so, once more it was proven"

    asyncio.run(main())


def test_every_failed_attempt_is_told_and_no_other() -> None:
    """Whoever offered the address may take it back."""

    async def main() -> None:
        d = Dialled(OSError(111, "a"), OSError(111, "a"), Rejected(Reason.KEY), Accepted(HELLO))
        d.redialer.keep("h:1")
        await until(lambda: d.linked)
        assert d.failed == ["h:1"] * 3
        d.redialer.keep("no port")
        assert d.failed[3:] == ["no port"]
        await d.redialer.close()

    asyncio.run(main())


def test_our_own_addresses_are_remembered_up_to_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever announces 127.0.0.1 to 127.255.255.254 must not fill our memory."""
    monkeypatch.setattr(dialer, "CANDIDATES_MAX", 2)

    async def main() -> None:
        d = Dialled(Rejected(Reason.SELF))
        for number in 1, 2, 3:
            d.redialer.keep(f"h:{number}")
        await until(lambda: len(d.failed) == 3)
        d.redialer.keep("h:3")
        assert d.failed[3:] == ["h:3"], "known, and told without a dial"
        assert len(d.redialer._own) == 2 and len(d.attempts) == 3
        await d.redialer.close()

    asyncio.run(main())


def test_so_many_addresses_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialer, "DIALS_MAX", 2)

    async def main() -> None:
        d = Dialled(OSError(111, "no"))
        for address in "a:1", "b:1", "b:1", "c:1":
            d.redialer.keep(address)
        assert d.redialer.addresses == ("a:1", "b:1")
        assert d.facts == [{"address": "c:1", "why": "2 addresses are dialled already"}]
        d.redialer.forget("a:1")
        d.redialer.keep("c:1")
        assert d.redialer.addresses == ("b:1", "c:1")
        await d.redialer.close()

    asyncio.run(main())


def test_an_attempt_that_was_under_way_when_everybody_was_urged_is_repeated_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It began before what it was refused for was over."""
    monkeypatch.setattr(dialer, "DIAL_BACKOFF_S_MIN", 60.0)
    monkeypatch.setattr(dialer, "DIAL_BACKOFF_S_MAX", 60.0)

    async def main() -> None:
        release = asyncio.Event()
        attempts: list[str] = []

        async def attempt(address: str) -> Outcome:
            attempts.append(address)
            await release.wait()
            return Rejected(Reason.MALFORMED, "it hung up")

        redialer = Redialer(attempt, lambda _: False, lambda *_: None, Random(1))
        redialer.keep("h:1")
        await until(lambda: len(attempts) == 1)
        redialer.retry_now()
        release.set()
        await until(lambda: len(attempts) == 2)
        for _ in range(10):
            await asyncio.sleep(0.002)
        assert len(attempts) == 2, "once for each urging"
        await redialer.close()

    asyncio.run(main())

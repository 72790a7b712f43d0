"""Keeping links open to addresses: one task per address that dials, backs off, and sleeps while its node is linked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final

from node.core.ids import NodeId
from node.core.limits import CANDIDATES_MAX, DIAL_BACKOFF_S_MAX, DIAL_BACKOFF_S_MIN, DIALS_MAX
from node.runtime.sockets import split_address
from node.wire.handshake import Outcome, Reason, Rejected

OK: Final = ""


class Target:
    """An address that is kept dialled, and what is known about it."""

    __slots__ = ("address", "failure", "peer", "task", "wake")

    def __init__(self, address: str) -> None:
        self.address = address
        self.peer: NodeId | None = None  # who answered there last
        self.failure = OK  # the last reported one: each is reported once
        self.wake = asyncio.Event()
        self.task: asyncio.Task[None] | None = None


class Redialer:
    """Dials every address it was told to `keep` whose node has no link.

    `attempt` connects and returns how the opening ended, or raises OSError; `is_linked` says whether a node has a link
    that will do, by this address or another, by this side's dialling or its own. `failed` hears of every attempt in
    which nobody proved to be another node of the cluster.
    """

    def __init__(
        self,
        attempt: Callable[[str], Awaitable[Outcome]],
        is_linked: Callable[[NodeId], bool],
        fact: Callable[[str, dict[str, object]], None],
        rng: Random,
        failed: Callable[[str], None] = lambda address: None,
    ) -> None:
        self._attempt = attempt
        self._is_linked = is_linked
        self._fact = fact
        self._failed = failed
        self._rng = rng
        self._targets: dict[str, Target] = {}
        self._own: dict[str, None] = {}  # addresses that turned out to be this node's
        self._urges = 0  # how often everybody was to be tried at once

    @property
    def addresses(self) -> tuple[str, ...]:
        """What is kept dialled."""
        return tuple(self._targets)

    def keep(self, address: str) -> None:
        """Keep a link to `address`. Saying it again does nothing."""
        if address in self._targets:
            return
        if address in self._own:
            self._failed(address)
            return
        if len(self._targets) >= DIALS_MAX:
            self._refuse(address, f"{DIALS_MAX} addresses are dialled already")
            return
        try:
            split_address(address)
        except ValueError as error:
            self._refuse(address, str(error))
            return
        target = self._targets[address] = Target(address)
        target.task = asyncio.get_running_loop().create_task(self._run(target), name=f"dial {address}")

    def _refuse(self, address: str, why: str) -> None:
        self._fact("dial-refused", {"address": address, "why": why})
        self._failed(address)

    def forget(self, address: str) -> None:
        """Stop dialling `address`; a link that stands stays."""
        target = self._targets.pop(address, None)
        if target is not None and target.task is not None:
            target.task.cancel()

    def linked(self, peer: NodeId, address: str) -> None:
        """`peer`, which says that it listens at `address`, has a link now."""
        target = self._targets.get(address)
        if target is not None:
            target.peer = peer

    def unlinked(self, peer: NodeId) -> None:
        """`peer` has no link any more."""
        for target in self._targets.values():
            if target.peer == peer:
                target.wake.set()

    def retry_now(self) -> None:
        """Try everybody again without waiting: what they refused us for may be over.

        An attempt under way began under the old state of things: when it fails, it is repeated at once.
        """
        self._urges += 1
        for target in self._targets.values():
            target.wake.set()

    async def close(self) -> None:
        """Stop dialling."""
        tasks = [target.task for target in self._targets.values() if target.task is not None]
        self._targets.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, target: Target) -> None:
        """Dial, wait while there is a link, back off, for ever."""
        loop = asyncio.get_running_loop()
        pause_s = DIAL_BACKOFF_S_MIN
        while True:
            urges = self._urges
            if not self._linked(target):
                failure, over = await self._once(target)
                if failure != OK and failure != target.failure:
                    self._fact("dial-failed", {"address": target.address, "why": failure})
                target.failure = failure
                if over:
                    self._never_again(target.address)
                    return
                if failure != OK:
                    self._failed(target.address)
                if failure != OK and urges != self._urges:
                    pause_s = DIAL_BACKOFF_S_MIN
                    continue
            since = loop.time()
            while self._linked(target):
                target.wake.clear()
                await target.wake.wait()
            if loop.time() - since >= DIAL_BACKOFF_S_MAX:
                pause_s = DIAL_BACKOFF_S_MIN  # the link lasted: whoever was there may be back at once
            target.wake.clear()
            try:
                async with asyncio.timeout(pause_s * (1 - self._rng.random() / 2)):
                    await target.wake.wait()
                pause_s = DIAL_BACKOFF_S_MIN
            except TimeoutError:
                pause_s = min(2 * pause_s, DIAL_BACKOFF_S_MAX)

    def _never_again(self, address: str) -> None:
        """It is our own. Of too many such addresses (any of 127.0.0.0/8 may be) the first is forgotten."""
        self._own[address] = None
        if len(self._own) > CANDIDATES_MAX:
            del self._own[next(iter(self._own))]
        self._targets.pop(address, None)
        self._failed(address)

    def _linked(self, target: Target) -> bool:
        return target.peer is not None and self._is_linked(target.peer)

    async def _once(self, target: Target) -> tuple[str, bool]:
        """One attempt: why it failed, if it did, and whether it shall not be repeated."""
        try:
            outcome = await self._attempt(target.address)
        except TimeoutError:
            return "no answer", False
        except (OSError, UnicodeError) as error:
            return getattr(error, "strerror", None) or str(error), False
        if isinstance(outcome, Rejected):
            said = "the node there says: " if outcome.told else ""
            detail = f" ({outcome.detail})" if outcome.detail else ""
            return f"{said}{outcome.reason.value}{detail}", outcome.reason is Reason.SELF and not outcome.told
        target.peer = NodeId(outcome.peer.node_id)
        return OK, False

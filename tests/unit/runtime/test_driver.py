"""One turn of the loop: what was stepped together leaves together, reads join their own flush, time comes once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any

from node.core.ids import NodeId
from node.core.row import EMPTY
from node.engine.events import Asked, Event, Loaded, Measured, PeerDown, Persisted, Reached, ScannedHere
from node.engine.outbox import Outbox
from node.runtime.driver import Driver
from node.runtime.measures import LOOKS, Measures
from node.storage.port import Merged, Page, StorageStopped, Unreadable
from node.wire.messages import Ping
from node.wire.requests import Found, Get
from tests.helpers.peers import until

PEER = NodeId("1" * 32)
FOUND = Found(EMPTY)


class Engine:
    """Plays the node: `on` says what each kind of event writes into the outbox."""

    def __init__(self) -> None:
        self.on: dict[type, Callable[[Any, Outbox], None]] = {}
        self.events: list[Event] = []
        self.deadline = monotonic() + 100

    def start(self, now: float, out: Outbox) -> None:
        out.dial("a:1")

    def step(self, event: Event, now: float, out: Outbox) -> None:
        self.events.append(event)
        if type(event) in self.on:
            self.on[type(event)](event, out)

    def next_deadline(self) -> float:
        return self.deadline

    def kinds(self) -> list[str]:
        return [type(event).__name__ for event in self.events]


class World:
    """Everything around a driver, as lists."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.did: list[tuple[str, Any]] = []
        self.rows: dict[bytes, bytes | Unreadable | None] = {}
        self.stopped = False
        measures = Measures(monotonic, totals=lambda: (0, 0, 0, 0, 9), hints=tuple, storage=dict, queues=dict)
        self.measures = measures
        self.driver = Driver(
            self.engine,  # type: ignore[arg-type]  # plays the node
            self,
            self,
            measures,
            lambda kind, fields: self.did.append(("fact", kind)),
            lambda: self.did.append(("change", None)),
        )

    def fetch_many(self, keys: Sequence[bytes]) -> list[bytes | Unreadable | None]:
        if self.stopped:
            raise StorageStopped("EIO")
        self.did.append(("fetch", list(keys)))
        return [self.rows.get(key) for key in keys]

    def scan(self, partition: int, partitions: int, after: bytes, limit: int) -> Page:
        if self.stopped:
            raise StorageStopped("EIO")
        return Page(((b"k", b"row"),), b"next" if not after else None)

    def submit(self, writes: Sequence[Any]) -> None:
        self.did.append(("submit", list(writes)))

    def send(self, peer: NodeId, messages: Sequence[Any]) -> None:
        self.did.append(("send", (peer, list(messages))))

    def dial(self, address: str, *, keep: bool = True) -> None:
        self.did.append(("dial", (address, keep)))

    async def turns(self, count: int = 3) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    def of(self, kind: str) -> list[Any]:
        return [value for name, value in self.did if name == kind]


def run(test: Callable[[World], Awaitable[None]]) -> None:
    async def main() -> None:
        world = World()
        try:
            await test(world)
        finally:
            world.driver.stop()

    asyncio.run(main())


def test_what_is_asked_in_one_turn_leaves_in_one_frame_and_one_transaction() -> None:
    def ask(event: Asked, out: Outbox) -> None:
        out.send(PEER, Ping(event.ticket))
        out.persist(event.ticket, f"write {event.ticket}")  # type: ignore[arg-type]  # the driver passes it on, whatever it is

    async def test(world: World) -> None:
        world.engine.on[Asked] = ask
        for _ in range(3):
            world.driver.submit(Get(b"k"), lambda result: None)
        assert world.did == []
        await world.turns()
        assert world.of("send") == [(PEER, [Ping(1), Ping(2), Ping(3)])]
        assert world.of("submit") == [[(1, "write 1"), (2, "write 2"), (3, "write 3")]]
        assert world.driver.flushes == 1

    run(test)


def test_a_local_read_and_what_follows_from_it_join_the_same_flush() -> None:
    async def test(world: World) -> None:
        world.rows = {b"k": b"row", b"bad": Unreadable("checksum")}
        world.engine.on[Asked] = lambda event, out: out.load(event.ticket, event.request.key)
        world.engine.on[Loaded] = lambda event, out: out.reply(event.ticket, FOUND)
        answers: list[Any] = []
        for key in (b"k", b"bad", b"absent"):
            world.driver.submit(Get(key), answers.append)
        await world.turns(1)
        await world.turns(1)
        assert answers == [FOUND] * 3
        assert world.of("fetch") == [[b"k", b"bad", b"absent"]]
        assert world.driver.flushes == 1
        assert world.engine.events[3:] == [Loaded(1, b"row", True), Loaded(2, None, False), Loaded(3, None, True)]

    run(test)


def test_a_stopped_store_reads_as_unreadable() -> None:
    async def test(world: World) -> None:
        world.stopped = True
        world.engine.on[Asked] = lambda event, out: (out.load(1, b"k"), out.scan(2, 0, 1, b"", 10))[0]
        world.driver.submit(Get(b"k"), lambda result: None)
        await world.turns()
        assert world.engine.events[1:] == [Loaded(1, None, False), ScannedHere(2, (), False, readable=False)]

    run(test)


def test_scans_and_measures_are_answered() -> None:
    async def test(world: World) -> None:
        def ask(event: Asked, out: Outbox) -> None:
            out.scan(1, 0, 16, b"", 10)
            out.measure(2)

        world.engine.on[Asked] = ask
        world.driver.submit(Get(b"k"), lambda result: None)
        await world.turns()
        scanned, measured = world.engine.events[1:]
        assert scanned == ScannedHere(1, ((b"k", b"row"),), True)
        assert isinstance(measured, Measured)
        assert measured.figures["ops"] == {"get": 0, "put": 0, "del": 0}

    run(test)


def test_each_request_is_answered_once_and_counted() -> None:
    async def test(world: World) -> None:
        answers: list[Any] = []
        world.driver.submit(Get(b"k"), answers.append)
        assert world.driver.in_flight == 1
        world.engine.on[Persisted] = lambda event, out: out.reply(1, FOUND)
        world.driver.persisted([(9, Merged(b"", False))])
        await world.turns()
        assert answers == [FOUND]
        assert world.driver.in_flight == 0
        assert world.driver._measures.count("get") == 1

    run(test)


def test_a_reply_may_ask_again() -> None:
    async def test(world: World) -> None:
        answers: list[Any] = []
        world.engine.on[Asked] = lambda event, out: out.reply(event.ticket, FOUND)

        def again(result: Any) -> None:
            answers.append(result)
            if len(answers) < 3:
                world.driver.submit(Get(b"k"), again)

        world.driver.submit(Get(b"k"), again)
        await world.turns(6)
        assert len(answers) == 3

    run(test)


def test_what_changed_is_known_before_a_message_leaves() -> None:
    async def test(world: World) -> None:
        def down(event: PeerDown, out: Outbox) -> None:
            out.send(PEER, Ping(1))
            out.fact("seated")

        world.engine.on[PeerDown] = down
        world.driver.happened([PeerDown(PEER)])
        await world.turns()
        assert [name for name, _ in world.did] == ["fact", "change", "send"]

    run(test)


def test_time_comes_when_it_is_due_and_not_before() -> None:
    async def test(world: World) -> None:
        began = monotonic()
        world.engine.deadline = began + 0.05
        reached: list[float] = []

        def on_reached(event: Reached, out: Outbox) -> None:
            reached.append(monotonic())
            world.engine.deadline = monotonic() + 100

        world.engine.on[Reached] = on_reached
        world.driver.start()
        await until(lambda: reached)
        assert reached[0] - began >= 0.05
        assert world.of("dial") == [("a:1", True)]

    run(test)


def test_an_earlier_deadline_moves_the_timer_forward() -> None:
    async def test(world: World) -> None:
        world.engine.deadline = monotonic() + 50
        world.driver.start()
        await world.turns()
        world.engine.deadline = monotonic() + 0.02
        world.driver.happened([PeerDown(PEER)])
        await until(lambda: "Reached" in world.engine.kinds())

    run(test)


def test_a_look_tells_what_clients_have_just_seen_and_how_far_the_store_has_come() -> None:
    """Not the percentile that is shown, which remembers longer."""

    async def test(world: World) -> None:
        world.measures.done(Get(b"k"), FOUND, 0.3)
        for _ in range(LOOKS):
            world.measures.look_p99_ms()
        assert world.measures.slowest_ms("p99") is not None
        world.engine.deadline = monotonic()
        world.driver.start()
        await until(lambda: "Reached" in world.engine.kinds())
        assert world.engine.events[0] == Reached(True, None, 9)
        world.driver.stop()

    run(test)


def test_nothing_happens_after_stop() -> None:
    async def test(world: World) -> None:
        world.driver.submit(Get(b"k"), lambda result: None)
        world.driver.stop()
        await world.turns()
        world.driver.happened([PeerDown(PEER)])
        world.driver.persisted([])
        world.driver.submit(Get(b"k"), lambda result: None)
        await world.turns()
        assert world.engine.kinds() == ["Asked"]
        assert world.driver.flushes == 0

    run(test)

"""Replicas of one key beside a model that is too simple to be wrong: sets of writes, and what each write had seen."""

from __future__ import annotations

from typing import Any, NamedTuple

from hypothesis import strategies as st

from node.core.row import EMPTY, Actor, Clock, Dot, Row, Version
from node.core.version import advance, join, merge, own_clock

STORES = 3


class Write(NamedTuple):
    """One write of the model: its dot, and all writes that its writer had seen."""

    dot: Dot
    saw: frozenset[Dot]


class Known(NamedTuple):
    """A context, twice: as the store tells it, and as the set it stands for."""

    clock: Clock
    dots: frozenset[Dot]


NOTHING = Known((), frozenset())


def dots_of(clock: Clock) -> set[Dot]:
    """The set that a clock writes short."""
    whole: dict[tuple[int, int], int] = {}
    dots: set[Dot] = set()
    for epoch, birth, n in clock:
        if (epoch, birth) in whole:
            dots.add(Dot(epoch, birth, n))
        else:
            whole[epoch, birth] = n
            dots |= {Dot(epoch, birth, i) for i in range(1, n + 1)}
    return dots


def clock_of(dots: set[Dot]) -> Clock:
    """The clock of a set: the definition, read aloud."""
    clock: list[Dot] = []
    for epoch, birth in sorted({dot[:2] for dot in dots}):
        numbers = {dot.n for dot in dots if dot[:2] == (epoch, birth)}
        top = next(n for n in range(len(numbers) + 1) if n + 1 not in numbers)
        clock += [Dot(epoch, birth, n) for n in [top, *sorted(n for n in numbers if n > top)]]
    return tuple(clock)


class Store:
    """One replica. `model` holds every write that reached it; what it should show follows from that alone."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch
        self.row = EMPTY
        self.model: dict[Dot, Write] = {}
        self.births = 0
        self.life: Actor | None = None

    def put(self, context: Known, value: bytes | None, *, fresh_births: bool = True) -> Known:
        """Write, and return what the writer may go on with."""
        if self.life is None:
            self.births += fresh_births or not self.births
            self.life = Actor(self.epoch, self.births)
        self.row, dot = advance(self.row, context.clock, self.life, value, written_at_ms=0, writer="")
        self.model[dot] = Write(dot, context.dots)
        new = next(version for version in self.row.versions if version.dot == dot)
        return Known(own_clock(new), context.dots | {dot})

    def get(self) -> Known:
        """What a reader of this store knows."""
        return Known(self.row.clock, frozenset(self.seen))

    def take(self, other: Store) -> None:
        """Replicate the other's row into this one."""
        self.row = merge(self.row, other.row)
        self.model |= other.model

    def drop(self) -> None:
        """Forget the row, as a stand-in may that has handed it over."""
        self.row, self.model, self.life = EMPTY, {}, None

    @property
    def seen(self) -> set[Dot]:
        """Every write that reached this store or was seen by one that did."""
        return set(self.model).union(*(write.saw for write in self.model.values()))

    @property
    def siblings(self) -> set[Dot]:
        """What this store should show: writes that no other write of the model had seen."""
        return set(self.model).difference(*(write.saw for write in self.model.values()))

    def agree(self) -> None:
        """The store says what the model says."""
        assert {version.dot for version in self.row.versions} == self.siblings
        assert dots_of(self.row.clock) == self.seen


class World:
    """A few stores, and every context that anybody was ever given."""

    def __init__(self, *, fresh_births: bool = True) -> None:
        self.stores = [Store(epoch) for epoch in range(1, STORES + 1)]
        self.contexts = [NOTHING]
        self.fresh_births = fresh_births
        self.writes = 0

    def do(self, step: tuple[Any, ...]) -> None:
        """Take one step of `steps`; numbers are taken modulo what there is."""
        verb, at, other = step
        store = self.stores[at]
        if verb in ("put", "delete"):
            self.writes += 1
            value = b"%d" % self.writes if verb == "put" else None
            known = self.contexts[other % len(self.contexts)]
            self.contexts.append(store.put(known, value, fresh_births=self.fresh_births))
        elif verb == "get":
            self.contexts.append(store.get())
        elif verb == "read two":
            a, b = store.get(), self.stores[other % STORES].get()
            self.contexts.append(Known(join(a.clock, b.clock), a.dots | b.dots))
        elif verb == "replicate":
            self.stores[other % STORES].take(store)
        elif other % STORES != at:  # hand over
            self.stores[other % STORES].take(store)
            store.drop()


VERBS = ("put", "put", "put", "delete", "get", "read two", "replicate", "replicate", "hand over")

steps = st.lists(
    st.tuples(st.sampled_from(VERBS), st.integers(0, STORES - 1), st.integers(0, 1000)), min_size=1, max_size=40
)

dot_sets = st.sets(st.builds(Dot, st.sampled_from([1, 2]), st.sampled_from([1, 2]), st.integers(1, 6)), max_size=14)


@st.composite
def reachable_rows(draw: st.DrawFn, count: int = 1) -> tuple[Row, ...]:
    """Rows that stores of one world really hold."""
    world = World()
    for step in draw(steps):
        world.do(step)
    return tuple(world.stores[draw(st.integers(0, STORES - 1))].row for _ in range(count))


def version(epoch: int, birth: int, n: int, *, value: bytes | None = b"v", past: Clock = ()) -> Version:
    """A version whose display fields do not matter."""
    return Version(Dot(epoch, birth, n), past, value, 0, "")

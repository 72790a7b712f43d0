"""The law of `core.lineage`: what its parents lead to is what each writer had seen."""

from __future__ import annotations

from typing import Any

from hypothesis import given

from node.core.lineage import lineage
from tests.helpers.causal import World, dots_of, steps


@given(steps)
def test_parents_lead_to_all_that_a_writer_had_seen_and_to_nothing_else(script: list[tuple[Any, ...]]) -> None:
    """Of the versions that stores hold, stale ones too; and what is gone has no more and no less than its clock."""
    world = World()
    for step in script:
        world.do(step)
    model = {dot: write for store in world.stores for dot, write in store.model.items()}
    versions = {version.dot: version for store in world.stores for version in store.row.versions}
    events = lineage(list(versions.values()))
    assert {event.version.dot for event in events if event.version is not None} == set(versions)
    behind: list[set[int]] = []
    for at, event in enumerate(events):
        behind.append({earlier for parent in event.parents for earlier in (parent, *behind[parent])})
        assert all(parent < at for parent in event.parents)
        beyond = [behind[parent] for parent in event.parents]
        assert not any(parent in others for parent in event.parents for others in beyond), "a parent behind a parent"
        held = {events[earlier].version.dot for earlier in behind[at] if events[earlier].version is not None}  # type: ignore[union-attr]  # asked for in the condition
        if event.version is None:
            assert held == {dot for dot in versions if dot in dots_of(event.clock)}
            continue
        saw = model[event.version.dot].saw
        assert held == {dot for dot in versions if dot in saw}
        told = set().union(*(dots_of(events[earlier].clock) for earlier in behind[at]))
        assert told == saw, "all of a writer's past is accounted for, by versions or by what is gone"

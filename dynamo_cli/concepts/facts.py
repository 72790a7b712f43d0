"""What the concept pages know of the cluster at hand, and what a page is. Values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dynamo_cli.told import items, mapping, number, whole, word


class Facts(NamedTuple):
    """The figures of one cluster. None: its nodes do not tell."""

    cluster: str
    node: str
    n: int
    r: int
    w: int
    partitions: int
    names: tuple[str, ...]
    up: int
    seats: int
    zones: tuple[str, ...]
    weights: Mapping[str, int]
    epoch: int | None
    change: str | None
    sealed: bool | None
    hints: int | None
    siblings: int | None
    tombstones: int | None
    repair_s_ago: float | None
    divergent: int | None

    @property
    def copies(self) -> int:
        """How many nodes own a key: N, or as many as there are."""
        return min(self.n, self.seats)

    @property
    def acts(self) -> tuple[int, int, int]:
        """N, R and W as they act: counted against the nodes that there are."""
        return self.copies, min(self.r, self.copies), min(self.w, self.copies)


class Page(NamedTuple):
    """One concept. `text` are paragraphs with an empty line between them; `here` says what it means in this cluster."""

    title: str
    text: str
    here: Callable[[Facts], str]
    steps: tuple[str, ...]
    see: tuple[str, ...]
    also: tuple[str, ...] = ()


def facts_of(ring: Mapping[str, Any], status: Mapping[str, Any]) -> Facts | None:
    """The figures in a DYN.RING and a DYN.STATUS document; None if they lack those that all pages go by."""
    n, r, w = (whole(ring, name) for name in "nrw")
    partitions = whole(ring, "partitions")
    members = items(ring, "members")
    if n is None or r is None or w is None or not partitions or not members:
        return None
    owners = ring.get("owners")
    seats = len({name for name in owners if isinstance(name, str)}) if isinstance(owners, list) else len(members)
    repair = mapping(status, "repair")
    return Facts(
        cluster=word(status, "cluster"),
        node=word(status, "answered_by"),
        n=n,
        r=r,
        w=w,
        partitions=partitions,
        names=tuple(word(member, "name") for member in members),
        up=sum(word(node, "state") == "up" for node in items(status, "nodes")),
        seats=seats or 1,
        zones=tuple(sorted({zone for member in members if (zone := word(member, "zone", ""))})),
        weights={word(member, "name"): weight for member in members if (weight := whole(member, "weight")) is not None},
        epoch=whole(ring, "epoch"),
        change=word(mapping(ring, "moving"), "change", "") or None,
        sealed=sealed if isinstance(sealed := ring.get("sealed"), bool) else None,
        hints=whole(status, "hints"),
        siblings=whole(status, "siblings"),
        tombstones=whole(status, "tombstones"),
        repair_s_ago=number(repair, "last_pass_s_ago"),
        divergent=whole(repair, "divergent"),
    )


def several(count: int | None, one: str, more: str = "") -> str:
    """A count with its noun: `1 key`, `2 keys`; unknown is said so."""
    if count is None:
        return f"an unknown number of {more or one + 's'}"
    return f"{count:,} {one if count == 1 else more or one + 's'}"

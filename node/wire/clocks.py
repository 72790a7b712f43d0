"""Clocks as people read them: node names for dot epochs, `{n3:2, n1:1}`.

A node may appear in one clock under several births (it lost and regained the row, or its store). Then the earliest
keeps the plain name and the later ones are `n3/2`, `n3/3`; the numbering holds for all clocks of one answer. An epoch
that no member claims shows as its first 8 hex digits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from node.core.row import Clock, Dot


class Namer:
    """Names the actors of all clocks that one answer shows. `names_by_epoch` has each node's epochs in their order."""

    def __init__(self, clocks: Iterable[Clock], names_by_epoch: Mapping[int, str]) -> None:
        age = {epoch: at for at, epoch in enumerate(names_by_epoch)}
        actors = sorted(
            {(epoch, birth) for clock in clocks for epoch, birth, _ in clock},
            key=lambda actor: (age.get(actor[0], len(age)), actor),
        )
        births: dict[str, int] = {}
        self._labels: dict[tuple[int, int], str] = {}
        for epoch, birth in actors:
            name = names_by_epoch.get(epoch) or f"{epoch:016x}"[:8]
            births[name] = births.get(name, 0) + 1
            self._labels[epoch, birth] = name if births[name] == 1 else f"{name}/{births[name]}"

    def clock(self, clock: Clock) -> dict[str, int]:
        """The clock by name, in the order of the names."""
        return dict(sorted((self._labels[epoch, birth], n) for epoch, birth, n in clock))

    def dot(self, dot: Dot) -> str:
        """One write's name: `n3:2`."""
        return f"{self._labels[dot.epoch, dot.birth]}:{dot.n}"

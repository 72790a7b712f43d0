"""What a session says about its server (INFO, CONFIG GET, DBSIZE, names in clocks): provided by who runs the node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from node.wire.replies import Value

if TYPE_CHECKING:
    from node.runtime.measures import Measures


class ServerFacts(Protocol):
    """The node, as INFO and its like show it. Every method is cheap: called on the event loop."""

    version: str
    """Version of dyn."""

    @property
    def name(self) -> str:
        """The node's name."""

    @property
    def measures(self) -> Measures:
        """What the node measures of itself."""

    def names(self) -> Mapping[int, str]:
        """Return node names by dot epoch, in the order of birth of each store's epochs."""

    def info(self) -> Mapping[str, Mapping[str, object]]:
        """Return further fields of INFO by section (lower case). No secrets."""

    def config(self) -> Mapping[str, str]:
        """Return the settings for CONFIG GET. No secrets."""

    def keys(self) -> int:
        """Return how many keys this node holds."""

    def back_up(self, target: Path, answer: Callable[[Value], None]) -> None:
        """Copy the store into a file, or hear of the copy under way. `answer` is called once, now or later."""

    def wall_s(self) -> float:
        """Return Unix time in seconds."""

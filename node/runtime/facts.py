"""What a session says about its server (INFO, CONFIG GET, DBSIZE, names in clocks): provided by who runs the node."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class ServerFacts(Protocol):
    """The node, as INFO and its like show it. Every method is cheap: called on the event loop."""

    version: str
    """Version of dyn."""

    def names(self) -> Mapping[int, str]:
        """Return node names by dot epoch, in the order of birth of each store's epochs."""

    def info(self) -> Mapping[str, Mapping[str, object]]:
        """Return further fields of INFO by section (lower case). No secrets."""

    def config(self) -> Mapping[str, str]:
        """Return the settings for CONFIG GET. No secrets."""

    def keys(self) -> int:
        """Return how many keys this node holds."""

    def wall_s(self) -> float:
        """Return Unix time in seconds."""

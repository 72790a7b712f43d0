"""A demo's cluster as it is seen by whoever breaks it: by the process that owns its nodes, and from elsewhere.

demo.processes  owns them                 demo.elsewhere  asks the process that does
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from dynamo_cli import breaking, faults
from dynamo_cli.client import Client, parse_address
from dynamo_cli.faults import Order

CLUSTER = "demo"
"""The name of every demo's cluster."""
HOST = "127.0.0.1"
DEFAULT_PORT = 7700
NODES_MAX = 50
"""More processes than this teach nothing, and their ports would meet."""
ASK_S = 1.0
"""A demo's node is on this machine: one that takes longer is stopped, or broken."""


class Place(NamedTuple):
    """A node's name and its ports."""

    name: str
    port: int
    peer_port: int
    http_port: int

    @property
    def address(self) -> str:
        """Where clients find it."""
        return f"{HOST}:{self.port}"


class Node(Protocol):
    """One node: who and where it is, and what its process does. `how`: how it ended, in words.

    `crashed`: it ended by itself; `last_lines` are then the end of its log. `starts`: how often it was started, as far
    as is known. `ready_line`: in which it said that it is ready, "" before.
    """

    @property
    def name(self) -> str: ...  # noqa: D102  # said above

    @property
    def place(self) -> Place: ...  # noqa: D102

    @property
    def log(self) -> Path: ...  # noqa: D102

    @property
    def pid(self) -> int | None: ...  # noqa: D102

    @property
    def ended(self) -> bool: ...  # noqa: D102

    @property
    def paused(self) -> bool: ...  # noqa: D102

    @property
    def how(self) -> str: ...  # noqa: D102

    @property
    def crashed(self) -> bool: ...  # noqa: D102

    @property
    def starts(self) -> int: ...  # noqa: D102

    @property
    def last_lines(self) -> list[str]: ...  # noqa: D102

    @property
    def ready_line(self) -> str: ...  # noqa: D102


class Cluster(Protocol):
    """All nodes of one demo, in `folder`. `latency_ms`: how late each of its links is when nothing is broken."""

    folder: Path
    latency_ms: float

    @property
    def nodes(self) -> Sequence[Node]: ...  # noqa: D102  # in the order in which they came

    def __iter__(self) -> Iterator[Node]: ...

    def __len__(self) -> int: ...

    def find(self, name: str) -> Node:
        """The node of this name; raises a usage error."""
        ...

    def look(self) -> None:
        """See what its processes do now. Raises CliError if that is not to be had."""
        ...


def alive(cluster: Cluster) -> list[Node]:
    """The nodes that may answer."""
    return [node for node in cluster if not node.ended and not node.paused]


def tell(cluster: Cluster, orders: Sequence[Order]) -> None:
    """Have orders obeyed by those of the nodes that may answer. Raises CliError."""
    addresses = {node.name: node.place.address for node in cluster}
    awake = {node.name for node in alive(cluster)}
    given = [order for order in orders if order[0] in awake]
    wrong = faults.failure(faults.tell(given, addresses, client), given)
    if wrong is not None:
        raise wrong


def client(address: str) -> Client:
    """A client of one node, for a question or an order."""
    return Client([parse_address(address)], timeout_s=ASK_S, writer="demo")


def late(cluster: Cluster, *, told: Sequence[str] = (), about: str = "") -> None:
    """Make links as late as this demo's are: all, or both ends of those of one node, or what some nodes send.

    Raises CliError.
    """
    if cluster.latency_ms:
        orders = breaking.late(cluster.latency_ms, [node.name for node in cluster])
        tell(
            cluster,
            [(to, words) for to, words in orders if (not told or to in told) and (not about or about in words[1:3])],
        )

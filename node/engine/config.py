"""What an engine is told once, at start: read from flags, environment and file, or drawn by the simulator."""

from __future__ import annotations

from typing import NamedTuple

from node.core.cluster import Quorums
from node.core.ids import NodeId
from node.core.limits import BACKGROUND_ROWS_S_MIN, REQUESTS_MIN, SCRUB_PERIOD_S, VALUE_BYTES_MAX


class NodeConfig(NamedTuple):
    """One node's settings. `quorums` and `partitions` count only if this node founds its cluster; it takes no seat
    in one of another number of partitions than it was told, if it was.

    `join` are host:peer_port of seeds: a node with any never founds. `discover` says that candidates may still be
    announced, so that founding waits for them. `requests_min` and `background_min` are bounds of `core.limits`, less in
    the simulator, whose disks are slow. In `scrub_period_s` all rows are read again once. `replace` names a dead member
    (or is its id) whose place this new node shall take.
    """

    id: NodeId
    name: str
    cluster: str
    host: str = "127.0.0.1"
    port: int = 7700
    peer_port: int = 7800
    http_port: int = 7900
    zone: str = ""
    weight: int = 1
    join: tuple[str, ...] = ()
    discover: bool = True
    quorums: Quorums = Quorums(3, 2, 2)
    partitions: int | None = None
    durable: bool = True
    value_bytes_max: int = VALUE_BYTES_MAX
    requests_min: int = REQUESTS_MIN
    background_min: int = BACKGROUND_ROWS_S_MIN
    scrub_period_s: float = SCRUB_PERIOD_S
    replace: str = ""

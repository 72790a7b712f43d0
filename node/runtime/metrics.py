"""The node's figures as Prometheus metrics: collected when somebody asks, kept nowhere twice.

Names follow Prometheus' conventions: base units (seconds, bytes), `_total` for what only grows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final, NamedTuple

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from node.runtime.measures import Measures

VERSIONS: Final = (0, 1, 2, 3, 5, 10, 20)
"""Buckets of how many versions a read found."""

COUNTERS: Final = ("groups", "writes", "late", "commit_s", "checkpoints", "folded_pages", "requests_refused")
"""Figures of the storage and the queues that only grow."""


class Standing(NamedTuple):
    """Where the node stands in its cluster, as its engine sees it. Unknown is None and not shown."""

    epoch: int
    moving: bool
    primary: int
    owned: int
    to_take_in: int | None
    repair_age_s: float | None
    repair_differed: int | None
    background_rows_s: float
    repairs: Mapping[str, int]


class Surroundings(NamedTuple):
    """What the server adds to the measures. `standing` is None before the node has a seat."""

    version: str
    node: str
    cluster: str
    peers_up: int
    members: int
    clients: int
    in_flight: int
    seated: bool
    tls_refusals: Mapping[str, int] = {}
    http_answers: Mapping[int, int] = {}
    standing: Standing | None = None
    name_of: Callable[[str], str] = str
    wall_ms: int = 0


class NodeCollector(Collector):
    """Makes the metric families of one node, each time anew."""

    def __init__(self, measures: Measures, surroundings: Callable[[], Surroundings]) -> None:
        self._measures = measures
        self._surroundings = surroundings

    def collect(self) -> Iterator[Metric]:
        """Yield all families."""
        around = self._surroundings()
        info = {"version": around.version, "node": around.node, "cluster": around.cluster}
        yield InfoMetricFamily("dyn_node", "Who this node is", value=info)
        figures = self._measures.figures()
        for name, text, value in (
            ("dyn_seated", "1 once the node has its seat in the ring", float(around.seated)),
            ("dyn_peers_up", "Members with a link that were heard lately", around.peers_up),
            ("dyn_members", "Members of the cluster, this node included", around.members),
            ("dyn_clients", "Client connections", around.clients),
            ("dyn_requests_in_flight", "Clients' requests without an answer yet", around.in_flight),
            ("dyn_keys", "Rows that this node holds", figures["keys"]),
            ("dyn_bytes", "Bytes of these rows", figures["bytes"]),
            ("dyn_siblings", "Rows with more than one live value", figures["siblings"]),
            ("dyn_tombstones", "Rows that are nothing but tombstones", figures["tombstones"]),
            ("dyn_quarantined", "Rows whose checksum is wrong", figures["quarantined"]),
            ("dyn_uptime_seconds", "Since the start", figures["uptime_s"]),
            ("dyn_resident_memory_bytes", "Resident memory", figures["rss_bytes"]),
        ):
            if isinstance(value, int | float):
                yield GaugeMetricFamily(name, text, value=value)
        refusals = CounterMetricFamily("dyn_tls_refused", "Connections without a good TLS handshake", labels=["port"])
        for port, count in around.tls_refusals.items():
            refusals.add_metric([port], count)
        yield refusals
        answers = CounterMetricFamily("dyn_http_responses", "Answers of the HTTP port by status", labels=["code"])
        for status, count in sorted(around.http_answers.items()):
            answers.add_metric([str(status)], count)
        yield answers
        yield from self._requests()
        yield self._versions()
        yield from _hints(figures["hints"], around)
        if around.standing is not None:
            yield from _standing(around.standing)
        yield from _numbers("dyn_storage", "Storage: ", figures["storage"])
        yield from _numbers("dyn_queue", "Waiting: ", figures["queues"])

    def _requests(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "dyn_requests", "Clients' requests by operation and outcome", labels=["op", "outcome"]
        )
        for (operation, outcome), count in sorted(self._measures.outcomes.items()):
            requests.add_metric([operation, outcome], count)
        yield requests
        latency = HistogramMetricFamily("dyn_request_seconds", "From command to reply, inside the node", labels=["op"])
        for operation, histogram in self._measures.latency.items():
            buckets = [
                ("+Inf" if edge == float("inf") else f"{edge:g}", float(n)) for edge, n in histogram.cumulative()
            ]
            latency.add_metric([operation], buckets, sum_value=histogram.sum_s)
        yield latency

    def _versions(self) -> Metric:
        """A histogram: what share of reads found more than one version is what tells of conflicts."""
        reads = self._measures.versions_per_read
        buckets = [(str(edge), float(sum(n for found, n in reads.items() if found <= edge))) for edge in VERSIONS]
        family = HistogramMetricFamily("dyn_read_versions", "Versions that a read found")
        total = sum(found * n for found, n in reads.items())
        family.add_metric([], [*buckets, ("+Inf", float(sum(reads.values())))], sum_value=float(total))
        return family


def _standing(standing: Standing) -> Iterator[Metric]:
    for name, text, value in (
        ("dyn_ring_epoch", "Epoch of the ring that the node knows", standing.epoch),
        ("dyn_ring_moving", "1 while partitions move between nodes", standing.moving),
        ("dyn_partitions_primary", "Partitions of which the node is the first owner", standing.primary),
        ("dyn_partitions_owned", "Partitions of which the node is an owner", standing.owned),
        ("dyn_partitions_to_take_in", "Partitions that the node is still taking in", standing.to_take_in),
        ("dyn_repair_pass_age_seconds", "Since the last full pass of anti-entropy ended", standing.repair_age_s),
        ("dyn_repair_pass_differing_keys", "Keys that the last full pass found to differ", standing.repair_differed),
        ("dyn_background_rows_per_second", "What each background task may move or read", standing.background_rows_s),
    ):
        if value is not None:
            yield GaugeMetricFamily(name, text, value=float(value))
    repaired = CounterMetricFamily("dyn_repaired_copies", "Copies brought up to date by what", labels=["source"])
    for noticed_by, copies in standing.repairs.items():
        repaired.add_metric([noticed_by], copies)
    yield repaired


def _hints(hints: object, around: Surroundings) -> Iterator[Metric]:
    """What the node keeps for owners that missed it: nothing at all is three families without samples."""
    held = GaugeMetricFamily("dyn_hints", "Rows kept for an owner that missed them", labels=["owner"])
    size = GaugeMetricFamily("dyn_hints_bytes", "Bytes of these rows", labels=["owner"])
    age = GaugeMetricFamily("dyn_hints_oldest_age_seconds", "Since when the owner lacks one", labels=["owner"])
    assert isinstance(hints, tuple), f"hints are {hints!r}"
    for target, rows, bytes_, oldest_ms in hints:
        name = around.name_of(target)
        held.add_metric([name], rows)
        size.add_metric([name], bytes_)
        age.add_metric([name], max(0, around.wall_ms - oldest_ms) / 1000)
    yield from (held, size, age)


def _numbers(prefix: str, text: str, figures: object) -> Iterator[Metric]:
    """A metric for each number of a table of figures. One level deep: what is nested is for DYN.STATS."""
    if not isinstance(figures, Mapping):
        return
    for figure, value in figures.items():
        if not isinstance(value, bool | int | float):
            continue
        number, about = float(value), text + str(figure).replace("_", " ")
        name = f"{prefix}_{figure}".replace("_commit_s", "_commit_seconds")
        if "_ms" in name:
            name, number = name.replace("_ms", "_seconds"), number / 1000
        kind = CounterMetricFamily if figure in COUNTERS else GaugeMetricFamily
        yield kind(name, about, value=number)


def render(measures: Measures, surroundings: Callable[[], Surroundings]) -> tuple[str, bytes]:
    """Return the content type and the text of all metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(NodeCollector(measures, surroundings))
    return CONTENT_TYPE_LATEST, generate_latest(registry)

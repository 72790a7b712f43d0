"""The node's figures as Prometheus metrics: collected when somebody asks, kept nowhere twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

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


class Surroundings(NamedTuple):
    """What the server adds to the measures."""

    version: str
    node: str
    cluster: str
    peers_up: int
    members: int
    clients: int
    in_flight: int
    seated: bool
    tls_refusals: Mapping[str, int] = {}


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
        yield from self._requests()
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


def _numbers(prefix: str, text: str, figures: object) -> Iterator[Metric]:
    """A gauge for each number of a table of figures. One level deep: what is nested is for DYN.STATS."""
    if isinstance(figures, Mapping):
        for name, value in figures.items():
            if isinstance(value, bool | int | float):
                yield GaugeMetricFamily(f"{prefix}_{name}", text + str(name).replace("_", " "), value=float(value))


def render(measures: Measures, surroundings: Callable[[], Surroundings]) -> tuple[str, bytes]:
    """Return the content type and the text of all metrics."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(NodeCollector(measures, surroundings))
    return CONTENT_TYPE_LATEST, generate_latest(registry)

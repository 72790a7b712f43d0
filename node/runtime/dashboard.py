"""A Grafana dashboard of `/metrics`, as JSON for its "Import": served at `/grafana.json`, so that it fits this release.

    curl -s http://127.0.0.1:7900/grafana.json > dyn.json

It is made from the table below rather than kept as a thousand lines of JSON, of which nobody would see what is asked.
Panels go by the `job` under which Prometheus scrapes the nodes; the nodes' own names come from `dyn_node_info`.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

JOB: Final = 'job=~"$job"'
CLIENT: Final = f'{JOB},op=~"get|put|del"'
DONE: Final = f'{CLIENT},outcome="ok"'
FAILED: Final = f'{CLIENT},outcome!="ok"'
PER_S: Final = "$__rate_interval"
COLUMNS: Final = 24
"""Of Grafana's grid."""


class Panel(NamedTuple):
    """One panel: what it shows of what, in which of Grafana's units, and a word on what to make of it.

    Queries are (PromQL, legend). A stat panel turns to `bad` from that value on.
    """

    title: str
    about: str
    unit: str
    queries: tuple[tuple[str, str], ...]
    width: int = 8
    stat: bool = False
    bad: float | None = None


def named(metric: str) -> str:
    """A metric of every node, with the name of the node."""
    return f"{metric}{{{JOB}}} * on (job, instance) group_left (node) dyn_node_info{{{JOB}}}"


def rate(counter: str, labels: str = JOB) -> str:
    """How much a counter grows a second."""
    return f"rate({counter}{{{labels}}}[{PER_S}])"


def percentile(share: float, op: str) -> str:
    """A percentile of all nodes' requests of one kind."""
    buckets = rate("dyn_request_seconds_bucket", f'{JOB},op="{op}"')
    return f"histogram_quantile({share}, sum by (le) ({buckets}))"


def latency(op: str, name: str) -> Panel:
    """How long requests of one kind take."""
    queries = tuple((percentile(share, op), label) for share, label in ((0.5, "p50"), (0.99, "p99"), (0.999, "p99.9")))
    return Panel(f"{name}: latency", "From command to reply, inside the node that was asked.", "s", queries)


ROWS: Final[tuple[tuple[str, tuple[Panel, ...]], ...]] = (
    (
        "Cluster",
        (
            Panel("Nodes scraped", "Nodes that have their seat and answer Prometheus.", "none",
                  ((f"sum(dyn_seated{{{JOB}}})", "scraped"), (f"max(dyn_members{{{JOB}}})", "members")), 4, True),
            Panel("Fewest peers up", "What the loneliest node sees of the others.", "none",
                  ((f"min(dyn_peers_up{{{JOB}}})", "peers up"),), 4, True),
            Panel("Rings in use", "Epochs that nodes know; more than one for long means that some do not hear.", "none",
                  ((f'count(count_values("epoch", dyn_ring_epoch{{{JOB}}}))', "epochs"),), 4, True, 2),
            Panel("Keys with siblings", "On the node that has most: two writers did not see each other.", "none",
                  ((f"max(dyn_siblings{{{JOB}}})", "keys"),), 4, True),
            Panel("Hinted rows", "Kept for owners that missed them; they go when the owner is back.", "none",
                  ((f"sum(dyn_hints{{{JOB}}}) or vector(0)", "rows"),), 4, True),
            Panel("Damaged rows", "Rows whose checksum is wrong, not yet repaired from other owners.", "none",
                  ((f"sum(dyn_quarantined{{{JOB}}})", "rows"),), 4, True, 1),
        ),
    ),
    (
        "Requests",
        (
            Panel("Requests a second", "Clients' requests by kind.", "reqps",
                  ((f"sum by (op) ({rate('dyn_requests_total', CLIENT)})", "{{op}}"),)),
            Panel("Requests that failed", "By the error that clients saw.", "reqps",
                  ((f"sum by (outcome) ({rate('dyn_requests_total', FAILED)})", "{{outcome}}"),)),
            Panel("Availability", "Share of requests that were done.", "percentunit",
                  ((f"sum({rate('dyn_requests_total', DONE)}) "
                    f"/ sum({rate('dyn_requests_total', CLIENT)})", "done"),)),
            latency("get", "Reads"),
            latency("put", "Writes"),
            Panel("Reads that found several versions", "The paper's goal is less than 0.06 %.", "percentunit",
                  ((f"""1 - sum({rate('dyn_read_versions_bucket', JOB + ',le="1"')}) """
                    f"/ sum({rate('dyn_read_versions_count')})", "share"),)),
            Panel("In flight", "Requests without an answer yet.", "none",
                  ((named("dyn_requests_in_flight"), "{{node}}"),)),
            Panel("Turned away", "Requests refused because a node had too many already.", "reqps",
                  ((f"sum({rate('dyn_queue_requests_refused_total')})", "refused"),)),
            Panel("Client connections", "", "none", ((named("dyn_clients"), "{{node}}"),)),
        ),
    ),
    (
        "Data",
        (
            Panel("Keys", "Rows that each node holds.", "none", ((named("dyn_keys"), "{{node}}"),)),
            Panel("Bytes", "Of these rows.", "bytes", ((named("dyn_bytes"), "{{node}}"),)),
            Panel("Partitions owned", "How even the ring is.", "none", ((named("dyn_partitions_owned"), "{{node}}"),)),
            Panel("Hints by owner", "What others keep for it.", "none",
                  ((f"sum by (owner) (dyn_hints{{{JOB}}})", "for {{owner}}"),)),
            Panel("Oldest hint", "How long an owner has lacked something.", "s",
                  ((f"max by (owner) (dyn_hints_oldest_age_seconds{{{JOB}}})", "for {{owner}}"),)),
            Panel("Tombstones", "Deleted keys that not all members have confirmed.", "none",
                  ((named("dyn_tombstones"), "{{node}}"),)),
        ),
    ),
    (
        "Background work",
        (
            Panel("Copies repaired", "By reads that met an older version, and by comparing in the background.", "ops",
                  ((f"sum by (source) ({rate('dyn_repaired_copies_total')})", "{{source}}"),)),
            Panel("Since the last repair pass", "Each node compares all it owns with the other owners.", "s",
                  ((named("dyn_repair_pass_age_seconds"), "{{node}}"),)),
            Panel("Keys that differed", "Found by each node's last full pass.", "none",
                  ((named("dyn_repair_pass_differing_keys"), "{{node}}"),)),
            Panel("Partitions to take in", "While the ring changes.", "none",
                  ((named("dyn_partitions_to_take_in"), "{{node}}"),)),
            Panel("Granted to background work", "Less while clients wait: rows a second for each task.", "none",
                  ((named("dyn_background_rows_per_second"), "{{node}}"),)),
        ),
    ),
    (
        "Nodes",
        (
            Panel("Commits", "Transactions a second, each with its fsync.", "ops",
                  ((f"sum by (instance) ({rate('dyn_storage_groups_total')})", "{{instance}}"),)),
            Panel("Time of a commit", "The mean: what every write waits for.", "s",
                  ((f"sum by (instance) ({rate('dyn_storage_commit_seconds_total')}) "
                    f"/ sum by (instance) ({rate('dyn_storage_groups_total')})", "{{instance}}"),)),
            Panel("Writes in a commit", "Many when busy: they share one fsync.", "none",
                  ((f"sum by (instance) ({rate('dyn_storage_writes_total')}) "
                    f"/ sum by (instance) ({rate('dyn_storage_groups_total')})", "{{instance}}"),)),
            Panel("Memory", "Resident.", "bytes", ((named("dyn_resident_memory_bytes"), "{{node}}"),)),
            Panel("Bytes to peers that wait", "A peer that does not read is slow or cut off.", "bytes",
                  ((named("dyn_queue_peer_bytes"), "{{node}}"),)),
            Panel("Since the start", "A drop is a restart.", "s", ((named("dyn_uptime_seconds"), "{{node}}"),)),
            Panel("Disk nearly full", "1: clients' values are refused.", "none",
                  ((named("dyn_storage_near_full"), "{{node}}"),)),
            Panel("TLS refused", "Connections without a good handshake, by port.", "ops",
                  ((f"sum by (port) ({rate('dyn_tls_refused_total')})", "{{port}}"),)),
            Panel("HTTP refused", "Answers of the HTTP port that were no success, by status.", "ops",
                  ((f"""sum by (code) ({rate('dyn_http_responses_total', JOB + ',code!="200"')})""", "{{code}}"),)),
        ),
    ),
)  # fmt: skip


def dashboard() -> dict[str, Any]:
    """The dashboard, in Grafana's model."""
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS:
        panels.append({"type": "row", "title": title, "gridPos": {"x": 0, "y": y, "w": COLUMNS, "h": 1}, "panels": []})
        x, y, height = 0, y + 1, 0
        for panel in row:
            if x + panel.width > COLUMNS:
                x, y = 0, y + height
            height = 4 if panel.stat else 8
            panels.append(_panel(panel) | {"gridPos": {"x": x, "y": y, "w": panel.width, "h": height}})
            x += panel.width
        y += height
    for number, each in enumerate(panels, 1):
        each["id"] = number
    return {
        "title": "dyn",
        "uid": "dyn",
        "tags": ["dyn"],
        "description": "A dyn cluster. Made by the node that served it, for the metrics of its release.",
        "schemaVersion": 39,
        "editable": True,
        "timezone": "browser",
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
                {
                    "name": "job", "label": "Job", "type": "query", "datasource": SOURCE, "includeAll": True,
                    "multi": True, "refresh": 2, "query": "label_values(dyn_node_info, job)",
                },
            ]
        },
        "panels": panels,
    }  # fmt: skip


SOURCE: Final = {"type": "prometheus", "uid": "${source}"}


def _panel(panel: Panel) -> dict[str, Any]:
    steps: list[dict[str, Any]] = [{"color": "text" if panel.stat else "green", "value": None}]
    if panel.bad is not None:
        steps.append({"color": "red", "value": panel.bad})
    return {
        "type": "stat" if panel.stat else "timeseries",
        "title": panel.title,
        "description": panel.about,
        "datasource": SOURCE,
        "fieldConfig": {
            "defaults": {"unit": panel.unit, "min": 0, "thresholds": {"mode": "absolute", "steps": steps}},
            "overrides": [],
        },
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": SOURCE, "expr": query, "legendFormat": legend}
            for number, (query, legend) in enumerate(panel.queries)
        ],
    }

"""/metrics as Prometheus reads it, and the dashboard that asks for it: every name and label it asks for is there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families

from node.core.row import EMPTY
from node.runtime.dashboard import COLUMNS, dashboard
from node.runtime.measures import Measures
from node.runtime.metrics import Standing, Surroundings, render
from node.wire.requests import Failed, Found, Get, Put

RESERVED = {"sum", "by", "rate", "max", "min", "count", "count_values", "histogram_quantile", "or", "vector", "on",
            "group_left"}  # fmt: skip
"""What is PromQL in the queries. Everything else that is a word is a metric or a label."""

TARGET = {"job", "instance"}
"""Labels that Prometheus adds."""


def measures() -> Measures:
    made = Measures(
        lambda: 12.5,
        totals=lambda: (7, 700, 1, 0, 9),
        hints=lambda: (("b" * 32, 3, 300, 4_000),),
        storage=lambda: {"groups": 4, "writes": 9, "commit_s": 0.25, "commit_ms_mean": 62.5, "near_full": False,
                         "failed": None, "stopped": ""},
        queues=lambda: {"requests_refused": 2, "peer_bytes": 5},
    )  # fmt: skip
    for found in (0, 1, 1, 2, 7):
        made.versions_per_read[found] = made.versions_per_read.get(found, 0) + 1
    made.done(Get(b"k"), Found(EMPTY), 0.001)
    made.done(Put(b"k", b"v"), Failed("UNAVAILABLE", ""), 0.002)
    return made


STANDING = Standing(7, True, 85, 256, 3, 4.5, 2, 20_000.0, {"read": 8, "compared": 1})


def families(standing: Standing | None = STANDING) -> dict[str, Metric]:
    around = Surroundings(
        "0.1.0", 'n"1', "carts", 2, 3, 4, 5, True, {"client": 1, "peer": 0}, {200: 9, 401: 1}, standing,
        lambda node: f"name of {node[0]}", 10_000,
    )  # fmt: skip
    content_type, body = render(measures(), lambda: around)
    assert content_type.startswith("text/plain; version=")
    return {family.name: family for family in text_string_to_metric_families(body.decode())}


def values(family: Metric) -> dict[tuple[str, ...], float]:
    return {(sample.name, *sample.labels.values()): sample.value for sample in family.samples}


def test_what_is_told() -> None:
    told = families()
    assert values(told["dyn_hints"]) == {("dyn_hints", "name of b"): 3}
    assert values(told["dyn_hints_bytes"]) == {("dyn_hints_bytes", "name of b"): 300}
    assert values(told["dyn_hints_oldest_age_seconds"]) == {("dyn_hints_oldest_age_seconds", "name of b"): 6.0}
    assert values(told["dyn_storage_commit_seconds"]) == {("dyn_storage_commit_seconds_total",): 0.25}
    assert values(told["dyn_storage_groups"]) == {("dyn_storage_groups_total",): 4}
    assert values(told["dyn_storage_commit_seconds_mean"]) == {("dyn_storage_commit_seconds_mean",): 0.0625}
    assert values(told["dyn_http_responses"]) == {
        ("dyn_http_responses_total", "200"): 9, ("dyn_http_responses_total", "401"): 1,
    }  # fmt: skip
    assert values(told["dyn_partitions_to_take_in"]) == {("dyn_partitions_to_take_in",): 3}
    versions = values(told["dyn_read_versions"])
    buckets = [versions["dyn_read_versions_bucket", le] for le in ("0", "1", "2", "3", "5", "10", "20", "+Inf")]
    assert buckets == [2, 4, 5, 5, 5, 6, 6, 6]
    assert (versions["dyn_read_versions_count",], versions["dyn_read_versions_sum",]) == (6, 11)


def test_what_is_unknown_is_not_told() -> None:
    unknown = Standing(7, False, 85, 256, None, None, None, 20_000.0, {})
    assert "dyn_repair_pass_age_seconds" not in families(unknown)
    assert "dyn_ring_epoch" in families(unknown)
    assert "dyn_ring_epoch" not in families(None)


def test_names_are_as_prometheus_wants_them() -> None:
    for name, family in families().items():
        assert re.fullmatch(r"dyn(_[a-z]+)+", name), name
        assert not re.search(r"_(ms|s|kb|mb|percent)(_|$)", name), f"{name} has no base unit"
        assert family.documentation, f"{name} says nothing"


# The dashboard ----------------------------------------------------------------------------------------------------


def queries() -> Iterator[tuple[str, str, str]]:
    """Title, PromQL and legend of every query."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"], target["legendFormat"]


def test_every_panel_asks_for_metrics_and_labels_that_there_are() -> None:
    samples: dict[str, set[str]] = {}
    for family in families().values():
        for sample in family.samples:
            samples.setdefault(sample.name, set()).update(sample.labels)
    asked = set()
    for title, query, legend in queries():
        named = re.sub(r'"[^"]*"|\$\w+|\[\w+\]', "", query)
        labels = {*re.findall(r"(\w+)\s*(?:=~|!=|=)", named), *re.findall(r"{{(\w+)}}", legend)}
        for grouped in re.findall(r"(?:by|on|group_left) \(([^)]*)\)", named):
            labels |= set(re.split(r",\s*", grouped))
        metrics = {word for word in re.findall(r"[a-z_]\w*", named) if word not in RESERVED | labels}
        assert metrics, title
        assert metrics <= samples.keys(), title
        assert labels <= set().union(*(samples[metric] for metric in metrics)) | TARGET, title
        asked |= metrics
    assert len(asked) > 25


def test_the_dashboard_is_one_that_grafana_takes() -> None:
    made = dashboard()
    assert json.loads(json.dumps(made)) == made
    panels = made["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(place["x"] + i, place["y"] + j) for i in range(place["w"]) for j in range(place["h"])}
        assert not cells & taken, f"{panel['title']} lies over another panel"
        assert place["x"] + place["w"] <= COLUMNS
        taken |= cells
    names = {variable["name"] for variable in made["templating"]["list"]}
    for title, query, _ in queries():
        assert set(re.findall(r"\$([a-z]\w*)", query)) <= names, title

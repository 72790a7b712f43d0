"""The screen and the rows of `dyn node stats`: a DYN.STATS document, whose every part a node may leave out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from dynamo_cli.render.plain import show
from dynamo_cli.render.rows import Rows, size_text
from dynamo_cli.render.table import bare_table

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

Document = Mapping[str, Any]


def stats_rows(document: Document) -> Rows:
    """A row a figure, by its path: `latency_ms.get.p99`, `storage.commit_ms_mean`. Unknown is empty.

    Histograms are for programs: they are in the JSON document.
    """
    told = {name: value for name, value in document.items() if name not in ("schema", "histogram")}
    rows: list[tuple[str, ...]] = list(_leaves(told, ""))
    return ("figure", "value"), rows


def _leaves(value: object, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{show(str(name))}" if path else show(str(name)))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            name = inner.get("task", index) if isinstance(inner, Mapping) else index
            yield from _leaves(inner, f"{path}.{show(str(name))}")
    else:
        yield path, "" if value is None else str(value).lower() if isinstance(value, bool) else show(str(value))


def stats_screen(document: Document) -> RenderableType:
    """A DYN.STATS document, made for 80 columns."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    head = Text.assemble(("node ", "quiet"), (show(document["node"]), "label"))
    facts = Table(box=None, show_edge=False, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    facts.add_column(style="quiet", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, told in (
        ("reads found", _versions(document.get("versions_per_read") or {})),
        ("disk", _disk(document.get("storage") or {})),
        ("log", _log(document.get("storage") or {})),
        ("waiting", _queues(document.get("queues") or {})),
        *(("beside" if not index else "", _task(task)) for index, task in enumerate(document.get("background") or ())),
    ):
        if told:
            facts.add_row(name, told)
    return Group(head, Text(), _operations(document), Text(), facts)


def _operations(document: Document) -> Table:
    from rich.text import Text

    table = bare_table()
    table.add_column("REQUESTS")
    for name in ("DONE", "P50", "P99", "P99.9"):
        table.add_column(name, justify="right", no_wrap=True)
    for operation, count in document["ops"].items():
        latency = document["latency_ms"].get(operation) or {}
        figures = [_ms(latency.get(name)) for name in ("p50", "p99", "p999")]
        table.add_row(Text(show(operation), style="label"), f"{count:,}", *figures)
    return table


def _ms(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"


def _versions(reads: Document) -> str:
    """How many versions reads found: one, nearly always (paper, section 6.3)."""
    total = sum(reads.values())
    words = {"0": "nothing", "1": "one version"}
    shares = [f"{words.get(n, f'{show(n)} versions')} {count / total:.3%}" for n, count in reads.items() if count]
    return ", ".join(shares)


def _disk(storage: Document) -> str:
    if storage.get("groups") is None:
        return ""
    parts = [f"{storage['writes']:,} writes in {storage['groups']:,} commits"]
    if storage.get("commit_ms_mean") is not None:
        parts.append(f"{storage['commit_ms_mean']:.1f} ms each, {storage['commit_ms_max']:.1f} ms at most")
    if storage.get("late"):
        parts.append(f"{storage['late']:,} dropped as late")
    parts.append(f"room is {show(str(storage.get('room')))}")
    stopped = storage.get("stopped") or storage.get("failed")
    return "; ".join([*parts, *([f"STOPPED: {show(str(stopped))}"] if stopped else [])])


def _log(storage: Document) -> str:
    if storage.get("log_pages") is None:
        return ""
    folded = f"folded {storage['checkpoints']:,} times, {storage['checkpoint_ms_max']:.0f} ms at most"
    scanning = "; rows are being scanned for the trees" if storage.get("trees_unknown") else ""
    return f"{storage['log_pages']:,} pages, {folded}{scanning}"


def _queues(queues: Document) -> str:
    if queues.get("requests") is None:
        return ""
    refused = f", {queues['requests_refused']:,} refused so far" if queues.get("requests_refused") else ""
    return (
        f"{queues['requests']:,} of at most {queues['requests_max']:,} requests{refused}; "
        f"{queues['disk_writes']:,} writes for the disk; {size_text(queues['peer_bytes'])} for peers; "
        f"{queues['clients']:,} client{'s' if queues['clients'] != 1 else ''}"
    )


def _task(task: Document) -> str:
    """What a background task may do, and why; how far the scrub is."""
    told = f"{show(task['task'])}: {task['granted']:,.0f} rows/s, {show(task['because'])}"
    if task.get("done"):
        told += f"; {task['done']:.0%} done"
    if task.get("damaged"):
        told += f"; {task['damaged']:,} damaged rows found"
    return told

"""What a measurement did to the cluster beside answering: differences between what the nodes said before and after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from dynamo_cli import store
from dynamo_cli.asking import Told, ask
from dynamo_cli.client import Client
from dynamo_cli.errors import CliError
from dynamo_cli.told import number
from node.core.limits import EVENTS_MAX

Document = dict[str, Any]


class Look(NamedTuple):
    """What the nodes said at one moment: DYN.STATS and DYN.EVENTS of each, DYN.STATUS of one."""

    stats: dict[str, Document]
    events: dict[str, list[Document]]
    status: Document


def look(addresses: dict[str, str], client_of: Callable[[str], Client]) -> Look:
    """Ask all nodes; who says nothing is left out."""

    def known(told: list[Told]) -> dict[str, Document]:
        return {each.node: each.document for each in told if each.document is not None}

    events: dict[str, list[Document]] = {}

    def more(name: str, client: Client) -> None:
        events[name] = store.document(client, "EVENTS", EVENTS_MAX)["events"]

    stats = known(ask(addresses, client_of, "STATS", more=more))
    status: Document = {}
    for name in stats:
        client = client_of(addresses[name])
        try:
            status = store.document(client, "STATUS")
            break
        except CliError:
            continue
        finally:
            client.close()
    return Look(stats, events, status)


def effects(before: Look, after: Look) -> Document:
    """The differences. A figure that no node gives is None; `of` names the nodes whose counters are in them."""
    counted = [name for name, then in before.stats.items() if _goes_on(then, after.stats.get(name))]
    noted = [event for name in after.events for event in _new(before.events.get(name, []), after.events[name])]
    delivered = [event.get("rows") for event in noted if event.get("kind") == "hints_delivered"]
    return {
        "of": counted,
        "reads_with_siblings": sum(
            _several(after.stats[name]) - _several(before.stats[name]) for name in counted
        ) if counted else None,
        "keys_with_siblings": after.status.get("siblings"),
        "hints_held": after.status.get("hints"),
        "rows_delivered": sum(rows for rows in delivered if isinstance(rows, int)) if after.events else None,
        "called_down": sorted(
            {str(event.get("node")) for event in noted if event.get("kind") in ("peer_down", "peer_silent")}
        ),
    }  # fmt: skip


def nodes_cpu(before: Look, after: Look, requests: int) -> Document | None:
    """The CPU time that the nodes took meanwhile, in seconds, and per request; None if none of them tells.

    Only those count that went on: a node that was started again counts anew. What they do beside clients is in it.
    """
    used = {}
    for name, then in before.stats.items():
        now = after.stats.get(name)
        begun, ended = number(then, "cpu_s"), number(now, "cpu_s")
        if begun is not None and ended is not None and ended >= begun and _goes_on(then, now):
            used[name] = ended - begun
    if not used:
        return None
    total = sum(used.values())
    whole = len(used) == len(before.stats)  # else the requests of a node are in it, and its time is not
    per = round(total / requests * 1e6, 1) if requests and whole else None
    return {"of": sorted(used), "s": round(total, 3), "us_per_request": per}


def _goes_on(then: Document, now: Document | None) -> bool:
    """Whether the counters are those of the same process: a restarted one counts anew."""
    if now is None:
        return False
    return all(now["ops"].get(op, 0) >= count for op, count in then["ops"].items())


def _several(stats: Document) -> int:
    """Reads that found more than one version."""
    found: dict[str, int] = stats.get("versions_per_read") or {}
    return sum(reads for versions, reads in found.items() if int(versions) > 1)


def _new(before: list[Document], after: list[Document]) -> list[Document]:
    seen = {repr(sorted(event.items(), key=str)) for event in before}
    return [event for event in after if repr(sorted(event.items(), key=str)) not in seen]

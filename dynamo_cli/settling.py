"""What `dyn cluster status --wait` waits for, and what of it is still lacking, in words.

    healthy        the cluster says so of itself
    no-transfers   the ring is settled, and nobody takes anything in
    converged      every member answers, all see the same, nothing waits or moves, and the last full pass of every node
                   found no key that differed between its owners

What a node does not tell is unknown, and never taken for nothing: it keeps a cluster from being converged.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from dynamo_cli import store
from dynamo_cli.asking import SILENT, survey
from dynamo_cli.call import Call, Document
from dynamo_cli.errors import CliError
from dynamo_cli.progress import remarks
from dynamo_cli.render.plain import show

HEALTHY, CONVERGED, NO_TRANSFERS = GOALS = ("healthy", "converged", "no-transfers")

POLL_S = 0.25
"""Between two looks."""


def wait_for(call: Call, goal: str, at_most_s: float) -> Document:
    """The DYN.STATUS document once the goal is reached, or time is up, with `wait`: what is lacking then.

    An unreachable node is asked again, too; raises CliError if none answers when time is up.
    """
    begun = time.monotonic()
    with remarks(call, f"waiting for {goal}") as remark:
        while True:
            over = time.monotonic() - begun >= at_most_s
            try:
                document = survey(call.client, "STATUS")
                moves = store.document(call.client, "TRANSFERS") if goal != HEALTHY else {}
            except CliError as error:
                if error.status not in SILENT or over:
                    raise
                remark(error.message)
            else:
                missing = lacking(goal, document, moves)
                if over or not missing:
                    took_s = round(time.monotonic() - begun, 3)
                    wait = {"for": goal, "reached": not missing, "lacking": missing, "took_s": took_s}
                    return {**document, "wait": wait}
                remark("; ".join(missing))
            time.sleep(POLL_S)


def lacking(goal: str, status: Mapping[str, Any], transfers: Mapping[str, Any]) -> list[str]:
    """What keeps the cluster from the goal, each in words; nothing if it is reached."""
    if goal == HEALTHY:
        healthy = status["health"] == "healthy"
        return [] if healthy else [show(reason) for reason in status["reasons"]] or [show(status["health"])]
    moves = _moves(status, transfers)
    return moves if goal == NO_TRANSFERS else [*_unknown(status), *_views(status), *_hints(status), *moves,
                                               *_repairs(status)]  # fmt: skip


def _moves(status: Mapping[str, Any], transfers: Mapping[str, Any]) -> list[str]:
    if transfers["state"] != "settled":
        return [f"the ring moves: {show(transfers['change'] or '')}"]
    left = status["transfers"]
    return [f"{left} partitions are being taken in"] if left else []


def _unknown(status: Mapping[str, Any]) -> list[str]:
    silent = [node for node in status["nodes"] if node["state"] != "up" or node["hints"] is None]
    return [f"{show(node['name'])} is {show(node['state'])}: what it lacks is not known" for node in silent]


def _views(status: Mapping[str, Any]) -> list[str]:
    return [] if status["views_agree"] else ["the nodes differ on members or epoch"]


def _hints(status: Mapping[str, Any]) -> list[str]:
    hints = status["hints"]
    return [f"{hints:,} hints wait for their owners"] if hints else []


def _repairs(status: Mapping[str, Any]) -> list[str]:
    repair = status["repair"]
    if repair["last_pass_s_ago"] is None:
        # Nothing is compared before the first write: where no node holds anything, nothing differs.
        held = [node.get(what) for node in status["nodes"] for what in ("keys", "tombstones")]
        return [] if not any(held) and None not in held else ["a node has not compared all it owns yet"]
    found = repair["divergent"]
    return [f"the last pass found {found:,} keys that differed"] if found else []

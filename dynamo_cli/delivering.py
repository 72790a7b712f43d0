"""`dyn cluster hints --deliver-now`: every node tries at once to hand over what it keeps; what came of it, of all."""

from __future__ import annotations

import time

from dynamo_cli.asking import Told, ask, members
from dynamo_cli.call import Call, Document
from dynamo_cli.progress import remarks
from dynamo_cli.told import items, whole, word

ANSWER_S = 3.0
"""A node tells after 2 s how far it is: who wants to hear it waits longer."""


def deliver(call: Call, at_most_s: float) -> Document:
    """Have every member deliver until none is at it any more, or time is up: a dyn.hints.delivered/v1 document.

    A node that does not answer, or cannot do it, is told in `silent`, and fails nothing.
    """
    begun = time.monotonic()
    addresses = members(call.client)
    timeout_s = max(ANSWER_S, call.options.timeout_s)
    rows: dict[tuple[str, str], int] = {}
    with remarks(call, "delivering hints") as remark:
        while True:
            told = ask(addresses, lambda each: call.env.client_apart((each,), timeout_s), "BACKGROUND", "DELIVER")
            for each in told:
                for delivered in items(each.document, "delivered"):
                    pair = each.node, word(delivered, "for")
                    rows[pair] = rows.get(pair, 0) + (whole(delivered, "keys") or 0)
            busy = [each.node for each in told if each.document and each.document.get("running") is True]
            if not busy or time.monotonic() - begun >= at_most_s:
                return _document(told, rows, time.monotonic() - begun)
            remark(f"{sum(rows.values()):,} rows so far; {', '.join(busy)} go on")


def _document(told: list[Told], rows: dict[tuple[str, str], int], took_s: float) -> Document:
    held = [{"by": each.node, **dict(hint)} for each in told for hint in items(each.document, "held")]
    return {
        "schema": "dyn.hints.delivered/v1",
        "delivered": [{"by": by, "for": target, "keys": keys} for (by, target), keys in rows.items()],
        "held": [hint for hint in held if _is_hint(hint)],
        "silent": [{"node": each.node, "because": each.error.message} for each in told if each.error is not None],
        "took_s": round(took_s, 3),
    }


def _is_hint(hint: Document) -> bool:
    """Whether it is as the interface says: a node may be of another release."""
    numbers = all(whole(hint, name) is not None for name in ("keys", "bytes", "oldest_s"))
    return numbers and all(isinstance(hint.get(name), str) for name in ("for", "waits_because"))

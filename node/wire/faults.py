"""DYN.FAULT's words: what a person may break on purpose, as orders and as the document that lists what is broken.

    CUT a b       no message passes between a and b          DELAY a b ms [j]   each way late by so much, and up to j
    CUT1 a b      a's messages do not reach b                DROP a b percent   of the messages of each way, lost
    HEAL          every link is whole again                  PAUSE ms           the node neither reads nor answers
    SKEW s        its wall clock is off by so many seconds   DISK full|error|ok LIST

A link has two ends, and a node breaks its own: an order about a and b is for a or for b, and for both to be exact.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from node.core.limits import FAULT_MS_MAX, FAULT_SKEW_S_MAX
from node.wire.answers import shown_key
from node.wire.replies import ErrorReply

Words = list[bytes]

SCHEMA: Final = "dyn.fault/v1"

FORMS: Final = {
    "CUT": "CUT a b",
    "CUT1": "CUT1 a b",
    "HEAL": "HEAL",
    "DELAY": "DELAY a b ms [jitter]",
    "DROP": "DROP a b percent",
    "PAUSE": "PAUSE ms",
    "SKEW": "SKEW s",
    "DISK": "DISK full|error|ok",
    "LIST": "LIST",
}
"""How each order is written, after DYN.FAULT."""

DISK_STATES: Final = ("full", "error", "ok")
LINK_KINDS: Final = ("CUT", "CUT1", "DELAY", "DROP")

_RANGES: Final = {
    "DELAY": (0.0, float(FAULT_MS_MAX)),
    "DROP": (0.0, 100.0),
    "PAUSE": (1.0, float(FAULT_MS_MAX)),
    "SKEW": (-float(FAULT_SKEW_S_MAX), float(FAULT_SKEW_S_MAX)),
}


class Order(NamedTuple):
    """One DYN.FAULT: `a` and `b` are names of nodes, `amount` is ms, percent or s, `state` the disk's.

    `jitter`, of a delay: each message is late by up to so many ms more, by lot.
    """

    kind: str
    a: str = ""
    b: str = ""
    amount: float = 0.0
    state: str = ""
    jitter: float = 0.0


class Way(NamedTuple):
    """What a node does to the frames of one peer: what it sends it, and what it hears from it."""

    swallow_out: bool = False
    swallow_in: bool = False
    delay_s: float = 0.0
    loss: float = 0.0
    """The part of the messages sent that is lost, 0 to 1."""
    jitter_s: float = 0.0
    """Beyond the delay, at most."""


CLEAR: Final = Way()


# Words -------------------------------------------------------------------------------------------------------


def parse(words: Words) -> Order | ErrorReply:
    """Return the order in the words of a DYN.FAULT, or one line that says how it is written."""
    kind = words[1].upper().decode(errors="replace") if len(words) > 1 else ""
    form = FORMS.get(kind)
    if form is None:
        return ErrorReply(
            "ERR", f"DYN.FAULT takes {', '.join(FORMS)}, not '{shown_key(words[1] if words[1:] else b'')}'"
        )
    given = [word.decode(errors="replace") for word in words[2:]]
    most = form.count(" ")
    least = most - form.count("[")
    if not least <= len(given) <= most:
        needed = f"{least} or {most}" if least != most else str(most or "no")
        return _wrong(kind, f"{needed} word{'s' * (most != 1)} after it, not {len(given)}")
    if kind == "DISK":
        state = given[0].lower()
        if state not in DISK_STATES:
            return _wrong(kind, f"full, error or ok, not '{shown_key(words[2])}'")
        return Order(kind, state=state)
    a, b = given[:2] if kind in LINK_KINDS else ("", "")
    if kind in LINK_KINDS and a == b:
        return _wrong(kind, "two nodes, not the same one twice")
    if kind not in _RANGES:
        return Order(kind, a, b)
    first = 2 if kind in LINK_KINDS else 0
    amounts = [_number(word) for word in given[first:]]
    low, high = _RANGES[kind]
    for word, amount in zip(words[2 + first :], amounts, strict=True):
        if not low <= amount <= high:
            return _wrong(kind, f"a number from {low:.0f} to {high:.0f}, not '{shown_key(word)}'")
    return Order(kind, a, b, amounts[0], jitter=amounts[1] if len(amounts) > 1 else 0.0)


def _number(word: str) -> float:
    """A decimal number; not a number if it is none, nor anything that only Python takes for one."""
    try:
        return float(word) if word.isascii() and len(word) <= 20 and "_" not in word else math.nan
    except ValueError:
        return math.nan


def _wrong(kind: str, needed: str) -> ErrorReply:
    return ErrorReply("ERR", f"DYN.FAULT {kind} needs {needed}; usage: DYN.FAULT {FORMS[kind]}")


# Faults of links ---------------------------------------------------------------------------------------------


def with_order(faults: tuple[Order, ...], order: Order) -> tuple[Order, ...]:
    """The faults of links once `order` is in force too: it replaces one of its kind between the same two nodes.

    A delay or a loss of 0 only lifts what there was.
    """
    left = tuple(fault for fault in faults if _place(fault) != _place(order))
    lifts = order.kind in _RANGES and order.amount == 0 and order.jitter == 0
    return left if lifts else (*left, order)


def _place(order: Order) -> tuple[str, str, str]:
    """What two orders have in common of which the later counts: CUT1 has a direction, the others have none."""
    a, b = (order.a, order.b) if order.kind == "CUT1" else sorted((order.a, order.b))
    return order.kind, a, b


def way_to(faults: tuple[Order, ...], me: str, peer: str) -> Way:
    """What `me` does to the frames of `peer`. Delay and loss are the sender's, or two ends would do them twice."""
    swallow_out = swallow_in = False
    delay_s = loss = jitter_s = 0.0
    for fault in faults:
        if {fault.a, fault.b} != {me, peer}:
            continue
        if fault.kind == "CUT":
            swallow_out = swallow_in = True
        elif fault.kind == "CUT1":
            swallow_out = swallow_out or fault.a == me
            swallow_in = swallow_in or fault.a == peer
        elif fault.kind == "DELAY":
            delay_s, jitter_s = fault.amount / 1000, fault.jitter / 1000
        else:
            loss = fault.amount / 100
    return Way(swallow_out, swallow_in, delay_s, loss, jitter_s)


def spoken(order: Order) -> str:
    """An order as it is typed."""
    amount = [f"{order.amount:g}"] if order.kind in _RANGES else []
    amount += [f"{order.jitter:g}"] if order.jitter else []
    return " ".join(filter(None, (order.kind, order.a, order.b, order.state, *amount)))


def described(order: Order) -> dict[str, object]:
    """One fault as it stands in the document."""
    names: dict[str, object] = {"a": order.a, "b": order.b} if order.kind in LINK_KINDS else {}
    amounts: dict[str, dict[str, object]] = {
        "DELAY": {"ms": order.amount, "jitter_ms": order.jitter},
        "DROP": {"percent": order.amount},
        "PAUSE": {"ms": order.amount},
        "SKEW": {"seconds": order.amount},
        "DISK": {"state": order.state},
    }
    return {"kind": order.kind.lower(), **names, **amounts.get(order.kind, {})}

"""Ways to break a cluster as people write them: `kill n2`, `partition n1,n2 / n3,n4,n5`, `slow n4 200`, `heal`.

The demo's shell and `dyn bench --fault` share these words. What concerns links, clocks and disks becomes DYN.FAULT
orders for the nodes; what concerns processes is for whoever owns them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from dynamo_cli.arguments import amount
from dynamo_cli.errors import CliError, no_node, usage
from dynamo_cli.faults import Order, group, pairs
from node.core.limits import FAULT_MS_MAX, FAULT_SKEW_S_MAX

DISKS = ("full", "error", "ok")
PROCESS_VERBS = ("kill", "restart")
"""Verbs about a process."""

FORMS = {
    "kill": "kill NODE",
    "restart": "restart NODE",
    "partition": "partition A,B / C,D",
    "cut": "cut A B",
    "slow": "slow NODE MS [JITTER]",
    "delay": "delay A B MS [JITTER]",
    "drop": "drop A B PERCENT",
    "pause": "pause NODE MS",
    "skew": "skew NODE SECONDS",
    "disk": "disk NODE full|error|ok",
    "heal": "heal",
}
"""Every verb, as it is written."""
JITTER = "--jitter"
"""May stand before a jitter, as in the command of the same name."""


class Cut(NamedTuple):
    """The sides of a partition."""

    sides: tuple[tuple[str, ...], ...]

    @property
    def links(self) -> int:
        """How many links it cuts."""
        sizes = [len(side) for side in self.sides]
        return (sum(sizes) ** 2 - sum(size * size for size in sizes)) // 2


def check(words: Sequence[str], names: Sequence[str]) -> None:
    """Raise CliError if a fault is written wrong (USAGE), or about a node that is not there (NOT_FOUND)."""
    verb, given = words[0], words[1:]
    if verb in PROCESS_VERBS:
        if len(given) != 1:
            raise _form(verb)
        _known(given, names)
        return
    orders_of(words, names)


def orders_of(words: Sequence[str], names: Sequence[str]) -> list[Order]:
    """The DYN.FAULT orders of a fault that is not about processes, for a ring of these names. Raises CliError."""
    verb, given = words[0], [word for word in words[1:] if word != JITTER]
    if verb == "heal" and not given:
        return [(name, ("HEAL",)) for name in names]
    if verb == "partition" and given:
        sides = sides_of(given, names).sides
        return [
            order
            for i, side in enumerate(sides)
            for other in sides[i + 1 :]
            for order in pairs("CUT", ",".join(side), ",".join(other))
        ]
    if len(given) in {"cut": (2,), "delay": (3, 4), "drop": (3,)}.get(verb, ()):
        for side in given[:2]:
            _known(group(side), names)
        for figure in given[2:]:
            _number(verb, figure, 0, 100 if verb == "drop" else FAULT_MS_MAX)
        return pairs(verb.upper(), *given)
    if len(given) in {"slow": (2, 3), "pause": (2,), "skew": (2,), "disk": (2,)}.get(verb, ()):
        _known(given[:1], names)
        return _orders_of_node(verb, given[0], given[1:], names)
    if verb not in FORMS or verb in PROCESS_VERBS:
        raise usage(f"no fault {verb!r}", f"There are {', '.join(FORMS)}")
    raise _form(verb)


def _orders_of_node(verb: str, node: str, given: Sequence[str], names: Sequence[str]) -> list[Order]:
    """The orders of a fault of one node."""
    if verb == "slow":
        others = [name for name in names if name != node]
        for figure in given:
            _number(verb, figure, 0, FAULT_MS_MAX)
        return pairs("DELAY", node, ",".join(others), *given) if others else []
    if verb == "disk":
        if given[0] not in DISKS:
            raise usage(f"{given[0]!r} is none of {', '.join(DISKS)}", f"Write: {FORMS[verb]}")
        return [(node, ("DISK", given[0]))]
    low, high = (1, FAULT_MS_MAX) if verb == "pause" else (-FAULT_SKEW_S_MAX, FAULT_SKEW_S_MAX)
    _number(verb, given[0], low, high)
    return [(node, (verb.upper(), given[0]))]


def late(ms: float, names: Sequence[str]) -> list[Order]:
    """The orders that make every link of a ring of these names late by so many milliseconds; 0: on time."""
    return [
        order
        for i, name in enumerate(names)
        for other in names[i + 1 :]
        for order in pairs("DELAY", name, other, f"{ms:g}")
    ]


def sides_of(words: Sequence[str], names: Sequence[str]) -> Cut:
    """The sides of a partition: `n1,n2 / n3,n4`, or `n1,n2 n3,n4`, or `n1,n2` against all others.

    Raises CliError.
    """
    text = " ".join(words).replace(" ,", ",").replace(", ", ",")
    sides = [group(side.strip()) for side in (text.split("/") if "/" in text else text.split())]
    mentioned = [name for side in sides for name in side]
    _known(mentioned, names)
    twice = [name for name in mentioned if mentioned.count(name) > 1]
    if twice:
        raise usage(f"{twice[0]} is on both sides", f"Write: {FORMS['partition']}")
    if len(sides) == 1:
        sides.append(tuple(name for name in names if name not in mentioned))
    if not all(sides):
        raise usage("one side of the cut has no node", f"Write: {FORMS['partition']}")
    return Cut(tuple(sides))


def _known(given: Sequence[str], names: Sequence[str]) -> None:
    for name in given:
        if name not in names:
            raise no_node(name, names)


def _number(verb: str, given: str, low: float, high: float) -> None:
    try:
        amount(low, high)(given)
    except ValueError as error:
        raise usage(str(error), f"Write: {FORMS[verb]}") from None


def _form(verb: str) -> CliError:
    return usage(f"{verb} takes other words", f"Write: {FORMS[verb]}")

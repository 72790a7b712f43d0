"""Concept pages about values and versions: what is kept of a write, and how it is told what replaces what."""

from __future__ import annotations

from collections.abc import Mapping

from dynamo_cli.concepts.facts import Facts, Page, several


def _siblings(facts: Facts) -> str:
    if facts.siblings:
        keys = several(facts.siblings, "key has", "keys have")
        return f"In {facts.cluster} {keys} siblings now, on the node that has most of them: dyn keys --siblings."
    return f"In {facts.cluster} no key has siblings now."


def _context(facts: Facts) -> str:
    return (
        f"Contexts of {facts.cluster} are sealed: one that was made by another cluster, or for another key, is refused "
        "(BADCONTEXT) and not guessed at."
    )


def _clock(facts: Facts) -> str:
    first = facts.names[0]
    return (
        f"Here clocks are made of {several(len(facts.names), 'name')} ({', '.join(facts.names[:6])}"
        f"{', …' if len(facts.names) > 6 else ''}): {{{first}:3}} includes the first three writes that {first} "
        "coordinated for that key. Who only reads, or only keeps copies, adds nothing to a clock."
    )


def _dot(facts: Facts) -> str:
    first, last = facts.names[0], facts.names[-1]
    if first == last:
        return f"Here only {first} gives out dots; two writers of one key through it still get {first}:1 and {first}:2."
    return (
        f"Here a write that {first} coordinates is {first}:1, {first}:2 and so on, one that {last} coordinates "
        f"{last}:1."
    )


def _blind(facts: Facts) -> str:
    return (
        f"{several(facts.siblings, 'key has', 'keys have')} siblings in {facts.cluster} now. A key with 100 takes no "
        "more (TOOMANYSIBLINGS): settle them."
    )


def _tombstone(facts: Facts) -> str:
    away = len(facts.names) - facts.up
    held = f" {several(away, 'member is', 'members are')} away, so none of them can go now." if away > 0 else ""
    return (
        f"{several(facts.tombstones, 'tombstone')} in {facts.cluster} now. Each goes once all "
        f"{several(len(facts.names), 'member')} confirmed it.{held}"
    )


def _lww(facts: Facts) -> str:
    return (
        f"{facts.cluster} never compares clocks of the wall when it decides. "
        "How far apart those of its nodes are: dyn doctor cluster.clocks."
    )


def _unknown(facts: Facts) -> str:
    least = "one node" if facts.w == 1 else f"fewer than W={facts.w} nodes"
    return (
        f"Here a write is unknown if, at its deadline, {least if facts.w > 1 else 'no node'} had acknowledged it "
        "durably."
    )


PAGES: Mapping[str, Page] = {
    "siblings": Page(
        "Several values of one key",
        "Two writers that did not see each other's write are not put in an order, since any order would lose one of "
        "the two without telling. The key then has both values, which are siblings, and a read returns both.\n\n"
        "Whoever has read both and writes with that context replaces both: that is a merge. What a merge means depends "
        "on the data (a cart is a union, a profile needs a person), so the store does not do it by itself.\n\n"
        "GET and other plain Redis commands answer -SIBLINGS for such a key instead of choosing one.",
        _siblings,
        ("dyn keys --siblings", "dyn get KEY", "dyn merge KEY --union"),
        ("context", "clock", "blind write"),
        ("sibling", "conflict", "conflicts", "concurrent"),
    ),
    "context": Page(
        "What a writer has seen",
        "A read returns, besides the values, a context: the clock of what it showed, sealed by the cluster so that "
        "nobody can forge it. A write that brings the context replaces exactly that, and nothing that was written "
        "meanwhile by others: that stays beside it, as a sibling.\n\n"
        "dyn reads first and writes with what it read; a shell uses the context of its last get of the key, and says "
        "so. A plain SET covers what the coordinator holds.",
        _context,
        ("dyn get KEY --ctx", "dyn put KEY VALUE --ctx TOKEN", "dyn help ctx"),
        ("siblings", "dot", "blind write"),
        ("ctx", "causal context", "token"),
    ),
    "clock": Page(
        "Which writes a version includes",
        "A version vector counts, for each node, how many writes of the key which that node coordinated are included: "
        "{n1:2, n3:1} includes two of n1's and one of n3's. If a clock has all that another one has, its version "
        "replaces the other. If each has something that the other lacks, the two are siblings.\n\n"
        "No wall clock has a part in it: a node whose time is an hour off decides as the others do.",
        _clock,
        ("dyn get KEY", "dyn key explain KEY"),
        ("dot", "siblings", "last write wins"),
        ("vector clock", "version vector", "version", "clocks", "causality"),
    ),
    "dot": Page(
        "The name of one write",
        "Each write has a dot: the node that coordinated it, and a number that this node never uses twice for the key. "
        "A version is its dot and the clock of what its writer had seen (a dotted version vector).\n\n"
        "With the dot apart from the clock, two writes with the same context through the same node stay siblings. With "
        "plain vector clocks the second would wrongly replace the first.",
        _dot,
        ("dyn key explain KEY -o json", "dyn get KEY -o json"),
        ("clock", "coordinator"),
        ("dots", "dotted version vector"),
    ),
    "blind write": Page(
        "A write without a context",
        "A write with an empty context says that its writer has seen nothing. So it replaces nothing and becomes a "
        "sibling of whatever there is. Many of them let a key grow without bound, as nobody ever says which values "
        "are done with.",
        _blind,
        ("dyn put KEY VALUE --ctx none", "dyn merge KEY --take A"),
        ("context", "siblings"),
        ("blind",),
    ),
    "tombstone": Page(
        "What a delete leaves",
        "A delete is a write, too: it leaves a tombstone, which says what it replaces. If it simply removed the key, "
        "a replica that missed it would bring the old value back.\n\n"
        "A tombstone goes (is reaped) once every member has confirmed that it holds nothing older, whatever that "
        "takes; no clock and no grace period has a part in it. While a member is away, the tombstones wait for it.",
        _tombstone,
        ("dyn del KEY", "dyn keys --tombstones", "dyn cluster status"),
        ("anti-entropy", "replicas"),
        ("tombstones", "delete", "reap", "reaping"),
    ),
    "last write wins": Page(
        "Why no clock of the wall decides",
        "Where the later timestamp wins, one of two concurrent writes is lost in silence, and a node whose time is "
        "ahead wins over all others until they catch up. dyn keeps both values and lets a reader say.\n\n"
        "Where the latest is right, as for a reading of a sensor, a reader can merge by the times that are shown.",
        _lww,
        ("dyn get KEY", "dyn merge KEY --lww", "dyn doctor cluster.clocks"),
        ("siblings", "clock"),
        ("lww", "timestamp"),
    ),
    "unknown": Page(
        "A write that may or may not have happened",
        "A request ends in one of three ways: done, not done (UNAVAILABLE: nothing was stored anywhere), or unknown. "
        "It is unknown when the deadline passed after the write had begun: some replica may hold it, and then it "
        "takes effect.\n\n"
        "So read before you write again. With the context of that read, writing the same once more is safe.",
        _unknown,
        ("dyn get KEY", "dyn help exit-codes"),
        ("quorum", "context"),
        ("outcome unknown", "timeout"),
    ),
}

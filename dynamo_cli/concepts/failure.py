"""Concept pages about answers and failures: how many must answer, who stands in, and how owners become equal again."""

from __future__ import annotations

from collections.abc import Mapping

from dynamo_cli.concepts.facts import Facts, Page, several


def _quorum(facts: Facts) -> str:
    n, r, w = facts.acts
    total = f"R+W>N: yours is {r}+{w}={r + w}, and N={n}"
    if facts.acts != (facts.n, facts.r, facts.w):
        total = f"N/R/W is {facts.n}/{facts.r}/{facts.w} and acts as {n}/{r}/{w} until more nodes join. {total}"
    if r + w > n:
        met = f"so a read meets at least {several(r + w - n, 'owner')} of those that took the last write, "
        met += "if no stand-in took part"
    else:
        met = "so a read may miss the last write, until hints, a later read or anti-entropy bring it"
    away = several(n - max(r, w), "owner")
    return f"{total}: {met}. Reads and writes go on with {away} of a key away, and with more where others stand in."


def _sloppy(facts: Facts) -> str:
    spare = facts.seats - facts.copies
    if spare <= 0:
        return (
            f"In {facts.cluster} all {several(facts.seats, 'node')} own each key, so nobody can stand in. "
            f"With more nodes than N={facts.n}, some could."
        )
    return (
        f"In {facts.cluster} {several(spare, 'node')} can stand in for the {facts.copies} owners of a key: it takes "
        f"writes as long as any {facts.acts[2]} of {facts.seats} nodes answer."
    )


def _strict(facts: Facts) -> str:
    n, r, w = facts.acts
    more = several(n - max(r, w), "of them is", "of them are")
    return (
        f"Here a strict read needs {r} and a strict write {w} of the {n} owners themselves: it fails (UNAVAILABLE) "
        f"once more than {more} away."
    )


def _hint(facts: Facts) -> str:
    if facts.hints:
        rows = several(facts.hints, "row waits", "rows wait")
        return f"{rows} for owners in {facts.cluster} now: dyn cluster hints says for whom, and why."
    if facts.hints == 0:
        return f"No row waits in {facts.cluster}: every owner has what was written for it."
    return f"The nodes of {facts.cluster} do not tell how many rows wait."


def _read_repair(facts: Facts) -> str:
    n, r, _ = facts.acts
    return (
        f"Here a read asks {r} of the {n} owners first, and more when one is silent: dyn get KEY -r {n} asks, and "
        "mends, all."
    )


def _anti_entropy(facts: Facts) -> str:
    if facts.repair_s_ago is None:
        return (
            f"Not every node of {facts.cluster} has made a full pass since it was started: dyn cluster repair makes "
            "one."
        )
    return (
        f"The last full pass in {facts.cluster} was {facts.repair_s_ago:,.0f} s ago and found "
        f"{several(facts.divergent, 'key that differs', 'keys that differ')}."
    )


def _merkle(facts: Facts) -> str:
    leaves = 1 << 18
    return (
        f"The {facts.partitions:,} partitions of {facts.cluster} have {leaves // facts.partitions:,} leaves each. Two "
        "nodes whose roots are equal are done with a partition after one hash."
    )


def _gossip(facts: Facts) -> str:
    away = len(facts.names) - facts.up
    down = f", and {several(away, 'of them does not answer it', 'of them do not answer it')}" if away else ""
    return f"{facts.node} knows {several(len(facts.names), 'member')}{down}. Who believes what: dyn cluster views."


def _scrub(facts: Facts) -> str:
    return f"Each node of {facts.cluster} tells how far it is, and what it found: dyn node stats, dyn doctor data.rot."


PAGES: Mapping[str, Page] = {
    "quorum": Page(
        "How many owners must answer",
        "A read is answered once R owners have answered, a write once W of them have it on the disk. If R+W is more "
        "than N, the owners that a read asks and those that took the last write have one in common, so the read sees "
        "it.\n\n"
        "Smaller numbers are faster and go on longer when nodes fail; larger ones see more. A single request may use "
        "others: get -r, put -w.",
        _quorum,
        ("dyn get KEY -r 3", "dyn put KEY VALUE -w 3", "dyn cluster status"),
        ("sloppy quorum", "strict", "replicas"),
        ("quorums", "r", "w", "nrw", "consistency"),
    ),
    "sloppy quorum": Page(
        "Others stand in for owners that are away",
        "When an owner does not answer, the next healthy node of the preference list takes its place for this write, "
        "and keeps it with a hint that names the owner. So a write is taken as long as W nodes are there at all, on "
        "either side of a cut network.\n\n"
        "The price: during a cut two sides can each take a write, and R+W>N promises nothing across it. Nothing is "
        "lost by that: both values are kept, as siblings.",
        _sloppy,
        ("dyn fault cut n1 n2,n3", "dyn put KEY VALUE", "dyn cluster hints"),
        ("hint", "strict", "preference list"),
        ("sloppy", "partition tolerance", "cut"),
    ),
    "strict": Page(
        "Owners alone count",
        "A request with --strict counts no stand-in. A strict read answers only when what it returns is durable on "
        "so many owners that no later strict read can miss it: it never goes back in time. The price is that it "
        "fails where a sloppy one goes on.",
        _strict,
        ("dyn get KEY --strict", "dyn put KEY VALUE --strict"),
        ("quorum", "sloppy quorum"),
        ("linearizable",),
    ),
    "hint": Page(
        "A write that is kept for its owner",
        "Whoever stands in for an owner keeps the row with a hint, which names the owner. When the owner answers "
        "again it is handed what it missed; the hint goes once the owner has it on its disk. Then the stand-in drops "
        "its copy.",
        _hint,
        ("dyn cluster hints", "dyn doctor data.hints"),
        ("sloppy quorum", "anti-entropy"),
        ("hints", "hinted handoff", "handoff"),
    ),
    "read repair": Page(
        "A read that mends",
        "If the owners that a read asked hold different versions, the client gets all that count, and afterwards those "
        "whose row lacks something get it. So keys that are read are repaired first.",
        _read_repair,
        ("dyn key repair KEY", "dyn key explain KEY"),
        ("anti-entropy", "hint"),
        ("repair",),
    ),
    "anti-entropy": Page(
        "How owners become equal",
        "In the background every node compares what it holds with the other owners, by Merkle trees, and both get what "
        "they lack. Whatever a write missed is brought by it, also keys that nobody reads and hints that were lost. It "
        "gives way to clients while they wait.",
        _anti_entropy,
        ("dyn cluster repair", "dyn cluster status", "dyn node stats"),
        ("merkle", "read repair", "scrub"),
        ("antientropy", "entropy", "aae"),
    ),
    "merkle": Page(
        "Finding one difference among a million keys",
        "A tree of hashes: each leaf stands for a range of keys, each branch for what is below it, the root for a "
        "whole partition. Two nodes compare roots, then only those branches that differ, down to the keys. One key "
        "that differs among a million costs about 6 kB.",
        _merkle,
        ("dyn cluster repair", "dyn node stats"),
        ("anti-entropy", "partition"),
        ("merkle tree", "tree", "hash tree"),
    ),
    "gossip": Page(
        "How nodes know of each other",
        "Nodes tell each other what they know of members and of the ring, and the newer word wins. Each decides for "
        "itself who is down, by who answers it: two nodes may differ about a third, if the network is cut between "
        "them.",
        _gossip,
        ("dyn cluster views", "dyn cluster events"),
        ("epoch", "discovery"),
        ("views", "suspect", "down", "failure detector"),
    ),
    "scrub": Page(
        "Reading everything again",
        "Once a day a node reads all its rows and holds each to its checksum. A damaged row is set aside, never "
        "served, and brought back from another owner.",
        _scrub,
        ("dyn node stats", "dyn doctor data.rot"),
        ("anti-entropy", "replicas"),
        ("scrubber", "rot", "checksum", "bit rot"),
    ),
}

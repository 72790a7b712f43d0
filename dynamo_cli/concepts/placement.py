"""Concept pages about placement: who owns a key, and how a ring changes."""

from __future__ import annotations

from collections.abc import Mapping

from dynamo_cli.concepts.facts import Facts, Page, several


def _partition(facts: Facts) -> str:
    each = facts.partitions / facts.seats
    return (
        f"{facts.cluster} has {facts.partitions:,} partitions on {several(facts.seats, 'node')}: each node is the "
        f"first owner of about {each:,.0f} of them, and owner of {each * facts.copies:,.0f}."
    )


def _ring(facts: Facts) -> str:
    return (
        f"The ring of {facts.cluster} has {facts.partitions:,} partitions, {several(facts.seats, 'owner')} and is at "
        f"epoch {facts.epoch}."
    )


def _preference(facts: Facts) -> str:
    spare = facts.seats - facts.copies
    rest = (
        f"the other {several(spare, 'node')} can stand in for them"
        if spare > 0
        else "nobody is left to stand in for them"
    )
    return (
        f"Here the list of each key has {several(facts.seats, 'name')}: the first {facts.copies} own the key, and "
        f"{rest}."
    )


def _replicas(facts: Facts) -> str:
    if facts.copies < facts.n:
        missing = facts.n - facts.copies
        return (
            f"N is {facts.n} in {facts.cluster}, and {several(facts.seats, 'node')} own partitions: there are "
            f"{facts.copies} copies of each key until {missing} more join."
        )
    return (
        f"Each key of {facts.cluster} is on N={facts.n} of {several(facts.seats, 'node')}: "
        f"{100 * facts.n / facts.seats:.0f}% of all keys on each."
    )


def _coordinator(facts: Facts) -> str:
    share = facts.copies / facts.seats
    return (
        f"In {facts.cluster} a node owns {share:.0%} of all keys. Of requests that come to a node at random, "
        f"{1 - share:.0%} of the writes are handed to an owner first."
    )


def _zone(facts: Facts) -> str:
    if not facts.zones:
        return f"No node of {facts.cluster} was started with --zone: its replicas are spread over nodes alone."
    spread = min(facts.copies, len(facts.zones))
    return (
        f"{facts.cluster} has {several(len(facts.zones), 'zone')} ({', '.join(facts.zones)}): {facts.copies} owners "
        f"of a key lie in up to {spread} of them."
    )


def _weight(facts: Facts) -> str:
    if len(set(facts.weights.values())) <= 1:
        return f"All nodes of {facts.cluster} have the same weight, and so the same share."
    told = ", ".join(f"{name} {weight}" for name, weight in list(facts.weights.items())[:8])
    return f"The weights of {facts.cluster}: {told}."


def _epoch(facts: Facts) -> str:
    if facts.change:
        return (
            f"{facts.cluster} is at epoch {facts.epoch}, which moves partitions ({facts.change}): dyn cluster "
            "transfers."
        )
    return f"{facts.cluster} is at epoch {facts.epoch}, and nothing moves."


def _seal(facts: Facts) -> str:
    if facts.sealed is None:
        return f"The nodes of {facts.cluster} do not tell whether its ring is sealed."
    if facts.sealed:
        return f"The ring of {facts.cluster} is sealed: data has been written, and each change is voted on."
    return f"The ring of {facts.cluster} is not sealed: nothing was ever written to it."


def _discovery(facts: Facts) -> str:
    return f"{several(len(facts.names), 'member')} in {facts.cluster}, {facts.up} of them up as {facts.node} sees it."


PAGES: Mapping[str, Page] = {
    "partition": Page(
        "A piece of the hash space",
        "The MD5 of a key is a number of 128 bits. All these numbers are cut into partitions of equal size, as many as "
        "were chosen when the cluster was founded; a key's partition is the top bits of its hash. Partitions have "
        "owners, keys do not: so a change of the ring moves whole partitions and no list of keys.",
        _partition,
        ("dyn ring owner KEY", "dyn ring show"),
        ("ring", "preference list", "replicas"),
        ("partitions", "vnode", "hash", "token"),
    ),
    "ring": Page(
        "Who owns what",
        "The ring says for each partition who owns it. Every node has all of it, so that any node can answer, or hand "
        "on, any request without asking anybody. It changes only by epochs, which are decided by a majority.",
        _ring,
        ("dyn ring show", "dyn ring simulate --add 1", "dyn ring export --file ring.svg"),
        ("partition", "epoch", "gossip"),
        ("consistent hashing",),
    ),
    "preference list": Page(
        "The nodes of a key, in order",
        "All nodes in the order in which they are asked for a key. The first N own it. The ones behind them stand "
        "in, in that order, when an owner does not answer. It is the same on every node, as it follows from the ring.",
        _preference,
        ("dyn ring owner KEY", "dyn key explain KEY"),
        ("replicas", "sloppy quorum", "zone"),
        ("owner", "owners", "primary", "stand-in", "fallback"),
    ),
    "replicas": Page(
        "The copies of a key",
        "N nodes own each key, and each of them keeps all of it. They are equal: there is no leader, and any of them "
        "takes a write. What one of them missed is brought by hints, by reads and by anti-entropy.",
        _replicas,
        ("dyn key explain KEY", "dyn cluster status"),
        ("quorum", "preference list", "anti-entropy"),
        ("replica", "replication", "n", "copies"),
    ),
    "coordinator": Page(
        "The node that does a request",
        "Any node takes any request. A read is coordinated by the node that was asked. A write is coordinated by an "
        "owner of the key, since it gets a dot there: another node hands it on. The coordinator commits first, sends "
        "the row to the other owners and answers when W of them hold it.",
        _coordinator,
        ("dyn ring owner KEY", "dyn node stats"),
        ("quorum", "dot", "preference list"),
        ("coordinate", "forward"),
    ),
    "zone": Page(
        "What fails together",
        "Nodes in one rack, or one building, fail together. A node that is started with --zone Z says where it is, and "
        "owners of a key are put into different zones first.",
        _zone,
        ("dyn ring show", "dyn ring simulate --add 1", "dyn node start --zone Z"),
        ("preference list", "replicas"),
        ("zones", "rack"),
    ),
    "weight": Page(
        "How much of the ring a node takes",
        "A node with twice the weight owns about twice as many partitions: twice the data, and twice the work.",
        _weight,
        ("dyn ring show", "dyn cluster plan weight NODE 2"),
        ("partition", "epoch"),
        ("weights", "balance", "share"),
    ),
    "epoch": Page(
        "The number of a ring",
        "Each change of the ring (somebody joins, leaves, is replaced or gets another weight) makes a new epoch, "
        "which a majority of the owners decides. While data moves, the old and the new owners are asked, both with "
        "their quorums; when all have taken in their part, one more epoch settles the ring.\n\n"
        "A store refuses what was decided under an older epoch, so that nobody writes past a move.",
        _epoch,
        ("dyn cluster plan leave NODE", "dyn cluster transfers", "dyn ring diff now next"),
        ("ring", "gossip", "seal"),
        ("epochs", "membership", "transfer", "transfers", "rebalance"),
    ),
    "seal": Page(
        "When a cluster becomes one",
        "Until the first write, its founder alone gives out seats, so that nodes that are started together find "
        "their places at once. The first write anywhere seals the ring; from then on each change is voted on, and "
        "data moves.",
        _seal,
        ("dyn cluster events", "dyn ring show"),
        ("epoch", "discovery"),
        ("sealed",),
    ),
    "discovery": Page(
        "How nodes find each other",
        "Nodes announce themselves on the local network (mDNS), or are told an address: --join HOST:PEERPORT. An "
        "address proves nothing: who does not know the cluster key, or is of another cluster, gets no link.\n\n"
        "Containers and many networks block multicast; then name one node, and the others are heard of from it.",
        _discovery,
        ("dyn node start --join HOST:PEERPORT", "dyn doctor host.mdns"),
        ("gossip", "seal"),
        ("mdns", "zeroconf", "join", "seed"),
    ),
}

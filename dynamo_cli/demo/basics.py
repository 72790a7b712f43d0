"""The first scenes of the tour: a cluster, its ring, reads and writes; a conflict, its clocks, and its merge."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamo_cli import store
from dynamo_cli.demo.seen import CLUSTER
from dynamo_cli.demo.stage import Stage
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus

if TYPE_CHECKING:
    from dynamo_cli.demo.tour import Tour

CART = b"cart:42"
MEMBERS = {b"user:ada": b"Ada Lovelace", b"user:bob": b"Bob Kahn", b"user:cyd": b"Cyd Charisse"}


class Basics:
    """What works while all is well."""

    def __init__(self, tour: Tour) -> None:
        self.tour = tour
        self.stage: Stage = tour.stage
        self.cluster = tour.cluster
        self.where = tour.where

    def one_cluster(self) -> None:
        """Status, before the first write."""
        count = len(self.cluster)
        self.stage.scene(
            f"{count} nodes, one cluster",
            f"n1 founded the cluster {CLUSTER!r}; the others joined it. There is no leader: any node "
            "takes any request. Each of these is a process of its own, with its own disk.",
        )
        self.stage.read(
            "You need type nothing that you do not want to: Enter has the grey line typed for you. Or type it, or try "
            "something else first, on your own cluster; the tour waits. After each scene it checks what it said on "
            "the nodes themselves, and shows that as ok. It is read in some eight minutes; q leaves it, and \\tour in "
            "the demo's shell finds the place again."
        )
        self.stage.dyn("cluster status")
        status = self.tour.status(self.where[0])
        names = sorted(node["name"] for node in status["nodes"] if node["state"] == "up")
        self.stage.check(names == sorted(n.name for n in self.cluster), f"all {count} nodes are members and up", names)
        self.stage.check(status["health"] == "healthy", "the cluster is healthy", status["health"])
        self.stage.check(status["views_agree"], "all nodes agree on members and epoch")

    def ring(self) -> None:
        """The ring, and where one key lives on it."""
        self.stage.scene(
            "the ring",
            "The hash of a key is its place on a ring of equal partitions. A letter is the primary "
            "owner of one partition; walking on, the next different nodes keep its other replicas.",
        )
        self.stage.read(
            "That is all that placement is: no directory, no master that knows. Every node and every client that has "
            "the ring computes the same owners, here N=3 for each key. A node that is added or taken away changes the "
            "owners of some partitions and of no others, which is why it can be done while all goes on."
        )
        self.stage.dyn("ring show")
        self.stage.dyn(f"ring owner {CART.decode()} user:ada")
        rings = [store.document(self.stage.client(address), "RING") for address in self.where]
        one = rings[0]
        n = one["n"]
        same = all(ring["epoch"] == one["epoch"] and ring["preference"] == one["preference"] for ring in rings)
        self.stage.check(same, f"all nodes know the same ring, epoch {one['epoch']}")
        owners = [names[:n] for names in one["preference"]]
        self.stage.check(all(len(set(o)) == n for o in owners), f"each partition has {n} owners on {n} different nodes")
        counts = [one["owners"].count(node.name) for node in self.cluster]
        fair = max(counts) - min(counts) <= 1
        self.stage.check(fair, f"each node is primary of {min(counts)} or {max(counts)} partitions", counts)

    def writes(self) -> None:
        """Writes through some nodes, reads through others."""
        self.stage.scene(
            "any node takes any request",
            "Each write goes to another node, and is read back through the next one. OK means: W=2 "
            "nodes have committed it with fsync.",
        )
        self.stage.read(
            "The node that you ask coordinates: it sends the write to the key's N=3 owners, and answers when W=2 of "
            "them have it on their disks; the third gets it, too, a little later. A read asks all owners and waits "
            "for R=2. As R+W>N, one of those who answer a read took the last write. The line after OK says who."
        )
        for turn, (key, value) in enumerate(MEMBERS.items()):
            there, here = self.tour.port(2 * turn), self.tour.port(2 * turn + 1)
            self.stage.dyn(f"-n {there} put {key.decode()} '{value.decode()}'")
            self.tour.values[key] = value
            self.stage.dyn(f"-n {here} get {key.decode()}")
        for key, value in self.tour.values.items():
            self.tour.everywhere(key, [value])
        self.stage.dyn("keys user:")
        listed = [key for page in store.keys(self.stage.client(self.where[-1]), b"user:") for key in page]
        self.stage.check(sorted(listed) == sorted(MEMBERS), "the list of keys names each key once", listed)

    def conflict(self) -> None:
        """Two writers who read the same, and write through two nodes."""
        ours, theirs = self.tour.owners()[:2]
        self.stage.scene(
            "two writers who do not see each other",
            f"Ada's shell is on {ours.name}, Bob's on {theirs.name}. Both read the same cart; then both write. Each "
            "write carries the context of what its writer had read: it replaces that, and nothing else.",
        )
        self.stage.read(
            "In most stores the later of these two would win, by a clock, and the other would be gone without a word: "
            "eggs that were in the cart at noon are not there at checkout. You are Ada and Bob in turn now."
        )
        self.stage.dyn(f"put {CART.decode()} '[\"milk\"]'")
        ada, bob = self.stage.shell("ada", ours.place.address), self.stage.shell("bob", theirs.place.address)
        try:
            for shell in (ada, bob):
                shell.type(f"get {CART.decode()}")
            ada.type(f'put {CART.decode()} \'["milk","eggs"]\'')
            bob.type(f'put {CART.decode()} \'["milk","beer"]\'')
        finally:
            ada.close()
            bob.close()
        self.stage.say("No lock, no refusal, and no clock decides who is right: both writes were taken.")
        self.tour.everywhere(CART, [b'["milk","beer"]', b'["milk","eggs"]'])

    def siblings(self) -> None:
        """Both values, and the clocks that prove that neither saw the other."""
        cart = CART.decode()
        self.stage.scene(
            "siblings, and the clocks that prove them",
            "Each write is an event at the node that took it: n1:2 is the second one at n1. A clock says which events "
            "a version has seen; where neither has seen the other's, nobody can say that one replaces the other.",
        )
        self.stage.read(
            "This is what a clock is here: no time of day, but a count for each node. {n1:2, n3:1} has seen two "
            "events of n1 and one of n3. If each of two versions has an event that the other has not seen, they are "
            "concurrent, and both are kept: siblings. That is found out, not guessed, and it stays true however wrong "
            "the machines' clocks are."
        )
        self.stage.dyn(f"get {cart}")
        found = self.tour.read(self.where[0], CART)
        self.stage.check(len(found.live) == 2, "there are 2 siblings", len(found.live))
        a, b = found.live
        self.stage.check(not (_saw(a, b) or _saw(b, a)), f"neither has seen the other's event, {a.dot} and {b.dot}")
        writers = sorted(version.writer or "" for version in found.live)
        self.stage.check(writers == ["ada", "bob"], "they name their writers, ada and bob", writers)
        self.stage.say("A program that wants one value is told, and never handed an arbitrary one:")
        self.stage.dyn(f"get {cart} --one", ExitStatus.CONFLICT)
        refusal = ""
        try:
            self.stage.ask(self.where[2], "GET", CART)
        except CliError as error:
            refusal = error.code
        self.stage.check(refusal == "SIBLINGS", "a Redis client's GET is answered -SIBLINGS", refusal or "a value")

    def merge(self) -> None:
        """One write over both."""
        cart = CART.decode()
        self.stage.scene("the merge", "One more write, with a context that covers both siblings, replaces both.")
        self.stage.read(
            "Which value is right is for the application to say: for a cart it is the union, and nothing that was put "
            "in is lost. dyn merge has a few such ways (--union, --take A, --value, or a program of yours), and shows "
            "what it will write. What makes it a merge is the context that goes with it: I have seen both."
        )
        before = [version.clock or {} for version in self.tour.read(self.where[0], CART).live]
        self.stage.dyn(f"merge {cart} --union")
        self.stage.dyn(f"-n {self.tour.port(4)} get {cart}")
        self.tour.values[CART] = b'["milk","eggs","beer"]'
        after = self.tour.read(self.where[0], CART)
        if after.live and after.live[0].value != self.tour.values[CART]:
            self.tour.values[CART] = b'["milk","beer","eggs"]'  # which sibling is A, and so first, is theirs to say
        self.tour.everywhere(CART, [self.tour.values[CART]])
        covers = all(_contains(after.live[0].clock or {}, clock) for clock in before)
        self.stage.check(covers, "its clock contains the clocks of both siblings")


def _contains(one: dict[str, int], other: dict[str, int]) -> bool:
    """Whether a clock has seen everything that another has."""
    return all(one.get(node, 0) >= n for node, n in other.items())


def _saw(version: store.Version, other: store.Version) -> bool:
    """Whether the writer of a version had seen another's event."""
    node, _, n = str(other.dot).rpartition(":")
    return (version.past or {}).get(node, 0) >= int(n)

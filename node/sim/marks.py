"""States that must be reached: a campaign in which one of them never occurs tested less than it seems to.

A mark says nothing about right or wrong. It proves that the workload and the faults get the nodes into the corners in
which mistakes live (Antithesis and FoundationDB call it `sometimes` and code probes).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

REQUIRED: Final = {
    "sibling created": "a write left two live values",
    "three siblings": "a write left three live values or more",
    "siblings resolved": "one write covered two live values or more",
    "tombstone stored": "a delete was committed",
    "tombstone beside a value": "a delete raced with a write, and both stay",
    "forward": "a node handed a write to an owner",
    "forward refused": "an owner would not coordinate, and said so",
    "second commit": "a SET was committed again, over a sibling it had not covered",
    "stand-in asked": "a node was asked to keep a row for an owner that did not answer",
    "stand-in coordinates": "no owner took a write, and the first node behind them did",
    "hint kept by an owner": "nobody could stand in: the coordinator remembers whom it missed",
    "hint delivered": "an owner got a row that it had missed",
    "row changed before its hint went": "a row was written again while it was handed over",
    "row dropped": "a stand-in let go of a row that its owners have",
    "reaped": "a tombstone went, as every member had confirmed",
    "confirmation refused": "a member would not confirm a tombstone, or not in this round",
    "older round refused": "a row that was read before a reap was not merged",
    "read repair": "owners that lacked something got it after a read",
    "strict write-back": "a STRICT read repaired owners before it answered",
    "quorum unavailable": "a write ended as UNAVAILABLE",
    "read unavailable": "a read ended as UNAVAILABLE",
    "unknown outcome": "a write ended as UNKNOWN",
    "connection lost": "a client's node died with its request",
    "bad context refused": "a foreign or damaged context was refused",
    "crash before sync": "a node died with writes on their way to the disk, and lost them",
    "crash after sync": "a node died after the sync, before it heard of it",
    "power cut": "a machine vanished without a word to its peers",
    "whole cluster down": "no node was up",
    "restart": "a node came back with what was durable",
    "message lost": "",
    "message duplicated": "",
    "message overtaken": "",
    "message late": "a second copy came seconds after the first",
    "message held": "a cut let its messages through late",
    "one-way cut": "one direction was cut and the other was not",
    "half-open link": "one end thought a link open that the other had lost",
    "link replaced": "a peer came back on a new link while the old one seemed open",
    "silent peer": "a node gave up a peer that said nothing on an open link",
    "pause": "a process stood still while the world went on",
    "freeze": "and for a minute",
    "wrong clock": "the wall clock of a machine was hours or years off, and set right again",
    "disk failed": "a store was believed nothing any more, until its process had gone",
    "disk failed in a commit": "nobody could know what had become of it",
    "disk full": "a store refused writes for want of space",
    "write dropped as late": "a store came to a coordinator's write when its time had passed",
    "copy dropped as late": "a store came to a replica's row when nobody waited for it any more",
    "refused as one too many": "a client was turned away, because a node had as much as it could do in time",
    "row lost": "a store lost a row that others held",
    "core left alone": "a majority went on while the rest stayed down",
    "rows scrubbed": "a store read rows again that nobody asked for",
    "store wiped": "a machine came back with an empty disk, under its old seat",
    "store put back": "a machine came back with an earlier copy of its disk",
    "store caught up": "such a store learned the reap rounds from whole owners",
    "rows behind a reap dropped": "and dropped what it held from before them",
    "store rebuilt": "and holds again what its seat acknowledged",
    "epoch refused": "a message or write of another ring epoch was refused",
    "exchange found a difference": "two owners listed the keys of a leaf in which their trees differed",
    "keys made equal": "an exchange found different rows",
    "partition rescanned": "a store came back from a crash and could not believe what it had saved",
    "tree not ready": "a question came before that scan was done",
    "ring sealed by decider": "",
    "ring sealed for another node": "a node that had not founded asked for the seal",
    "seat given": "an empty node was given a seat",
    "yielded": "a founder without writes gave way to another cluster",
}  # fmt: skip
"""Mark → what it means, where the name does not say it. A campaign of 300 seeds reaches each."""

ELASTIC: Final = {
    "ring moves": "a node adopted a moving epoch",
    "ring settled": "and a settled one after it, of the new ring or of the old",
    "change taken on": "an operator's change was decided",
    "change refused": "another one was decided first, or is under way",
    "machine lost for good": "",
    "two machines lost for good": "at one moment, and both are to be removed in one change",
    "node gone": "a node that left, or was removed, learned so",
    "rows taken in": "a node got rows of a partition that it gained",
    "rows retired": "a node let go of rows of a partition that it owns no more",
}
"""The same for a campaign in which the ring changes."""


class Marks:
    """How often each state was reached."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def hit(self, mark: str, times: int = 1) -> None:
        """It was reached."""
        assert mark in REQUIRED or mark in ELASTIC, f"no such mark: {mark}"
        if times:
            self.counts[mark] += times

    def missing(self, wanted: Mapping[str, str] = REQUIRED) -> list[str]:
        """The states that were never reached."""
        return [mark for mark in wanted if not self.counts[mark]]

"""A row of a backup merged into what owners hold: what becomes of it, and of keys that were deleted since."""

from __future__ import annotations

import json

import pytest

from node.core.row import EMPTY
from node.storage.port import Adopt
from node.wire.requests import Document, Failed, Inspect, Result
from node.wire.rows import encode_row
from tests.helpers.engine import row_of
from tests.helpers.owners import OTHER, ROW, Owners, equal, fill, sims

PARTITIONS = 64
DEAD = encode_row(row_of(None))


def ask(owners: Owners, row: bytes, number: int = 0, *, undelete: bool = False, cluster: bytes = b"c1") -> Result:
    """DYN.RESTORE of the key k at n1, until it is answered."""
    owners.replies.clear()
    owners.ask(0, Inspect("restore", b"k", (row, b"%d" % number, cluster, b"UNDELETE" if undelete else b"")))
    for _ in range(100):
        if owners.replies:
            break
        owners.wait(0.05)
    ((_, result),) = owners.replies.items()
    return result


def restored(owners: Owners, row: bytes, number: int = 0, *, undelete: bool = False) -> tuple[str, bool]:
    """Its verdict, and whether the owners held anything of the key."""
    result = ask(owners, row, number, undelete=undelete)
    assert isinstance(result, Document), result
    document = json.loads(result.json)
    assert document["schema"] == "dyn.restore.key/v1"
    return document["verdict"], document["traced"]


def held(owners: Owners) -> list[object]:
    return [owner.store.fetch(b"k") for owner in owners.all]


def in_round(owners: Owners, number: int) -> None:
    """All stores go on to a reap round of the key's partition, and their nodes know it."""
    for owner in owners.all:
        for partition in range(PARTITIONS):
            owner.store.apply([Adopt(partition, PARTITIONS, number)])
            owner.node.shared.rounds = owner.node.shared.rounds.adopted(partition, PARTITIONS, number)


def test_what_the_owners_lack_is_merged_and_what_they_know_is_not() -> None:
    owners = Owners(sims(3))
    assert restored(owners, ROW) == ("merged", False)
    assert held(owners) == [ROW] * 3
    assert restored(owners, ROW) == ("known", True)
    assert held(owners) == [ROW] * 3


def test_nothing_newer_is_overwritten() -> None:
    """Not what follows the row, and not what was written beside it."""
    stores = sims(3)
    owners = Owners(stores)
    fill([*stores], [b"k"], encode_row(row_of(b"old", b"new")))
    before = held(owners)
    assert restored(owners, encode_row(row_of(b"old"))) == ("known", True)
    assert held(owners) == before
    assert restored(owners, OTHER) == ("merged", True)
    assert equal(owners)
    assert all(row != OTHER and row not in before for row in held(owners))


def test_a_known_row_is_brought_to_the_owners_that_lack_it() -> None:
    stores = sims(3)
    owners = Owners(stores)
    fill([stores[1]], [b"k"])
    assert restored(owners, ROW) == ("known", True)
    assert held(owners) == [ROW] * 3


def test_what_may_have_been_deleted_since_is_refused_unless_it_shall_live() -> None:
    owners = Owners(sims(3))
    in_round(owners, 5)
    assert restored(owners, ROW, 4) == ("older", False)
    assert held(owners) == [None] * 3
    assert restored(owners, ROW, 5) == ("merged", False)
    assert restored(owners, OTHER, 4) == ("older", True)
    assert restored(owners, OTHER, 4, undelete=True) == ("merged", True)
    assert equal(owners)


def test_a_round_that_only_one_owner_knows_counts() -> None:
    owners = Owners(sims(3))
    last = owners.all[2]
    for partition in range(PARTITIONS):
        last.store.apply([Adopt(partition, PARTITIONS, 5)])
        last.node.shared.rounds = last.node.shared.rounds.adopted(partition, PARTITIONS, 5)
    assert restored(owners, ROW, 4) == ("older", False)
    assert held(owners) == [None] * 3


@pytest.mark.parametrize("undelete", [False, True])
def test_a_tombstone_of_an_older_round_is_nothing_that_is_missed(*, undelete: bool) -> None:
    owners = Owners(sims(3))
    in_round(owners, 5)
    assert restored(owners, DEAD, 4, undelete=undelete) == ("known", False)
    assert held(owners) == [None] * 3


def test_nothing_is_stored_if_too_few_owners_can_be_read() -> None:
    owners = Owners(sims(3))
    owners.cut(0, 1)
    owners.cut(0, 2)
    result = ask(owners, ROW)
    assert isinstance(result, Failed)
    assert result.code == "UNAVAILABLE"
    assert "1 of the 2 owners needed can be read" in result.text
    assert held(owners) == [None] * 3


def test_too_few_owners_that_took_it_are_told_as_unknown() -> None:
    owners = Owners(sims(3))
    owners.lost = ["Replicate"]
    result = ask(owners, ROW)
    assert isinstance(result, Failed)
    assert (result.code, result.text.partition(" (")[0]) == ("UNKNOWN", "merged on 1 of 2 owners")


def test_one_owner_that_is_down_does_not_matter() -> None:
    owners = Owners(sims(3))
    owners.cut(0, 2)
    assert restored(owners, ROW) == ("merged", False)
    assert held(owners) == [ROW, ROW, None]


@pytest.mark.parametrize(
    ("row", "cluster", "words"),
    [
        (b"", b"c1", "no row of a backup"),
        (b"\x92\x90\x90", b"c1", "no row of a backup: it is empty"),
        (ROW + b"x", b"c1", "no row of a backup"),
        (ROW[:-1], b"c1", "no row of a backup"),
        (ROW, b"other", "the row is of cluster ot, and this is cluster c1"),
        (ROW, b"", "the row is of cluster , and this is cluster c1"),
    ],
)
def test_bytes_that_are_no_row_of_this_cluster_are_refused(row: bytes, cluster: bytes, words: str) -> None:
    owners = Owners(sims(3))
    result = ask(owners, row, cluster=cluster)
    assert isinstance(result, Failed)
    assert result.code == "ERR"
    assert words in result.text
    assert held(owners) == [None] * 3


def test_a_node_that_does_not_know_what_it_missed_merges_nothing() -> None:
    owners = Owners(sims(3))
    owners.all[0].node.cluster.behind = True
    result = ask(owners, ROW)
    assert isinstance(result, Failed)
    assert result.code == "UNAVAILABLE"
    assert encode_row(EMPTY) == b"\x92\x90\x90"

"""One key made equal on all its owners: what is told of each of them, and what goes wrong."""

from __future__ import annotations

from tests.helpers.owners import OTHER, Owners, equal, fill, repair, sims


def found(document: dict[str, object]) -> dict[str, tuple[object, object]]:
    """What each owner held, and whether it was repaired."""
    owners = document["owners"]
    assert isinstance(owners, list)
    return {owner["node"]: (owner["found"], owner["repaired"]) for owner in owners}


def test_one_key_is_made_equal_on_all_its_owners() -> None:
    stores = sims(3)
    owners = Owners(stores)
    fill([stores[0]], [b"k"])
    fill([stores[1]], [b"k"], OTHER)
    document = repair(owners, at=2, key=b"k")
    assert document["schema"] == "dyn.repair.key/v1"
    assert document["differed"] is True
    assert found(document) == {"n1": ("behind", True), "n2": ("behind", True), "n3": ("nothing", True)}
    assert equal(owners)
    again = repair(owners, key=b"k")
    assert again["differed"] is False
    assert found(again) == dict.fromkeys(("n1", "n2", "n3"), ("same", False))


def test_one_key_that_is_nowhere() -> None:
    document = repair(Owners(sims(3)), key=b"k")
    assert document["differed"] is False
    assert found(document) == dict.fromkeys(("n1", "n2", "n3"), ("nothing", False))


def test_an_owner_that_is_down_or_silent_is_named_and_the_others_are_repaired() -> None:
    stores = sims(3)
    owners = Owners(stores)
    fill([stores[0]], [b"k"])
    owners.cut(0, 2)
    document = repair(owners, key=b"k")
    assert found(document) == {"n1": ("same", False), "n2": ("nothing", True), "n3": (None, False)}
    notes = document["owners"]
    assert isinstance(notes, list)
    assert [owner["note"] for owner in notes if owner["node"] == "n3"] == ["down"]
    owners.heal(0, 2)
    fill([stores[0]], [b"j"])
    owners.lost = ["Fetched"]
    document = repair(owners, key=b"j")
    notes = document["owners"]
    assert isinstance(notes, list)
    assert {owner["note"] for owner in notes} == {"", "no answer in time"}


def test_a_damaged_row_of_one_key_is_told_and_brought_back() -> None:
    stores = sims(3)
    owners = Owners(stores)
    fill([*stores], [b"k"])
    stores[1].corrupt(b"k")
    document = repair(owners, key=b"k")
    assert found(document)["n2"] == ("unreadable", True)
    assert equal(owners)

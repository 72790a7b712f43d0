"""Each way to reuse a dot, and that no store falls for it: the real one and the simulated one alike."""

from __future__ import annotations

import pytest

from node.core.row import Actor, Dot, Row, Version
from node.core.version import advance, join
from node.storage import records
from node.storage.port import Advanced, Merge, Merged, Refusal, SaveState
from node.wire.rows import decode_row, encode_row
from tests.helpers.stores import EPOCH, PEER, Scribe, peer_row, refusals, write


def test_a_row_that_came_by_merge_gets_a_birth_at_its_first_write(scribe: Scribe) -> None:
    scribe.merge(b"k", peer_row(b"p"))
    first, second = scribe.advance(b"k", b"1", cover=True), scribe.advance(b"k", b"2", cover=True)
    assert (first.dot.n, second.dot.n, first.dot[:2]) == (1, 2, second.dot[:2])
    assert scribe.advance(b"other", b"v").dot.birth != first.dot.birth


def test_a_birth_outlives_merges(scribe: Scribe) -> None:
    first = scribe.advance(b"k", b"1")
    scribe.merge(b"k", peer_row(b"p"))
    assert scribe.advance(b"k", b"2").dot == first.dot._replace(n=2)


def test_a_birth_outlives_a_row_that_replaces_all_we_had(scribe: Scribe) -> None:
    first = scribe.advance(b"k", b"1")
    newer, _ = advance(decode_row(first.row), first.clock, PEER, b"p", written_at_ms=1, writer="peer")
    assert scribe.merge(b"k", encode_row(newer)) == Merged(encode_row(newer), more=False)
    assert scribe.advance(b"k", b"2", cover=True).dot == first.dot._replace(n=2)


def test_a_row_that_was_dropped_and_is_written_again_gets_new_dots(scribe: Scribe) -> None:
    first = scribe.advance(b"k", b"1")
    scribe.handle.drop(b"k")
    second = scribe.advance(b"k", b"2")
    assert (second.dot.n, second.dot.epoch) == (1, first.dot.epoch)
    assert second.dot.birth > first.dot.birth


def test_a_row_that_was_dropped_and_came_back_gets_new_dots(scribe: Scribe) -> None:
    """The stand-in's trap: what came back may be older than what was handed off."""
    first = scribe.advance(b"k", b"1")
    scribe.advance(b"k", b"2", cover=True)
    scribe.handle.drop(b"k")
    scribe.merge(b"k", first.row)
    third = scribe.advance(b"k", b"3", cover=True)
    assert third.dot.birth > first.dot.birth
    assert len(scribe.handle.store.identity.epochs) == 1, "an earlier life of a row is no sign of a fault"


def test_births_survive_a_crash(scribe: Scribe) -> None:
    first = scribe.advance(b"k", b"1")
    scribe.handle.drop(b"k")
    scribe.handle.crash()
    assert scribe.advance(b"k", b"2").dot.birth > first.dot.birth


def test_a_wiped_store_is_another_one(scribe: Scribe) -> None:
    before = scribe.handle.store.identity
    first = scribe.advance(b"k", b"1")
    scribe.handle.wipe()
    scribe.apply(SaveState("ring", b"ring", EPOCH))
    after = scribe.handle.store.identity
    assert after.storage_id != before.storage_id
    assert set(after.epochs).isdisjoint(before.epochs)
    second = scribe.advance(b"k", b"2")
    assert (second.dot.birth, second.dot.n) == (1, 1)
    scribe.merge(b"k", first.row)
    assert scribe.values(b"k") == [b"1", b"2"]


def present(scribe: Scribe, birth: int, n: int) -> Dot:
    """A dot of the store's present epoch."""
    return Dot(scribe.handle.store.identity.epochs[-1], birth, n)


@pytest.mark.parametrize("by", ["context", "row", "row beside ours"])
@pytest.mark.parametrize("beyond", ["birth", "n"])
def test_a_dot_of_ours_that_we_did_not_mint_redraws_the_epoch(scribe: Scribe, by: str, beyond: str) -> None:
    first = scribe.advance(b"k", b"1")
    dot = present(scribe, first.dot.birth + 5, 1) if beyond == "birth" else first.dot._replace(n=9)
    if by == "context":
        done = scribe.advance(b"k", b"2", (dot,))
    else:
        known = first.clock if by == "row beside ours" else ()
        stray = Row(join(known, (dot,)), (Version(dot, (), b"stray", 1, ""),))
        scribe.minted[b"k", dot] = b"stray"
        scribe.merge(b"k", encode_row(stray))
        done = scribe.advance(b"k", b"2")
    epochs = scribe.handle.store.identity.epochs
    assert epochs[0] == first.dot.epoch
    assert len(epochs) == 2
    assert done.dot.epoch == epochs[1]
    for at in range(12):  # where the forgotten writes would have been repeated
        assert scribe.advance(b"k", b"more %d" % at, cover=True).dot.epoch == epochs[1]
    assert scribe.advance(b"other", b"v").dot.epoch == epochs[1]
    assert scribe.handle.store.identity.epochs == epochs, "redrawn once"
    scribe.handle.crash()
    assert scribe.handle.store.identity.epochs == epochs


def test_a_dot_of_an_earlier_epoch_redraws_nothing(scribe: Scribe) -> None:
    first = scribe.advance(b"k", b"1")
    scribe.advance(b"k", b"2", (first.dot._replace(n=9),))
    epochs = scribe.handle.store.identity.epochs
    scribe.advance(b"k", b"3", (first.dot._replace(n=90),))
    scribe.merge(b"k", peer_row(b"p", actor=Actor(epochs[0], 1000)))
    assert scribe.handle.store.identity.epochs == epochs


def test_a_stray_dot_in_one_write_counts_for_the_next_of_the_batch(scribe: Scribe) -> None:
    stray = present(scribe, 1, 1)
    row = encode_row(Row((stray,), (Version(stray, (), b"stray", 1, ""),)))
    scribe.minted[b"k", stray] = b"stray"
    outcomes = scribe.apply(Merge(b"k", row, EPOCH), write(b"k", b"v"), write(b"j", b"v"))
    assert all(isinstance(done, Advanced) and done.dot.epoch != stray.epoch for done in outcomes[1:])


def test_a_redraw_that_was_rolled_back_is_made_again(scribe: Scribe) -> None:
    scribe.advance(b"k", b"1")
    stray = present(scribe, 1, 9)
    epochs = scribe.handle.store.identity.epochs
    scribe.handle.fill()
    refused = scribe.apply(write(b"k", b"2", (stray,)), write(b"j", b"v" * 100_000))
    assert refusals(refused) == [Refusal.DISK_FULL] * 2
    assert scribe.handle.store.identity.epochs == epochs
    scribe.handle.free()
    done = scribe.advance(b"k", b"2", (stray,))
    scribe.handle.crash()
    assert scribe.handle.store.identity.epochs == (*epochs, done.dot.epoch)


def test_only_so_many_epochs_are_kept(scribe: Scribe, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records, "EPOCHS_MAX", 2)
    for at in range(4):
        scribe.advance(b"k", b"%d" % at, (present(scribe, 1000, 1),))
    assert len(scribe.handle.store.identity.epochs) == 2

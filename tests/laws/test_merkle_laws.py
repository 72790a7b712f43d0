"""Trees against a model that keeps every row: any order of updates, any partition, the true difference."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.limits import TREE_DIGEST_BYTES, TREE_LEAF_BITS
from node.core.merkle import CHUNK_LEAVES, CHUNKS, LEAVES, Trees, chunk_of, differing, hash_of, leaf_of
from tests.helpers.campaign import scale

leaves = st.one_of(st.sampled_from([0, 1, 1023, 1024, LEAVES - 1]), st.integers(0, LEAVES - 1))
digests = st.integers(1, 2**128 - 1)
updates = st.lists(st.tuples(leaves, digests), max_size=30)


def grown(changes: list[tuple[int, int]]) -> Trees:
    trees = Trees(known=True)
    trees.toggle(changes)
    return trees


def model(changes: list[tuple[int, int]]) -> dict[int, int]:
    """The leaves that are not zero."""
    held: dict[int, int] = {}
    for leaf, delta in changes:
        held[leaf] = held.get(leaf, 0) ^ delta
    return {leaf: digest for leaf, digest in held.items() if digest}


def descend(mine: Trees, theirs: Trees, bits: int, prefix: int) -> list[int]:
    """Leaves of a span in which two trees differ, found as an exchange finds them: downwards."""
    if mine.digest(bits, prefix) == theirs.digest(bits, prefix):
        return []
    if bits == TREE_LEAF_BITS:
        return [prefix]
    deeper = min(5, TREE_LEAF_BITS - bits)
    spans = differing(bits, prefix, mine.digests(bits, prefix, deeper), theirs.digests(bits, prefix, deeper))
    assert spans, "a span differs only if a part of it does"
    return [leaf for span in spans for leaf in descend(mine, theirs, *span)]


@settings(max_examples=scale(100, 1000))
@given(updates, st.randoms(use_true_random=False))
def test_the_order_of_updates_is_irrelevant(changes: list[tuple[int, int]], random: object) -> None:
    shuffled = [*changes]
    random.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis' own Random
    one, two = grown(changes), grown(shuffled)
    assert [one.digest(0, 0)] == [two.digest(0, 0)]
    assert all(one.leaf(leaf) == two.leaf(leaf) for leaf, _ in changes)


@settings(max_examples=scale(100, 1000))
@given(updates, updates, st.sampled_from([0, 3, 8, 10, 12]))
def test_the_descent_finds_the_true_difference(
    changes: list[tuple[int, int]], others: list[tuple[int, int]], bits: int
) -> None:
    """From the partitions of any Q down, no leaf more and none less than those that differ."""
    mine, theirs = grown(changes), grown(changes + others)
    before, after = model(changes), model(changes + others)
    truth = sorted(leaf for leaf in {*before, *after} if before.get(leaf) != after.get(leaf))
    partitions = dict.fromkeys(leaf >> (TREE_LEAF_BITS - bits) for leaf, _ in [*changes, *others])
    found = [leaf for partition in partitions for leaf in descend(mine, theirs, bits, partition)]
    assert sorted(found) == truth


@settings(max_examples=scale(60, 500))
@given(updates, updates)
def test_a_digest_is_never_an_old_one(changes: list[tuple[int, int]], more: list[tuple[int, int]]) -> None:
    """Digests of chunks are kept; after every change they are what a fresh tree says."""
    trees = Trees(known=True)
    for at, (leaf, delta) in enumerate([*changes, *more]):
        trees.toggle([(leaf, delta)])
        span = (8, chunk_of(leaf))
        assert trees.digest(*span) == grown([*changes, *more][: at + 1]).digest(*span)


@given(updates)
def test_what_is_saved_is_what_is_loaded(changes: list[tuple[int, int]]) -> None:
    trees, again = grown(changes), Trees(known=False)
    assert again.digests(0, 0, 0) == b""
    for chunk in range(CHUNKS):
        again.load(chunk, trees.save(chunk))
    assert again.unknown() is None
    assert again.digest(0, 0) == trees.digest(0, 0)


@given(leaves, digests)
def test_a_row_and_itself_are_nothing(leaf: int, digest: int) -> None:
    assert grown([(leaf, digest), (leaf, digest)]).digest(0, 0) == Trees(known=True).digest(0, 0)


def test_a_leaf_that_is_not_known_waits_for_the_scan() -> None:
    trees = Trees(known=False)
    trees.toggle([(5, 1)])
    assert trees.leaf(5) == 0
    trees.set_leaf(2, 7)
    trees.learned(4)
    assert (trees.knows(4), trees.knows(5)) == (True, False)
    assert trees.unknown() == (5, CHUNK_LEAVES - 1)
    trees.toggle([(2, 1), (5, 1)])
    assert (trees.leaf(2), trees.leaf(5)) == (6, 0)
    assert trees.digests(8, 0, 5) == b"" and trees.digest(18, 2) is None
    trees.learned(CHUNK_LEAVES - 1)
    assert trees.unknown() == (CHUNK_LEAVES, 2 * CHUNK_LEAVES - 1)
    assert len(trees.digests(8, 0, 5)) == 32 * TREE_DIGEST_BYTES
    assert trees.digest(7, 0) is None, "half of it is not known"


def test_a_leaf_is_the_top_of_the_position() -> None:
    assert leaf_of(0) == 0 and leaf_of(2**64 - 1) == LEAVES - 1
    assert leaf_of(1 << 63) == LEAVES // 2
    trees = Trees(known=True)
    trees.toggle([(LEAVES // 2, 9)])
    assert trees.digest(18, LEAVES // 2) == (9).to_bytes(16, "big")
    assert trees.digest(17, LEAVES // 4) == hash_of((9).to_bytes(16, "big") + bytes(16))

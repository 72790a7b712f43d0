"""Copies of frames as datagrams: what is heard, once, whatever is lost; and how many fly."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from node.wire.copies import (
    COPIES_AHEAD_MAX,
    COPIES_BYTES_MAX,
    COPY_BYTES,
    COPY_FRAME_BYTES_MAX,
    COPY_S_MAX,
    COPY_WINDOW_MAX,
    COPY_WINDOW_MIN,
    DATAGRAM_BYTES_MAX,
    HEARD_PARTS,
    LINK_BYTES,
    PARTS_MAX,
    Copy,
    Heard,
    Incoming,
    Outgoing,
    Seal,
)

LINK, KEY = b"a link's ", b"the key of a link"
STEP_S = 0.005


def seals() -> tuple[Seal, Seal]:
    return Seal(LINK[:LINK_BYTES], KEY, dialled=True), Seal(LINK[:LINK_BYTES], KEY, dialled=False)


def parts(number: int, *pieces: bytes) -> list[Copy]:
    return [Copy(number, part, len(pieces), data) for part, data in enumerate(pieces)]


# Seals ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("said", [Copy(7, 2, 3, b"data"), Heard(3, ((4, 0), (9, 1))), Heard(0, ())])
def test_the_other_end_opens_what_one_end_seals(said: Copy | Heard) -> None:
    for mine, theirs in (seals(), seals()[::-1]):
        datagram = mine.copy(said) if isinstance(said, Copy) else mine.heard(said)
        assert datagram[:LINK_BYTES] == mine.link
        assert theirs.open(datagram) == said
        assert mine.open(datagram) is None, "it was sent back to us"
        assert Seal(mine.link, b"another key", dialled=False).open(datagram) is None
        assert len(datagram) <= 1280 - 48, "the least MTU of IPv6, less its heads"


def test_what_was_changed_or_cut_is_not_heard() -> None:
    dialer, acceptor = seals()
    datagram = dialer.copy(Copy(1, 0, 1, b"data"))
    for at in range(len(datagram)):
        changed = bytearray(datagram)
        changed[at] ^= 1
        assert acceptor.open(bytes(changed)) is None
        assert acceptor.open(datagram[:at]) is None


@pytest.mark.parametrize(
    "copy",
    [Copy(1, 1, 1, b"x"), Copy(1, 0, 0, b"x"), Copy(1, 0, 1, b""), Copy(1, 0, PARTS_MAX + 1, b"x"),
     Copy(1, 0, 1, bytes(COPY_BYTES + 1))],
)  # fmt: skip
def test_a_part_out_of_bounds_is_not_heard(copy: Copy) -> None:
    dialer, acceptor = seals()
    assert acceptor.open(dialer.copy(copy)) is None


# The two ends --------------------------------------------------------------------------------------------


def test_more_than_anybody_says_at_once_is_not_heard() -> None:
    """The length is looked at first: a stranger's junk costs no tag."""
    one, other = seals()
    most = Heard(7, tuple((number, 0) for number in range(HEARD_PARTS)))
    assert other.open(one.heard(most)) == most
    too_many = one.heard(Heard(7, tuple((number, 0) for number in range(200))))
    assert len(too_many) > DATAGRAM_BYTES_MAX
    assert other.open(too_many) is None


def exchange(
    frames: list[bytes],
    lost: Callable[[], bool],
    *,
    seconds: float,
    outgoing: Outgoing | None = None,
    first: int = 1,
    began: float = 0.0,
) -> tuple[list[bytes], Outgoing]:
    """Send frames as copies, none over TCP: what was heard in so many seconds."""
    outgoing, incoming, heard = outgoing or Outgoing(), Incoming(), []
    for number, payload in enumerate(frames, first):
        assert outgoing.add(number, payload, began)
    for step in range(int(seconds / STEP_S)):
        came = [incoming.take(copy) for copy in outgoing.due(began + step * STEP_S) if not lost()]
        heard += [payload for payload in came if payload is not None]
        if came and not lost():
            outgoing.heard(incoming.heard())
    return heard, outgoing


def test_a_copy_that_is_heard_is_sent_once() -> None:
    outgoing, incoming = Outgoing(), Incoming()
    outgoing.add(1, b"x", 0.0)
    (copy,) = outgoing.due(0.0)
    assert incoming.take(copy) == b"x"
    assert outgoing.heard(incoming.heard()) == [1]
    assert (outgoing.next_at(), outgoing.due(1.0), len(outgoing), outgoing.waiting_bytes) == (None, [], 0, 0)


def test_frames_arrive_whole_and_once_where_a_third_of_all_packets_is_lost() -> None:
    rng = random.Random(1)
    frames = [rng.randbytes(rng.choice((3, 100, COPY_BYTES, COPY_BYTES + 1, 30_000))) for _ in range(100)]
    heard, outgoing = exchange(frames, lambda: rng.random() < 0.3, seconds=3)
    assert sorted(heard) == sorted(frames)
    assert not len(outgoing)


def test_of_a_thousand_small_frames_three_take_longer_than_a_fifth_of_a_second() -> None:
    rng = random.Random(2)
    late = sum(not exchange([b"x"], lambda: rng.random() < 0.3, seconds=0.2)[0] for _ in range(5000))
    assert late <= 25


def test_a_frame_is_heard_once_whichever_way_it_comes_first() -> None:
    incoming = Incoming()
    copies = parts(1, b"a", b"b") + parts(2, b"c")
    assert [incoming.take(copy) for copy in copies] == [None, b"ab", b"c"]
    assert [incoming.take(copy) for copy in copies] == [None, None, None]
    assert [incoming.came() for _ in range(3)] == [False, False, True]
    assert incoming.take(Copy(3, 0, 1, b"d")) is None
    assert incoming.heard() == Heard(3, ((1, 0), (1, 1), (2, 0), (3, 0)))


def test_half_a_frame_is_dropped_when_tcp_brings_it() -> None:
    incoming = Incoming()
    assert incoming.take(parts(1, b"a", b"b")[0]) is None
    assert incoming.came()
    assert incoming.take(parts(1, b"a", b"b")[1]) is None
    assert incoming._bytes == 0 and not incoming._parts


def test_what_tcp_brought_is_not_copied_any_more() -> None:
    outgoing = Outgoing()
    for number in (1, 2):
        outgoing.add(number, bytes(100 * COPY_BYTES), 0.0)
    outgoing.due(0.0)
    assert outgoing.heard(Heard(2, ())) == [], "TCP brought them: they are not whole as copies"
    assert outgoing.due(1.0) == []
    assert (outgoing.waiting_bytes, outgoing.next_at()) == (0, None)


def test_a_copy_that_nobody_hears_is_given_up() -> None:
    heard, outgoing = exchange([b"x", b"y"], lambda: True, seconds=COPY_S_MAX + 1)
    assert (heard, len(outgoing), outgoing.waiting_bytes, outgoing.next_at()) == ([], 0, 0, None)


def test_where_nothing_is_heard_few_fly_and_soon_again_many() -> None:
    _, outgoing = exchange([bytes(COPY_BYTES * 200)], lambda: True, seconds=1)
    assert outgoing.window == COPY_WINDOW_MIN
    assert len(outgoing._flying) <= COPY_WINDOW_MAX
    rng = random.Random(3)
    frames = [bytes(COPY_BYTES * 200)]
    heard, outgoing = exchange(
        frames, lambda: rng.random() < 0.3, seconds=2.5, outgoing=outgoing, first=2, began=COPY_S_MAX
    )
    assert heard == frames
    assert outgoing.window > COPY_WINDOW_MAX // 2


def test_what_is_too_long_or_too_much_is_left_to_tcp() -> None:
    outgoing = Outgoing()
    assert not outgoing.add(1, bytes(COPY_FRAME_BYTES_MAX + 1), 0.0)
    assert all(outgoing.add(2 + i, bytes(COPY_FRAME_BYTES_MAX), 0.0) for i in range(4))
    assert not outgoing.add(9, b"x", 0.0)
    incoming = Incoming()
    assert incoming.take(Copy(COPIES_AHEAD_MAX + 1, 0, 1, b"x")) is None
    for number in range(1, COPIES_BYTES_MAX // COPY_BYTES + 50):
        incoming.take(Copy(number, 0, 2, bytes(COPY_BYTES)))
    assert incoming._bytes <= COPIES_BYTES_MAX
    assert (COPIES_AHEAD_MAX + 1, 0) not in incoming.heard().parts, "what was not kept is not told as heard"

"""Frames: split at every byte, limits before allocation."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.limits import FRAME_BYTES_MAX, HANDSHAKE_FRAME_BYTES_MAX
from node.wire import framing
from node.wire.errors import LocalWireError, RemoteWireError
from node.wire.framing import NEED_DATA, FrameReader, frame


def read(*chunks: bytes, proven: bool = True) -> list[bytes]:
    """The payloads of a stream that arrives in these chunks; nothing may be left over."""
    reader = FrameReader()
    if proven:
        reader.raise_limit()
    payloads = []
    for chunk in chunks:
        reader.feed(chunk)
        while (payload := reader.next_frame()) is not NEED_DATA:
            payloads.append(bytes(payload))
        assert reader.next_frame() is NEED_DATA
    assert reader.buffered_bytes == 0
    return payloads


def test_frames_come_out_as_they_went_in() -> None:
    payloads = [b"a", b"", b"bc" * 100, bytes(70_000)]
    assert read(b"".join(map(frame, payloads))) == payloads


def test_split_at_every_byte() -> None:
    payloads = [b"abc", b"", b"d" * 9]
    stream = b"".join(map(frame, payloads))
    for at in range(len(stream) + 1):
        assert read(stream[:at], stream[at:]) == payloads
    assert read(*(bytes([byte]) for byte in stream)) == payloads


@given(st.lists(st.binary(max_size=40), max_size=8), st.data())
def test_any_pieces(payloads: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(map(frame, payloads))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    assert read(*(stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True))) == payloads


def test_a_frame_of_very_many_pieces_is_joined_early(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "PIECES_MAX", 10)
    payload = bytes(range(256))
    reader = FrameReader()
    for byte in frame(payload)[:-1]:
        reader.feed(bytes([byte]))
        assert reader.next_frame() is NEED_DATA and len(reader._pieces) <= 10
    reader.feed(payload[-1:])
    assert reader.next_frame() == payload


def test_buffered_bytes_are_what_was_not_handed_out() -> None:
    reader = FrameReader()
    reader.feed(frame(b"abc") + b"\0\0\0\x09xy")
    assert reader.buffered_bytes == 13
    assert reader.next_frame() == b"abc" and reader.next_frame() is NEED_DATA
    assert reader.buffered_bytes == 6


@pytest.mark.parametrize("proven", [False, True])
@pytest.mark.parametrize("pieces", [False, True])
def test_a_length_over_the_limit_is_refused_when_it_is_seen(proven: bool, pieces: bool) -> None:
    limit = FRAME_BYTES_MAX if proven else HANDSHAKE_FRAME_BYTES_MAX
    for size in limit + 1, 2**31, 2**32 - 1:
        header = size.to_bytes(4, "big")
        with pytest.raises(RemoteWireError, match="frame too large"):
            read(*([header[:3], header[3:]] if pieces else [header]), proven=proven)
    read(frame(bytes(HANDSHAKE_FRAME_BYTES_MAX)), proven=False)


def test_nothing_is_allocated_because_of_a_length() -> None:
    reader = FrameReader()
    reader.raise_limit()
    header = FRAME_BYTES_MAX.to_bytes(4, "big")
    tracemalloc.start()
    try:
        reader.feed(header)
        assert reader.next_frame() is NEED_DATA
        with pytest.raises(RemoteWireError):
            read((2**31).to_bytes(4, "big"))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_we_do_not_say_what_nobody_would_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "FRAME_BYTES_MAX", 10)
    frame(bytes(10))
    with pytest.raises(LocalWireError, match="11 bytes, limit 10"):
        frame(bytes(11))


def test_feeding_before_everything_was_taken_is_a_defect() -> None:
    reader = FrameReader()
    reader.feed(frame(b"a"))
    with pytest.raises(AssertionError, match="5 bytes"):
        reader.feed(b"")

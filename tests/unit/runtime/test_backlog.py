"""What waits for a peer that takes nothing: in order, and without what is late when it takes something again."""

from __future__ import annotations

import pytest

from node.core.limits import FRAME_BATCH_BYTES
from node.runtime.backlog import Backlog
from node.wire.codec import encode_batch
from node.wire.errors import LocalWireError
from node.wire.messages import Fetch, Forward, Ping, Replicate, Scan

FORWARD = Forward(1, 2, 1, b"k", b"v", (), True, 2, False, 500, "")


def test_what_is_late_is_left_out_and_what_is_not_says_what_is_left() -> None:
    backlog = Backlog()
    backlog.put([Ping(1), Replicate(2, 1, b"k", b"row", (), 0, 100), Fetch(3, 1, b"k", 0, 300)], 10.0)
    backlog.put([FORWARD, Scan(4, 1, 0, b"", 10, 100), Replicate(5, 1, b"k", b"hint")], 10.0)
    assert backlog.take(10.2) == [
        Ping(1),
        Fetch(3, 1, b"k", 0, 100),
        Forward(1, 2, 1, b"k", b"v", (), True, 2, False, 300, ""),
        Replicate(5, 1, b"k", b"hint"),
    ]
    assert backlog.dropped == 2
    assert not backlog
    assert backlog.bytes == 0


def test_its_size_is_that_of_the_frames_and_it_is_taken_by_the_frame() -> None:
    backlog = Backlog()
    message = Replicate(1, 1, b"k", bytes(FRAME_BATCH_BYTES // 4))
    (frame,) = encode_batch([message])
    assert backlog.put([message] * 6, 0.0) == len(frame)
    assert backlog.bytes == 6 * len(frame)
    assert len(backlog.take(0.0)) == 4
    assert len(backlog.take(0.0)) == 2
    assert backlog.take(0.0) == []


def test_what_cannot_be_said_is_refused_at_once() -> None:
    backlog = Backlog()
    with pytest.raises(LocalWireError):
        backlog.put([Ping(1), Ping(2**70)], 0.0)
    assert not backlog
    assert backlog.bytes == 0

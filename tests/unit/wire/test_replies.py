"""Replies as bytes, and as hiredis reads them back."""

from __future__ import annotations

import hiredis
import pytest

from node.wire.replies import OK, ErrorReply, Status, Tags, Value, Verbatim, encode, encode_error

CASES: list[tuple[Value, bytes, bytes]] = [
    (b"a\r\n\0", b"$4\r\na\r\n\0\r\n", b"$4\r\na\r\n\0\r\n"),
    (b"", b"$0\r\n\r\n", b"$0\r\n\r\n"),
    ("ä", b"$2\r\n\xc3\xa4\r\n", b"$2\r\n\xc3\xa4\r\n"),
    (None, b"$-1\r\n", b"_\r\n"),
    (7, b":7\r\n", b":7\r\n"),
    (-2, b":-2\r\n", b":-2\r\n"),
    (True, b":1\r\n", b"#t\r\n"),
    (False, b":0\r\n", b"#f\r\n"),
    (0.5, b"$3\r\n0.5\r\n", b",0.5\r\n"),
    (OK, b"+OK\r\n", b"+OK\r\n"),
    (Status("PONG"), b"+PONG\r\n", b"+PONG\r\n"),
    ([], b"*0\r\n", b"*0\r\n"),
    ([b"a", [1, None]], b"*2\r\n$1\r\na\r\n*2\r\n:1\r\n$-1\r\n", b"*2\r\n$1\r\na\r\n*2\r\n:1\r\n_\r\n"),
    ({"a": 1}, b"*2\r\n$1\r\na\r\n:1\r\n", b"%1\r\n$1\r\na\r\n:1\r\n"),
    (Tags(("x",)), b"*1\r\n+x\r\n", b"~1\r\n+x\r\n"),
    (Verbatim("a"), b"$1\r\na\r\n", b"=5\r\ntxt:a\r\n"),
    (ErrorReply("BUSY", "no"), b"-BUSY no\r\n", b"-BUSY no\r\n"),
]


@pytest.mark.parametrize(("value", "resp2", "resp3"), CASES, ids=lambda case: repr(case)[:30])
def test_encoding(value: Value, resp2: bytes, resp3: bytes) -> None:
    assert encode(value, resp3=False) == resp2
    assert encode(value, resp3=True) == resp3


@pytest.mark.parametrize("resp3", [False, True])
def test_every_reply_is_one_reply(resp3: bool) -> None:
    """No reply shifts those after it: hiredis finds as many as were sent."""
    reader = hiredis.Reader()
    for value, *_ in CASES:
        reader.feed(encode(value, resp3=resp3) + b":123\r\n")
        reader.gets()
        assert reader.gets() == 123, value


def test_types_that_break_clients_are_never_sent() -> None:
    for value, *_ in CASES:
        for resp3 in (False, True):
            assert encode(value, resp3=resp3)[:1] not in (b"|", b"!")


@pytest.mark.parametrize("text", ["a\r\nb", "a\nb", "\0", "\x7f", "ä", "\udcff"])
def test_an_error_is_one_line(text: str) -> None:
    line = encode_error("ERR", text)
    assert line.endswith(b"\r\n")
    assert not set(line[:-2]) & {0, 10, 13, 127}
    reader = hiredis.Reader()
    reader.feed(line + b"+OK\r\n")
    assert isinstance(reader.gets(), hiredis.ReplyError)
    assert reader.gets() == b"OK"

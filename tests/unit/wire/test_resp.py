"""The reader of client commands: the same commands however the bytes arrive, no memory for what is only announced."""

from __future__ import annotations

import random
import tracemalloc

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.limits import BULK_BYTES_MAX, COMMAND_BYTES_MAX, INLINE_BYTES_MAX, MIB
from node.wire.resp import HTTP, OPEN, PREAUTH, Item, Limits, Oversized, RequestReader, split_line

SET = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$3\r\nxyz\r\n"
GET = b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n"
WALK_ONLY = OPEN._replace(one_by_one=True)
SMALL = Limits(arguments=100, bulk_bytes=1000, kept_bytes=50, inline_bytes=100, one_by_one=False)


def read(data: bytes, *, step: int = 0, limits: Limits = OPEN) -> tuple[list[Item], str]:
    """All commands in `data`, fed in pieces of `step` bytes (0: whole), and the error that ended it."""
    reader = RequestReader(limits)
    items: list[Item] = []
    for at in range(0, len(data), step or len(data) or 1):
        reader.feed(data[at : at + (step or len(data))])
        while taken := reader.take():
            items += taken
    return items, str(reader.error or "")


def check(data: bytes, commands: list[Item], error: str = "", *, limits: Limits = OPEN) -> None:
    """`data` reads as `commands` and then `error`: whole, split at every byte, in crumbs, and with garbage behind."""
    want = (commands, error)
    assert read(data, limits=limits) == want
    for step in (1, 2, 3, 7):
        assert read(data, step=step, limits=limits) == want, step
    for cut in range(1, len(data)):
        reader = RequestReader(limits)
        items: list[Item] = []
        for piece in (data[:cut], data[cut:]):
            reader.feed(piece)
            while taken := reader.take():
                items += taken
        assert (items, str(reader.error or "")) == want, cut
    if error:
        assert read(data + SET, limits=limits) == want


CASES: list[tuple[bytes, list[Item], str]] = [
    (b"", [], ""),
    (GET, [[b"GET", b"a"]], ""),
    (SET * 3, [[b"SET", b"a", b"xyz"]] * 3, ""),
    (b"*0\r\n" + GET, [[b"GET", b"a"]], ""),
    (b"*-1\r\n" + GET, [[b"GET", b"a"]], ""),
    (b"*1\r\n$0\r\n\r\n", [[b""]], ""),
    (b"*2\r\n$1\r\n\r\r\n$4\r\n\r\n\0\xff\r\n", [[b"\r", b"\r\n\0\xff"]], ""),
    (b"*2\r\n$1\r\na\r\n$4\r\n:0\r\n\r\n" + GET, [[b"a", b":0\r\n"], [b"GET", b"a"]], ""),
    (b"*2\r\n$1\r\na\r\n$6\r\n*12345\r\n" + GET, [[b"a", b"*12345"], [b"GET", b"a"]], ""),
    (b"*2\r\n$1\r\na\r\n$9\r\n>12345~1\n\r\n" + GET, [[b"a", b">12345~1\n"], [b"GET", b"a"]], ""),
    # half a frame is simply not yet
    (b"*", [], ""),
    (b"*3\r\n$3\r\nSET\r\n$1\r\na", [], ""),
    (GET + b"*2\r\n$3\r\nGET\r\n", [[b"GET", b"a"]], ""),
    (GET + SET[:-1], [[b"GET", b"a"]], ""),
    # lines by hand
    (b"PING\r\n", [[b"PING"]], ""),
    (b"ping\n", [[b"ping"]], ""),
    (b"\r\n \r\nPING\r\n", [[b"PING"]], ""),
    (b"GET key\r\n", [[b"GET", b"key"]], ""),
    (b"set 'a b' \"c\\x41\\n\"\r\n", [[b"set", b"a b", b"cA\n"]], ""),
    (SET + b"PING\r\n" + GET, [[b"SET", b"a", b"xyz"], [b"PING"], [b"GET", b"a"]], ""),
    (b"+PING\r\n" + GET, [[b"+PING"], [b"GET", b"a"]], ""),
    (b"%0\r\n" + GET, [[b"%0"], [b"GET", b"a"]], ""),
    (GET + b"$1\r\n", [[b"GET", b"a"], [b"$1"]], ""),  # to hiredis the beginning of something, here a line
    (GET + b"$1\r\n" + GET, [[b"GET", b"a"], [b"$1"], [b"GET", b"a"]], ""),
    (GET + b"$9 'a\r\n", [[b"GET", b"a"]], "unbalanced quotes in request"),
    (GET + b"%0\r\n~1\r\n>1\r\n:0\r\n", [[b"GET", b"a"], [b"%0"], [b"~1"], [b">1"], [b":0"]], ""),
    # no Redis client
    (b"GET / HTTP/1.1\r\n", [], HTTP),
    (b"POST / HTTP/1.1\r\n", [], HTTP),
    (b"POST x\r\n", [], HTTP),
    (b"Host: x\r\n", [], HTTP),
    (GET + b"get /key HTTP/1.0\r\n", [[b"GET", b"a"]], HTTP),
    # broken
    (b"*2147483648\r\n", [], "invalid multibulk length"),
    (b"*99999999999999999999\r\n", [], "invalid multibulk length"),
    (b"*99999999999999999999999999999", [], "too big mbulk count string"),
    (b"*abc\r\n", [], "invalid multibulk length"),
    (b"*02\r\n", [], "invalid multibulk length"),
    (b"*+1\r\n", [], "invalid multibulk length"),
    (b"*1 \r\n", [], "invalid multibulk length"),
    (b"*\r\n", [], "invalid multibulk length"),
    (b"*65537\r\n", [], "invalid multibulk length"),
    (b"*1\r\n:1\r\n", [], "expected '$', got ':'"),
    (b"*1\r\n+PING\r\n", [], "expected '$', got '+'"),
    (b"*1\r\n=8\r\ntxt:PING\r\n", [], "expected '$', got '='"),
    (b"*1\r\n(12\r\n", [], "expected '$', got '('"),
    (b"*1\r\n,1\r\n", [], "expected '$', got ','"),
    (b"*1\r\n#t\r\n", [], "expected '$', got '#'"),
    (b"*1\r\n_\r\n", [], "expected '$', got '_'"),
    (b"*2\r\n$1\r\na\r\n$2\r\n+b\r\n", [[b"a", b"+b"]], ""),
    (b"*2\r\n$3\r\nGET\r\n*1\r\n$1\r\na\r\n", [], "expected '$', got '*'"),
    (b"*1\r\n$-1\r\n", [], "invalid bulk length"),
    (b"*1\r\n$-5\r\n", [], "invalid bulk length"),
    (b"*1\r\n$2147483648\r\n", [], "invalid bulk length"),
    (b"*1\r\n$99999999999999999999\r\n", [], "invalid bulk length"),
    (b"*1\r\n$1111111111111111111111111", [], "too big bulk count string"),
    (b"*1\r\n$x\r\n", [], "invalid bulk length"),
    (GET + b"*1\r\n$-1\r\n", [[b"GET", b"a"]], "invalid bulk length"),
    (b'set "a\r\n', [], "unbalanced quotes in request"),
]  # fmt: skip


@pytest.mark.parametrize(("data", "commands", "error"), CASES, ids=lambda case: repr(case)[:40])
def test_reading(data: bytes, commands: list[Item], error: str) -> None:
    check(data, commands, error)


@pytest.mark.parametrize(
    ("data", "commands", "error"),
    [
        (b"*2\r\n$3\r\nSET\r\n$60\r\n" + b"x" * 60 + b"\r\n" + GET, [Oversized(b"SET", 63), [b"GET", b"a"]], ""),
        (b"*1\r\n$60\r\n" + b"x" * 60 + b"\r\n" + GET, [Oversized(b"", 60), [b"GET", b"a"]], ""),
        (b"*3\r\n" + (b"$20\r\n" + b"x" * 20 + b"\r\n") * 3 + GET, [Oversized(b"x" * 20, 60), [b"GET", b"a"]], ""),
        (b"*2\r\n$60\r\n" + b"x" * 60 + b"\r\n$1\r\ny\r\n" + GET, [Oversized(b"", 61), [b"GET", b"a"]], ""),
        (b"*1\r\n$1001\r\n", [], "invalid bulk length"),
        (b"*101\r\n", [], "invalid multibulk length"),
        (b"x" * 100, [], "too big inline request"),
    ],
)
def test_limits(data: bytes, commands: list[Item], error: str) -> None:
    check(data, commands, error, limits=SMALL)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"*11\r\n", "unauthenticated multibulk length"),
        (b"*1\r\n$16385\r\n", "unauthenticated bulk length"),
        (b"x" * 16384, "too big inline request"),
    ],
)
def test_limits_before_authentication(data: bytes, error: str) -> None:
    assert read(data, limits=PREAUTH) == ([], error)
    assert read(data, step=1000, limits=PREAUTH) == ([], error)
    assert read(data, limits=OPEN)[1] == ""


def test_limits_may_change_between_two_commands() -> None:
    """AUTH and what follows it arrive in one piece."""
    reader = RequestReader(PREAUTH)
    large = b"*2\r\n$4\r\nECHO\r\n$20000\r\n" + b"x" * 20000 + b"\r\n"
    reader.feed(GET + large + GET)
    assert reader.take() == [[b"GET", b"a"]]
    reader.limits = OPEN
    items = []
    while taken := reader.take():
        items += taken
    assert items == [[b"ECHO", b"x" * 20000], [b"GET", b"a"]]


@pytest.mark.parametrize(
    "announced",
    [
        b"*2147483647\r\n",
        b"*60000\r\n$1\r\na\r\n",
        b"*2\r\n$1\r\na\r\n$536870912\r\n",
        b"*2\r\n$1\r\na\r\n*999999999\r\n",
        b"*2\r\n$1\r\na\r\n>999999999\r\n",
        b"*1\r\n$1\r\na__*999999999\r\n",
        b"*1\r\n$1\r\na__>999999999\r\n",
    ],
)
def test_nothing_is_allocated_for_an_announcement(announced: bytes) -> None:
    for step in (0, 1, 5):
        tracemalloc.start()
        read(announced, step=step)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 100_000, f"{announced!r} in steps of {step} took {peak} bytes"


def test_what_is_too_long_is_not_kept() -> None:
    reader = RequestReader()
    reader.feed(b"*2\r\n$1\r\na\r\n$%d\r\n" % BULK_BYTES_MAX)
    assert reader.take() == []
    piece = bytes(MIB)
    for _ in range(BULK_BYTES_MAX // MIB):
        reader.feed(piece)
        assert reader.take() == []
        assert reader.held_bytes < 2 * MIB
    reader.feed(b"\r\n" + GET)
    assert reader.take() == [Oversized(b"a", BULK_BYTES_MAX + 1)]
    assert reader.take() == [[b"GET", b"a"]]


def test_what_is_kept_is_bounded() -> None:
    reader = RequestReader()
    reader.feed(b"*60000\r\n")
    value = b"$1048576\r\n" + bytes(MIB) + b"\r\n"
    for _ in range(COMMAND_BYTES_MAX // MIB + 3):
        reader.feed(value)
        assert reader.take() == []
        assert reader.held_bytes <= COMMAND_BYTES_MAX + MIB + 100


def test_an_endless_line_ends() -> None:
    assert read(b"x" * (INLINE_BYTES_MAX + 10), step=1000) == ([], "too big inline request")


def test_a_large_value_in_pieces() -> None:
    value = random.Random(1).randbytes(3 * MIB)
    data = b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$%d\r\n%b\r\n" % (len(value), value) + GET
    assert read(data, step=65536) == ([[b"SET", b"a", value], [b"GET", b"a"]], "")


def test_a_long_pipeline_in_pieces() -> None:
    commands: list[Item] = [[b"SET", b"key:%d" % n, b"v" * (n % 50)] for n in range(10_000)]
    data = b"".join(hiredis.pack_command(tuple(command)) for command in commands)  # type: ignore[misc]  # all bytes
    for step in (0, 65536, 4096):
        assert read(data, step=step) == (commands, "")


words = st.lists(
    st.one_of(st.binary(max_size=12), st.sampled_from([b":0\r\n", b"*1000\r\n", b"$1\r\n", b"\r\n", b">9"]))
)
pieces = st.lists(
    st.one_of(
        st.lists(st.binary(max_size=8), min_size=1, max_size=4).map(lambda w: hiredis.pack_command(tuple(w))),  # type: ignore[misc]  # all bytes
        st.sampled_from(
            [b"*1\r\n", b"$1\r\n", b":0\r\n", b"\r\n", b"*0\r\n", b"*-1\r\n", b"PING\r\n", b"$", b"*", b"a\r\n"]
        ),
        st.binary(max_size=6),
    ),
    max_size=6,
).map(b"".join)


@given(words)
def test_any_words_come_through(arguments: list[bytes]) -> None:
    data = hiredis.pack_command(tuple(arguments))
    for step in (0, 1, 3):
        assert read(data * 2, step=step) == ([arguments] * 2 if arguments else [], "")


@given(pieces, st.integers(0, 9))
def test_the_fast_way_reads_what_the_careful_way_reads(data: bytes, step: int) -> None:
    careful = read(data, limits=WALK_ONLY)
    items, error = read(data, step=step)
    assert items == careful[0]
    assert error == careful[1].replace("unauthenticated ", "invalid ")


def test_mutated_commands_never_escape() -> None:
    """Whatever comes, the outcome is commands or one error; nothing is raised, and pieces make no difference."""
    rng = random.Random(7)
    base = bytearray(SET + GET + b"*2\r\n$4\r\nECHO\r\n$12\r\nhello\r\nworld\r\n" + b"PING\r\n")
    for _ in range(3000):
        data = bytearray(base)
        for _ in range(rng.randint(1, 4)):
            match rng.randrange(3):
                case 0:
                    data[rng.randrange(len(data))] = rng.choice(b"*$:+-\r\n019 x\"'>~%")
                case 1:
                    del data[rng.randrange(len(data))]
                case _:
                    data.insert(rng.randrange(len(data)), rng.choice(b"*$:\r\n0159 \"'"))
        whole = read(bytes(data))
        assert read(bytes(data), step=rng.randint(1, 9)) == whole
        for item in whole[0]:
            assert type(item) is Oversized or (item and all(type(word) is bytes for word in item))


@pytest.mark.parametrize(
    ("line", "want"),
    [
        (b"a  b\tc", [b"a", b"b", b"c"]),
        (b' "a b" c', [b"a b", b"c"]),
        (b'"\\x00\\xfF\\n\\r\\t\\b\\a\\q"', [b"\x00\xff\n\r\t\b\aq"]),
        (b"'a\\'b'", [b"a'b"]),
        (b"'a\\nb'", [b"a\\nb"]),
        (b'""', [b""]),
        (b'x"y z"', [b"xy z"]),
        (b'"a"b', None),
        (b'"a', None),
        (b"'a", None),
        (b"'" + b"\\'" * 5000, None),
        (b'"' + b"\\" * 5001, None),
    ],
)
def test_lines_by_hand(line: bytes, want: list[bytes] | None) -> None:
    assert split_line(line) == want

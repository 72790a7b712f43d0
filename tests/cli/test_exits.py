"""Every exit code, once; and that errors are one line with a next step, or an object where JSON was asked for."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynamo_cli.errors import HINT_BY_PREFIX, NAMES_MAX, STATUS_BY_PREFIX, no_node
from dynamo_cli.exit_status import MEANINGS, ExitStatus
from tests.helpers.cli import dyn
from tests.helpers.fake_node import HANG, HANG_UP, RECEIPT, Err, FakeNode, Reply, fake_node, reading, version

ONE = reading(version(b"milk", {"n1": 1}))


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nobody listens, and nobody will."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_every_code_has_a_meaning() -> None:
    assert set(MEANINGS) == set(ExitStatus)
    assert set(HINT_BY_PREFIX) | set(STATUS_BY_PREFIX)


def test_a_node_that_is_not_there_is_told_in_one_line_also_in_a_large_cluster() -> None:
    few, many = (no_node("n0", [f"n{at}" for at in range(1, count + 1)]) for count in (NAMES_MAX, 256))
    assert few.line() == "no node 'n0'. There are n1, n2, n3, n4, n5, n6, n7, n8"
    assert many.line() == f"{few.line()} …"
    assert (few.status, no_node("n0", ()).line()) == (ExitStatus.NOT_FOUND, "no node 'n0'")


def test_0_is_success() -> None:
    with fake_node(DYN_GET=ONE) as node:
        assert dyn("get", "k", node=node).status == 0


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        (Err("ERR something"), 1),
        (Err("DISKFULL no space"), 1),
        (Err("BUSY too many requests"), 1),
        (Err("NOTSUPPORTED no"), 1),
        (Err("whatever this is"), 1),
        (b"strange", 1),
        (Err("SIBLINGS two"), 4),
        (Err("TOOMANYSIBLINGS a hundred"), 4),
        (Err("UNAVAILABLE need 2, got 1"), 6),
        (Err("UNKNOWN wrote 1 of 2 (n3), n1 timed out"), 7),
        (Err("BADCONTEXT forged"), 9),
        (Err("DENIED no"), 9),
        (Err("NOAUTH no"), 9),
    ],
)
def test_an_error_reply_has_its_code(reply: Reply, status: int) -> None:
    with fake_node(DYN_GET=reply) as node:
        result = dyn("get", "k", node=node)
    assert (result.status, result.out) == (status, "")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    "argv",
    [
        ("gett",),
        ("get",),
        ("get", "k", "--bogus"),
        ("get", "k", "-r", "0"),
        ("get", "k", "-r", "x"),
        ("get", "k", "-o", "yaml"),
        ("get", "k", "--timeout", "0"),
        ("get", "k", "--timeout", "61"),
        ("get", "k", "--color", "maybe"),
        ("get", "k", "-n", "host:port"),
        ("key",),
        ("ring", "shw"),
        ("help", "nonsense"),
        ("completion", "csh"),
        ("merge", "k", "--take", "A", "--union"),
    ],
)
def test_2_is_usage(argv: tuple[str, ...]) -> None:
    result = dyn(*argv)
    assert (result.status, result.out) == (2, "")
    assert result.err.startswith("dyn: ")
    assert result.err.count("\n") == 1


def test_a_typo_gets_a_suggestion() -> None:
    assert "Did you mean 'get'?" in dyn("gett").err


def test_3_is_not_found() -> None:
    with fake_node(DYN_GET=reading()) as node:
        assert dyn("get", "k", node=node).status == 3


def test_4_is_a_conflict() -> None:
    with fake_node(DYN_GET=reading(version(b"a", {"n1": 1}), version(b"b", {"n2": 1}))) as node:
        assert dyn("get", "k", node=node).status == 4


@pytest.mark.parametrize("host", ["a..b", "x\x01y", "nul\0"])
def test_5_is_also_what_no_host_can_be_called(host: str) -> None:
    """Found in the ring of a hostile node: the resolver raises no OSError for it."""
    result = dyn("-n", f"{host}:7700", "get", "k")
    assert result.status == ExitStatus.UNREACHABLE
    assert "(no such host)" in result.err


def test_5_is_unreachable(closed_port: int) -> None:
    result = dyn("get", "k", "-n", f"127.0.0.1:{closed_port}")
    assert result.status == 5
    assert result.err == (
        f"dyn: cannot reach 127.0.0.1:{closed_port} (refused). "
        "Start a node: dyn node start, or name one: -n HOST:PORT\n"
    )


def test_7_is_no_answer_in_time() -> None:
    taken_s = []
    with fake_node(DYN_GET=HANG) as node:
        for _ in range(3):  # the quickest tells: another may have had to wait for the processor
            begun = time.monotonic()
            result = dyn("get", "k", "--timeout", "0.1", node=node)
            taken_s.append(time.monotonic() - begun)
            assert result.status == 7
            assert "no answer" in result.err
    assert 0.1 <= min(taken_s) < 1


@pytest.mark.parametrize("reply", [HANG, HANG_UP])
def test_7_a_write_without_answer_is_unknown_and_never_repeated(reply: Reply) -> None:
    with fake_node(DYN_PUT=reply) as first, fake_node(DYN_PUT=RECEIPT) as second:
        nodes = ("-n", first.address, "-n", second.address)
        result = dyn("put", "k", "v", "--ctx", "none", "--timeout", "0.1", *nodes)
        assert not second.asked
    assert result.status == 7
    assert "outcome unknown" in result.err
    assert "may or may not have been written" in result.err


def test_9_is_refused(tmp_path: Path) -> None:
    with fake_node(AUTH=Err("WRONGPASS no")) as node:
        file = tmp_path / "password"
        file.write_text("secret\n")
        result = dyn("get", "k", node=node, environ={"DYN_PASSWORD_FILE": str(file)})
        assert node.introductions[0] == (b"AUTH", b"secret")
    assert result.status == 9
    assert "secret" not in result.err
    missing = dyn("get", "k", environ={"DYN_PASSWORD_FILE": "/nonexistent"})
    assert missing.status == 9
    assert "/nonexistent" in missing.err


# Reads go on to the next node -------------------------------------------------------------------------


@pytest.mark.parametrize("reply", [HANG, HANG_UP])
def test_a_read_goes_on_to_the_next_node(reply: Reply) -> None:
    with fake_node(DYN_GET=reply) as first, fake_node(DYN_GET=ONE) as second:
        result = dyn("get", "k", "--timeout", "0.3", "-n", first.address, "-n", second.address)
    assert (result.status, result.out) == (0, "milk\n")


def test_a_node_that_hangs_at_the_door_is_not_written_to() -> None:
    with fake_node(CLIENT=HANG, DYN_PUT=RECEIPT) as first, fake_node(DYN_PUT=RECEIPT) as second:
        nodes = ("-n", f"{first.address},{second.address}")
        assert dyn("put", "k", "v", "--ctx", "none", "--timeout", "0.3", *nodes).status == 0
        assert not first.asked
        assert len(second.asked) == 1


def test_an_answer_is_an_answer_even_if_it_is_an_error() -> None:
    with fake_node(DYN_GET=Err("UNAVAILABLE no")) as first, fake_node(DYN_GET=ONE) as second:
        assert dyn("get", "k", "-n", first.address, "-n", second.address).status == 6
        assert not second.asked


def test_a_password_nobody_asked_for_does_no_harm() -> None:
    with fake_node(AUTH=Err("ERR AUTH called without any password configured"), DYN_GET=ONE) as node:
        assert dyn("get", "k", node=node, environ={"DYN_PASSWORD": "x"}).status == 0


# Errors as JSON ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("argv", "status", "code"),
    [
        (("get", "k", "--json"), 6, "UNAVAILABLE"),
        (("--json", "get", "k"), 6, "UNAVAILABLE"),
        (("get", "k", "-o", "jsonl"), 6, "UNAVAILABLE"),
        (("get", "k", "-ojson", "--bogus"), 2, "USAGE"),
        (("-o", "json", "gett"), 2, "USAGE"),
        (("get", "k", "--json", "-n", "127.0.0.1:1"), 5, "UNREACHABLE"),
    ],
)
def test_json_modes_print_errors_as_an_object(argv: tuple[str, ...], status: int, code: str) -> None:
    with fake_node(DYN_GET=Err("UNAVAILABLE need 2, got 1")) as node:
        result = dyn(*argv, node=node)
    assert (result.status, result.out) == (status, "")
    error = json.loads(result.err)["error"]
    assert (error["code"], error["exit"]) == (code, status)
    assert set(error) == {"code", "exit", "message", "hint"}


def test_errors_are_safe_on_a_terminal() -> None:
    with fake_node(DYN_GET=Err("ERR \x1b[31mboo")) as node:
        for argv in (("get", "k"), ("get", "k", "--json")):
            assert "\x1b" not in dyn(*argv, node=node, terminal=True).err
    assert "\x1b" not in dyn("get\x1b[31m").err
    assert "\x1b" not in dyn("put", "k", "@\x1b[31m").err


def test_the_fake_is_closed() -> None:
    node = FakeNode({})
    node.close()
    assert dyn("get", "k", "-n", node.address).status == 5

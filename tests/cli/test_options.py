"""Global options anywhere on the line, their environment variables, and the rules of colour."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys

import pytest

from dynamo_cli.app import run
from dynamo_cli.client import Address, parse_address
from dynamo_cli.environment import Environment
from dynamo_cli.errors import CliError
from dynamo_cli.store import MEMORY_KEYS_MAX, Memory, Reading
from tests.helpers.cli import dyn, environment
from tests.helpers.documents import ring, status
from tests.helpers.fake_node import RECEIPT, fake_node, reading, version

ONE = reading(version(b"milk", {"n1": 1}))


@pytest.mark.parametrize(
    "argv",
    [
        ("--json", "ring", "show"),
        ("ring", "--json", "show"),
        ("ring", "show", "--json"),
        ("-o", "json", "ring", "show"),
        ("ring", "-o", "json", "show"),
        ("ring", "show", "-ojson"),
        ("ring", "show", "--output=json"),
        ("-o", "plain", "ring", "show", "-o", "json"),
        ("-q", "-y", "--color", "never", "--timeout", "2s", "ring", "show", "--json"),
    ],
)
def test_global_options_stand_anywhere(argv: tuple[str, ...]) -> None:
    with fake_node(DYN_RING=ring(3, 16)) as node:
        assert json.loads(dyn(*argv, node=node).out)["partitions"] == 16
        for i in range(len(argv) + 1):
            if argv[i - 1] not in ("-o", "--color", "--timeout"):
                away = (*argv[:i], "-n", node.address, *argv[i:])
                assert dyn(*away).status == 0, away


@pytest.mark.parametrize(
    ("environ", "argv", "first"),
    [
        ({"DYN_OUTPUT": "json"}, (), "{"),
        ({"DYN_OUTPUT": "json"}, ("-o", "plain"), "m"),
        ({}, (), "m"),
    ],
)
def test_output_comes_from_the_flag_then_the_environment(
    environ: dict[str, str], argv: tuple[str, ...], first: str
) -> None:
    with fake_node(DYN_GET=ONE) as node:
        assert dyn("get", "k", *argv, node=node, environ=environ).out[0] == first


@pytest.mark.parametrize(
    "environ", [{"DYN_OUTPUT": "yaml"}, {"DYN_TIMEOUT": "soon"}, {"DYN_COLOR": "mauve"}, {"DYN_NODES": "a:b"}]
)
def test_nonsense_in_the_environment_is_a_usage_error(environ: dict[str, str]) -> None:
    assert dyn("get", "k", environ=environ).status == 2


def test_the_timeout_comes_from_the_environment() -> None:
    with fake_node(DYN_GET=ONE) as node:
        dyn("get", "k", node=node, environ={"DYN_TIMEOUT": "500ms"})
        dyn("get", "k", "--timeout", "1", node=node, environ={"DYN_TIMEOUT": "500ms"})
    assert [asked[-1] for asked in node.asked] == [b"500", b"1000"]


@pytest.mark.parametrize(
    ("terminal", "environ", "argv", "colored"),
    [
        (True, {}, (), True),
        (False, {}, (), False),
        (True, {"NO_COLOR": "1"}, (), False),
        (True, {"NO_COLOR": ""}, (), True),
        (True, {"TERM": "dumb"}, (), False),
        (False, {"FORCE_COLOR": "1"}, (), True),
        (True, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, (), False),
        (True, {}, ("--color", "never"), False),
        (False, {"NO_COLOR": "1"}, ("--color", "always"), True),
        (True, {"DYN_COLOR": "never"}, (), False),
    ],
)
def test_color(terminal: bool, environ: dict[str, str], argv: tuple[str, ...], colored: bool) -> None:
    with fake_node(DYN_STATUS=status()) as node:
        out = dyn("cluster", "status", "-o", "table", *argv, node=node, terminal=terminal, environ=environ).out
    assert ("\x1b[" in out) == colored


def test_a_stream_that_is_not_utf8_gets_escapes_instead_of_errors() -> None:
    with fake_node(DYN_GET=reading(version("ü☃".encode(), {"n1": 1}))) as node:
        out = dyn("get", "k", "-o", "table", "--color", "never", node=node, terminal=True, encoding="ascii").out
    assert out.splitlines()[0] == "\\xfc\\u2603"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("h:1", ("h", 1)),
        (":7701", ("127.0.0.1", 7701)),
        ("h", ("h", 7700)),
        ("[::1]:7702", ("::1", 7702)),
        ("::1", ("::1", 7700)),
        ("[::1]", ("::1", 7700)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == Address(*address)


@pytest.mark.parametrize("text", ["h:", "h:x", "h:0", "h:65536", "h:-1"])
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(CliError):
        parse_address(text)


def test_ctrl_c_is_130() -> None:
    class Impatient(Environment):
        def client(self, options: object) -> None:  # type: ignore[override]  # never returns
            raise KeyboardInterrupt

    made, _, _ = environment()
    made.__class__ = Impatient
    assert run(["get", "k"], made) == 130


def test_a_closed_pipe_ends_quietly_as_other_tools_do() -> None:
    with fake_node(DYN_KEYS=[b"0", [b"key" * 1000] * 1000]) as node:
        command = f"({sys.executable} -m dynamo_cli keys; echo $? >&2) | head -c 1"
        done = subprocess.run(
            ["sh", "-c", command], env={**os.environ, "DYN_NODES": node.address}, capture_output=True, check=True
        )
    assert (done.stdout, done.stderr) == (b"k", b"141\n")


def test_a_full_disk_is_an_error_and_not_a_traceback() -> None:
    with fake_node(DYN_GET=ONE) as node, open("/dev/full", "wb", buffering=0) as full:
        made = Environment(
            stdin=io.TextIOWrapper(io.BytesIO()),
            stdout=io.TextIOWrapper(full, write_through=True),  # type: ignore[arg-type]  # a raw file is enough here
            stderr=io.TextIOWrapper(io.BytesIO(), write_through=True),
            environ={"DYN_NODES": node.address, "HOME": "/nonexistent"},
        )
        assert run(["get", "k", "--json"], made) == 1


# What the shell remembers -----------------------------------------------------------------------------


def test_a_shell_writes_over_what_it_last_read() -> None:
    with fake_node(DYN_GET=ONE, DYN_PUT=RECEIPT) as node:
        made, out, _ = environment(terminal=True, environ={"DYN_NODES": node.address})
        made.memory = Memory()
        assert run(["get", "k"], made) == 0
        assert run(["put", "k", "v"], made) == 0
        assert [asked[0] for asked in node.asked] == [b"DYN.GET", b"DYN.PUT"]
        assert node.asked[1][2] == b"c0ntext"
        assert b"replaces {n1:1}, which you read 0 s ago" in out.getvalue()
        assert run(["put", "k", "v"], made) == 0
        assert [asked[0] for asked in node.asked[2:]] == [b"DYN.GET", b"DYN.PUT"], "a write is not a read"


def test_a_shell_merges_what_it_has_shown() -> None:
    answers = [reading(version(b"a", {"n1": 1}), version(b"b", {"n2": 1}), context=b"shown")]
    with fake_node(DYN_GET=lambda _key, *rest: answers.pop()(*rest), DYN_PUT=RECEIPT) as node:
        made, _, _ = environment(terminal=True, environ={"DYN_NODES": node.address})
        made.memory = Memory()
        assert run(["get", "k"], made) == 0
        assert made.memory.conflicts == 1
        assert run(["merge", "k", "--take", "B"], made) == 0
        assert node.asked[1][1:4] == (b"k", b"shown", b"b")


def test_the_memory_is_bounded() -> None:
    memory = Memory()
    for i in range(MEMORY_KEYS_MAX + 10):
        memory.learn(Reading(b"%d" % i, b"c", ()), 0.0)
    assert len(memory.keys()) == MEMORY_KEYS_MAX
    assert memory.recall(b"0") is None
    memory.forget(b"100")
    assert memory.recall(b"100") is None

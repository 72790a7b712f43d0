"""Global options anywhere on the line, their environment variables, and the rules of colour."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pexpect
import pytest

from dynamo_cli.app import EXPRESS, load, run
from dynamo_cli.catalog import catalog
from dynamo_cli.client import Address, parse_address
from dynamo_cli.environment import Environment
from dynamo_cli.errors import CliError
from dynamo_cli.line import TAKES_VALUE, first_word
from dynamo_cli.options import REGISTRY
from dynamo_cli.paging import pager_of
from dynamo_cli.store import MEMORY_KEYS_MAX, Memory, Reading
from tests.helpers.cli import dyn, environment
from tests.helpers.documents import plan, ring, status
from tests.helpers.fake_node import RECEIPT, fake_node, reading, version
from tests.helpers.terminal import Screen

ROOT = Path(__file__).parents[2]

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


# One field --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "out"),
    [
        ("epoch", "7\n"),
        ("members.0.name", "n1\n"),
        ("members.-1.name", "n3\n"),
        ("members.*.name", "n1\nn2\nn3\n"),
        ("moving", "null\n"),
        ("preference.0", '["n1","n2","n3"]\n'),
    ],
)
def test_a_field_is_printed_as_jq_would(path: str, out: str) -> None:
    with fake_node(DYN_RING=ring(3, 16)) as node:
        assert dyn("ring", "show", "--field", path, node=node).out == out
        assert dyn("--field", path, "ring", "-o", "table", node=node).out == out, "--field means JSON"


@pytest.mark.parametrize("path", ["nothing", "members.9.name", "members.x", "epoch.x", "members.0.", "epoch.", "."])
def test_a_field_that_is_not_there_is_not_found(path: str) -> None:
    with fake_node(DYN_RING=ring(3, 16)) as node:
        result = dyn("ring", "show", "--field", path, node=node)
    assert (result.status, result.out) == (3, "")
    assert set(json.loads(result.err)["error"]) == {"code", "exit", "message", "hint"}


def test_a_field_of_what_is_no_json_is_a_usage_error() -> None:
    assert dyn("ring", "show", "--field", "").status == 2, "a script's variable was empty"
    with fake_node(DYN_RING=ring(3, 16)) as node:
        assert dyn("ring", "export", "--format", "svg", "--field", "epoch", node=node).status == 2


def test_a_field_commands_no_terminal_and_is_exact_in_a_pipe() -> None:
    with fake_node(DYN_GET=reading(version(b"a\x1b[31mb\nc", {"n1": 1}))) as node:
        argv = ("get", "k", "--field", "values.0.value")
        assert dyn(*argv, node=node).raw == b"a\x1b[31mb\nc\n"
        assert dyn(*argv, node=node, terminal=True).out == "a\\x1b[31mb\nc\n"


def test_a_field_of_each_line() -> None:
    with fake_node(DYN_KEYS=[b"0", [b"a", b"b"]]) as node:
        assert dyn("keys", "-o", "jsonl", "--field", "key", node=node).out == "a\nb\n"
        assert dyn("keys", "--field", "keys.*.key", node=node).out == "a\nb\n"


# Manners ----------------------------------------------------------------------------------------------


def test_ascii_is_drawn_where_nothing_else_can_be() -> None:
    long = reading(version(b"x" * 500, {"n1": 1}), version(b"y" * 500, {"n2": 1}))
    for argv, environ, encoding in (
        (("--ascii",), {}, "utf-8"),
        ((), {"DYN_ASCII": "1"}, "utf-8"),
        ((), {"LC_ALL": "C"}, "utf-8"),
        ((), {"LANG": "POSIX"}, "utf-8"),
        ((), {}, "latin-1"),
    ):
        with fake_node(DYN_GET=long, DYN_STATUS=status("n" * 90)) as node:
            for command in (("get", "k"), ("cluster", "status")):
                out = dyn(*command, *argv, node=node, terminal=True, environ=environ, encoding=encoding).out
                assert out.isascii(), (argv, environ)
                plain = dyn(*command, node=node, terminal=True, environ={"LC_ALL": "C.UTF-8"}).out
                assert not plain.isascii()
                assert [len(line) for line in out.splitlines()] == [len(line) for line in plain.splitlines()]


def test_nothing_is_asked_where_nobody_wants_to_be() -> None:
    with fake_node(DYN_CLUSTER=plan("n3")) as node:
        for argv, environ in ((("--no-input",), {}), ((), {"DYN_NO_INPUT": "1"})):
            refused = dyn("cluster", "leave", "n3", *argv, node=node, terminal=True, stdin=b"y\n", environ=environ)
            assert (refused.status, "--yes" in refused.err) == (9, True)
        assert dyn("cluster", "leave", "n3", node=node, terminal=True, stdin=b"n\n").status == 9


def test_verbose_tells_what_is_asked_of_whom_but_no_value() -> None:
    with fake_node(DYN_GET=ONE, DYN_PUT=RECEIPT) as node:
        told = dyn("put", "k", "secret", "-v", node=node)
        assert dyn("get", "k", node=node).err == ""
    assert told.status == 0
    first, second = told.err.splitlines()
    assert first.startswith(f"{node.address}: DYN.GET k: answered in ")
    assert second.startswith(f"{node.address}: DYN.PUT k: answered in ")
    assert "secret" not in told.err


def test_a_bug_is_one_line_and_a_file(tmp_path: Path) -> None:
    with fake_node(DYN_RING={"schema": "dyn.ring/v1"}) as node:
        environ = {"DYN_STATE_DIR": str(tmp_path)}
        result = dyn("ring", "show", node=node, environ=environ)
        report = (tmp_path / "crash.txt").read_text()
        shown = dyn("ring", "show", "--debug", node=node, environ=environ)
        as_json = dyn("ring", "owner", "k", "--json", node=node, environ={"DYN_STATE_DIR": "/dev/null/x"})
    assert (result.status, result.out, result.err.count("\n")) == (1, "", 1)
    assert "a bug in dyn: KeyError" in result.err
    assert str(tmp_path) in result.err
    assert "Traceback" in report
    assert "Traceback" in shown.err
    assert json.loads(as_json.err)["error"]["code"] == "BUG"


def test_debug_shows_where_an_error_came_from() -> None:
    assert "Traceback" not in dyn("get", "k").err
    assert "Traceback" in dyn("get", "k", "--debug").err
    assert "Traceback" in dyn("gett", "--debug").err


def test_the_streams_are_judged_apart() -> None:
    made, _, _ = environment(terminal=True)
    made.stderr = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    assert made.has_color("auto")
    assert not made.has_color("auto", error=True)


# The pager --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("chosen", "environ", "words"),
    [
        (None, {}, ["less"]),
        (None, {"PAGER": "cat"}, []),
        (None, {"PAGER": "less -S"}, ["less", "-S"]),
        ("off", {"PAGER": "less"}, []),
        ("less -N", {"PAGER": "cat"}, ["less", "-N"]),
        ("no-such-pager", {}, []),
        ("'", {}, []),
    ],
)
def test_which_pager(tmp_path: Path, chosen: str | None, environ: dict[str, str], words: list[str]) -> None:
    less = tmp_path / "less"
    less.write_text("")
    less.chmod(0o755)
    assert pager_of(chosen, {"PATH": str(tmp_path), **environ}) == words


def test_the_pager_comes_only_for_what_is_taller_than_the_terminal(tmp_path: Path) -> None:
    pager = tmp_path / "pager"
    pager.write_text('#!/bin/sh\necho "paged with LESS=$LESS"\ncat\n')
    pager.chmod(0o755)
    environ = {**os.environ, "DYN_PAGER": str(pager), "HOME": str(tmp_path), "DYN_NODES": "127.0.0.1:1"}
    environ.pop("LESS", None)
    for argv, paged in (
        (["help"], True),
        (["version"], False),
        (["help", "--no-pager"], False),
        (["help", "ctx"], False),
    ):
        with Screen([sys.executable, "-m", "dynamo_cli", *argv], ROOT, environ) as screen:
            screen.process.expect(pexpect.EOF, timeout=20)
            assert ("paged with LESS=FIRX" in screen.process.before) == paged, argv
    done = subprocess.run(
        [sys.executable, "-m", "dynamo_cli", "help"], cwd=ROOT, env=environ, capture_output=True, check=True
    )
    assert b"paged" not in done.stdout


# Groups and their screens -----------------------------------------------------------------------------


def test_a_group_alone_shows_its_one_obvious_screen() -> None:
    with fake_node(DYN_RING=ring(3, 16), DYN_STATUS=status(health="degraded")) as node:
        assert dyn("ring", node=node) == dyn("ring", "show", node=node)
        assert dyn("cluster", "--json", node=node) == dyn("cluster", "status", "--json", node=node)
        assert dyn("cluster", "--check", node=node).status == 8
        assert dyn("ring", "owner", "k", node=node).status == 0
        assert dyn("cluster", "--check", "hints", node=node).status == 2, "it would count for nothing"
    for name in ("key", "node", "node data"):
        assert dyn(*name.split()).status == 2


def test_the_first_word_stands_behind_the_global_options() -> None:
    """As typer itself reads them."""
    root = next(spec for spec in catalog() if not spec.path)
    assert {flag for p in root.global_options for flag in p.flags if p.takes_value} == TAKES_VALUE
    assert first_word(["-q", "-o", "plain", "--node=:1", "-n", ":1", "get", "k"]) == 6
    assert first_word(["context", "-"]) == 0
    assert first_word(["-q", "-n"]) >= 2


def test_the_express_way_loads_what_the_whole_tree_has() -> None:
    """A first word that is imported alone has all its commands in that one module."""
    load()
    for word, module in EXPRESS.items():
        found = {e.function.__module__ for p, e in REGISTRY.items() if p[:1] == ((word,) if word else ())}
        assert found == {f"dynamo_cli.commands.{module}"}, word
    code = "from dynamo_cli.__main__ import main; import sys; sys.argv = ['dyn', 'get', 'k', '-n', ':1']; main()\n"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}print(*sys.modules)"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = {name for name in done.stdout.split() if name.startswith("dynamo_cli.commands.")}
    assert loaded == {"dynamo_cli.commands.values"}

"""The shell: its language, what it completes and remembers, how it ends; on a pipe and on a pretended terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

import dynamo_cli.demo.verbs  # noqa: F401  # enters the verbs of the demo
from dynamo_cli.crash import crash
from dynamo_cli.environment import Environment
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import Options
from dynamo_cli.repl.loop import WATCH_S, Terminal
from dynamo_cli.repl.parse import arguments, split
from dynamo_cli.repl.session import Session, ShellEnvironment
from dynamo_cli.repl.start import run_on_terminal
from dynamo_cli.repl.words import is_open
from tests.helpers.cli import dyn, environment
from tests.helpers.cluster import ROOT
from tests.helpers.fake_node import HANG, FakeNode, fake_node
from tests.helpers.shell_node import CLOCKS, found, shell_node


@pytest.fixture
def node() -> Iterator[FakeNode]:
    with shell_node() as fake:
        yield fake


# Language ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "argv"),
    [
        ("get k", ["get", "k"]),
        ("GET k", ["get", "k"]),
        ("SET k v", ["put", "k", "v"]),
        ("dyn get k", ["get", "k"]),
        ("get k r=3", ["get", "k", "-r", "3"]),
        ("put k a=b", ["put", "k", "a=b"]),
        ("put k v ctx=none", ["put", "k", "v", "--ctx", "none"]),
        ("put k 'two words'", ["put", "k", "two words"]),
        ("ring show output=json", ["ring", "show", "--output", "json"]),
        ("get k # why", ["get", "k"]),
        ("gett k", ["gett", "k"]),
        ("put k w=2 -- ctx=none", ["put", "k", "-w", "2", "--", "ctx=none"]),
    ],
)
def test_a_line_means_a_command_line(line: str, argv: list[str]) -> None:
    """The same words without dyn; name=value is the option of that name, where there is one."""
    assert arguments(split(line)) == argv


@pytest.mark.parametrize("line", ["shell", "node start", "demo"])
def test_what_makes_no_sense_inside_is_refused(line: str) -> None:
    """It would hold up the shell."""
    with pytest.raises(CliError, match="does not run within the shell"):
        arguments(split(line))


@pytest.mark.parametrize("line", ["put k v", "del k", "merge k", "SET k v", "bench", "cluster leave n3"])
def test_a_read_only_shell_writes_nothing(line: str) -> None:
    """Whatever the name of the writing command."""
    with pytest.raises(CliError, match="read-only"):
        arguments(split(line), read_only=True)


@pytest.mark.parametrize(
    ("text", "unfinished"), [("put k 'a", True), ("put k 'a'", False), ("put k a\\", True), ("", False)]
)
def test_open_quotes_go_on_in_the_next_line(text: str, unfinished: bool) -> None:
    """A value may have several lines."""
    assert is_open(text) is unfinished


def test_a_line_may_ask_through_one_node(node: FakeNode) -> None:
    """By its name in the ring, or its address; behind -- it is a word like any other."""
    with shell_node() as other:
        node.replies["DYN.RING"] = {"members": [{"name": "n2", "address": other.address}]}
        for via in ("n2", other.address):
            assert dyn("shell", "-e", f"get k via={via}", node=node).out == "milk\n"
        assert [words[0] for words in other.asked if words[0] == b"DYN.GET"] == [b"DYN.GET"] * 2
        assert dyn("shell", "-e", "get k via=n9", node=node).status == 3
        assert dyn("shell", "-e", "put k -- via=n2", node=node).status == 0
    assert next(words for words in node.asked if words[0] == b"DYN.PUT")[3] == b"via=n2"


# Scripts -----------------------------------------------------------------------------------------------


def test_exec_runs_commands_over_one_connection(node: FakeNode) -> None:
    """The second put uses what the get read, and says nothing to a prompt."""
    result = dyn("shell", "-e", "get k", "-e", "put k v", node=node)
    assert result.status == 0, result.err
    assert result.out.startswith("milk\n")
    assert len(node.introductions) == 1
    put = next(words for words in node.asked if words[0] == b"DYN.PUT")
    assert put[2] == b"token"


def test_a_script_stops_at_its_first_error_and_says_where(node: FakeNode) -> None:
    """Exit status of the line that failed."""
    result = dyn("shell", node=node, stdin=b"get k\nnonsense\nget k\n")
    assert result.status == 2
    assert "stopped at stdin:2: nonsense" in result.err
    assert result.out.count("milk") == 1


def test_keep_going_runs_the_rest(node: FakeNode) -> None:
    """And still ends with the first failure's status."""
    result = dyn("shell", "--keep-going", node=node, stdin=b"nonsense\nget k\n")
    assert result.status == 2
    assert result.out.count("milk") == 1


def test_a_script_file(node: FakeNode, tmp_path: Path) -> None:
    """Values over several lines, comments, and an end by exit."""
    script = tmp_path / "a.dyn"
    script.write_text("# setup\nput k 'two\nlines'\nexit\nnonsense\n")
    assert dyn("shell", "-f", str(script), node=node).status == 0
    assert next(words for words in node.asked if words[0] == b"DYN.PUT")[3] == b"two\nlines"
    missing = dyn("shell", "-f", str(tmp_path / "no"), node=node)
    assert missing.status == 1
    assert "cannot read the script" in missing.err


def test_lines_that_come_first(node: FakeNode, tmp_path: Path) -> None:
    """What is wrong in them is told with its place, and neither the rest nor the shell suffers."""
    init = tmp_path / "init.dyn"
    init.write_text("\\set timing on\nnonsense\nget k\n")
    done = dyn("shell", "--init", str(init), "-e", "get k", node=node)
    assert (done.status, done.out) == (0, "milk\nmilk\n")
    assert f"{init}:2: this line failed; the rest runs" in done.err
    assert done.err.count("time ") == 3
    missing = dyn("shell", "--init", str(tmp_path / "no"), "-e", "get k", node=node)
    assert (missing.status, missing.out) == (0, "milk\n")
    assert "cannot read the script" in missing.err
    assert dyn("shell", "--init", "-", "-e", "get k", node=node).status == 2


# On a terminal -----------------------------------------------------------------------------------------


def typed(
    node: FakeNode, keys: str, *, terminal_input: bytes = b"", environ: dict[str, str] | None = None
) -> tuple[str, str]:
    """Type into a shell; returns what it wrote."""
    known = {"DYN_NODES": node.address, **(environ or {})}
    outer, out, err = environment(stdin=terminal_input, terminal=True, environ=known)
    env = ShellEnvironment(outer, Options())
    with create_pipe_input() as keyboard:
        keyboard.send_text(keys)
        Terminal(Session(env), None, keyboard=keyboard, screen=DummyOutput()).run()
    env.hang_up()
    return out.getvalue().decode(), err.getvalue().decode()


def test_lines_run_until_exit(node: FakeNode) -> None:
    """The welcome says how the cluster is; results follow."""
    out, _ = typed(node, "get k\nexit\n")
    assert "2 of 3 nodes up" in out
    assert "milk" in out


def test_the_first_prompt_does_not_wait_for_a_silent_node() -> None:
    """It says so, and what is typed runs."""
    with fake_node({"CLIENT": HANG}) as silent:
        begun = time.monotonic()
        out, _ = typed(silent, "exit\n")
    assert time.monotonic() - begun < WATCH_S
    assert "no node has answered yet" in out


def test_ctrl_d_leaves_and_ctrl_c_does_not(node: FakeNode) -> None:
    """Ctrl-C drops the line."""
    out, _ = typed(node, "put k v\x03get k\n\x04")
    assert "milk" in out
    assert not [words for words in node.asked if words[0] == b"DYN.PUT"]


def test_function_keys_turn_settings(node: FakeNode) -> None:
    """F2, F3, F4; in vi mode Escape and letters are commands."""
    out, _ = typed(node, "\x1bOQ\\set\n\x1bOQ\x1bOS\\set\nexit\n")
    assert [line.split()[:2] for line in out.splitlines() if "expanded" in line] == [
        ["expanded", "on"],
        ["expanded", "off"],
    ]
    assert [line.split()[1] for line in out.splitlines() if line.startswith("  vi ")] == ["off", "on"]


def test_in_vi_mode_letters_are_commands(node: FakeNode) -> None:
    out, _ = typed(node, "\\set vi on\ngot k\x1b0lre\nexit\n")
    assert "milk" in out


def test_in_multiline_mode_enter_begins_a_line(node: FakeNode) -> None:
    typed(node, "\\set multiline on\nput k 'a\nb'\x1b\rexit\x1b\r")
    assert next(words for words in node.asked if words[0] == b"DYN.PUT")[3] == b"a\nb"


def test_the_editor_gives_back_a_line_that_waits(
    node: FakeNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i s/nothing/k/ $1\n")
    editor.chmod(0o700)
    out, _ = typed(node, "\\e get nothing\n\nexit\n", environ={"EDITOR": str(editor)})
    assert "milk" in out
    _, err = typed(node, "\\e get nothing\nexit\n", environ={"EDITOR": "/no/such/editor"})
    assert "cannot start the editor" in err


def test_keys_are_listed(node: FakeNode) -> None:
    out, _ = typed(node, "\\keys\nexit\n")
    assert "Ctrl-X Ctrl-E" in out
    assert max(map(len, out.splitlines())) < 80


@pytest.mark.parametrize("keys", ["'\x12ge\x07\x03", "'\x12get k\r\x03", "\x12ge\x03", "\x12ge\x1b\r\x03"])
def test_a_search_ends_as_it_began(node: FakeNode, keys: str) -> None:
    """Also from within a quote, where another line of the screen is the search's."""
    out, err = typed(node, f"get k\n{keys}get k\nexit\n")
    assert "bug" not in err
    assert out.count("milk") >= 2


def test_keys_that_no_keyboard_has_cost_the_line_and_not_the_shell(
    node: FakeNode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """prompt_toolkit takes these for a mouse, and fails."""
    environ = {"DYN_NODES": node.address, "DYN_STATE_DIR": str(tmp_path)}
    outer, out, err = environment(terminal=True, environ=environ)
    env = ShellEnvironment(outer, Options())
    with create_pipe_input() as keyboard:

        def told(error: Exception, env: Environment) -> CliError:
            keyboard.send_text("get k\nexit\n")
            return crash(error, env)

        monkeypatch.setattr("dynamo_cli.repl.loop.crash", told)
        keyboard.send_text("put k v\x1b[99m")
        Terminal(Session(env), None, keyboard=keyboard, screen=DummyOutput()).run()
    env.hang_up()
    assert "a bug in dyn: ValueError" in err.getvalue().decode()
    assert "milk" in out.getvalue().decode()
    assert not [words for words in node.asked if words[0] == b"DYN.PUT"]


def test_a_typo_is_told_and_the_shell_lives(node: FakeNode) -> None:
    """With what was probably meant."""
    out, err = typed(node, "gett k\nget k\nexit\n")
    assert "gett" in err
    assert "get" in err
    assert "milk" in out


PASTE = "\x1b[200~get k\nget nothing | false\nget k\x1b[201~\r"


@pytest.mark.parametrize(
    ("answers", "milk", "told"),
    [
        (b"c\n", 0, "nothing ran"),
        (b"\n", 0, "nothing ran"),
        (b"", 0, "nothing ran"),
        (b"a\n", 1, "stopped: 1 of 3 commands did not run"),
        (b"o\ny\nn\ny\n", 2, "3/3  get k   [y]es"),
        (b"o\nn\nq\n", 0, "2/3"),
        (b"o\nn\nn\na\n", 1, "> get k"),
    ],
)
def test_pasted_lines_run_only_when_confirmed(node: FakeNode, answers: bytes, milk: int, told: str) -> None:
    """A paste is not an Enter: all, one by one, or none; the first that fails ends it."""
    out, err = typed(node, f"{PASTE}exit\n", terminal_input=answers)
    assert "3 commands were pasted: run [a]ll, [o]ne by one, or [c]ancel? " in err
    assert told in err
    assert out.count("milk") == milk


def test_ctrl_c_twice_at_an_empty_line_says_how_to_leave(node: FakeNode) -> None:
    assert "Ctrl-D leaves" not in typed(node, "get\x03\x03exit\n")[1]
    assert "Ctrl-D leaves" in typed(node, "\x03\x03exit\n")[1]


def test_vi_from_the_start(node: FakeNode) -> None:
    outer, out, _ = environment(terminal=True, environ={"DYN_NODES": node.address, "TERM": "dumb"}, stdin=b"\\set\n")
    session = Session(ShellEnvironment(outer, Options()))
    run_on_terminal(session, None, vi=True)
    assert "  vi         on" in out.getvalue().decode()


def test_a_dumb_terminal_has_a_shell_without_anything_that_moves(node: FakeNode) -> None:
    """Prompts and remarks on standard error; values over lines; the end of the input is the way out."""
    outer, out, err = environment(
        terminal=True, environ={"DYN_NODES": node.address, "TERM": "dumb"},
        stdin=b"get k\nput k 'a\nb'\nnonsense\nclear\n\\watch 0.1 c=1 get k\n",
    )  # fmt: skip
    session = Session(ShellEnvironment(outer, Options()))
    run_on_terminal(session, None)
    session.env.hang_up()
    assert out.getvalue().decode().count("milk") == 2
    assert "\x1b" not in out.getvalue().decode() + err.getvalue().decode()
    assert "dyn> ... " in err.getvalue().decode()
    assert next(words for words in node.asked if words[0] == b"DYN.PUT")[3] == b"a\nb"


def test_scripts_and_dumb_terminals_do_not_load_what_draws_prompts() -> None:
    code = (
        "from tests.helpers.cli import dyn, environment\n"
        "from dynamo_cli.repl.session import Session, ShellEnvironment\n"
        "from dynamo_cli.repl.start import run_on_terminal\n"
        "from dynamo_cli.options import Options\n"
        "assert dyn('shell', '-e', '\\\\help', '-e', '\\\\set', '-e', '\\\\nonsense').status == 2\n"
        "outer, _, _ = environment(terminal=True, environ={'TERM': 'dumb'}, stdin=b'exit')\n"
        "run_on_terminal(Session(ShellEnvironment(outer, Options())), None)\n"
        "import sys; assert 'prompt_toolkit' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# Ctrl-C while a command runs -----------------------------------------------------------------------------


def interrupting(reply: Any) -> Any:
    """An answer that comes after the user has pressed Ctrl-C."""

    def answer(*words: bytes) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return reply

    return answer


def test_an_interrupted_read_leaves_no_answer_for_the_next_question(node: FakeNode) -> None:
    """Else that would be shown as the value of another key."""
    node.replies["DYN.GET"] = interrupting([b"token", [b"late"], [CLOCKS]])
    outer, out, err = environment(environ={"DYN_NODES": node.address})
    shell = Session(ShellEnvironment(outer, Options()))
    assert shell.run("get k") == ExitStatus.INTERRUPTED
    node.replies["DYN.GET"] = found
    assert shell.run("get other") == ExitStatus.OK
    shell.env.hang_up()
    assert out.getvalue() == b"milk\n"
    assert b"outcome" not in err.getvalue()


@pytest.mark.parametrize("line", ["put k v --ctx none", "del k x"])
def test_an_interrupted_write_says_that_its_outcome_is_unknown(node: FakeNode, line: str) -> None:
    """And ends the command: a del of several keys does not go on."""
    node.replies["DYN.PUT"] = node.replies["DYN.DEL"] = interrupting(b"token2")
    outer, out, err = environment(environ={"DYN_NODES": node.address})
    shell = Session(ShellEnvironment(outer, Options()))
    assert shell.run(line) == ExitStatus.INTERRUPTED
    shell.env.hang_up()
    assert "outcome unknown: interrupted before 127.0.0.1" in err.getvalue().decode()
    assert "it may or may not have been written" in err.getvalue().decode()
    assert len([words for words in node.asked if words[0] in (b"DYN.PUT", b"DYN.DEL")]) == 1
    assert out.getvalue() == b""

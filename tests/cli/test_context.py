"""Saved contexts: as files, as what counts, and as what protects."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from dynamo_cli import contexts
from dynamo_cli.errors import CliError
from tests.helpers.cli import Result
from tests.helpers.documents import plan, ring, status
from tests.helpers.fake_node import FakeNode, fake_node, reading, version
from tests.helpers.home import Home, home

__all__ = ["home"]

ONE = reading(version(b"milk", {"n1": 1}))


def test_a_context_is_added_used_renamed_copied_and_removed(home: Home) -> None:
    with fake_node(DYN_GET=ONE) as node:
        assert home.dyn("context", "add", "here", "-n", node.address).status == 0
        assert home.dyn("get", "k").status == 5, "saved is not used"
        assert home.dyn("get", "k", "-c", "here").out == "milk\n"
        assert home.dyn("get", "k", DYN_CONTEXT="here").out == "milk\n"
        assert home.dyn("context", "use", "here").status == 0
        assert home.dyn("get", "k").out == "milk\n"
        assert home.dyn("get", "k", "-c", "none").status == 5
        assert home.dyn("context", "rename", "here", "there").status == 0
        assert home.dyn("context", "copy", "there", "other").status == 0
        listed = json.loads(home.dyn("context", "--json").out)
        assert [(c["name"], c["in_force"]) for c in listed["contexts"]] == [("other", False), ("there", True)]
        assert home.dyn("get", "k").out == "milk\n", "the one in use was renamed"
        assert home.dyn("context", "rm", "there").status == 0
        assert home.dyn("get", "k").status == 5
        assert home.dyn("context", "show").status == 3


def test_back_to_the_one_before(home: Home) -> None:
    for name in ("a", "b"):
        home.dyn("context", "add", name, "-n", ":1", "--use")
    for expected in ("a", "b", "a"):
        assert home.dyn("context", "-").out == f"context {expected} is in use\n"
        assert home.dyn("config", "get", "context").out == f"{expected}\n"
    (home.path / ".local/state/dyn/previous-context").unlink()
    assert home.dyn("context", "-").status == 3


def test_files_are_their_owners_alone(home: Home) -> None:
    home.dyn("context", "add", "a", "-n", ":1", "--use", "--password-file", "secret")
    for file in (home.config / "contexts" / "a.toml", home.config / "config.toml"):
        assert file.stat().st_mode & 0o777 == 0o600
    assert (home.config / "contexts").stat().st_mode & 0o777 == 0o700
    assert f'password-file = "{Path.cwd()}/secret"' in home.saved("a"), "a relative name would mean another file"


@pytest.mark.parametrize("name", ["", "-", "none", "a/b", "../a", ".a", "a b", "é", "a" * 65, "a\n"])
def test_what_can_be_no_name(home: Home, name: str) -> None:
    assert home.dyn("context", "add", name, "-n", ":1").status == 2
    with pytest.raises(CliError):
        contexts.context_path(home.environ, name)


@pytest.mark.parametrize(
    ("argv", "status", "words"),
    [
        (("context", "add", "a"), 2, "needs nodes"),
        (("context", "add", "a", "-n", "h:x"), 2, "not an address"),
        (("context", "add", "old", "-n", ":1"), 9, "there is a context old"),
        (("context", "add", "a", "-n", ":1", "--prompt-color", "mauve"), 2, "none of red"),
        (("context", "use", "nope"), 3, "There are old"),
        (("context", "rm", "nope"), 3, "There are old"),
        (("context", "copy", "old", "old"), 9, "there is a context old"),
        (("context", "edit", "old"), 9, "needs a terminal"),
        (("get", "k", "-c", "nope"), 3, "no context 'nope'. There are old"),
    ],
)
def test_errors(home: Home, argv: tuple[str, ...], status: int, words: str) -> None:
    home.dyn("context", "add", "old", "-n", ":1")
    result = home.dyn(*argv)
    assert (result.status, result.out, result.err.count("\n")) == (status, "", 1)
    assert words in result.err


# What counts ------------------------------------------------------------------------------------------


def asked(nodes: list[FakeNode], result: Result) -> tuple[int, ...]:
    assert result.status == 0, result.err
    return tuple(i for i, node in enumerate(nodes) if node.asked)


def test_flag_before_environment_before_context_before_config(home: Home) -> None:
    with contextlib.ExitStack() as stack:
        flag, env, context, config = (stack.enter_context(fake_node(DYN_GET=ONE)) for _ in range(4))
        nodes = [flag, env, context, config]
        home.dyn("context", "add", "saved", "-n", context.address)
        home.dyn("config", "set", "nodes", config.address)
        for argv, environ, expected in (
            (("-n", flag.address), {"DYN_NODES": env.address}, 0),
            ((), {"DYN_NODES": env.address, "DYN_CONTEXT": "saved"}, 1),
            (("-c", "saved"), {"DYN_NODES": env.address}, 2),
            (("-c", "none"), {"DYN_NODES": env.address, "DYN_CONTEXT": "saved"}, 1),
            (("-c", "none"), {"DYN_CONTEXT": "saved"}, 3),
            ((), {"DYN_CONTEXT": "saved"}, 2),
            ((), {}, 3),
        ):
            for node in nodes:
                node.asked.clear()
            assert asked(nodes, home.dyn("get", "k", *argv, **environ)) == (expected,), (argv, environ)


def test_no_cluster_gets_the_password_of_another(home: Home) -> None:
    """What a connection takes comes from one place: that of the nodes."""
    for name in ("context", "env", "config"):
        (home.path / name).write_text(f"of-{name}\n")
    with fake_node(DYN_GET=ONE, AUTH=b"OK") as node:
        home.dyn("context", "add", "bare", "-n", node.address)
        home.dyn("context", "add", "full", "-n", node.address, "--password-file", str(home.path / "context"))
        home.dyn("config", "set", "password-file", str(home.path / "config"))
        env = {"DYN_PASSWORD_FILE": str(home.path / "env")}
        for argv, environ, expected in (
            (("-c", "full"), env, b"of-context"),
            (("-c", "bare"), env, None),
            (("-c", "bare"), {"DYN_PASSWORD": "word"}, None),
            (("-c", "full"), {"DYN_PASSWORD": "word"}, b"of-context"),
            ((), {"DYN_CONTEXT": "bare"}, None),
            ((), {"DYN_CONTEXT": "bare", **env}, b"of-env"),
            ((), {"DYN_CONTEXT": "full", "DYN_PASSWORD": "word"}, b"word"),
            ((), {"DYN_CONTEXT": "full", "DYN_NODES": node.address}, None),
            ((), {"DYN_NODES": node.address}, None),
            (("-n", node.address), {}, b"of-config"),
        ):
            node.introductions.clear()
            assert home.dyn("get", "k", *argv, **environ).status == 0
            auth = next((words[1] for words in node.introductions if words[0] == b"AUTH"), None)
            assert auth == expected, (argv, environ)


def test_a_project_may_choose_a_context_but_say_nothing_of_passwords_or_programs(home: Home) -> None:
    local = Path("dyn.toml")
    with fake_node(DYN_GET=ONE) as node:
        home.dyn("context", "add", "here", "-n", node.address)
        local.write_text('port = 7801\n[client]\ncontext = "here"\noutput = "json"\n')
        assert json.loads(home.dyn("get", "k").out)["values"][0]["value"] == "milk"
        assert home.dyn("get", "k", "-o", "plain").out == "milk\n"
        for name in ("nodes", "password-file", "pager", "tls-ca"):
            local.write_text(f'[client]\n{name} = "x"\n')
            refused = home.dyn("get", "k", "-n", node.address)
            assert (refused.status, name in refused.err) == (2, True)
        local.write_text("client = 1\n")
        assert home.dyn("get", "k", "-n", node.address).status == 2


def test_a_node_leaves_the_table_of_the_client_alone(tmp_path: Path) -> None:
    from node.runtime.config import load_settings

    (tmp_path / "dyn.toml").write_text('name = "n9"\n[client]\ncontext = "here"\n')
    assert load_settings(environ={"HOME": str(tmp_path)}, cwd=tmp_path).name == "n9"


@pytest.mark.parametrize(
    "text",
    ["nodes = ", 'nodes = ["h:x"]\n', 'color = "mauve"\n', 'colour = "never"\n', "\xff", "nodes = {a = 1}\n",
     'password-file = ["a"]\n', "timeout = true\n", 'tls-ca = ["x"]\n'],
)  # fmt: skip
def test_a_file_that_makes_no_sense_is_named_and_can_be_mended(home: Home, text: str) -> None:
    home.config.mkdir(parents=True)
    (home.config / "config.toml").write_bytes(text.encode("latin-1"))
    result = home.dyn("get", "k")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "config.toml" in result.err
    for argv in (("help",), ("config", "path"), ("version",)):
        assert home.dyn(*argv).status == 0, argv


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_holds_nobody_up(home: Home, make: Callable[[str], None]) -> None:
    make("dyn.toml")
    result = home.dyn("get", "k")
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert "dyn.toml" in result.err


def test_the_start_page_names_the_context(home: Home) -> None:
    with fake_node(DYN_STATUS=status()) as node:
        home.dyn("context", "add", "carts", "-n", node.address, "--use")
        assert home.dyn().out.startswith("context carts: cluster carts at ")
        assert json.loads(home.dyn("--json").out)["context"] == "carts"


def test_check_asks_each_node_with_what_the_context_says(home: Home) -> None:
    with fake_node(DYN_STATUS=status()) as node:
        home.dyn("context", "add", "half", "-n", f"{node.address},127.0.0.1:1")
        result = home.dyn("context", "check", "half", "--json")
        assert result.status == 8
        assert [(n["answers"], n["cluster"]) for n in json.loads(result.out)["nodes"]] == [
            (True, "carts"),
            (False, None),
        ]
        home.dyn("config", "set", "nodes", node.address, "--in", "half")
        assert home.dyn("context", "check", "half").status == 0
    assert home.dyn("context", "check", "half").status == 5


# Protected --------------------------------------------------------------------------------------------


def test_what_is_dangerous_takes_the_name_of_a_protected_context(home: Home) -> None:
    change = {"schema": "dyn.change/v1", "change": "leave n3", "state": "moving", "epoch": 8}
    with fake_node(DYN_RING=ring(3, 16), DYN_FAULT={"faults": []}, DYN_GET=ONE) as node:
        node.replies["DYN.CLUSTER"] = lambda verb, *rest: plan("n3") if verb == b"PLAN" else change
        home.dyn("context", "add", "prod", "-n", node.address, "--protected", "--use")
        for argv in (("cluster", "leave", "n3"), ("fault", "cut", "n1", "n2"), ("bench", "--duration", "0.1s")):
            for more in ((), ("-y",), ("--confirm", "other"), ("-y", "--no-input")):
                refused = home.dyn(*argv, *more, terminal="--no-input" in more, stdin=b"prod\n")
                assert refused.status == 9, (argv, more)
                assert "prod" in refused.err
            wrong = home.dyn(*argv, terminal=True, stdin=b"y\n")
            assert wrong.status == 9
        assert all(words[:2] != (b"DYN.CLUSTER", b"COMMIT") for words in node.asked)
        assert home.dyn("get", "k").status == 0, "reading is not dangerous"
        assert home.dyn("cluster", "leave", "n3", "--confirm", "prod").status == 0
        typed = home.dyn("cluster", "leave", "n3", terminal=True, stdin=b"prod\n")
        assert typed.status == 0
        assert "Type its name" in typed.err


def test_a_question_says_which_cluster_it_is_about(home: Home) -> None:
    with fake_node(DYN_CLUSTER=plan("n3")) as node:
        home.dyn("context", "add", "shop", "-n", node.address)
        for argv, where in (("-c", "shop"), f"context shop, through {node.address}"), (("-n", node.address), "through"):
            asked = home.dyn("cluster", "leave", "n3", *argv, terminal=True, stdin=b"n\n").err
            assert f"{where}" in asked.split("[y/N]")[0].splitlines()[-2]


def test_protection_is_not_taken_away_in_passing(home: Home) -> None:
    home.dyn("context", "add", "prod", "-n", ":1", "--protected")
    for argv in (
        ("context", "rm", "prod"),
        ("config", "unset", "protected", "--in", "prod"),
        ("config", "set", "protected", "off", "--in", "prod"),
    ):
        assert home.dyn(*argv, "-y").status == 9, argv
    assert home.dyn("config", "set", "protected", "off", "--in", "prod", "--confirm", "prod").status == 0
    assert home.dyn("context", "rm", "prod").status == 0


# config -----------------------------------------------------------------------------------------------


def test_origins(home: Home) -> None:
    Path("dyn.toml").write_text('[client]\ncolor = "never"\n')
    home.dyn("context", "add", "a", "-n", ":7", "--use")
    home.dyn("config", "set", "timeout", "7", "--in", "a")
    home.dyn("config", "set", "ascii", "on")
    told = json.loads(home.dyn("config", "show", "--json", "--tls-ca", "x", DYN_WRITER="me").out)["settings"]
    config = str(home.config / "config.toml")
    assert {s["name"]: (s["value"], s["origin"]) for s in told if s["origin"] != "default"} == {
        "context": ("a", config),
        "nodes": ("127.0.0.1:7", "context a"),
        "tls-ca": ("x", "--tls-ca"),
        "timeout": ("7.0", "context a"),
        "color": ("never", "./dyn.toml"),
        "ascii": ("on", config),
        "writer": ("me", "DYN_WRITER"),
    }
    assert next(s for s in told if s["name"] == "tls-key")["value"] is None
    screen = home.dyn("config", "show", "--origin", "--color", "never", terminal=True).out
    assert "./dyn.toml" in screen
    assert max(map(len, screen.splitlines())) <= 80


def test_set_and_unset_leave_all_else_as_it_was(home: Home) -> None:
    home.config.mkdir(parents=True)
    path = home.config / "config.toml"
    path.write_text('# mine\noutput = "json"  # for scripts\n\n[alias]\nst = "status"\n')
    assert home.dyn("config", "set", "timeout", "5").status == 0
    assert path.read_text() == '# mine\noutput = "json"  # for scripts\ntimeout = 5.0\n\n[alias]\nst = "status"\n'
    assert home.dyn("config", "unset", "timeout").status == 0
    assert home.dyn("config", "set", "output", "csv").status == 0
    assert path.read_text() == '# mine\noutput = "csv"\n\n[alias]\nst = "status"\n'
    path.write_text('note = "x"\ncolor = "mauve"\n')
    mended = home.dyn("config", "unset", "color")
    assert (mended.status, path.read_text()) == (0, 'note = "x"\n')
    assert "sets note, which it cannot" in mended.err


def test_a_list_over_several_lines_is_left_to_an_editor(home: Home) -> None:
    home.dyn("context", "add", "a", "-n", ":1")
    path = home.config / "contexts" / "a.toml"
    path.write_text('nodes = [\n  "a:1",\n]\n')
    refused = home.dyn("config", "set", "nodes", "b:1", "--in", "a")
    assert (refused.status, path.read_text()) == (9, 'nodes = [\n  "a:1",\n]\n')
    assert "editor" in refused.err


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (("config", "set", "outputt", "json"), "There are context"),
        (("config", "set", "output", "yaml"), "none of table"),
        (("config", "set", "protected", "on"), "of a context alone"),
        (("config", "set", "timeout", "0"), "not between"),
        (("config", "set", "context", "b", "--in", "a"), "cannot name another"),
    ],
)
def test_what_cannot_be_set(home: Home, argv: tuple[str, ...], words: str) -> None:
    home.dyn("context", "add", "a", "-n", ":1")
    result = home.dyn(*argv)
    assert (result.status, result.err.count("\n")) == (2, 1)
    assert words in result.err


def test_a_setting_that_counts_for_nothing_is_said(home: Home) -> None:
    assert "DYN_OUTPUT says csv, which counts" in home.dyn("config", "set", "output", "json", DYN_OUTPUT="csv").err
    home.dyn("context", "add", "a", "-n", ":1")
    assert "DYN_NODES is set" in home.dyn("context", "use", "a", DYN_NODES="h:1").err


def test_toml_is_written_as_it_is_read(tmp_path: Path) -> None:
    table: contexts.Table = {"note": 'a "quoted" \\ tab\t é \x7f\u202e', "nodes": ["a:1", "b:2"], "protected": True}
    assert contexts.parsed(contexts.toml_text(table).encode(), "x") == table
    path = tmp_path / "dir" / "f.toml"
    contexts.write_private(str(path), "a = 1\n")
    (tmp_path / "link").symlink_to(path)
    contexts.write_private(str(tmp_path / "link"), "a = 2\n")
    assert path.read_text() == "a = 2\n"
    assert os.listdir(path.parent) == ["f.toml"]


def test_an_editor_saves_only_what_makes_sense(home: Home) -> None:
    home.dyn("context", "add", "a", "-n", ":1")
    before = home.saved("a")
    for editor, code, after in (
        ("true", 0, before),
        ("sed -i s/nodes/knots/", 2, before),
        ("sed -i s/:1/:2/", 0, before.replace(":1", ":2")),
        ("/nonexistent/editor", 1, before.replace(":1", ":2")),
    ):
        result = home.dyn("context", "edit", "a", terminal=True, EDITOR=editor, TMPDIR=str(home.path))
        assert (result.status, home.saved("a")) == (code, after), (editor, result.err)

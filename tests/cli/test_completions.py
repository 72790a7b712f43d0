"""Completion in the three shells themselves: commands, options, and keys with a colon; and that the files are fresh."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

from dynamo_cli import contexts
from dynamo_cli.catalog import catalog
from dynamo_cli.completions import SHELLS, script
from tests.helpers.cli import dyn
from tests.helpers.fake_node import HANG, Err, FakeNode, Reply, fake_node
from tests.helpers.tools import need

ROOT = Path(__file__).parents[2]
FILES = {"bash": "dyn.bash", "zsh": "_dyn", "fish": "dyn.fish"}
KEYS = [b"0", [b"user:7", b"user:12", b"cart:1042", b"two words", b"new\nline", b"\xff"]]


@pytest.mark.parametrize("shell", SHELLS)
def test_the_checked_in_script_is_fresh(shell: str) -> None:
    path = ROOT / "completions" / FILES[shell]
    assert path.read_text() == script(shell), f"write it anew: dyn completion {shell} > completions/{FILES[shell]}"


@pytest.fixture
def node() -> Iterator[FakeNode]:
    """A node with a few keys, of which not all can be typed; it heeds no prefix beyond the first letter."""

    def keys(*words: bytes) -> Reply:
        prefix = words[words.index(b"PREFIX") + 1]
        return [b"0", [key for key in KEYS[1] if key.startswith(prefix)]]

    ring = {"members": [{"name": "n1", "address": "127.0.0.1:7701"}, {"name": "n2", "address": "127.0.0.1:7702"}]}
    with fake_node(DYN_KEYS=keys, DYN_RING=ring) as made:
        yield made


@pytest.fixture
def environ(node: FakeNode, tmp_path: Path) -> dict[str, str]:
    """An environment in which `dyn` is this checkout's, and speaks to `node`; a context names that, too."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    config = {"DYN_CONFIG_DIR": str(tmp_path / "dyn")}
    contexts.save(config, "here", {"nodes": [node.address]})
    contexts.save(config, "away", {"nodes": ["127.0.0.1:1"]})
    return {**os.environ, **config, "PATH": path, "DYN_NODES": node.address, "TERM": "dumb", "PS1": "> "}


CASES = [
    ("ri", {"ring"}),
    ("ring ", {"show", "owner", "diff", "simulate", "export"}),
    ("--json ring ow", {"owner"}),
    ("get --str", {"--strict"}),
    ("get -o js", {"json", "jsonl"}),
    ("get user:", {"user:7", "user:12"}),
    ("get a user:1", {"user:12"}),
    ("put cart", {"cart:1042"}),
    ("put k v --ctx ", {"last", "none"}),
    ("get --ctx cart:", {"cart:1042"}),
    ("get -n ", {"127.0.0.1:7701", "127.0.0.1:7702"}),
    ("-c ", {"away", "here", "none"}),
    ("get --context he", {"here"}),
    ("context use ", {"away", "here", "none"}),
    ("config set timeout 5 --in a", {"away"}),
    ("get -c away user:", set()),
    ("get -c here user:1", {"user:12"}),
    ("put k @READ", {"@README.md"}),
    ("key explain ca", {"cart:1042"}),
    ("completion z", {"zsh"}),
    ("help exi", {"exit-codes"}),
    ("fault cut ", {"n1", "n2"}),
    ("fault disk n1 f", {"full"}),
    ("cluster plan re", {"remove", "replace"}),
    ("cluster plan leave ", {"n1", "n2"}),
    ("cluster weight n", {"n1", "n2"}),
    ("node start --replace ", {"n1", "n2"}),
    ("ring show x", set()),
]
"""What is typed after `dyn `, and what is offered."""


@pytest.mark.parametrize(("typed", "offered"), CASES)
def test_bash(environ: dict[str, str], typed: str, offered: set[str]) -> None:
    line = f"dyn {typed}"
    code = f'source completions/dyn.bash; COMP_POINT={len(line)}; _dyn; printf "%s\\n" "${{COMPREPLY[@]}}"'
    bash = need("bash", package="bash")
    run = [bash, "--norc", "-c", code]
    done = subprocess.run(run, env={**environ, "COMP_LINE": line}, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    # bash itself puts back what stands before the last colon.
    word = typed.rsplit(" ", 1)[-1]
    before = word[: word.rfind(":") + 1]
    assert {before + found for found in done.stdout.splitlines() if found} == offered


@pytest.mark.parametrize(("typed", "offered"), CASES)
def test_fish(environ: dict[str, str], typed: str, offered: set[str]) -> None:
    fish = need("fish", package="fish")
    code = f'source completions/dyn.fish; complete -C "dyn {typed}"'
    run = [fish, "--no-config", "-c", code]
    done = subprocess.run(run, env=environ, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert {line.split("\t")[0] for line in done.stdout.splitlines()} == offered


TYPED = [
    ("ri\t", "dyn ring "),
    ("ring ow\t", "dyn ring owner "),
    ("get --str\t", "dyn get --strict "),
    ("get cart:\t", "dyn get cart:1042 "),
    ("get user:1\t", "dyn get user:12 "),
    ("put k v --ctx no\t", "dyn put k v --ctx none "),
    ("put k @READ\t", "dyn put k @README.md "),
    ("-c he\t", "dyn -c here "),
    ("get two\t", "dyn get two\\ words "),
]
"""Keys pressed, and what stands on the line then."""


@pytest.mark.parametrize(
    ("shell", "package", "argv", "load"),
    [
        (
            "bash",
            "bash",
            ["--norc", "--noprofile", "-i"],
            "bind 'set enable-bracketed-paste off'; source completions/dyn.bash",
        ),
        ("zsh", "zsh", ["-f", "-i"], "autoload -U compinit; compinit -D; source completions/_dyn"),
    ],
)
def test_a_shell_with_a_terminal(environ: dict[str, str], shell: str, package: str, argv: list[str], load: str) -> None:
    child = pexpect.spawn(
        need(shell, package=package),
        argv,
        env=environ,
        cwd=str(ROOT),
        encoding="utf-8",
        dimensions=(40, 120),
        timeout=20,
    )
    child.delaybeforesend = None
    child.sendline(f"{load}; echo LOAD''ED")
    child.expect("LOADED\r\n")
    for pressed, line in TYPED:
        child.send(f"dyn {pressed}")
        for _ in range(10):  # a Tab gives up early, as on a busy machine; people press it again
            if child.expect_exact([line, pexpect.TIMEOUT], timeout=3) == 0:
                break
            child.send("\t")
        else:
            raise AssertionError(f"{pressed!r} became {child.before!r}")
        child.sendcontrol("u")
        child.sendline("echo CLEAR''ED")
        child.expect("CLEARED\r\n")
    child.close(force=True)


def test_commands_and_options_start_no_program() -> None:
    """A Tab on what is static must not wait for Python: `dyn` fails here, and nobody notices."""
    code = (
        "dyn() { echo started >&2; }; source completions/dyn.bash\n"
        'COMP_LINE="dyn ring sh" COMP_POINT=11; _dyn; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        [need("bash", package="bash"), "--norc", "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("show\n", "")


# __complete -------------------------------------------------------------------------------------------


def complete(*words: str, environ: dict[str, str]) -> tuple[str, str, int]:
    run = [sys.executable, "-m", "dynamo_cli", "__complete", *words]
    done = subprocess.run(run, env=environ, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout, done.stderr, done.returncode


def test_complete_asks_the_node_that_is_named(environ: dict[str, str], node: FakeNode) -> None:
    away = {**environ, "DYN_NODES": "127.0.0.1:1"}
    assert complete("keys", "user:", "-n", node.address, environ=away) == ("user:12\nuser:7\n", "", 0)
    assert complete("keys", "user:", "-n", "127.0.0.1:1", "-n", node.address, environ=away)[0] != ""


@pytest.mark.parametrize("reply", [HANG, Err("NOAUTH no"), b"strange", [b"0"], 7, None])
def test_complete_never_complains(environ: dict[str, str], reply: Reply) -> None:
    with fake_node(DYN_KEYS=reply, DYN_RING=reply) as strange:
        for kind in ("keys", "nodes", "nonsense", ""):
            if reply is not HANG or kind == "keys":
                assert complete(kind, "", environ={**environ, "DYN_NODES": strange.address}) == ("", "", 0)
    assert complete("keys", "", environ={**environ, "DYN_NODES": "127.0.0.1:1"}) == ("", "", 0)


def test_complete_imports_next_to_nothing() -> None:
    code = (
        "import sys; sys.argv = ['dyn', '__complete', 'keys', '', '-n', '127.0.0.1:1']\n"
        "from dynamo_cli.__main__ import main\nassert not main()\nprint(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"typer", "rich", "hiredis", "json", "asyncio", "prompt_toolkit"} & set(done.stdout.split())


# The catalogue ----------------------------------------------------------------------------------------


def test_every_command_explains_itself() -> None:
    for spec in catalog():
        assert spec.summary.endswith("."), spec.name
        assert len(spec.summary) <= 120, spec.name
        for parameter in spec.parameters:
            assert parameter.help.endswith("."), (spec.name, parameter.name)
        for line, what in spec.examples:
            assert what, line
        for name in spec.see:
            assert any(" ".join(other.path) == name for other in catalog()), (spec.name, name)


def test_the_catalogue_sees_what_typer_sees() -> None:
    put = next(spec for spec in catalog() if spec.path == ("put",))
    assert [(p.name, p.metavar, p.required) for p in put.arguments] == [
        ("key", "KEY", True),
        ("value", "[VALUE|-|@FILE]", False),
    ]
    flags = ["-w", "--strict", "--ctx", "--if-absent", "--if-context", "--return-ctx", "--trace"]
    assert [p.flags for p in put.own_options] == [(flag,) for flag in flags]
    assert ("-o", "--output") in [p.flags for p in put.global_options]
    assert next(spec for spec in catalog() if not spec.path).runs
    assert not next(spec for spec in catalog() if spec.path == ("ring",)).runs


# Installing -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS)
def test_installing_writes_one_file_and_no_rc_file(tmp_path: Path, shell: str) -> None:
    for rc in (".bashrc", ".zshrc", ".profile"):
        (tmp_path / rc).write_text("mine\n")
    environ = {"HOME": str(tmp_path), "SHELL": f"/bin/{shell}"}
    planned = json.loads(dyn("completion", "--install", "--dry-run", "--json", environ=environ).out)
    assert (planned["was"], planned["written"]) == ("absent", False)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 3
    assert dyn("completion", "--install", environ=environ).status == 0
    path = Path(planned["file"])
    assert path.read_text() == script(shell)
    assert json.loads(dyn("completion", shell, "--install", "--json", environ=environ).out)["was"] == "current"
    path.write_text(script(shell) + "\n")
    assert json.loads(dyn("completion", shell, "--install", "--json", environ=environ).out)["was"] == "older"
    path.write_text("by somebody else\n")
    assert dyn("completion", shell, "--install", environ=environ).status == 9
    assert path.read_text() == "by somebody else\n"
    assert {(tmp_path / rc).read_text() for rc in (".bashrc", ".zshrc", ".profile")} == {"mine\n"}


def test_a_shell_that_is_not_known_is_asked_for() -> None:
    assert dyn("completion", environ={"SHELL": "/bin/csh"}).status == 2
    assert dyn("completion", "bash", "--dry-run").status == 2


def test_fish_finds_what_was_installed(environ: dict[str, str], tmp_path: Path) -> None:
    fish = need("fish", package="fish")
    home = {**environ, "HOME": str(tmp_path), "XDG_CONFIG_HOME": "", "XDG_DATA_HOME": ""}
    assert dyn("completion", "fish", "--install", environ=home).status == 0
    done = subprocess.run(
        [fish, "-c", 'complete -C "dyn ring ow"'], env=home, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("owner")

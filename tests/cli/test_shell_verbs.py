"""What the verbs of every shell do: settings, files and pipes, the node that is asked, a line again and again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from dynamo_cli.catalog import catalog
from dynamo_cli.errors import CliError
from dynamo_cli.options import DANGERS, Options
from dynamo_cli.render.plain import expanded_text
from dynamo_cli.repl.again import HOME, Wish, drawn, wish_of
from dynamo_cli.repl.basic import INCLUDES_MAX
from dynamo_cli.repl.parse import arguments, is_dangerous, located, split
from dynamo_cli.repl.session import Session, ShellEnvironment
from dynamo_cli.repl.words import split_pipe
from tests.helpers.cli import Result, dyn, environment
from tests.helpers.fake_node import RECEIPT, FakeNode, fake_node, reading, version

HINTS = {"schema": "dyn.hints/v1", "held": []}


@pytest.fixture
def node() -> Iterator[FakeNode]:
    """A node that knows one key, and its ring."""
    fake = FakeNode({"DYN.GET": reading(version(b"milk", {"n1": 1})), "DYN.HINTS": HINTS})
    ring: dict[str, Any] = {"schema": "dyn.ring/v1", "members": [{"name": "n1", "address": fake.address}]}
    fake.replies["DYN.RING"] = ring
    yield fake
    fake.close()


def script(node: FakeNode | None, *lines: str, **environ: str) -> Result:
    """The lines one after the other, with what each showed."""
    words = (word for line in lines for word in ("-e", line))
    return dyn("shell", "--keep-going", *words, node=node, environ=environ)


def terminal(node: FakeNode) -> tuple[Session, BytesIO]:
    """A session on what pretends to be a terminal, and what it shows there."""
    outer, out, _ = environment(terminal=True, environ={"DYN_NODES": node.address})
    return Session(ShellEnvironment(outer, Options())), out


# Language ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("get k | jq .", ("get k", "jq .")),
        ("get k |", ("get k", "")),
        ("put k 'a | b'", ("put k 'a | b'", None)),
        ('put k "a \\" | b"', ('put k "a \\" | b"', None)),
        ("put k a|b", ("put k a|b", None)),
        ("put k |b", ("put k |b", None)),
        ("put k \\| b", ("put k \\| b", None)),
        ("get k # | no", ("get k # | no", None)),
        ("get k#1 | wc", ("get k#1", "wc")),
    ],
)
def test_a_pipe_stands_alone_outside_quotes(line: str, parts: tuple[str, str | None]) -> None:
    """What was meant as a value never reaches the system's shell."""
    assert split_pipe(line) == parts


@pytest.mark.parametrize(
    ("line", "path", "taken"),
    [
        ("get k", ("get",), 1),
        ("-q -n :1 put k v", ("put",), 4),
        ("cluster -q leave n3", ("cluster", "leave"), 3),
        ("--output=json get k", ("get",), 2),
        ("cluster nonsense", ("cluster",), 1),
        ("nonsense", (), 0),
    ],
)
def test_a_command_is_found_behind_global_options(line: str, path: tuple[str, ...], taken: int) -> None:
    assert located(split(line)) == (path, taken)


@pytest.mark.parametrize("line", ["-q put k v", "-n :1 del k", "cluster -q leave n3", "-o json SET k v"])
def test_an_option_in_front_does_not_open_a_read_only_shell(line: str) -> None:
    result = dyn("shell", "--read-only", "-e", line)
    assert result.status in (2, 9)
    assert "read-only" in result.err or "no such command" in result.err


READS = """demo; shell; explain; get; keys; export; status; doctor; stat; completion; help; version;
    cluster status; cluster hints; cluster views; cluster plan; cluster transfers; cluster events; ring show;
    ring owner; ring export; ring diff; ring simulate; node start; node info; node ping; node unit; node cert;
    node cert ca; node cert node; node stats; node data backup; node data info; fault list; debug bundle;
    key explain; key locate; key history; key compare; context ls; context show; context check; context add;
    context copy; context use; context -; config show; config get; config path; alias ls; demo faults; demo ls; top;
    schema ls; schema show; man; cheat; hot; slo; latency; monitor; watch; node logs; trace ls; trace show;
    trace export; check; cluster settings; node config; node data path; node data verify"""


def test_every_command_says_whether_it_may_change_something() -> None:
    """A new one that writes has a `danger`; one that only reads stands here, or a read-only shell lets it through."""
    reads = {tuple(path.split()) for path in READS.split(";")}
    silent = {spec.path for spec in catalog() if spec.path and spec.runs and not spec.danger}
    assert silent <= reads, f"does it only read? then list it here, else give it a danger of {DANGERS}"
    assert is_dangerous(["put", "k"])
    assert is_dangerous(["nonsense"])
    assert not is_dangerous(["dyn", "get", "k"])
    assert not is_dangerous(["cluster", "hints", "--watch"])
    assert is_dangerous(["cluster", "hints", "-q", "--deliver-now"])


def test_a_read_only_shell_refuses_an_option_that_changes_something() -> None:
    assert arguments(["cluster", "hints"], read_only=True) == ["cluster", "hints"]
    for words in (["cluster", "hints", "--deliver-now"], ["cluster", "hints", "--json", "--deliver-now=1"]):
        with pytest.raises(CliError, match="this shell is read-only"):
            arguments(words, read_only=True)


# Results elsewhere ---------------------------------------------------------------------------------------


def test_results_go_into_a_pipe(node: FakeNode) -> None:
    """And remarks do not; a command that fails fails the line, as does one behind the pipe."""
    assert script(node, "get k | tr a-z A-Z").out == "MILK\n"
    assert script(node, "get k | false").status == 1
    assert script(node, "nonsense | cat").status == 2
    assert script(node, "get k | true").status == 0
    nowhere = script(node, "get k |")
    assert nowhere.status == 2
    assert "leads nowhere" in nowhere.err


def test_verbs_are_piped_too_and_pipes_can_be_off(node: FakeNode) -> None:
    assert script(node, "\\set | grep -c timing").out == "1\n"
    off = script(node, "\\set pipes off", "get k | wc")
    assert off.status == 0
    assert len([words for words in node.asked if words[1:2] == (b"|",)]) == 1


def test_results_go_to_a_file_until_they_come_back(node: FakeNode, tmp_path: Path) -> None:
    path = tmp_path / "out"
    result = script(node, f"\\o {path}", "get k", "\\o", "get k")
    assert result.status == 0
    assert path.read_text() == "milk\n"
    assert result.out == "milk\n"
    missing = script(node, f"\\o {tmp_path}/no/such/file")
    assert missing.status == 1
    assert "cannot write" in missing.err


def test_the_last_result_is_shown_again_without_asking(node: FakeNode) -> None:
    result = script(node, "cluster hints", "\\last -o json", "\\last csv")
    assert result.status == 0, result.err
    assert len([words for words in node.asked if words[0] == b"DYN.HINTS"]) == 1
    assert json.loads(result.out.splitlines()[1])["schema"] == "dyn.hints/v1"
    assert script(node, "\\last").status == 3
    assert script(node, "cluster hints", "\\last xml").status == 2


def test_expanded_rows() -> None:
    assert expanded_text(("a", "long"), [("1", "2"), ("", "3")]) == (
        "-- 1 of 2\na     1\nlong  2\n-- 2 of 2\na\nlong  3\n"
    )


def test_a_terminal_shows_expanded_rows(node: FakeNode) -> None:
    node.replies["DYN.HINTS"] = {**HINTS, "held": [
        {"by": "n1", "for": "n2", "keys": 3, "bytes": 9, "oldest_s": 1.0, "waits_because": "n2 is down"}]}  # fmt: skip
    shell, out = terminal(node)
    for line in ("\\x", "cluster hints", "\\x", "\\timing on", "cluster hints"):
        shell.run(line)
    shell.env.hang_up()
    assert "-- 1 of 1\n" in out.getvalue().decode()
    assert out.getvalue().decode().count("-- 1 of 1") == 1


# Settings ------------------------------------------------------------------------------------------------


def test_settings_are_listed_and_turned(node: FakeNode) -> None:
    result = script(node, "\\set", "\\timing", "get k", "\\timing off", "get k")
    assert "  timing     off  say after each command" in result.out
    assert result.err.count("time ") == 1
    assert script(node, "\\set nonsense on").status == 2
    assert script(node, "\\timing maybe").status == 2


# Nodes and contexts --------------------------------------------------------------------------------------


def test_one_node_is_asked_by_name_or_address_until_it_is_given_back(node: FakeNode) -> None:
    result = script(node, "\\node n1", "\\node 127.0.0.1:9", "get k", "\\node -")
    assert result.out.splitlines() == [f"asking {node.address}", "asking 127.0.0.1:9", f"asking {node.address}"]
    assert "cannot reach 127.0.0.1:9 (refused)" in result.err
    unknown = script(node, "\\node n9")
    assert unknown.status == 3
    assert "no node 'n9' in the ring. There are n1" in unknown.err


def test_contexts_that_were_read(node: FakeNode) -> None:
    """In words, and as the token."""
    node.replies["DYN.GET"] = reading(version(b"milk", {"n1": 1}), context=b"t0ken")
    result = script(node, "\\ctx", "get k -o json", "\\ctx", "\\ctx k", "\\ctx other")
    lines = [line for line in result.out.splitlines() if not line.startswith("{")]
    assert lines[0].startswith("nothing was read yet")
    assert lines[1].split() == ["k", "read", "0", "s", "ago", "{n1:1}"]
    assert lines[2] == "t0ken"
    assert result.status == 3


@pytest.fixture
def other() -> Iterator[FakeNode]:
    """A node of another cluster."""
    with fake_node({"DYN.GET": reading(version(b"ale", {"x1": 1}), context=b"0ther"), "DYN.PUT": RECEIPT}) as fake:
        yield fake


@pytest.fixture
def config(tmp_path: Path, other: FakeNode) -> dict[str, str]:
    """Files with the other cluster as a saved context, and two aliases."""
    (tmp_path / "contexts").mkdir()
    (tmp_path / "contexts" / "other.toml").write_text(f'nodes = ["{other.address}"]\n')
    (tmp_path / "config.toml").write_text('[alias]\nset-it = "put k v"\nlook = "dyn get k"\n')
    return {"DYN_CONFIG_DIR": str(tmp_path)}


def test_another_context_is_used_in_this_shell_alone(node: FakeNode, other: FakeNode, config: dict[str, str]) -> None:
    """And what was read of one cluster is never sent to the other."""
    lines = ("get k", "\\use other", "get k", "put k v", "\\use none", "\\use nonsense")
    result = script(node, *lines, **config)
    assert result.out.splitlines()[:4] == ["milk", f"asking {other.address}", "ale", "OK"]
    assert [words[2] for words in other.asked if words[0] == b"DYN.PUT"] == [b"0ther"]
    assert result.status == 3
    assert "nonsense" in result.err


def test_a_line_that_names_a_context_has_a_memory_of_its_own(
    node: FakeNode, other: FakeNode, config: dict[str, str]
) -> None:
    result = script(node, "get k", "-c other put k v", "-c other put k w", "\\ctx k", **config)
    assert result.status == 0, result.err
    assert [words[2] for words in other.asked if words[0] == b"DYN.PUT"] == [b"0ther", b"0ther"]
    assert result.out.splitlines()[-1] == "c0ntext"


def test_an_alias_means_its_command_also_to_a_read_only_shell(node: FakeNode, config: dict[str, str]) -> None:
    assert script(node, "look", **config).out == "milk\n"
    result = dyn("shell", "--read-only", "-e", "set-it", node=node, environ=config)
    assert result.status == 9
    assert "read-only: put is refused" in result.err
    assert not [words for words in node.asked if words[0] == b"DYN.PUT"]


def test_what_runs_in_the_background_keeps_to_its_own_cluster(
    node: FakeNode, other: FakeNode, config: dict[str, str]
) -> None:
    """Also while a line speaks to another one."""
    outer, _, _ = environment(environ={"DYN_NODES": node.address, **config})
    env = ShellEnvironment(outer, Options())
    client_of = env.background()
    env.manner = env.manner._replace(context="other")
    assert str(client_of(1.0).address) == node.address
    assert env.asked() == (other.address,)


# Scripts within scripts ----------------------------------------------------------------------------------


def test_scripts_include_scripts_to_a_depth(node: FakeNode, tmp_path: Path) -> None:
    (tmp_path / "inner").write_text("get k\n")
    (tmp_path / "outer").write_text(f"\\i {tmp_path}/inner\n")
    (tmp_path / "self").write_text(f"\\i {tmp_path}/self\n")
    assert script(node, f"\\i {tmp_path}/outer").out == "milk\n"
    assert script(node, "\\i /no/such").status == 1
    endless = script(node, f"\\i {tmp_path}/self")
    assert endless.status == 2
    assert f"more than {INCLUDES_MAX} deep" in endless.err


# Again and again -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wish"),
    [
        ("get k", Wish(2.0, None, "get k")),
        ("0.5 get k", Wish(0.5, None, "get k")),
        ("1 c=3 get k", Wish(1.0, 3, "get k")),
        ("c=3 get 5", Wish(2.0, 3, "get 5")),
    ],
)
def test_what_is_to_be_watched(text: str, wish: Wish) -> None:
    assert wish_of(text) == wish


@pytest.mark.parametrize("text", ["0.01 get k", "99999 get k", "c=0 get k"])
def test_what_cannot_be_watched(text: str) -> None:
    with pytest.raises(CliError):
        wish_of(text)


@pytest.mark.parametrize("line", ["put k v", "-q del k", "\\watch get k", "\\o file", "nonsense", "SET k v | cat"])
def test_only_what_reads_is_watched(node: FakeNode, line: str) -> None:
    assert script(node, f"\\watch c=1 {line}").status == 9
    assert not node.asked


def test_a_watched_line_runs_so_often(node: FakeNode) -> None:
    assert script(node, "\\watch 0.1 c=3 get k | tr a-z A-Z").out == "MILK\n" * 3
    assert script(node, "\\watch 0.1 c=3 get").status == 2  # the first error ends it
    assert script(node, "\\watch").status == 2


def test_a_frame_leaves_nothing_of_the_one_before_and_fits(node: FakeNode) -> None:
    frame = drawn("head", "\n".join(f"line {number}" for number in range(50)) + "\n", 10)
    lines = frame.removeprefix(HOME).split("\x1b[K\r\n")
    assert lines[:3] == ["head", "", "line 0"]
    assert lines[-2:] == ["… 44 more lines", "\x1b[J"]
    assert len(lines) <= 10


def test_on_a_terminal_frames_are_drawn_in_place(node: FakeNode) -> None:
    """On its other screen; the last one stays on this one."""
    shell, out = terminal(node)
    assert shell.run("\\watch 0.1 c=2 get k") == 0
    shell.env.hang_up()
    text = out.getvalue().decode()
    assert text.startswith("\x1b[?1049h\x1b[?25l" + HOME)
    before, after = text.split("\x1b[?25h\x1b[?1049l")
    assert before.count("every 0.1 s: get k") == 2
    assert "milk" in after

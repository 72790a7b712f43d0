"""Scripts that say what they expect: how it is written, compared and recorded."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest

from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.options import Options
from dynamo_cli.repl.expect import Pattern, Step, difference, lines_match, placed, recorded, with_expectation
from dynamo_cli.repl.recording import steps_of
from dynamo_cli.repl.script import lines_of
from dynamo_cli.repl.session import Session, ShellEnvironment
from tests.helpers.cli import Result, dyn, environment
from tests.helpers.fake_node import FakeNode, reading, version
from tests.helpers.shell_node import shell_node

CLOCK = '{"n1":3,"n2":1}'


@pytest.fixture
def node() -> Iterator[FakeNode]:
    with shell_node() as fake:
        yield fake


# Language ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("milk", "milk"),
        ("k\tmilk\t{n1:1, n2:3}", "k\tmilk\t<clock>"),
        ("by ada@host  2026-11-23T12:03:11.402Z", "by <writer>  <time>"),
        ("2026-11-23 12:03:11", "<time>"),
        ("n1 at 127.0.0.1:7701 in 12.3 ms (pid 4711)", "n1 at <address> in <took> (pid <pid>)"),
        (f'{{"clock":{CLOCK},"dot":"n1:3"}}', '{"clock":<clock>,"dot":<dot>}'),
        ('{"past":{},"age_s":1.5,"p99_ms":2}', '{"past":<clock>,"age_s":<number>,"p99_ms":<number>}'),
        ("AQEAMbOZYEbs-wEBAVlRtrrj6ycFB5QUsHuWZMc", "<token>"),
        ("up 3 keys, 12 of 34", "up 3 keys, 12 of 34"),
    ],
)
def test_what_differs_from_run_to_run_becomes_a_place(line: str, expected: str) -> None:
    """And the line itself fits there."""
    pattern = placed(line)
    assert pattern.text == expected
    assert pattern.exact == (line == expected)
    assert pattern.matches(line)
    assert not pattern.matches(line + "!")


def test_a_place_is_a_place_only_where_it_is_asked_for() -> None:
    assert Pattern("at <time>", exact=False).matches("at 2026-11-23T12:03:11Z")
    assert not Pattern("at <time>", exact=True).matches("at 2026-11-23T12:03:11Z")
    assert not Pattern("a.c", exact=False).matches("abc")
    assert Pattern("<any>c", exact=False).matches("abc")


ANY = Pattern("", exact=False, any_lines=True)
A, B = Pattern("a", exact=True), Pattern("b", exact=True)


@pytest.mark.parametrize(
    ("expected", "found", "fits"),
    [
        ([], [], True), ([], ["a"], False), ([A], ["a"], True), ([A], [], False), ([A, B], ["b", "a"], False),
        ([ANY], [], True), ([ANY], ["x", "y"], True), ([ANY, B], ["a", "b"], True), ([ANY, B], ["b", "a"], False),
        ([A, ANY], ["a"], True), ([A, ANY, B], ["a", "x", "b", "y", "b"], True), ([ANY, ANY, A], ["a"], True),
    ],
)  # fmt: skip
def test_lines_and_any_lines(expected: list[Pattern], found: list[str], fits: bool) -> None:
    assert lines_match(expected, found) is fits


def test_any_lines_cost_no_more_than_their_number_squared() -> None:
    """Not two to the power of it."""
    assert not lines_match([ANY, A] * 200, ["a"] * 199)


@pytest.mark.parametrize(
    ("line", "told"), [("#! 99", "'99' is no exit code"), ("#! x", "no exit code"), ("#? soon", "no duration")]
)
def test_an_expectation_that_makes_no_sense_is_an_error(line: str, told: str) -> None:
    with pytest.raises(CliError, match=rf"s:2: .*{told}"):
        with_expectation(Step("get k", "s:1"), line, "s:2")


def test_a_script_becomes_steps() -> None:
    text = ["# mere comment", "get k", "#= milk", "", "#...", "#! 0|4 has", "#? 2s", "put k '#= no'", "# comment"]
    first, second = steps_of(lines_of(text))
    assert first.command == "get k"
    assert first.lines == (Pattern("milk", exact=True), ANY)
    assert (first.statuses, first.error, first.within_s) == ((0, 4), "has", 2.0)
    assert second == Step("put k '#= no'", "-e 8")


def test_what_writes_is_not_tried_again() -> None:
    with pytest.raises(CliError, match="#\\? is for what only reads"):
        steps_of(lines_of(["put k v", "#? 2s"]))


def test_a_difference_is_told_in_lines() -> None:
    step = Step("get k", "s:1", (A, ANY, B), (0,))
    assert difference(step, "a\nx\nb\n", 0, "") == []
    assert difference(step._replace(lines=(A, B)), "a\nc\n", 0, "") == ["  a", "- b", "+ c"]
    assert difference(step, "a\nb\n", 3, "no key") == ["- exit code 0", "+ exit code 3: no key"]
    assert difference(Step("get k", "s:1", None, (3,), "no key"), "", 3, "no key. Try") == []
    assert difference(Step("get k", "s:1", None, (3,), "no such"), "", 3, "no key") == ["- no such", "+ no key"]
    assert difference(Step("get k", "s:1"), "whatever\n", 0, "") == []


def test_bytes_a_terminal_obeys_are_written_as_escapes() -> None:
    text = recorded("get k", "a\x1b[2Jb\tc\n", 0, "")
    assert text == "get k\n#= a\\x1b[2Jb\tc\n"


# Checking ------------------------------------------------------------------------------------------------


def checked(node: FakeNode, path: Path, text: str, *more: str) -> Result:
    path.write_text(text)
    return dyn("shell", "-f", str(path), "--check", *more, node=node)


def test_a_script_that_shows_what_it_says_is_a_test_that_passes(node: FakeNode, tmp_path: Path) -> None:
    node.replies["DYN.GET"] = reading()
    result = checked(node, tmp_path / "s", 'get k\n#! 3 no key "k"\nkeys\n#= cart:1\n#...\nget k | wc -l\n#! 3\n')
    assert result.out == f"{tmp_path}/s: 3 commands, all as expected\n", result.out
    assert result.status == 0


def test_a_script_that_does_not_fails_with_the_line_and_the_difference(node: FakeNode, tmp_path: Path) -> None:
    path = tmp_path / "s"
    text = "get k\n#= milk\nget k\n#= beer\nget k\n#= ale\n"
    result = checked(node, path, text)
    assert result.status == 1
    assert result.out.splitlines() == [
        f"{path}:3: get k", "  - beer", "  + milk", f"{path}: 2 commands, 1 of 2 not as expected, 1 did not run",
    ]  # fmt: skip
    every = checked(node, path, text, "--keep-going")
    assert every.out.splitlines()[-1] == f"{path}: 3 commands, 2 of 3 not as expected"


def test_an_exit_code_that_nobody_expected_fails(node: FakeNode, tmp_path: Path) -> None:
    result = checked(node, tmp_path / "s", "nonsense\n")
    assert result.status == 1
    assert "+ exit code 2: no such command" in result.out


def test_what_takes_a_while_is_waited_for(node: FakeNode, tmp_path: Path) -> None:
    answers = iter([b"a", b"b"])

    def slowly(*words: bytes) -> object:
        return reading(version(next(answers, b"milk"), {"n1": 1}))(*words)

    node.replies["DYN.GET"] = slowly
    assert checked(node, tmp_path / "s", "get k\n#= milk\n#? 20s\n").status == 0
    assert checked(node, tmp_path / "s", "get k\n#= never\n#? 0.3s\n").status == 1


def test_a_check_needs_a_script() -> None:
    result = dyn("shell", "--check", "-e", "get k")
    assert result.status == 2
    assert "--check needs a script" in result.err


def test_settings_of_the_session_do_not_change_what_a_check_sees(node: FakeNode, tmp_path: Path) -> None:
    (tmp_path / "s").write_text("get k | tr a-z A-Z\n#= MILK\n")
    result = dyn("shell", "-e", "\\set pipes off", "-e", f"\\check {tmp_path}/s", "-e", "\\set", node=node)
    assert "1 command, all as expected" in result.out
    assert "pipes      off" in result.out


# Recording -----------------------------------------------------------------------------------------------


def session(node: FakeNode) -> tuple[Session, BytesIO, BytesIO]:
    outer, out, err = environment(terminal=True, environ={"DYN_NODES": node.address})
    return Session(ShellEnvironment(outer, Options())), out, err


def test_what_is_recorded_passes_its_check(node: FakeNode, tmp_path: Path) -> None:
    path = tmp_path / "r.dyn"
    shell, out, err = session(node)
    for line in (f"\\record {path}", "get k", "get k -o json", "put k 'two\nlines'", "nonsense", "# why", "\\set"):
        shell.run(line)
    assert shell.marks == ["REC"]
    for line in ("put k my-password", " get private", "\\help", "\\watch 0.1 c=1 get k", "get a | wc -c"):
        shell.run(line)
    shell.run("\\record")
    assert shell.marks == []
    text = path.read_text()
    assert "get k\n#= milk\n" in text
    assert "put k 'two\nlines'\n#= OK\n" in text
    assert "nonsense\n#! 2 no such command 'nonsense'" in text
    assert '"clock":<clock>' in text
    assert "get a | wc -c\n#= 5\n" in text
    for aside in ("password", "private", "\\help", "\\watch", "\\record"):
        assert aside not in text.partition("\n\n")[2]
    assert "recorded 6 commands" in out.getvalue().decode()
    assert "milk" in out.getvalue().decode()
    assert "no such command" in err.getvalue().decode()
    assert shell.run(f"\\check {path}") == ExitStatus.OK, out.getvalue().decode()
    shell.close()


def test_a_recording_is_the_owners_and_overwrites_nothing(node: FakeNode, tmp_path: Path) -> None:
    path = tmp_path / "r.dyn"
    shell, _, err = session(node)
    before = os.umask(0)
    try:
        assert shell.run(f"\\record {path}") == ExitStatus.OK
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert shell.run("\\record other") == ExitStatus.REFUSED
    shell.close()
    assert shell.run(f"\\record {path}") == ExitStatus.FAILURE
    assert "File exists. Choose another name" in err.getvalue().decode()
    assert shell.run("\\record") == ExitStatus.USAGE

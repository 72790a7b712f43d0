"""Which demos run: entries that their processes hold, whatever became of those before them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dynamo_cli.demo import registry
from dynamo_cli.demo.processes import make_key
from dynamo_cli.demo.registry import Entry
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from tests.helpers.cli import Result, dyn
from tests.helpers.cluster import ROOT
from tests.helpers.demo import free_base
from tests.helpers.fake_node import fake_node

HOLDER = """
import os, sys, threading
from pathlib import Path
from dynamo_cli.demo.registry import Entry, claim
state, folder, kept = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "kept"
held = claim(state, folder.name if kept else "demo", folder if kept else None)
held.write(Entry(held.name, folder, 7700, not kept, os.getpid(), f"t{os.getpid()}", "shell", ("127.0.0.1:1",)))
print(held.name, flush=True)
threading.Event().wait()
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state directory of our own."""
    return tmp_path / "xdg" / "dyn"


@contextmanager
def demo(state: Path, folder: Path, *, kept: bool = False) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process that holds an entry as a demo does, and the name it got."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(state), str(folder), "kept" if kept else ""], cwd=ROOT,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def names(state: Path) -> list[tuple[str, bool]]:
    return [(entry.name, entry.running) for entry in registry.entries(state)]


def test_a_demo_is_listed_while_its_process_lives(tmp_path: Path, state: Path) -> None:
    """Killed, nothing of a temporary one is left after the next look; a kept one is stopped."""
    with demo(state, tmp_path / "x") as (one, name), demo(state, tmp_path / "carts", kept=True) as (other, carts):
        assert (name, carts) == ("demo", "carts")
        assert names(state) == [("carts", True), ("demo", True)]
        one.kill()
        one.wait()
        other.kill()
        other.wait()
        assert names(state) == [("carts", False)]
        assert [path.name for path in (state / "demos").iterdir()] == ["carts.json"]


def test_a_demo_that_runs_is_a_context_by_its_name(state: Path, tmp_path: Path) -> None:
    """Unless one of that name is saved; and no longer than it runs."""
    environ = {"XDG_STATE_HOME": str(state.parent), "XDG_CONFIG_HOME": str(tmp_path / "config"), "DYN_NODES": ""}
    with fake_node(DYN_GET=[b"c", [b"v"], []]) as node:
        held = registry.claim(state, "demo", None)
        entry = Entry("demo", tmp_path / "x", 7700, True, os.getpid(), "t", "shell", (node.address,))
        held.write(entry)
        assert dyn("get", "k", "-c", "demo", environ=environ).out == "v\n"
        assert "a demo, while it runs" in dyn("context", "ls", environ=environ).out
        assert dyn("context", "use", "demo", environ=environ).status == ExitStatus.OK
        (tmp_path / "config/dyn/contexts").mkdir(parents=True)
        saved = tmp_path / "config/dyn/contexts/demo.toml"
        saved.write_text('nodes = ["127.0.0.1:1"]\n')
        assert dyn("get", "k", "-c", "demo", environ=environ).status == ExitStatus.UNREACHABLE
        saved.unlink()
        held.close(forget=False)
        gone = dyn("get", "k", "-c", "demo", environ=environ)
        left = dyn("get", "k", environ=environ)
        assert (left.status, "dyn context use none" in left.err) == (ExitStatus.NOT_FOUND, True)
        assert dyn("context", "use", "none", environ=environ).status == ExitStatus.OK
    assert (gone.status, "no context 'demo'" in gone.err) == (ExitStatus.NOT_FOUND, True)


def test_two_demos_have_two_names(tmp_path: Path, state: Path) -> None:
    """Of the same wish; and a name that is free again is given again."""
    with demo(state, tmp_path / "x") as (_, first):
        with demo(state, tmp_path / "y") as (_, second):
            assert (first, second) == ("demo", "demo-2")
            with pytest.raises(CliError, match="there are 2 demos: demo, demo-2") as caught:
                registry.find(state, None, running=True)
            assert caught.value.status == ExitStatus.USAGE
            assert registry.find(state, "demo-2", running=True).folder == tmp_path / "y"
        assert registry.find(state, None, running=True).name == "demo"


def test_a_kept_demo_keeps_its_name_and_runs_once(tmp_path: Path, state: Path) -> None:
    """In its folder; another folder of the same name gets another one."""
    folder = tmp_path / "carts"
    with demo(state, folder, kept=True):
        with pytest.raises(CliError, match="runs already, as carts") as caught:
            registry.claim(state, "carts", folder)
        assert caught.value.status == ExitStatus.REFUSED
    with demo(state, tmp_path / "else" / "carts", kept=True) as (_, name):
        assert name == "carts-2"
    with demo(state, folder, kept=True) as (_, name):
        assert name == "carts"


def test_a_name_that_is_no_name_is_not_used(tmp_path: Path, state: Path) -> None:
    """It would be a path."""
    for wanted in ("../x", "", ".hidden", "a" * 65, "a b"):
        held = registry.claim(state, wanted, None)
        assert held.name == "demo"
        held.close(forget=True)
    assert list((state / "demos").iterdir()) == []


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b"\xff", b"[" * 60_000, b'{"name":"x","folder":"relative"}'])
def test_an_entry_that_makes_no_sense_is_removed(state: Path, text: bytes) -> None:
    """It is of nobody; while somebody holds it, it is one that is being written."""
    held = registry.claim(state, "demo", None)
    held.path.write_bytes(text)
    assert registry.entries(state) == []
    assert held.path.exists()
    held.close(forget=False)
    assert registry.entries(state) == []
    assert not held.path.exists()


# stop and rm ---------------------------------------------------------------------------------------------


def told(state: Path, *argv: str, stdin: bytes = b"") -> Result:
    return dyn("demo", *argv, environ={"XDG_STATE_HOME": str(state.parent)}, stdin=stdin)


def test_stop_ends_the_process_that_holds_the_entry(tmp_path: Path, state: Path) -> None:
    """With SIGTERM, and waits until it has ended."""
    with demo(state, tmp_path / "x") as (process, _):
        result = told(state, "stop")
        assert result.status == 0, result.err
        assert result.out == f"stopped demo, removed {tmp_path / 'x'}\n"
        assert process.wait(5) == -15


def test_a_process_of_the_same_number_is_left_alone(tmp_path: Path, state: Path) -> None:
    """The entry of a demo that was killed names a number that somebody else has by now."""
    bystander = subprocess.Popen(["sleep", "60"])
    try:
        folder = tmp_path / "carts"
        held = registry.claim(state, "carts", folder)
        entry = Entry("carts", folder, 7700, False, bystander.pid, "t", "shell")
        held.write(entry)
        held.close(forget=False)
        assert not registry.stop(tmp_path, entry)
        assert told(state, "stop").status == ExitStatus.NOT_FOUND
        assert told(state, "stop", "carts").status == ExitStatus.NOT_FOUND
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def kept(state: Path, folder: Path) -> None:
    """A kept demo of two nodes that is stopped."""
    for name in ("n1", "n2"):
        (folder / name).mkdir(parents=True)
        (folder / name / "store.db").touch()
        (folder / f"{name}.log").touch()
    make_key(folder / "cluster.key")
    (folder / "nodes.json").write_text('{"n1": 1, "n2": 2}')
    held = registry.claim(state, folder.name, folder)
    held.write(Entry(held.name, folder, 7700, False, 1, "2026-11-23T12:03:11.402Z", "background"))
    held.close(forget=False)


def test_rm_deletes_what_is_the_demos(tmp_path: Path, state: Path) -> None:
    """Nothing else, and not unasked."""
    folder = tmp_path / "carts"
    kept(state, folder)
    (folder / "thesis.tex").touch()
    refused = told(state, "rm", "carts")
    assert refused.status == ExitStatus.REFUSED
    assert "--yes" in refused.err
    assert (folder / "n1" / "store.db").exists()
    done = told(state, "rm", "carts", "-y")
    assert done.status == 0, done.err
    assert [path.name for path in folder.iterdir()] == ["thesis.tex"]
    assert "still there: thesis.tex" in done.err
    assert registry.entries(state) == []
    assert told(state, "rm", "carts", "-y").status == ExitStatus.NOT_FOUND


def test_rm_deletes_the_folder_when_it_is_empty_then(tmp_path: Path, state: Path) -> None:
    """And nothing in a folder that is no demo's any more, or that a link leads away from."""
    folder = tmp_path / "carts"
    kept(state, folder)
    assert told(state, "rm", "carts", "-y").out == "deleted carts\n"
    assert not folder.exists()
    kept(state, folder)
    (folder / "nodes.json").unlink()
    assert told(state, "rm", "carts", "-y").status == 0
    assert (folder / "n1" / "store.db").exists()
    assert (folder / "cluster.key").exists(), "it may be the key of a real cluster"
    (folder / "n3").symlink_to(tmp_path / "other")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").touch()
    (folder / "nodes.json").write_text('{"n3": 3}')
    held = registry.claim(state, "carts", folder)
    held.write(Entry("carts", folder, 7700, False, 1, "t", "shell"))
    held.close(forget=False)
    assert told(state, "rm", "carts", "-y").status == 0
    assert (tmp_path / "other" / "thesis.tex").exists()


def test_what_runs_is_not_removed(tmp_path: Path, state: Path) -> None:
    """It is stopped first."""
    with demo(state, tmp_path / "carts", kept=True):
        result = told(state, "rm", "carts", "-y")
    assert result.status == ExitStatus.REFUSED
    assert "dyn demo stop carts" in result.err


def test_the_list_is_shown_in_every_format(tmp_path: Path, state: Path) -> None:
    """Within 80 columns; a demo that takes no orders has unknown nodes."""
    assert told(state, "ls").out.startswith("name\tstate\t")
    kept(state, tmp_path / "carts")
    with demo(state, tmp_path / "x"):
        found = json.loads(told(state, "ls", "--json").out)
        assert [(each["name"], each["state"], each["nodes"] is None) for each in found["demos"]] == [
            ("carts", "stopped", False), ("demo", "running", True),
        ]  # fmt: skip
        assert found["demos"][0]["pid"] is None
        rows = told(state, "ls", "--no-header").out.splitlines()
        assert rows[0].split("\t")[:6] == ["carts", "stopped", "background", "2", "0", "7701"]
        screen = dyn("demo", "ls", environ={"XDG_STATE_HOME": str(state.parent), "NO_COLOR": "1"}, terminal=True)
        assert max(map(len, screen.out.splitlines())) <= 80
        assert "running (shell)" in screen.out


def test_ports_of_a_demo_that_runs_are_said_to_be_its(tmp_path: Path, state: Path) -> None:
    """And what to do: use it, end it, or start another one."""
    with demo(state, tmp_path / "x"):
        result = dyn("demo", "--background", environ={"XDG_STATE_HOME": str(state.parent)})
    assert result.status == ExitStatus.REFUSED
    for words in ("the demo demo has these ports", "dyn demo stop demo", "dyn -c demo shell", "--base-port 8700"):
        assert words in result.err


def test_a_demo_that_could_not_be_found_again_is_not_started(tmp_path: Path) -> None:
    """In the background, where its entry is all that leads to it."""
    (tmp_path / "tmp").mkdir()
    environ = {**os.environ, "HOME": "/proc/nonexistent", "TMPDIR": str(tmp_path / "tmp"), "XDG_STATE_HOME": ""}
    result = dyn("demo", "--background", "--nodes", "1", "--base-port", str(free_base(1)), environ=environ)
    assert result.status == ExitStatus.FAILURE
    assert "could not be found again" in result.err
    assert list((tmp_path / "tmp").iterdir()) == []


def test_leftovers_of_another_run_are_not_taken_for_the_new_one(tmp_path: Path, state: Path) -> None:
    """A keeper that comes late removes the entry of its own demo, never that of the one after it."""
    held = registry.claim(state, "demo", None)
    held.write(Entry("demo", tmp_path / "x", 7700, True, os.getpid(), "t", "shell"))
    registry.remove_left(held.path)
    assert held.path.exists()
    held.close(forget=False)
    registry.remove_left(held.path)
    assert not held.path.exists()

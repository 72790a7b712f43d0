"""Two lanes: what runs nodes stays in one, what is to be alone is alone, and a part of the tests needs none."""

from __future__ import annotations

import threading
from pathlib import Path
from queue import SimpleQueue

import pytest

from tests import lanes


def test_files_that_run_nodes_are_known() -> None:
    tests = Path(lanes.__file__).parent
    assert lanes.runs_nodes(tests / "e2e" / "test_shell_pty.py")
    assert lanes.runs_nodes(tests / "cli" / "test_real_nodes.py")
    assert not lanes.runs_nodes(tests / "unit" / "core" / "test_ids.py")


def taking_turn(
    folder: Path, seen: SimpleQueue[str], name: str, *, alone: bool
) -> tuple[threading.Thread, threading.Event]:
    """A thread that takes its turn, says so, and ends when it is told to."""
    told = threading.Event()

    def run() -> None:
        with lanes.turn(folder, alone=alone):
            seen.put(name)
            told.wait(10)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, told


def test_who_is_to_be_alone_waits_for_others_and_holds_back_the_next(tmp_path: Path) -> None:
    seen: SimpleQueue[str] = SimpleQueue()
    one, end_one = taking_turn(tmp_path, seen, "one", alone=False)
    assert seen.get(timeout=5) == "one"
    two, end_two = taking_turn(tmp_path, seen, "two", alone=False)
    assert seen.get(timeout=5) == "two"  # beside the first
    alone, end_alone = taking_turn(tmp_path, seen, "alone", alone=True)
    alone.join(0.1)
    late, end_late = taking_turn(tmp_path, seen, "late", alone=False)
    late.join(0.1)
    assert seen.empty()
    end_one.set()
    end_two.set()
    assert seen.get(timeout=5) == "alone"
    late.join(0.1)
    assert seen.empty()
    end_alone.set()
    assert seen.get(timeout=5) == "late"
    end_late.set()
    for thread in (one, two, alone, late):
        thread.join(5)


def test_all_of_the_tests_run_in_two_processes_and_a_part_of_them_in_one(pytestconfig: pytest.Config) -> None:
    class Given:
        def __init__(self, *args: str) -> None:
            self.args = args

        getini = pytestconfig.getini

    assert lanes.pytest_xdist_auto_num_workers(Given("tests")) == 2  # type: ignore[arg-type]  # all that it reads
    assert lanes.pytest_xdist_auto_num_workers(Given("tests/unit")) == 0  # type: ignore[arg-type]  # as above

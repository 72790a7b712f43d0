"""What users of such tools hate, where they said so, and the test here that keeps dyn from it.

The 36 are from a survey of the issue trackers of redis, etcd, consul, riak, scylla, kubectl, pgcli, cockroach and
others. `HELD` names for each the tests that hold it; whoever takes one of them away hears of it here. What is held by
nothing stands in `OPEN`, with the reason.
"""

from __future__ import annotations

import ast
import functools
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers.cli import dyn
from tests.helpers.documents import ring, status
from tests.helpers.fake_node import fake_node

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
SOURCES = sorted(path for top in ("dynamo_cli", "node") for path in (ROOT / top).rglob("*.py"))
HERE = "cli/test_hates.py"

HELD: dict[int, tuple[str, tuple[str, ...]]] = {
    1: ("exit code 0 on failure", (
        "cli/test_exits.py::test_an_error_reply_has_its_code", "cli/test_exits.py::test_5_is_unreachable",
        "cli/test_exits.py::test_json_modes_print_errors_as_an_object")),
    2: ("healthy while a member is dead", (
        "cli/test_screens.py::test_check_is_the_exit_code",
        "cli/test_doctor.py::test_each_check_finds_what_it_is_for")),
    3: ("an admin command fails or hangs because one member is down", (
        "cli/test_watch.py::test_a_node_that_accepts_and_never_answers_costs_no_more_than_the_timeout",
        "cli/test_events.py::test_a_node_that_tells_nothing_is_named_and_costs_its_own_time_only",
        "cli/test_screens.py::test_status_shows_what_it_does_not_know_as_unknown")),
    4: ("each node tells its own story, nobody compares", (
        "cli/test_screens.py::test_views_stand_side_by_side",
        "cli/test_doctor.py::test_each_check_finds_what_it_is_for")),
    5: ("tables that cannot be parsed, no JSON", (
        "cli/test_screens.py::test_json_is_one_document_with_a_schema",
        "cli/test_screens.py::test_rows_have_as_many_cells_as_the_header")),
    6: ("JSON asked, the error comes as prose", ("cli/test_exits.py::test_json_modes_print_errors_as_an_object",)),
    7: ("empty values dropped, binary keys unprintable", (
        "cli/test_values.py::test_get_on_a_pipe_changes_no_byte",
        "cli/test_values.py::test_get_value_is_the_value_alone",
        "cli/test_screens.py::test_keys_reads_all_pages", "cli/test_real_nodes.py::test_bytes_come_back_as_they_went")),
    8: ("colour codes in pipes, NO_COLOR ignored", (
        "cli/test_screens.py::test_a_pipe_gets_no_remark_and_no_escape", "cli/test_options.py::test_color",
        "cli/test_options.py::test_the_streams_are_judged_apart")),
    9: ("output cut to 80 columns in pipes", (f"{HERE}::test_off_a_terminal_nothing_is_cut",)),
    10: ("global flags only before the subcommand", ("cli/test_options.py::test_global_options_stand_anywhere",)),
    11: ("slow start", (
        "cli/test_budget.py::test_the_version_costs_at_most_100_ms",
        "cli/test_budget.py::test_a_get_costs_at_most_two_and_a_half_times_the_import_of_typer",
        "cli/test_budget.py::test_a_tab_costs_less_than_a_get")),
    12: ("completion breaks on a colon, or edits rc files", (
        "cli/test_completions.py::test_a_shell_with_a_terminal",
        "cli/test_completions.py::test_installing_writes_one_file_and_no_rc_file")),
    13: ("completion scans the whole keyspace", (
        "cli/test_completions.py::test_commands_and_options_start_no_program",
        "cli/test_repl_typing.py::test_keys_are_asked_for_once_and_few",
        "cli/test_repl_typing.py::test_keys_of_a_silent_node_are_not_waited_for")),
    14: ("a pager for three lines", (
        "cli/test_options.py::test_the_pager_comes_only_for_what_is_taller_than_the_terminal",)),
    15: ("something destructive runs by accident", (
        "cli/test_repl_state.py::test_a_line_that_writes_is_never_suggested",
        "cli/test_repl.py::test_pasted_lines_run_only_when_confirmed",
        "cli/test_changes.py::test_a_person_sees_the_plan_and_is_asked",
        "cli/test_context.py::test_what_is_dangerous_takes_the_name_of_a_protected_context")),
    16: ("a warning where nothing is destroyed", (
        "cli/test_values.py::test_del_deletes_what_it_read",
        "cli/test_shell_verbs.py::test_every_command_says_whether_it_may_change_something")),
    17: ("a prompt hangs, or takes its default, without a terminal", (
        "cli/test_changes.py::test_without_a_terminal_nothing_is_done_unless_it_is_confirmed",
        "cli/test_options.py::test_nothing_is_asked_where_nobody_wants_to_be")),
    18: ("a staged change that nobody commits; a plan that is stale", (
        "cli/test_changes.py::test_a_plan_says_what_moves_between_whom_and_ends_with_the_command_that_does_it",
        "cli/test_changes.py::test_a_ring_that_has_changed_since_refuses",
        "cli/test_changes.py::test_wait_ends_when_the_ring_is_settled")),
    19: ("a change of members is fired blindly", (
        "cli/test_changes.py::test_a_dry_run_ends_with_the_plan",
        "cli/test_simulate.py::test_a_join_is_what_nodes_would_make_of_it")),
    20: ("a move or a repair without progress", (
        "cli/test_transfers.py::test_a_row_a_node_and_what_waits_by_reason",
        "cli/test_transfers.py::test_watch_draws_in_the_same_place_until_nothing_moves",
        "cli/test_repair.py::test_cluster_repair_stays_until_the_pass_is_over")),
    21: ("the diagnosis harms the node", ("cli/test_debug.py::test_the_doctor_may_come_every_minute",)),
    22: ("version vectors are opaque, siblings cannot be picked", (
        "cli/test_values.py::test_siblings_on_a_terminal_are_all_shown",
        "cli/test_merge.py::test_merge_writes_over_all_that_it_read",
        "e2e/test_shell_pty.py::test_siblings_stand_side_by_side_and_are_merged")),
    23: ("siblings explode unnoticed", (
        "cli/test_options.py::test_a_shell_writes_over_what_it_last_read",
        "contract/test_storage.py::test_the_sibling_limit_binds_clients_and_not_replication",
        "cli/test_debug.py::test_the_doctor_finds_what_is_wrong_and_nothing_else")),
    24: ("a demo moves its ports, and dies or loses data without a word", (
        "cli/test_demo.py::test_the_ports_are_the_documented_ones",
        "cli/test_demo.py::test_a_taken_port_is_an_error_that_names_who_has_it",
        "cli/test_demo.py::test_a_folder_to_keep_is_a_new_one_or_a_demos",
        "cli/test_demo.py::test_a_node_that_dies_shows_its_last_words")),
    25: ("telemetry and update notices", (f"{HERE}::test_nothing_is_ever_asked_but_the_nodes_that_are_named",)),
    26: ("emoji", (f"{HERE}::test_there_is_no_emoji",)),
    27: ("a traceback where no server runs", (
        "cli/test_exits.py::test_5_is_unreachable", "cli/test_options.py::test_a_bug_is_one_line_and_a_file")),
    28: ("a watch appends rows and hides what is gone", (
        "cli/test_watch.py::test_a_terminal_gets_the_screen_in_place_with_what_changed",
        "cli/test_watch.py::test_changes_mark_cells_by_the_row_they_are_in")),
    29: ("Ctrl-C kills the shell", (
        "e2e/test_shell_pty.py::test_ctrl_c_ends_a_command_and_not_the_shell",
        "cli/test_repl.py::test_ctrl_c_twice_at_an_empty_line_says_how_to_leave")),
    30: ("history leaks passwords and can be read by all", (
        "cli/test_repl_state.py::test_the_history_file_is_the_owners_alone",
        "cli/test_repl_state.py::test_private_lines")),
    31: ("dotfiles in $HOME", (f"{HERE}::test_nothing_is_written_into_the_home_directory",)),
    32: ("progress bars in logs", (
        "cli/test_bench_open.py::test_a_log_gets_a_line_now_and_then",
        "cli/test_changes.py::test_wait_shows_progress_to_a_person_only")),
    33: ("multicast that fails takes the server down", (
        "contract/test_discovery.py::test_a_host_that_cannot_multicast_is_one_fact",
        "e2e/test_discovery.py::test_without_multicast_a_node_says_so_in_one_line_and_serves_and_joins")),
    34: ("a server breaks on a new client's handshake", (
        "contract/test_clients_redis.py::test_redis_py", "e2e/test_clients.py::test_redis_py_with_its_defaults",
        "e2e/test_clients.py::test_redis_cli")),
    35: ("a screen that takes the mouse", (f"{HERE}::test_the_mouse_is_left_alone",)),
    36: ("a ring printed a line a token", (
        "cli/test_screens.py::test_the_strip_shows_every_partition_once",
        "cli/test_ring_show.py::test_every_ring_fits_80_columns")),
}  # fmt: skip
"""By the number in the survey: what is hated, and what holds us to it."""

OPEN: dict[int, str] = {}
"""What no test holds, and why."""


def test_all_36_are_answered() -> None:
    assert sorted(HELD | OPEN) == list(range(1, 37))
    assert not HELD.keys() & OPEN.keys()


@functools.cache
def functions_of(path: str) -> frozenset[str]:
    tree = ast.parse((TESTS / path).read_text())
    return frozenset(item.name for item in ast.walk(tree) if isinstance(item, ast.FunctionDef))


@pytest.mark.parametrize("number", HELD)
def test_what_holds_one_exists(number: int) -> None:
    for name in HELD[number][1]:
        path, _, function = name.partition("::")
        assert function in functions_of(path), f"{number} ({HELD[number][0]}) is held by {name}, which is gone"


# What no other test holds ---------------------------------------------------------------------------------------------


def test_off_a_terminal_nothing_is_cut() -> None:
    """A table that is asked for in a pipe is as wide as its content, unless COLUMNS says otherwise."""
    name = "a-node-with-a-name-that-is-as-long-as-sixty-four-bytes-allow-it"
    with fake_node(DYN_STATUS=status(name)) as node:
        assert name in dyn("cluster", "status", "-o", "table", node=node).out
        narrow = dyn("cluster", "status", "-o", "table", node=node, environ={"COLUMNS": "80"})
        assert max(map(len, narrow.out.splitlines())) <= 80


AUDITED = """
import sys
asked = []
sys.addaudithook(lambda event, words: asked.append((event, repr(words[-1]))) if event in
                 ("socket.connect", "socket.getaddrinfo", "socket.sendto", "urllib.Request") else None)
from dynamo_cli.app import run
from dynamo_cli.environment import Environment
for line in (["version", "--json"], ["help"], ["completion", "bash"], ["explain"], [], ["get", "k"]):
    run(line, Environment())
sys.stderr.write("\\n" + "\\n".join(f"{event} {word}" for event, word in asked))
"""


def test_nothing_is_ever_asked_but_the_nodes_that_are_named(tmp_path: Path) -> None:
    """No telemetry, no look for updates: every connection goes to the node of DYN_NODES."""
    with fake_node(DYN_STATUS=status(), DYN_RING=ring(3, 8)) as node:
        environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "DYN_NODES": node.address}
        done = subprocess.run(
            [sys.executable, "-c", AUDITED], env=environ, cwd=tmp_path, capture_output=True, text=True, check=True
        )
        asked = [line for line in done.stderr.splitlines() if line.startswith(("socket.", "urllib."))]
        connects = [line for line in asked if line.startswith("socket.connect")]
        assert connects
        assert set(connects) == {f"socket.connect ('127.0.0.1', {node.port})"}
        assert not [line for line in asked if line.startswith(("socket.sendto", "urllib."))]


def test_there_is_no_emoji() -> None:
    """Nowhere in what is said: neither pictures, nor dingbats but a tick and a cross, nor the sign that colours one."""
    for path in SOURCES:
        strange = {c for c in path.read_text() if c >= "\U0001f000" or "\u2600" <= c <= "\u27bf" or c == "\ufe0f"}
        assert strange <= {"\u2713", "\u2717"}, path


def test_nothing_is_written_into_the_home_directory(tmp_path: Path) -> None:
    """What dyn keeps is under the XDG directories, and only there."""
    home = tmp_path / "home"
    home.mkdir()
    places = {f"XDG_{kind}_HOME": str(tmp_path / kind.lower()) for kind in ("CONFIG", "DATA", "STATE", "CACHE")}
    with fake_node(DYN_STATUS=status(), DYN_RING=ring(3, 8)) as node:
        for line in (
            ("context", "add", "work", "-n", node.address), ("context", "ls"), ("shell", "-e", "cluster status"),
            ("completion", "bash", "--install"), ("doctor", "--only", "local"), ("get", "k"), ("config", "show"), (),
        ):  # fmt: skip
            result = dyn(*line, node=node, environ={"HOME": str(home), **places})
            assert result.status in (0, 1), (line, result.err)
    assert list(home.iterdir()) == []
    assert json.loads(dyn("context", "ls", "--json", environ={"HOME": str(home), **places}).out)


def test_the_mouse_is_left_alone() -> None:
    """Selecting and copying stays the terminal's: nothing asks for events of the mouse."""
    for path in SOURCES:
        text = path.read_text()
        assert "mouse_support=True" not in text, path
        assert not any(f"?{mode}h" in text for mode in (1000, 1002, 1003, 1006)), path

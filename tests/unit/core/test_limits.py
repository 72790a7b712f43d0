"""Bounds that depend on each other."""

from __future__ import annotations

import re
from importlib import import_module

from node.core import limits, limits_size
from node.core.row import Dot, Row
from node.wire.rows import encode_row
from tests.helpers.causal import version
from tests.helpers.wheel import ROOT

CHAPTERS = sorted((ROOT / "node" / "core").glob("limits*.py"))


def test_every_bound_is_a_positive_number() -> None:
    named = {
        f"{path.stem}.{name}": value
        for path in CHAPTERS
        for name, value in vars(import_module(f"node.core.{path.stem}")).items()
        if name.isupper()
    }
    bounds = {name: value for name, value in named.items() if isinstance(value, int | float)}
    assert len(bounds) > 40
    assert all(value > 0 for value in bounds.values()), bounds
    assert set(named) - set(bounds) == set(), "a limit is a number"


def test_every_bound_is_held_somewhere() -> None:
    """One that nobody asks about promises what is not done (as the warning at five siblings, once)."""
    sources = {path: path.read_text() for top in ("node", "dynamo_cli") for path in (ROOT / top).rglob("*.py")}
    words = {path: set(re.findall(r"\b[A-Z][A-Z0-9_]+\b", text)) for path, text in sources.items()}
    for chapter in CHAPTERS:
        names = re.findall(r"^([A-Z][A-Z0-9_]+)(?::[^=]+)? =", sources[chapter], re.MULTILINE)
        within = sources[chapter]
        unused = [
            name
            for name in names
            if len(re.findall(rf"\b{name}\b", within)) == 1
            and not any(name in found for path, found in words.items() if path != chapter)
        ]
        assert not unused, f"{chapter.name}: {unused}"


def test_partitions_are_powers_of_two() -> None:
    for q in (limits.PARTITIONS, limits.PARTITIONS_MAX):
        assert q & (q - 1) == 0
    assert limits.PARTITIONS_MAX >= 16 * limits.MEMBERS_MAX
    assert limits.PARTITIONS <= limits.PARTITIONS_MAX <= 2**16


def test_the_largest_row_that_client_writes_make_fits_a_frame() -> None:
    """Siblings at their limit, each with the longest value, label and past that a client may have."""
    past = tuple(Dot(2**63, 2**62 + birth, 2**62) for birth in range(150))
    label = "w" * limits.WRITER_BYTES_MAX
    sibling = version(2**63, 2**62, 1, past=past)._replace(writer=label, written_at_ms=2**40, value=b"")
    overhead = len(encode_row(Row(past, (sibling,))))
    largest = limits.SIBLINGS_MAX * (limits.VALUE_BYTES_MAX + overhead) + limits.KEY_BYTES_MAX
    assert largest < limits.FRAME_BYTES_MAX < 2**31


def test_defaults_are_within_their_limits() -> None:
    assert limits.VALUE_BYTES_MAX <= limits.VALUE_BYTES_CEILING
    assert limits.VALUE_BYTES_CEILING + limits.MIB < limits.FRAME_BYTES_MAX
    assert limits.TIMEOUT_MS <= limits.TIMEOUT_MS_MAX
    assert limits.PATIENCE_MS_MAX < limits.TIMEOUT_MS
    assert limits.OVERLOADED_S * 1000 <= min(limits.PATIENCE_MS_MAX, limits.TIMEOUT_MS / 4)
    assert limits.REQUESTS_MIN < limits.PIPELINE_MAX < limits.OPERATIONS_MAX
    assert limits.COMMANDS_TURN_MAX <= limits.PIPELINE_MAX
    assert limits.SCAN_LIMIT <= limits.SCAN_LIMIT_MAX
    assert limits.OUTPUT_PAUSE_BYTES < limits.OUTPUT_BYTES_MAX
    assert limits.PREAUTH_OUTPUT_BYTES_MAX < limits.OUTPUT_BYTES_MAX
    assert limits.FRAME_BATCH_BYTES < limits.FRAME_BYTES_MAX
    assert limits.HANDSHAKE_FRAME_BYTES_MAX < limits.FRAME_BYTES_MAX
    assert limits.PREAUTH_ARGUMENTS_MAX < limits.ARGUMENTS_MAX
    assert limits.SIBLINGS_WARN < limits.SIBLINGS_MAX


def test_failures_are_noticed_in_order() -> None:
    assert 2 * limits.GOSSIP_INTERVAL_S <= limits.SUSPECT_AFTER_S < limits.DOWN_AFTER_S
    assert limits.JOIN_RETRY_S < limits.FOUND_AFTER_S


def test_limits_fit_each_other() -> None:
    """What one allows, another must not forbid."""
    assert limits.FRAME_BYTES_MAX > limits.SIBLINGS_MAX * (limits.VALUE_BYTES_MAX + limits.KIB) + limits.MIB
    assert limits.FRAME_BYTES_MAX < 2**31
    assert limits.FRAME_BYTES_MAX > 3 * limits.ROW_BYTES_MAX + limits.MIB
    assert limits.VALUE_BYTES_CEILING < limits.ROW_BYTES_MAX < 10**9, "SQLite's own limit for a value"
    assert limits.FRAME_BYTES_MAX > limits.SCAN_PAGE_BYTES + limits.ROW_BYTES_MAX + limits.MIB
    assert limits.HANDSHAKE_FRAME_BYTES_MAX > 8 * limits.NAME_BYTES_MAX + limits.KIB, "a hello has eight texts"
    assert limits.MISSED_S < limits.SUSPECT_AFTER_S < limits.DOWN_AFTER_S
    assert limits.PATIENCE_MS_MIN < limits.PATIENCE_MS_FIRST < limits.PATIENCE_MS_MAX < limits.TIMEOUT_MS
    assert limits.SIBLINGS_WARN < limits.SIBLINGS_MAX
    assert limits.KEY_BYTES_MAX <= limits.PREAUTH_BULK_BYTES_MAX
    assert limits.VALUE_BYTES_CEILING < limits.COMMAND_BYTES_MAX <= limits.BULK_BYTES_MAX < 2**31
    assert limits.COMMAND_BYTES_MAX < limits.INPUT_BYTES_MAX
    assert limits.AUTH_DELAY_S * 2**limits.AUTH_ATTEMPTS_MAX < limits.PREAUTH_S_MAX
    assert limits.TREE_SPANS_MAX <= limits.TREE_DIGESTS_MAX
    assert 1 << limits.TREE_FANOUT_BITS <= limits.TREE_DIGESTS_MAX
    assert limits.TREE_CHUNK_BITS + limits.TREE_FANOUT_BITS <= limits.TREE_LEAF_BITS
    assert limits.PARTITIONS_MAX <= 1 << limits.TREE_LEAF_BITS, "a partition has a leaf"
    assert limits.REPAIRS_MAX < limits.EXCHANGE_KEYS_MAX
    assert limits.LEAF_PAGE_ROWS <= limits.SCAN_LIMIT_MAX
    assert limits.REPAIR_BYTES_MAX * 2 < limits.PEER_QUEUE_BYTES_MAX
    assert limits.EXCHANGE_AGAIN_S < limits.EXCHANGE_INTERVAL_S


def test_of_the_largest_cluster_each_member_is_asked_before_it_could_be_down() -> None:
    rounds = -(-limits.MEMBERS_MAX // limits_size.PROBES_MAX)
    assert rounds * limits.GOSSIP_INTERVAL_S <= limits.SUSPECT_AFTER_S
    assert limits_size.GOSSIP_MEMBERS_MAX + 2 <= limits.MEMBERS_MAX, "what a message may have"

"""What people who know other stores type and dyn does not have: one sentence why, and what to do instead."""

from __future__ import annotations

from typing import Final

from dynamo_cli.errors import CliError, usage

EXPIRY: Final = frozenset((
    "--ttl", "--ex", "--px", "--exat", "--pxat", "--expire", "--expires", "--keepttl", "ttl", "expire", "pexpire",
    "expireat", "persist", "setex", "psetex", "getex",
))  # fmt: skip
"""Options and commands by which other stores let a key end at a time."""

NO_EXPIRY: Final = "keys do not expire, as nodes have no clock in common and replicas would differ about what is there"


def answer_to(word: str) -> CliError | None:
    """What to say to an option or a command that is not here, if that is more than that it is not here."""
    if word.lower() in EXPIRY:
        return usage(f"{word}: {NO_EXPIRY}", "Delete it when its time has come: dyn del KEY")
    return None

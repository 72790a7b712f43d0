"""How `dyn` ends: one meaning a code, the same in every output format."""

from __future__ import annotations

from enum import IntEnum


class ExitStatus(IntEnum):
    """The exit codes of `dyn`. `MEANINGS` says each in words."""

    OK = 0
    FAILURE = 1
    USAGE = 2
    NOT_FOUND = 3
    CONFLICT = 4
    UNREACHABLE = 5
    UNAVAILABLE = 6
    UNKNOWN = 7
    UNHEALTHY = 8
    REFUSED = 9
    INTERRUPTED = 130


MEANINGS = {
    ExitStatus.OK: "done",
    ExitStatus.FAILURE: "something failed; the message says what",
    ExitStatus.USAGE: "the command line makes no sense",
    ExitStatus.NOT_FOUND: "no such key, node or file",
    ExitStatus.CONFLICT: "the key has siblings (dyn merge settles them), or a condition failed",
    ExitStatus.UNREACHABLE: "no node answers",
    ExitStatus.UNAVAILABLE: "the quorum cannot be met; nothing was done",
    ExitStatus.UNKNOWN: "no answer in time; a write may or may not have happened",
    ExitStatus.UNHEALTHY: "the cluster is not healthy (--check, --wait)",
    ExitStatus.REFUSED: "refused: password, permission, limit, or a confirmation is missing",
    ExitStatus.INTERRUPTED: "Ctrl-C",
}

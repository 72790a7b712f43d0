"""What `dyn doctor --fix` does: the commands that findings name, those by which nothing can be lost, and no others."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from dynamo_cli.doctor.findings import OK, Finding

if TYPE_CHECKING:
    from dynamo_cli.environment import Environment

OWNER_ONLY = 0o600


class Mended(NamedTuple):
    """One command that was run for a check, and what went wrong, "" if nothing did."""

    id: str
    command: str
    error: str


def mendable(found: Sequence[Finding]) -> list[Finding]:
    """The findings that can be mended."""
    return [finding for finding in found if finding.level != OK and finding.does]


def mend(finding: Finding, env: Environment) -> Mended:
    """Run the command of a finding; what it says goes nowhere but into the result."""
    words = finding.does
    if words[0] == "chmod":
        assert words[1] == f"{OWNER_ONLY:o}", words
        return Mended(finding.id, finding.fix, _take_from_others(words[2]))
    assert words[0] == "dyn", words
    return Mended(finding.id, finding.fix, _run(words[1:], env))


def _take_from_others(path: str) -> str:
    """Give a file to its owner alone; what went wrong. What is no plain file of ours is left as it is."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                return "it is no regular file"
            if found.st_uid != os.getuid():
                return "it belongs to another user"
            os.fchmod(descriptor, OWNER_ONLY)
        finally:
            os.close(descriptor)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _run(words: Sequence[str], env: Environment) -> str:
    """Run one of our own commands; the last line that it complains in, if it fails."""
    from io import BytesIO, TextIOWrapper

    from dynamo_cli.app import run
    from dynamo_cli.environment import Environment

    said = BytesIO()
    quiet = TextIOWrapper(said, encoding="utf-8", errors="backslashreplace", write_through=True)
    status = run(words, Environment(stdin=env.stdin, stdout=quiet, stderr=quiet, environ=env.environ))
    lines = said.getvalue().decode().splitlines()
    return (lines[-1] if lines else f"exit code {status}") if status else ""

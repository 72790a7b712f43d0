"""The user's own editor: which one it is, and how it is started."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping

from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus

DEFAULT = "vi"
"""What POSIX says is there, and git uses, where neither VISUAL nor EDITOR says otherwise."""


def editor_of(environ: Mapping[str, str]) -> str:
    """The editor's command line: its name, and what arguments the user gives it."""
    return environ.get("VISUAL") or environ.get("EDITOR") or DEFAULT


def edit(path: str | os.PathLike[str], environ: Mapping[str, str]) -> int:
    """Let the user edit a file, and return how the editor ended. Raises CliError if it cannot be started."""
    command = editor_of(environ)
    try:
        return subprocess.run([*shlex.split(command), os.fspath(path)], env=dict(environ), check=False).returncode
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise CliError(ExitStatus.FAILURE, f"cannot start the editor {command}: {why}", "Set EDITOR") from None

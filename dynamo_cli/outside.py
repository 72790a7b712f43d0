"""Other programs that a merge is left to: the user's editor, and a command with the siblings on its standard input."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from dynamo_cli.editor import edit, editor_of
from dynamo_cli.environment import Environment
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus
from node.core.limits import VALUE_BYTES_CEILING


class Draft:
    """A text in a file of its own, which only its user can read. `discard` it, or what was written into it is kept."""

    def __init__(self, text: bytes, suffix: str) -> None:
        handle, name = tempfile.mkstemp(prefix="dyn-merge-", suffix=suffix)
        with os.fdopen(handle, "wb") as file:
            file.write(text)
        self.path = Path(name)

    def edited(self, env: Environment) -> bytes:
        """What the user's editor makes of it. Raises CliError if there is none, or if it fails."""
        status = edit(self.path, env.environ)
        if status:
            why = f"the editor {editor_of(env.environ)} ended with {status}"
            raise CliError(ExitStatus.FAILURE, why, "Nothing was written")
        try:
            return self.path.read_bytes()
        except OSError as error:
            raise CliError(
                ExitStatus.FAILURE, f"cannot read {self.path}: {error.strerror}", "Nothing was written"
            ) from None

    def discard(self) -> None:
        """It is not needed any more."""
        self.path.unlink(missing_ok=True)


def printed_by(command: str, given: bytes, env: Environment) -> bytes:
    """What a shell command prints that is `given` these bytes; its messages go where ours go. Raises CliError."""
    with tempfile.TemporaryFile() as source:
        source.write(given)
        source.seek(0)
        arguments = ["/bin/sh", "-c", command]
        with subprocess.Popen(arguments, stdin=source, stdout=subprocess.PIPE, env=dict(env.environ)) as process:
            assert process.stdout is not None, "its output is a pipe"
            printed = process.stdout.read(VALUE_BYTES_CEILING + 1)
            if len(printed) > VALUE_BYTES_CEILING:
                process.kill()
    if len(printed) > VALUE_BYTES_CEILING:
        raise CliError(
            ExitStatus.REFUSED, f"the command prints more than {VALUE_BYTES_CEILING:,} bytes", "Nothing was written"
        )
    if process.returncode:
        raise CliError(ExitStatus.FAILURE, f"the command ended with {process.returncode}", "Nothing was written")
    return printed

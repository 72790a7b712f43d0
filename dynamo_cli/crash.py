"""A bug of ours, as a user meets it: one line, and a file with all that a report needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus

if TYPE_CHECKING:
    from dynamo_cli.environment import Environment

FILE = "crash.txt"
"""The last one alone is kept: they must not fill a disk."""


def crash(error: Exception, env: Environment) -> CliError:
    """What to tell about an exception that nobody expected. Its traceback goes into our state directory, if it can."""
    import platform
    import traceback

    from dynamo_cli.contexts import write_private
    from node import __version__

    what = " ".join(f"{type(error).__name__}: {error}".split())
    report = f"dyn {__version__}, Python {platform.python_version()}, {platform.platform()}\n\n"
    path = str(env.directory("state") / FILE)
    try:
        write_private(path, report + "".join(traceback.format_exception(error)))
    except CliError:
        return CliError(ExitStatus.FAILURE, f"a bug in dyn: {what}", "See where: --debug", code="BUG")
    return CliError(
        ExitStatus.FAILURE, f"a bug in dyn: {what}", f"Report it with {path}, or see it: --debug", code="BUG"
    )

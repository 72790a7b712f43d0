"""What goes wrong for a user: a status, one sentence with its cause, and what to type next.

Raised anywhere in `dynamo_cli`, printed in one place (`app.run`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from dynamo_cli.exit_status import ExitStatus


class CliError(Exception):
    """A command cannot do what was asked.

    `message` names what happened and why, without a full stop; `hint` is the next command to type, with a few words.
    `code` is the constant name that JSON output carries: the server's error prefix, or the status' name.
    """

    def __init__(self, status: ExitStatus, message: str, hint: str = "", *, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.hint = hint
        self.code = code or status.name

    def line(self) -> str:
        """The error as the one line that people see."""
        stop = "" if self.message.endswith("?") else "."
        return f"{self.message}{stop} {self.hint}" if self.hint else self.message

    def document(self) -> dict[str, object]:
        """The error as the object that programs see."""
        hint = self.hint or None
        return {"error": {"code": self.code, "exit": int(self.status), "message": self.message, "hint": hint}}


def usage(message: str, hint: str = "") -> CliError:
    """An error of the command line itself."""
    return CliError(ExitStatus.USAGE, message, hint)


NAMES_MAX = 8
"""So many names an error lists of those that there are: a line, also in a cluster of hundreds."""


def listed(there: Iterable[str]) -> str:
    """Names of what there is, as many as a line takes."""
    names = list(there)
    return ", ".join(names[:NAMES_MAX]) + (" …" if len(names) > NAMES_MAX else "")


def no_node(name: str, there: Iterable[str], where: str = "") -> CliError:
    """A node was named that is not there. `where`: " in the ring", or what else was looked through."""
    names = listed(there)
    return CliError(ExitStatus.NOT_FOUND, f"no node {name!r}{where}", f"There are {names}" if names else "")


STATUS_BY_PREFIX = {
    "UNAVAILABLE": ExitStatus.UNAVAILABLE,
    "UNKNOWN": ExitStatus.UNKNOWN,
    "SIBLINGS": ExitStatus.CONFLICT,
    "TOOMANYSIBLINGS": ExitStatus.CONFLICT,
    "BADCONTEXT": ExitStatus.REFUSED,
    "TOOBIG": ExitStatus.REFUSED,
    "DENIED": ExitStatus.REFUSED,
    "NOAUTH": ExitStatus.REFUSED,
    "WRONGPASS": ExitStatus.REFUSED,
    "REFUSED": ExitStatus.REFUSED,
}
"""Exit status of a server's error prefix; any other one is a plain failure."""

HINT_BY_PREFIX = {
    "UNAVAILABLE": "Nothing was done; see what is wrong: dyn cluster status",
    "UNKNOWN": "Look before writing again: dyn get KEY",
    "SIBLINGS": "Settle them: dyn merge KEY",
    "TOOMANYSIBLINGS": "Settle them: dyn merge KEY",
    "BADCONTEXT": "Read a fresh one: dyn get KEY --ctx",
    "DENIED": "Give the password in a file: DYN_PASSWORD_FILE=FILE dyn …",
    "NOAUTH": "Give the password in a file: DYN_PASSWORD_FILE=FILE dyn …",
    "WRONGPASS": "Check the file that DYN_PASSWORD_FILE names",
    "REFUSED": "See how it is: dyn cluster status",
    "BUSY": "Try again in a moment",
    "DISKFULL": "Free space on that node, or write through another: -n HOST:PORT",
}


_BAD_VALUE = re.compile(r"the key is empty$|[A-Z]+ must be ")
"""What a node says of a value on the line that makes no sense, and that only it can tell: it knows N and the ring."""

_NOT_THERE = re.compile(r"(.*: )?no member is called ")
"""What the engine refuses since it knows nobody of that name."""


def from_reply(text: str) -> CliError:
    """The error that a server's error reply means. `text` is the reply without its minus sign."""
    prefix, _, rest = text.partition(" ")
    if not prefix.isupper():
        prefix, rest = "ERR", text
    hint = HINT_BY_PREFIX.get(prefix, "")
    message = rest.strip().rstrip(".") or prefix
    status = STATUS_BY_PREFIX.get(prefix, ExitStatus.FAILURE)
    if prefix == "ERR" and _BAD_VALUE.match(message):
        status = ExitStatus.USAGE
    if prefix == "REFUSED" and _NOT_THERE.match(message):
        status = ExitStatus.NOT_FOUND
    return CliError(status, message, hint, code=prefix)

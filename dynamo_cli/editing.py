"""Changes to configuration files: one key of a file, or the whole of it in the user's editor."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING

from dynamo_cli.contexts import Table, changed, parsed, write_private
from dynamo_cli.editor import edit
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus

if TYPE_CHECKING:
    from dynamo_cli.call import Call


def set_in_file(path: str, key: str, value: object | None, section: str = "") -> None:
    """Set one key of a TOML file, at its top or in a section, or take it out (None); all other lines stay.

    Raises CliError.
    """
    text = read_text(path)
    before = parsed(text.encode(), path)
    after = changed(text, key, value, section)
    table = before.get(section, {}) if section else before
    old = table if isinstance(table, dict) else {}
    new = {name: was for name, was in old.items() if name != key} | ({} if value is None else {key: value})
    wanted = {**before, section: new} if section else new
    try:
        same = parsed(after.encode(), path) == wanted
    except CliError:
        same = False
    if not same:
        raise CliError(
            ExitStatus.REFUSED, f"{key} stands in {path} in a way that only an editor can change", "dyn config edit"
        )
    if before != wanted:
        write_private(path, after)


def read_text(path: str) -> str:
    """A text file; empty if it is not there. Raises CliError."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise CliError(ExitStatus.FAILURE, f"cannot read {path}: {why}", "See where it is: dyn config path") from None


def edited(call: Call, path: str, check: Callable[[Table], None], begin: str = "") -> bool:
    """Let the user edit a file, in a copy that takes its place if it makes sense; whether anything changed.

    Raises REFUSED without a terminal, and what `check` raises: then the file is as it was, and the copy stays.
    """
    if not call.env.can_ask:
        raise CliError(ExitStatus.REFUSED, "an editor needs a terminal", "Set one thing: dyn config set NAME VALUE")
    before = read_text(path) or begin
    with tempfile.NamedTemporaryFile("w", prefix="dyn-", suffix=".toml", encoding="utf-8", delete=False) as copy:
        copy.write(before)
    try:
        status = edit(copy.name, call.env.environ)
    except CliError:
        os.unlink(copy.name)
        raise
    after = read_text(copy.name)
    if status != 0 or after == before:
        os.unlink(copy.name)
        return False
    try:
        check(parsed(after.encode(), copy.name))
    except CliError as error:
        error.hint = f"Nothing was saved; what you wrote is in {copy.name}"
        raise
    write_private(path, after)
    os.unlink(copy.name)
    return True

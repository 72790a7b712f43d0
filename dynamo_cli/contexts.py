"""Saved contexts and config.toml as files: where they are, how they are read, and how they are written.

A context names a cluster: its nodes, and how to speak to them. It is a small TOML file, readable by its owner alone
(it may name a password file; a password itself never stands in it). A Tab reads these too, so nothing heavy is
imported, and TOML only where there is a file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping

from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus

Table = dict[str, object]
"""What a file says, by key."""

CONFIG_FILE = "config.toml"
LOCAL_FILE = "dyn.toml"
"""The file of a project, in the directory where `dyn` runs: its table `client` is ours, the rest is a node's."""
FILE_BYTES_MAX = 64 * 1024
"""A longer file is none of ours."""
NAME_MAX = 64
NONE = "none"
"""As a context's name: none at all."""


def directory(environ: Mapping[str, str], kind: str) -> str:
    """Our directory of a kind, `config`, `data` or `state`, by the XDG rules. It may not exist yet."""
    override = environ.get(f"DYN_{kind.upper()}_DIR")
    if override:
        return override
    base = environ.get(f"XDG_{kind.upper()}_HOME", "")
    if not os.path.isabs(base):
        home = environ.get("HOME") or os.path.expanduser("~")
        base = os.path.join(home, {"config": ".config", "data": ".local/share", "state": ".local/state"}[kind])
    return os.path.join(base, "dyn")


def config_path(environ: Mapping[str, str]) -> str:
    """Where config.toml is, or would be."""
    return os.path.join(directory(environ, "config"), CONFIG_FILE)


def context_path(environ: Mapping[str, str], name: str) -> str:
    """Where the file of a context is, or would be. Raises a usage error for what can be no name."""
    return os.path.join(directory(environ, "config"), "contexts", f"{checked_name(name)}.toml")


def checked_name(name: str) -> str:
    """The name, if a context may be called so; raises a usage error."""
    plain = name.isascii() and name.replace("-", "").replace("_", "").replace(".", "").isalnum()
    if not plain or not name[0].isalnum() or len(name) > NAME_MAX or name == NONE:
        raise usage(f"{name!r} can be no context's name", "Take letters, digits, and - _ . after the first")
    return name


def names(environ: Mapping[str, str]) -> list[str]:
    """The names of all saved contexts, sorted."""
    try:
        found = os.listdir(os.path.join(directory(environ, "config"), "contexts"))
    except OSError:
        return []
    return sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml") and not name.startswith("."))


def read(environ: Mapping[str, str], name: str) -> Table:
    """What a saved context says, or the nodes of a demo of this name that runs on this machine.

    Raises CliError: NOT_FOUND, or what is wrong with the file.
    """
    found = read_table(context_path(environ, name))
    if found is None:
        found = demos(environ).get(name)
    if found is None:
        there = names(environ)
        hint = f"There are {', '.join(there)}" if there else f"Save it: dyn context add {name} -n HOST:PORT"
        raise CliError(ExitStatus.NOT_FOUND, f"no context {name!r}", hint)
    return found


def demos(environ: Mapping[str, str]) -> dict[str, Table]:
    """What would be saved of the demos that run on this machine, by name."""
    from pathlib import Path

    from dynamo_cli.demo.registry import entries

    return {
        entry.name: {"nodes": list(entry.addresses), "note": "a demo, while it runs"}
        for entry in entries(Path(directory(environ, "state")))
        if entry.running and entry.addresses
    }


def read_table(path: str) -> Table | None:
    """What a TOML file says; None if it is not there. Raises a usage error that names the file."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # a FIFO must not hold us up
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise usage(f"{path} is no regular file", "See where settings come from: dyn config path")
            data = file.read(FILE_BYTES_MAX + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise usage(f"cannot read {path}: {error.strerror}", "See where settings come from: dyn config path") from None
    if len(data) > FILE_BYTES_MAX:
        raise usage(f"{path} is longer than {FILE_BYTES_MAX:,} bytes", "Take out what is no setting")
    return parsed(data, path)


def parsed(data: bytes, path: str) -> Table:
    """What TOML says. Raises a usage error that names the file."""
    import tomllib

    try:
        return tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise usage(f"{path} is not TOML: {error}", "Mend it in an editor") from None


# Writing ----------------------------------------------------------------------------------------------


def save(environ: Mapping[str, str], name: str, table: Table) -> str:
    """Save a context under a name, whether or not there is one; returns its path. Raises CliError."""
    path = context_path(environ, name)
    write_private(path, toml_text(table))
    return path


def remove(environ: Mapping[str, str], name: str) -> None:
    """Remove a saved context; nothing happens if there is none. Raises CliError."""
    try:
        os.unlink(context_path(environ, name))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _unwritable(context_path(environ, name), error) from None


def write_private(path: str, text: str, *, mode: int = 0o600) -> None:
    """Write a file that its owner alone may read (by default), whole or not at all. Raises CliError.

    A link is followed, so that a configuration kept elsewhere stays there.
    """
    path = os.path.realpath(path)
    made = f"{path}.{os.getpid()}.new"
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, mode), "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(made, path)
    except OSError as error:
        raise _unwritable(path, error) from None


def _unwritable(path: str, error: OSError) -> CliError:
    return CliError(
        ExitStatus.FAILURE, f"cannot write {path}: {error.strerror}", "Name another place: DYN_CONFIG_DIR=DIR"
    )


def toml_text(table: Mapping[str, object]) -> str:
    """A flat table of texts, numbers, switches and lists of texts as TOML."""
    return "".join(f"{key} = {toml_value(value)}\n" for key, value in table.items())


def toml_value(value: object) -> str:
    """One value as TOML."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, int | float):
        return repr(value)
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
    text = "".join(escapes.get(c) or (c if c.isprintable() else f"\\U{ord(c):08X}") for c in str(value))
    return f'"{text}"'


def changed(text: str, key: str, value: object | None, section: str = "") -> str:
    """A TOML text with one key of a section ("": the top) set to a value, or without it (None).

    All other lines stay as they are. The caller checks the outcome by reading it: a file that this cannot edit, for it
    knows no value over several lines, is then left alone.
    """
    made: list[str] = []
    here, found, end = "", False, 0 if not section else None
    line_of = f"{key} = {toml_value(value)}"
    for line in text.splitlines():
        if line.lstrip().startswith("["):
            here = line.strip().strip("[] ")
        elif here == section and "=" in line and line.partition("=")[0].strip().strip('"') == key:
            if value is not None and not found:
                made.append(line_of)
            found = True
            continue
        made.append(line)
        if here == section and line.strip():
            end = len(made)
    if value is not None and not found:
        if end is None:
            made += [f"[{section}]", line_of]
        else:
            made.insert(end, line_of)
    return "".join(f"{line}\n" for line in made)

"""Where a setting comes from: the flag, else the environment, ./dyn.toml, the context in force, config.toml, a default.

What a connection takes (`CONNECTION`) goes together, so that no cluster is sent another one's password: with
`-c NAME` on the line it comes from that context alone, with DYN_NODES from the environment alone, and config.toml
speaks only where no context does. What ./dyn.toml may say is bounded for the same reason: a directory that somebody
else filled must not say where passwords go, or which program is started.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from dynamo_cli.contexts import LOCAL_FILE, NONE, Table, config_path, read, read_table
from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus

CONNECTION = ("nodes", "password-file", "tls-ca", "tls-cert", "tls-key")
"""The settings that belong together: whom to speak to, and how."""

LOCAL = ("context", "output", "timeout", "color", "ascii", "no-input")
"""What the table `client` of ./dyn.toml may set."""

OF_CONTEXT = ("protected", "prompt-color", "note")
"""What only a context has."""

EVERYWHERE = (*CONNECTION, "output", "timeout", "color", "ascii", "no-input", "pager", "writer")
"""What a context and config.toml may set, beside what is theirs alone."""


class Found(NamedTuple):
    """What a setting is, and who says so."""

    value: object
    origin: str


class Layers:
    """The layers of one command line, read when they are first asked. `named` is the context that `-c` names, if any
    (`given` is its word, which may be `none`).

    `name` is the context in force; None without one. Raises CliError for a file that makes no sense.
    """

    def __init__(self, environ: Mapping[str, str], named: str | None = None, *, directory: str | None = None) -> None:
        self.environ = environ
        self.given = named
        self.named = None if named == NONE else named
        path = os.path.join(directory or os.curdir, LOCAL_FILE)
        self.local = _local(read_table(path) or {}, path)
        self.config_file = config_path(environ)
        self.config = read_table(self.config_file) or {}
        _known(self.config, self.config_file, (*EVERYWHERE, "context", "alias"))
        self.chosen = self._chosen()
        self.displaced = bool(named is None and environ.get("DYN_NODES"))
        """Whether a context would be in force if DYN_NODES were not set."""
        self.name = None if self.displaced or self.chosen is None else str(self.chosen.value)
        self.context: Table = {}
        if self.name is not None:
            self.context = self._read(self.name)
            _known(self.context, f"context {self.name}", (*EVERYWHERE, *OF_CONTEXT))

    def _read(self, name: str) -> Table:
        """What the context in force says. Raises CliError; of one that was chosen for good it says how to leave it."""
        try:
            return read(self.environ, name)
        except CliError as error:
            if error.status == ExitStatus.NOT_FOUND and self.chosen and self.chosen.origin == self.config_file:
                error.hint = "It was in use and is gone. Use another, or none: dyn context use none"
            raise

    def _chosen(self) -> Found | None:
        """The context that is asked for, and by whom."""
        for value, origin in (
            (self.given, "-c"),
            (self.environ.get("DYN_CONTEXT"), "DYN_CONTEXT"),
            (self.local.get("context"), f"./{LOCAL_FILE}"),
            (self.config.get("context"), self.config_file),
        ):
            if value:
                return None if value == NONE else Found(value, origin)
        return None

    def find(self, name: str) -> Found | None:
        """The setting and its origin; None if nobody says anything."""
        environment = (self.environ, "environment")
        saved = (self.context, f"context {self.name}")
        config = (self.config, self.config_file)
        order: list[tuple[Mapping[str, object], str]] = [environment, (self.local, f"./{LOCAL_FILE}"), saved, config]
        if name in CONNECTION:
            if self.named is not None:
                order = [saved]
            elif self.environ.get("DYN_NODES"):
                order = [environment]
            else:
                order = [environment, saved if self.name else config]
        elif self.named is not None:
            order = [saved, *(layer for layer in order if layer is not saved)]
        for table, origin in order:
            key = variable(name) if table is self.environ else name
            value = table.get(key)
            if value is not None and value != "":
                return Found(value, key if table is self.environ else origin)
        return None

    def text(self, name: str) -> str | None:
        """A setting as text: of a list, its items with commas; None if nobody says anything."""
        found = self.find(name)
        return None if found is None else as_text(found.value)


class Nothing(Layers):
    """No layer says anything but the environment: for commands that must work whatever the files say."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.given = None
        self.environ, self.named, self.name, self.chosen, self.displaced = environ, None, None, None, False
        self.local, self.config, self.context = {}, {}, {}
        self.config_file = config_path(environ)


def variable(name: str) -> str:
    """The environment variable of a setting."""
    return f"DYN_{name.upper().replace('-', '_')}"


def as_text(value: object) -> str:
    """A value of a file as it would stand in the environment."""
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _local(table: Table, path: str) -> Table:
    client = table.get("client", {})
    if not isinstance(client, dict):
        raise usage(f"client in {path} is no table", "Write [client] above its settings")
    _known(client, f"[client] in {path}", LOCAL)
    return client


def _known(table: Table, where: str, allowed: tuple[str, ...]) -> None:
    for key in table:
        if key not in allowed:
            raise usage(f"{where} sets {key}, which it cannot", f"Known are: {', '.join(allowed)}")

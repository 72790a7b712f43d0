"""A saved context for a demo, as long as it runs: `dyn -c demo …` from any terminal."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from dynamo_cli import contexts
from dynamo_cli.editing import set_in_file
from dynamo_cli.errors import CliError

NOTE = "a demo, while it runs"
"""What marks a context as one that a demo made, and may write over and remove."""


@contextmanager
def saved_context(environ: Mapping[str, str], name: str, addresses: Sequence[str]) -> Iterator[bool]:
    """Have a context of this name for the nodes of a demo; whether there is one.

    There is none where somebody else's has that name, or where nothing can be written: a demo runs without it.
    """
    table: contexts.Table = {"nodes": list(addresses), "note": NOTE}
    try:
        path = contexts.context_path(environ, name)
        there = contexts.read_table(path)
        ours = there is None or there.get("note") == NOTE
        if ours:
            contexts.save(environ, name, table)
    except CliError:
        ours = False
    try:
        yield ours
    finally:
        if ours:
            with contextlib.suppress(CliError):
                _forget(environ, name, table)


def _forget(environ: Mapping[str, str], name: str, table: contexts.Table) -> None:
    """Remove the context, unless it is another one by now; who uses it uses none from then on. Raises CliError."""
    if contexts.read_table(contexts.context_path(environ, name)) != table:
        return
    contexts.remove(environ, name)
    config = contexts.config_path(environ)
    if (contexts.read_table(config) or {}).get("context") == name:
        set_in_file(config, "context", None)

"""A bar for what takes a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dynamo_cli.call import Call


@contextmanager
def progress(call: Call, what: str, total: float) -> Iterator[Callable[[float], None]]:
    """A bar on standard error while a person waits; nothing in pipes and logs."""
    if not call.env.stderr_is_terminal or call.options.quiet:
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=call.env.stderr, no_color=not call.env.has_color(call.options.color, error=True))
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)

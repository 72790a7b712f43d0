"""A bar for what takes a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from dynamo_cli.call import Call
from dynamo_cli.render.plain import shortened


@contextmanager
def progress(call: Call, what: str, total: float) -> Iterator[Callable[[float], None]]:
    """A bar on standard error while a person waits; nothing in pipes and logs."""
    if not call.env.stderr_is_terminal or call.options.quiet:
        yield lambda done: None
        return
    with _bar(call, what, total) as told:
        yield lambda done: told(done, "")


PATIENCE_S = 1.0
"""What ends sooner needs no bar."""


@contextmanager
def belated(call: Call, what: str, total: float) -> Iterator[Callable[[float], None]]:
    """The same, from the first word after a second on."""
    begun_at = call.env.now_s()
    shown: list[Callable[[float], None]] = []
    with ExitStack() as stack:

        def told(done: float) -> None:
            if not shown and done < total and call.env.now_s() - begun_at > PATIENCE_S:
                shown.append(stack.enter_context(progress(call, what, total)))
            for show in shown:
                show(done)

        yield told


@contextmanager
def _bar(call: Call, what: str, total: float) -> Iterator[Callable[[float, str], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(file=call.env.stderr, no_color=not call.env.has_color(call.options.color, error=True))
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[remark]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(what, total=total, remark="")
        yield lambda done, remark: bar.update(task, completed=done, remark=remark)


LINE_EVERY_S = 10.0
"""Between two lines where no terminal shows a bar."""


@contextmanager
def lasting(call: Call, what: str, total: float) -> Iterator[Callable[[float, str], None]]:
    """A bar with a remark behind it, while a person waits; in pipes and logs a line every ten seconds."""
    if call.env.stderr_is_terminal and not call.options.quiet:
        with _bar(call, what, total) as told:
            yield told
        return
    told_at = call.env.now_s()

    def line(done: float, remark: str) -> None:
        nonlocal told_at
        if call.env.now_s() - told_at >= LINE_EVERY_S:
            told_at = call.env.now_s()
            call.note(f"{what}  {done / total:.0%}  {remark}".rstrip())

    yield line


@contextmanager
def remarks(call: Call, what: str) -> Iterator[Callable[[str], None]]:
    """What is waited for, on one line that goes when it came; in pipes and logs a line every ten seconds."""
    in_place = call.env.stderr_is_terminal and call.for_people and not call.options.quiet
    told_at, shown = call.env.now_s(), False

    def tell(remark: str) -> None:
        nonlocal told_at, shown
        line = f"{what}: {remark}"
        if in_place:
            columns = call.env.columns(error=True) - 1  # a line that wraps cannot be taken away
            call.env.write(f"\r\x1b[K{shortened(line, columns)}", error=True)
            shown = True
        elif call.env.now_s() - told_at >= LINE_EVERY_S:
            told_at = call.env.now_s()
            call.note(line)

    try:
        yield tell
    finally:
        if shown:
            call.env.write("\r\x1b[K", error=True)

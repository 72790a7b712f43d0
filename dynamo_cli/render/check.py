"""`dyn check` as a screen, as rows, as the line of a monitoring plugin, and as metrics in the text format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dynamo_cli.render.plain import exact, show
from dynamo_cli.render.rows import Rows, duration_text, size_text

if TYPE_CHECKING:
    from rich.console import RenderableType

Document = Mapping[str, Any]


def check_rows(document: Document) -> Rows:
    """A dyn.check/v1 document: one row. Unknown is empty."""
    names = ("check", "level", "value", "unit", "warn", "critical", "text")
    return names, [tuple("" if document[n] is None else exact(_number(document[n])) for n in names)]


def check_screen(document: Document, *, bad: bool) -> RenderableType:
    """The same for people: what it is, and below it the figure and its limits."""
    from rich.text import Text

    style = "good" if document["level"] == "ok" else "bad" if bad else "warn"
    line = Text.assemble(
        (f"{document['level']:<9}", style), (document["check"], "label"), f"  {show(document['text'])}"
    )
    beyond = "below" if document["worse"] == "smaller" else "above"
    limits = [f"{name} {beyond} {_figure(document[name], document['unit'])}" for name in ("warn", "critical")
              if document[name] is not None]  # fmt: skip
    value = "?" if document["value"] is None else _figure(document["value"], document["unit"])
    return line.append(f"\n         {document['what']}: {value}\n         {', '.join(limits)}", style="quiet")


def nagios(document: Document) -> str:
    """One line as monitoring plugins print it: what it is, in words, and behind a bar the figures."""
    words = show(document["text"]).replace("|", "/")
    line = f"DYN {document['check'].upper()} {document['level'].upper()} - {words}"
    if document["value"] is None:
        return f"{line}\n"
    span = "{}:" if document["worse"] == "smaller" else "{}"  # a range in which it is fine
    limits = ("" if document[name] is None else span.format(_number(document[name])) for name in ("warn", "critical"))
    return f"{line} | {document['check']}={_number(document['value'])}{document['unit']};{';'.join(limits)}\n"


def prometheus(document: Document) -> str:
    """Metrics in the text format. A value that is not known is left out."""
    label = f'{{check="{document["check"]}"}}'
    lines = [
        "# HELP dyn_check_level 0 ok, 1 warning, 2 critical, 3 unknown.",
        "# TYPE dyn_check_level gauge",
        f"dyn_check_level{label} {document['exit']}",
    ]
    if document["value"] is not None:
        lines += [
            "# HELP dyn_check_value The figure that was held to thresholds, in bytes, seconds or a count.",
            "# TYPE dyn_check_value gauge",
            f"dyn_check_value{label} {_number(document['value'])}",
        ]
    return "\n".join(lines) + "\n"


def _number(value: object) -> str:
    """A number as it is read by programs: no exponent, no fraction of nothing."""
    if not isinstance(value, float):
        return str(value)
    return str(int(value)) if value.is_integer() else f"{value:.3f}"


def _figure(value: float, unit: str) -> str:
    if unit == "B":
        return size_text(int(value))
    if unit == "s":
        return duration_text(value) if value >= 60 else f"{value:g} s"
    return f"{value:g}"

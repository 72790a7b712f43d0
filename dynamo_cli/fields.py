"""`--field PATH`: one field of a JSON document as text, for scripts that have no jq.

A path is names and numbers with dots: `nodes.0.name`. `*` stands for each item of a list, or each value of an object,
one a line. What comes out is what `jq -r` would print: texts as they are, everything else as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from dynamo_cli.errors import CliError, usage
from dynamo_cli.exit_status import ExitStatus

EACH = "*"
NAMES_SHOWN = 12


def pick(text: str, path: str, *, safe: bool) -> str:
    """The field of each JSON document in `text`, one document a line. Raises NOT_FOUND, or a usage error.

    `safe`: for a terminal, which would obey what others may have put into a text.
    """
    from dynamo_cli.render.plain import show_lines

    picked = []
    for line in filter(None, text.split("\n")):
        try:
            document = json.loads(line)
        except ValueError:
            raise usage("--field picks from JSON, and this command prints none", "Leave out --field") from None
        picked += [_text(value) for value in _walk(document, path.split("."), path)]
    if safe:
        picked = [show_lines(value.encode("utf-8", "surrogatepass")) for value in picked]
    return "".join(f"{value}\n" for value in picked)


def _walk(value: object, steps: list[str], path: str) -> Iterator[object]:
    if not steps:
        yield value
        return
    step, rest = steps[0], steps[1:]
    if step == EACH and isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _walk(item, rest, path)
    elif isinstance(value, dict) and step in value:
        yield from _walk(value[step], rest, path)
    elif isinstance(value, list) and _is_index(step) and -len(value) <= int(step) < len(value):
        yield from _walk(value[int(step)], rest, path)
    else:
        raise CliError(ExitStatus.NOT_FOUND, f"no field {path!r}: {_why(value, step)}", "See all of it: -o json")


def _is_index(step: str) -> bool:
    return step.isascii() and step.removeprefix("-").isdigit() and len(step) < NAMES_SHOWN


def _why(value: object, step: str) -> str:
    if isinstance(value, dict):
        names = list(value)
        more = ", …" if len(names) > NAMES_SHOWN else ""
        return f"there are {', '.join(names[:NAMES_SHOWN])}{more}"
    if isinstance(value, list):
        return f"a list of {len(value)} takes a number or *, not {step!r}"
    return f"nothing is within {_text(value)[:40]!r}"


def _text(value: object) -> str:
    from dynamo_cli.render.plain import json_text

    return value if isinstance(value, str) else json_text(value).rstrip("\n")

"""What a script expects of its commands, as comments under each: a script stays a script, and becomes a test.

    get user:7            a command
    #= Ada                a line of its results, exactly
    #~ {n1:2} at <time>   a line with places for what differs from run to run
    #...                  any lines
    #! 3 no key           how it ends, if not with 0 (`#! 0|3`: either), and how its error begins
    #? 10s                how long all this may take to come true, for a command that only reads

Pure: recording makes the lines, checking compares them.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence
from typing import NamedTuple

from dynamo_cli.arguments import seconds
from dynamo_cli.errors import usage
from dynamo_cli.exit_status import ExitStatus
from dynamo_cli.render.plain import show

PLACES = {
    "<time>": r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?Z?",
    "<clock>": r'(?:\{"?[\w.-]+"?: ?\d+(?:, ?"?[\w.-]+"?: ?\d+)*\}|(?<="past":)\{\})',
    "<dot>": r'(?<="dot":)(?:"[^"]*"|\[[^]]*\])',
    "<writer>": r"[\w.+-]+@[\w.-]+",
    "<address>": r"\d{1,3}(?:\.\d{1,3}){3}:\d{1,5}",
    "<took>": r"\d+(?:\.\d+)? (?:ms|s)\b",
    "<pid>": r"(?<=pid )\d+",
    "<number>": r'(?:(?<=_s":)|(?<=_ms":)|(?<=_ago":))\d+(?:\.\d+)?',
    "<token>": r"\b[A-Za-z0-9_-]{32,}={0,2}",
    "<any>": r".*?",
}
"""What may stand at a place; all but the last are put there by recording."""

ANY_LINES = "#..."
WITHIN_S_MAX = 600.0
LINES_MAX = 1000
"""Expected lines of one command: a script is read by people."""


class Pattern(NamedTuple):
    """One expected line. `exact`: no places in it. `any_lines`: whatever comes, also nothing."""

    text: str
    exact: bool
    any_lines: bool = False

    def matches(self, line: str) -> bool:
        """Whether a line is as expected."""
        return line == self.text if self.exact else re.fullmatch(_regex(self.text), line) is not None


class Step(NamedTuple):
    """One command of a script, where it stands, and what is expected: `lines` None means any."""

    command: str
    where: str
    lines: tuple[Pattern, ...] | None = None
    statuses: tuple[int, ...] = (ExitStatus.OK,)
    error: str = ""
    within_s: float = 0.0


def _regex(text: str) -> str:
    pieces = re.split(f"({'|'.join(map(re.escape, PLACES))})", text)
    return "".join(PLACES.get(piece) or re.escape(piece) for piece in pieces)


def safe_lines(text: str) -> list[str]:
    """The lines of a result as they are written and compared: what a terminal would obey is an escape."""
    lines = text.split("\n")
    return ["\t".join(map(show, line.split("\t"))) for line in (lines if lines[-1] else lines[:-1])]


def placed(line: str) -> Pattern:
    """A line that was seen as one that is expected: what differs from run to run becomes a place."""
    text = line
    for name, regex in PLACES.items():
        if name != "<any>":
            text = re.sub(regex, name, text)
    return Pattern(text, text == line)


def recorded(command: str, out: str, status: int, error: str) -> str:
    """The command with what came of it, as lines of a script."""
    patterns = map(placed, safe_lines(out))
    lines = [command, *(f"#{'=' if pattern.exact else '~'} {pattern.text}" for pattern in patterns)]
    if status != ExitStatus.OK:
        lines.append(f"#! {int(status)} {placed(error).text}".rstrip())
    return "".join(f"{line}\n" for line in lines)


def with_expectation(step: Step, line: str, where: str) -> Step:
    """The step with what a comment line expects of it; the step itself if it is a mere comment. Raises CliError."""
    mark, text = line[:2], line[2:].removeprefix(" ")
    if line.rstrip() == ANY_LINES:
        return step._replace(lines=(*(step.lines or ()), Pattern("", exact=False, any_lines=True)))
    if mark in ("#=", "#~"):
        if len(step.lines or ()) >= LINES_MAX:
            raise usage(f"{where}: more than {LINES_MAX} lines are expected of one command")
        return step._replace(lines=(*(step.lines or ()), Pattern(text, exact=mark == "#=")))
    if mark == "#!":
        codes, _, error = text.partition(" ")
        try:
            return step._replace(statuses=tuple(int(ExitStatus(int(code))) for code in codes.split("|")), error=error)
        except ValueError:
            raise usage(f"{where}: {codes!r} is no exit code", "See them: dyn help exit-codes") from None
    if mark == "#?":
        try:
            return step._replace(within_s=seconds(text.strip(), most=WITHIN_S_MAX))
        except ValueError as error:
            raise usage(f"{where}: {error}") from None
    return step


def lines_match(expected: Sequence[Pattern], found: Sequence[str]) -> bool:
    """Whether the lines are as expected, `#...` standing for any number of them."""
    reached = {0}  # how many expected lines may be used up by the found ones so far
    for line in found:
        reached = {
            after
            for at in _past_any(expected, reached)
            if at < len(expected)
            for after in ([at] if expected[at].any_lines else [at + 1] if expected[at].matches(line) else [])
        }
    return len(expected) in _past_any(expected, reached)


def _past_any(expected: Sequence[Pattern], reached: set[int]) -> set[int]:
    """The places reached, and those behind the `#...` that stand there."""
    grown = set(reached)
    for at in sorted(reached):
        while at < len(expected) and expected[at].any_lines:
            at += 1
            grown.add(at)
    return grown


def difference(step: Step, out: str, status: int, error: str) -> list[str]:
    """What is not as expected, in lines: `-` expected, `+` found; empty when all is."""
    told = []
    if status not in step.statuses:
        wanted = " or ".join(str(code) for code in step.statuses)
        told += [f"- exit code {wanted}", f"+ exit code {int(status)}" + (f": {error}" if error else "")]
    elif step.error and not re.match(_regex(step.error), error):
        told += [f"- {step.error}", f"+ {error}"]
    found = safe_lines(out)
    if step.lines is not None and not lines_match(step.lines, found):
        wanted_lines = ["…" if pattern.any_lines else pattern.text for pattern in step.lines]
        alike = [next((p.text for p in step.lines if not p.any_lines and p.matches(line)), line) for line in found]
        lines = list(difflib.unified_diff(wanted_lines, alike, n=1, lineterm=""))[2:]
        told += [f"{line[:1]} {line[1:]}".rstrip() for line in lines if not line.startswith("@@")]
    return told

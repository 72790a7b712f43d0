"""Measurements that were kept: written beside each other in the state directory, found again, compared."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus

Document = dict[str, Any]

KEPT_MAX = 200
"""Runs that are kept; the oldest go."""
RUN_BYTES_MAX = 32 * 1024 * 1024
_NAME = re.compile(r"\d{4}-\d\d-\d\dT\d{6}(-\d+)?\.json")
COMPARED = ("op", "reads_percent", "clients", "pipeline", "size_bytes", "keys", "rate", "dist")
"""What must be the same of two plans for their figures to say something about each other."""


def runs(folder: Path) -> list[Path]:
    """The kept runs, the oldest first."""
    try:
        found = [path for path in folder.iterdir() if _NAME.fullmatch(path.name)]
    except OSError:
        return []
    return sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name))


def save(folder: Path, document: Document, now: datetime) -> Path:
    """Keep a run; where it is. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    stem, number = f"{now:%Y-%m-%dT%H%M%S}", 1
    while True:
        path = folder / (f"{stem}.json" if number == 1 else f"{stem}-{number}.json")
        try:
            with path.open("x", encoding="utf-8") as file:
                file.write(json.dumps(document) + "\n")
            break
        except FileExistsError:
            number += 1
    for old in runs(folder)[:-KEPT_MAX]:
        old.unlink(missing_ok=True)
    return path


def load(path: Path) -> Document:
    """A kept run. Raises CliError for what is none."""
    try:
        with path.open("rb") as file:
            document = json.loads(file.read(RUN_BYTES_MAX))
        if document["schema"] != "dyn.bench/v1" or not isinstance(document["plan"], dict):
            raise ValueError("no dyn.bench/v1 document")
        for figures in document["ops"].values():
            float(figures["ops_per_s"])
            float(figures["p99_ms"])
        float(document["ops_per_s"])
    except OSError as error:
        raise CliError(ExitStatus.FAILURE, f"cannot read {path}: {error.strerror}", "See: dyn bench --help") from None
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise CliError(
            ExitStatus.FAILURE, f"{path} is no measurement ({error})", "Make one: dyn bench --json > FILE"
        ) from None
    return dict(document)


def last_like(folder: Path, document: Document) -> tuple[Path, Document] | None:
    """The last kept run of the same plan and as many nodes, None without one."""
    for path in reversed(runs(folder)):
        try:
            found = load(path)
        except CliError:
            continue
        if not differing(found, document):
            return path, found
    return None


def differing(one: Document, other: Document) -> list[str]:
    """In what two measurements differ, so that their figures cannot be compared as they are."""
    names = [name for name in COMPARED if one["plan"].get(name) != other["plan"].get(name)]
    if len(one.get("nodes") or ()) != len(other.get("nodes") or ()):
        names.append("nodes")
    if [fault["fault"] for fault in one.get("faults") or ()] != [fault["fault"] for fault in other.get("faults") or ()]:
        names.append("faults")
    return names


def compared(before: Document, now: Document, name: str) -> Document:
    """How the present figures differ from those of another run: rates in per cent, p99 in milliseconds."""
    ops = {}
    for op, figures in now["ops"].items():
        then = before["ops"].get(op)
        if then is not None:
            ops[op] = {
                "ops_percent": _percent(then["ops_per_s"], figures["ops_per_s"]),
                "p99_ms": round(figures["p99_ms"] - then["p99_ms"], 3),
            }
    return {
        "with": name,
        "differing": differing(before, now),
        "ops_percent": _percent(before["ops_per_s"], now["ops_per_s"]),
        "ops": ops,
    }


def _percent(before: float, now: float | None) -> float | None:
    return None if not before or now is None else round((now / before - 1) * 100, 1)

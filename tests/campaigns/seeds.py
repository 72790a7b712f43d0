"""Many seeds of the simulator, in sittings: what is done is remembered, and the next start goes on from there.

    python -m tests.campaigns.seeds --seeds 1-50000 --jobs 2 --record seeds.json
    python -m tests.campaigns.seeds --elastic --seeds 1-20000 --jobs 2 --record seeds.json      the ring changes, too

Runs the package as it is installed (compiled, if it was), not the checkout. Ctrl-C is safe: what was finished is in the
file. A record counts for one code: the file names it, and seeds of another one are a row of their own. Prints the rows
for tests/RESULTS.md, and exits 1 if a seed failed, or if a mark was never reached.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

from node.sim.marks import ELASTIC, REQUIRED

ROOT = Path(__file__).parents[2]
SITTING_SEEDS = 250
"""Seeds between two looks at the record: what is lost at most."""

WRITES = ("put ok", "set ok", "delete ok", "del ok")


def run_seeds(first: int, last: int, jobs: int, *, elastic: bool = False) -> dict[str, Any]:
    """Run a range of seeds in processes of their own: what `--json` says. Failing ones are told at once."""
    command = [sys.executable, "-P", "-m", "node.sim", "--seeds", f"{first}-{last}", "--jobs", str(jobs), "--json"]
    command += ["--elastic"] if elastic else []
    done = subprocess.run(command, cwd="/", stdout=subprocess.PIPE, text=True, check=False)
    *told, summary = done.stdout.splitlines() or [""]
    if told:
        print("\n".join(told), flush=True)
    if not summary.startswith("{"):
        raise RuntimeError(f"seeds {first}-{last} ended with status {done.returncode}: {summary}")
    report = json.loads(summary)
    assert isinstance(report, dict)
    assert report["seeds"] == last + 1 - first, "a seed is missing"
    return report


def code() -> str:
    """What stands for the code under test: a digest of the sources that decide what a seed does."""
    digest = blake2b(digest_size=6)
    for path in sorted((ROOT / "node").rglob("*.py")):
        if path.parent.name in ("core", "wire", "engine", "sim") or path.name in ("records.py", "port.py"):
            digest.update(path.read_bytes())
    return digest.hexdigest()


class Record:
    """What was run so far, by code: rows of JSON in a file that is replaced, never cut short."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        found = path is not None and path.exists()
        self.rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8")) if path and found else []

    def row(self, first: int, *, elastic: bool = False) -> dict[str, Any]:
        """The row of this code, for seeds from `first` on."""
        now = code()
        for row in self.rows:
            if (row["code"], row["first"], row.get("elastic", False)) == (now, first, elastic):
                return row
        begun = {"code": now, "first": first, "last": first - 1, "elastic": elastic}
        self.rows.append(begun | {"failed": [], "seconds": 0.0, "requests": {}, "marks": {}})
        return self.rows[-1]

    def add(self, row: dict[str, Any], report: dict[str, Any]) -> None:
        """Seeds were run."""
        row["last"] += report["seeds"]
        row["failed"] += report["failed"]
        row["seconds"] += report["seconds"]
        for counted in ("requests", "marks"):
            row[counted] = dict(Counter(row[counted]) + Counter(report[counted]))
        if self.path is not None:
            fresh = self.path.with_suffix(".new")
            fresh.write_text(json.dumps(self.rows), encoding="utf-8")
            os.replace(fresh, self.path)


def wanted(row: dict[str, Any]) -> Iterable[str]:
    """The marks that such a campaign must reach."""
    return ELASTIC if row.get("elastic") else REQUIRED


def table(rows: list[dict[str, Any]]) -> Iterator[str]:
    """The rows for tests/RESULTS.md. With none of n seeds failing, at most 3/n fail, with 95 % confidence."""
    yield "| code | ring | seeds | failed | 95 % bound | requests | acknowledged writes | hours | marks never reached |"
    yield "|---|---|---|---:|---:|---:|---:|---:|---|"
    for row in rows:
        count = row["last"] + 1 - row["first"]
        failed, bound = len(row["failed"]), f"{300 / count:.4f} %" if count and not row["failed"] else "-"
        writes = sum(row["requests"].get(kind, 0) for kind in WRITES)
        missing = ", ".join(mark for mark in wanted(row) if not row["marks"].get(mark)) or "none"
        ring = "changing" if row.get("elastic") else "stable"
        yield (
            f"| {row['code']} | {ring} | {row['first']}-{row['last']} | {failed} | {bound} "
            f"| {sum(row['requests'].values()):,} | {writes:,} | {row['seconds'] / 3600:.2f} | {missing} |"
        )


def main(arguments: list[str] | None = None) -> int:
    """Go on with the campaign; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.campaigns.seeds", description=__doc__.partition("\n")[0])
    parser.add_argument("--seeds", default="1-50000", metavar="FIRST-LAST")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--elastic", action="store_true", help="nodes come and go while clients write")
    parser.add_argument("--record", type=Path, metavar="FILE", help="where to remember what is done")
    options = parser.parse_args(arguments)
    first, last = map(int, options.seeds.split("-"))
    record = Record(options.record)
    row = record.row(first, elastic=options.elastic)
    try:
        while row["last"] < last:
            begin = row["last"] + 1
            record.add(
                row, run_seeds(begin, min(begin + SITTING_SEEDS - 1, last), options.jobs, elastic=options.elastic)
            )
            print(f"{row['last']} of {last}, {len(row['failed'])} failed", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print("stopped; the same line goes on from here", file=sys.stderr)
    print("\n".join(table(record.rows)))
    if row["last"] < last:
        return 130
    return int(bool(row["failed"]) or any(not row["marks"].get(mark) for mark in wanted(row)))


if __name__ == "__main__":
    sys.exit(main())

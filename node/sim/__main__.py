"""Run seeds: one in full, a range as a campaign, or as many as fit into some minutes.

    python -m node.sim --seed 7              one run: options, verdicts, trace hash, marks, the line that replays it
    python -m node.sim --seeds 1-300 --jobs 2    (--json: the sum as one line of JSON, for a program)
    python -m node.sim --minutes 5           seeds from a random place on

Exit status: 0 if nothing was violated (and, in a campaign over 300 seeds or more, every mark was reached), else 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import count, islice, takewhile
from multiprocessing import get_context
from random import SystemRandom

from node.sim.checkers import Answer
from node.sim.faults import Options
from node.sim.marks import ELASTIC, REQUIRED
from node.sim.run import Outcome, collect_seldom, run
from node.sim.safeguards import Safeguard

CAMPAIGN_SEEDS = 300
"""From so many seeds on, a campaign must reach every mark."""

BATCH_SEEDS = 16
"""Seeds that a process of a campaign is given at a time."""


def main(arguments: list[str] | None = None) -> int:
    """Run what the command line asks for; return the exit status."""
    options = _parser().parse_args(arguments)
    off = Safeguard[options.off] if options.off else None
    if options.seed is not None:
        outcome = run(options.seed, options.ops, off, elastic=options.elastic, tail=options.trace)
        _say(*_report(outcome, options.ops, off), *([*outcome.tail] if options.trace else []))
        return int(outcome.violated)
    if options.minutes is not None:
        first = SystemRandom().randrange(10**6, 10**9) if options.seeds is None else options.seeds[0]
        end = time.monotonic() + 60 * options.minutes
        seeds: Iterable[int] = takewhile(lambda _: time.monotonic() < end, count(first))
        return _campaign(seeds, None, options, off)
    first, last = options.seeds or (1, CAMPAIGN_SEEDS)
    return _campaign(range(first, last + 1), last + 1 - first, options, off)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m node.sim", description=__doc__.partition("\n")[0])
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--seed", type=int, help="run this one and tell everything")
    what.add_argument("--seeds", type=_range, help="a campaign over FIRST-LAST (default 1-300)", metavar="FIRST-LAST")
    parser.add_argument(
        "--minutes", type=float, help="a campaign for so long, from a random seed or the first of --seeds"
    )
    parser.add_argument("--ops", type=int, help="requests of each run (default: drawn from the seed, 100 to 400)")
    parser.add_argument("--jobs", type=int, default=1, help="processes of a campaign (default 1)")
    parser.add_argument("--elastic", action="store_true", help="nodes come and go while clients write")
    parser.add_argument("--json", action="store_true", help="tell the sum of a campaign as one line of JSON")
    parser.add_argument("--trace", type=int, default=0, metavar="LINES", help="show the last steps of the run")
    parser.add_argument("--off", choices=[safeguard.name for safeguard in Safeguard], help="leave out one safeguard")
    return parser


def _range(text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    if not (first.isdigit() and (last.isdigit() or not dash)):
        raise argparse.ArgumentTypeError(f"{text!r} is not FIRST-LAST")
    return int(first), int(last or first)


def _campaign(seeds: Iterable[int], total: int | None, options: argparse.Namespace, off: Safeguard | None) -> int:
    """Run many seeds; tell each failing one at once, and the sum at the end."""
    marks: Counter[str] = Counter()
    endings: Counter[str] = Counter()
    failed: list[int] = []
    done = 0
    begun = time.monotonic()
    for outcome in _outcomes(seeds, options.ops, off, options.jobs, elastic=options.elastic):
        done += 1
        marks += outcome.marks
        endings += outcome.endings
        if outcome.violated:
            failed.append(outcome.options.seed)
            _progress("")
            _say(*_report(outcome, options.ops, off))
        of = f" of {total}" if total else ""
        _progress(f"{done}{of} seeds, {len(failed)} failed, {done / (time.monotonic() - begun):.1f} seeds/s")
    _progress("")
    wanted = ELASTIC if options.elastic else REQUIRED
    missing = [mark for mark in wanted if not marks[mark]]
    seconds = time.monotonic() - begun
    if options.json:
        told = {"seeds": done, "failed": failed, "seconds": seconds, "requests": endings, "marks": marks}
        _say(json.dumps(told))
        return int(bool(failed))
    _say("requests: " + ", ".join(f"{how} {times}" for how, times in sorted(endings.items())))
    _say("marks: " + ", ".join(f"{mark} {marks[mark]}" for mark in (*REQUIRED, *ELASTIC)))
    if missing:
        _say(f"never reached: {', '.join(missing)}")
    _say(f"{done} seeds, {len(failed)} failed, {endings.total()} requests, {seconds:.0f} s")
    return int(bool(failed) or (done >= CAMPAIGN_SEEDS and off is None and bool(missing)))


def _outcomes(
    seeds: Iterable[int], ops: int | None, off: Safeguard | None, jobs: int, *, elastic: bool
) -> Iterator[Outcome]:
    one = partial(run, ops=ops, off=off, elastic=elastic, tail=0)
    if jobs <= 1:
        collect_seldom()
        yield from map(one, seeds)
        return
    waiting = iter(seeds)
    with get_context("spawn").Pool(jobs, collect_seldom) as pool:
        while batch := list(islice(waiting, BATCH_SEEDS * jobs)):  # the pool would read an endless stream to its end
            yield from pool.imap(one, batch)


def _report(outcome: Outcome, ops: int | None, off: Safeguard | None) -> list[str]:
    """One run in words."""
    lines = [
        f"seed {outcome.options.seed}",
        f"options: {outcome.options.describe()}",
        f"faults: {len(outcome.faults)}",
        *(f"    {fault}" for fault in outcome.faults),
    ]
    for verdict in outcome.verdicts:
        lines.append(f"{verdict.checker:24} {verdict.answer.value}")
        if verdict.answer is not Answer.OK:
            lines += [f"    {evidence}" for evidence in verdict.evidence]
    lines += [
        "requests: " + ", ".join(f"{how} {times}" for how, times in sorted(outcome.endings.items())),
        "marks: " + ", ".join(f"{mark} {outcome.marks[mark]}" for mark in (*REQUIRED, *ELASTIC) if outcome.marks[mark]),
        f"trace: {outcome.trace} ({outcome.steps} steps, {outcome.virtual_s:.1f} s of virtual time)",
        f"replay: {_replay(outcome.options, ops, off)}",
    ]
    return lines


def _replay(options: Options, ops: int | None, off: Safeguard | None) -> str:
    more = (f" --ops {ops}" if ops is not None else "") + (f" --off {off.name}" if off is not None else "")
    more += " --elastic" if options.change_every_s else ""
    return f"python -m node.sim --seed {options.seed}{more} --trace 400"


def _say(*lines: str) -> None:
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def _progress(text: str) -> None:
    """Show how far it is, on a terminal only; "" takes the line away."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())

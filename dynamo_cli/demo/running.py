"""A demo from its folder to its end: made, entered among those that run, started; and whatever happens, cleaned up."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from dynamo_cli.demo import registry
from dynamo_cli.demo.changing import described, write_record
from dynamo_cli.demo.processes import DemoCluster, places_of
from dynamo_cli.demo.room import make_folder
from dynamo_cli.demo.samples import seed
from dynamo_cli.demo.seen import DEFAULT_PORT, late
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus

Document = dict[str, Any]

BACKGROUND = "background"
"""What holds a demo that has no terminal."""
FOREGROUND, SHELL = "foreground", "shell"
TOUR = "tour"
"""What plays on one without a reader; it writes its own keys."""


class Wanted(NamedTuple):
    """What to start: nodes by their numbers; `keep`: the folder that stays. `state`: where running demos are listed.

    `nrw` as `dyn node start` takes it, "" for its default; `seed`: one of `samples.SEEDS`, what a new one holds.
    """

    numbers: Mapping[str, int]
    base_port: int
    keep: str | None
    state: Path
    nrw: str = ""
    latency_ms: float = 0.0
    seed: str = "carts"


class Running(NamedTuple):
    """A demo that runs. `name`: what `dyn demo ls` calls it; "" if it could not be listed, `unlisted` says why.

    `holds`: the sample data in it, in words; "" for none.
    """

    cluster: DemoCluster
    name: str
    unlisted: str
    started_at: str
    took_s: float
    holds: str

    @property
    def document(self) -> Document:
        """For programs: a dyn.demo.started/v1 document."""
        cluster = self.cluster
        return {
            "schema": "dyn.demo.started/v1", "name": self.name or None, "folder": str(cluster.folder),
            "temporary": cluster.temporary, "base_port": cluster.base_port, "started_at": self.started_at,
            "took_s": round(self.took_s, 2), "latency_ms": cluster.latency_ms,
            "holds": self.holds or None,
            "nodes": [described(node) for node in cluster],
            "environment": {"DYN_NODES": ",".join(cluster.addresses)},
        }  # fmt: skip


@contextmanager
def running(
    wanted: Wanted,
    environ: Mapping[str, str],
    by: str,
    *,
    made: Callable[[Path, bool], None] = lambda folder, temporary: None,
    tell: Callable[[int, int], None] = lambda ready, count: None,
) -> Iterator[Running]:
    """Start a demo, and end it with the context.

    `made` hears of its folder, and whether it is temporary. Raises CliError, NodeFailed among others.
    """
    places = places_of(wanted.numbers, wanted.base_port)
    folder, temporary = make_folder(wanted.keep)
    started_at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    held, unlisted = _held(wanted, folder, temporary)
    if by == BACKGROUND and unlisted:
        if temporary:
            folder.rmdir()
        raise CliError(
            ExitStatus.FAILURE, f"a demo in the background could not be found again: {unlisted}",
            "Name a place where it can be noted: XDG_STATE_HOME=DIR",
        )  # fmt: skip
    cluster = None
    try:
        if held is not None:
            addresses = tuple(place.address for place in places)
            held.write(
                registry.Entry(held.name, folder, wanted.base_port, temporary, os.getpid(), started_at, by, addresses)
            )
        cluster = DemoCluster(
            folder, places, environ, temporary=temporary,
            base_port=wanted.base_port, entry=held.path if held is not None else None,
            nrw=wanted.nrw, latency_ms=wanted.latency_ms,
        )  # fmt: skip
        made(folder, temporary)
        new = not any(node.data.exists() for node in cluster)
        took_s = cluster.start(tell)
        if not temporary:
            write_record(cluster)
        holds = ""
        if new and by != TOUR:
            holds = seed(cluster, wanted.seed)
        late(cluster)  # once it holds what it is to hold
        yield Running(cluster, held.name if held is not None else "", unlisted, started_at, took_s, holds)
    finally:
        if cluster is not None:
            cluster.close()
        if held is not None:
            held.close(forget=temporary)


def _held(wanted: Wanted, folder: Path, temporary: bool) -> tuple[registry.Held | None, str]:
    """The entry of this demo; None and why, where none can be written. Raises CliError for a folder that is in use."""
    name = folder.name if not temporary else "demo"
    if temporary and wanted.base_port != DEFAULT_PORT:
        name = f"demo-{wanted.base_port}"
    try:
        return registry.claim(wanted.state, name, None if temporary else folder), ""
    except OSError as error:
        return None, f"{error.strerror or error} ({wanted.state})"
    except CliError:
        if temporary:
            folder.rmdir()
        raise

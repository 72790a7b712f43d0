"""The process that holds a demo in the background: it tells its parent how the start went, and then waits to be ended.

What it says is a JSON object a line: `ready` (how many nodes are), then `done` with a dyn.demo.started/v1 document, or
`failed`. A parent that goes away before that ends the demo.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from dynamo_cli.demo.changing import Changes, Step
from dynamo_cli.demo.control import Control, failed, told
from dynamo_cli.demo.crashes import Crashes
from dynamo_cli.demo.processes import child_environ, program
from dynamo_cli.demo.running import BACKGROUND, Wanted, running
from dynamo_cli.errors import CliError

LOG = "demo.log"
"""In the demo's folder: which nodes ended that should not have."""


def main(argv: Sequence[str]) -> int:
    """Hold the demo that the first word describes."""
    given = json.loads(argv[0])
    wanted = Wanted(**{**given, "state": Path(given["state"])})
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _leave)
    try:
        with running(wanted, os.environ, BACKGROUND, tell=_ready) as demo:
            _serve(Changes(demo.cluster), demo.document)
    except CliError as error:
        _say(failed(error))
        return int(error.status)
    except BrokenPipeError:
        pass  # nobody has heard that it runs: it is as if it had not
    return 0


def _serve(changes: Changes, document: dict[str, Any]) -> None:
    """Say that it runs, let the parent go, and take orders until a signal comes."""
    control = Control(changes)
    control.start()
    try:
        _say({"step": "done", "document": document})
        with (changes.cluster.folder / LOG).open("ab") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        Crashes(changes.cluster, _note).start()
        threading.Event().wait()
    finally:
        control.close()


def _leave(number: int, frame: FrameType | None) -> None:
    for again in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(again, signal.SIG_IGN)
    raise SystemExit(0)


def _note(text: str) -> None:
    """A line for the log."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _ready(ready: int, count: int) -> None:
    _say({"step": "ready", "ready": ready, "count": count})


def _say(step: Step) -> None:
    sys.stdout.write(json.dumps(step) + "\n")
    sys.stdout.flush()


def launch(wanted: Wanted, environ: Mapping[str, str]) -> Iterator[Step]:
    """Start a demo in the background; the steps of its start. Raises CliError. Whoever stops listening ends it."""
    given = {**wanted._asdict(), "numbers": dict(wanted.numbers), "state": str(wanted.state)}
    process = subprocess.Popen(
        program("dynamo_cli.demo.host", json.dumps(given)), env=child_environ(environ), cwd="/",
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    done = False
    try:
        for step in told(process.stdout):
            done = step["step"] == "done"
            yield step
    finally:
        if not done:
            with suppress(ProcessLookupError):
                process.terminate()
            process.wait()
        process.stdout.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

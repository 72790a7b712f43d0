"""Outlives the demo by a moment: when the demo is killed, this ends its nodes and removes what they wrote.

It leads the process group that all nodes of the demo run in, so none can be missed. Its standard input is a pipe whose
other end only the demo holds: the end of that pipe means that the demo is gone, however it went.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

STOP_S = 5.0
"""How long nodes may take to stop cleanly."""
KILL_S = 2.0
"""How long the kernel may take to end what was killed."""


def main(argv: list[str]) -> int:
    """Wait for the end of standard input, then end the process group; `argv` names its folder, and its entry."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    while os.read(0, 1):
        pass
    group = os.getpgid(0)
    if os.fork():
        return 0  # the group then holds nodes only; it lives on while one of them does
    os.setpgid(0, 0)
    end(group)
    for path in map(Path, argv):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            from dynamo_cli.demo.registry import remove_left

            remove_left(path)
    return 0


def end(group: int) -> None:
    """Stop every process of a group: ask, wait, insist."""
    for number, patience_s in ((signal.SIGTERM, STOP_S), (signal.SIGKILL, KILL_S)):
        with suppress(ProcessLookupError):
            os.killpg(group, number)
            os.killpg(group, signal.SIGCONT)  # one that is stopped hears nothing else
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            try:
                os.killpg(group, 0)
            except ProcessLookupError:
                return
            time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

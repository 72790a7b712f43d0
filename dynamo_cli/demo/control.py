"""Orders to a running demo from another terminal: a socket in its folder, which only its owner may open.

The demo's process owns its nodes: they end with it, whatever ends it. So `dyn demo add` asks it, and is told step by
step what happens (`demo.changing`): a JSON object a line, the last one `done` or `failed`.
"""

from __future__ import annotations

import json
import os
import socket
import socketserver
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dynamo_cli.demo.acts import ACTS
from dynamo_cli.demo.changing import Changes, Step, described
from dynamo_cli.demo.processes import DemoNode, NodeFailed
from dynamo_cli.errors import CliError
from dynamo_cli.exit_status import ExitStatus

SOCKET = "control"
ORDER_BYTES_MAX = 4 * 1024
STEP_BYTES_MAX = 1024 * 1024
"""The longest step is a document of a move of every partition."""
ORDER_S = 5.0
"""Who connects says at once what it wants."""
SILENCE_S = 90.0
"""Between two steps: as long as a new process may take to start, and then some."""
PATH_BYTES_MAX = 100
"""What a socket's address has room for, on every system."""


class DemoFailed(CliError):
    """What a demo says that went wrong. `lines` are the last ones of a node's log, to be shown above the error."""

    def __init__(self, step: Step) -> None:
        known = {int(status): status for status in ExitStatus}
        status = known.get(step.get("status", 1), ExitStatus.FAILURE)
        super().__init__(status, str(step.get("message")), str(step.get("hint", "")), code=str(step.get("code", "")))
        self.lines = [str(line) for line in step.get("lines", ())]


class Control:
    """Takes orders for one demo, in threads of its own, from `start` to `close`."""

    def __init__(self, changes: Changes) -> None:
        self.path = changes.cluster.folder / SOCKET

        class Handler(socketserver.StreamRequestHandler):
            timeout = ORDER_S

            def handle(self) -> None:
                with suppress(OSError):
                    _obey(changes, self.rfile.readline(ORDER_BYTES_MAX), self.wfile.write)

        self.path.unlink(missing_ok=True)  # of a demo in the same folder that was killed
        before = os.umask(0o177)
        try:
            with reachable(self.path) as name:
                self._server = _Server(name, Handler)
        finally:
            os.umask(before)
        self._thread = threading.Thread(target=self._server.serve_forever, name="control", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """Take no more orders. One that is being carried out ends with the demo."""
        self._server.shutdown()
        self._server.server_close()
        self.path.unlink(missing_ok=True)


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing in the middle of somebody's prompt: who gave the order sees that it ended."""


def _obey(changes: Changes, line: bytes, write: Any) -> None:  # noqa: ANN401  # what socketserver calls a file
    """Carry out one order, to its end also if nobody listens any more."""

    def tell(step: Step) -> None:
        with suppress(OSError):
            write(json.dumps(step).encode() + b"\n")

    try:
        for step in steps_of(changes, *_read(line)):
            tell(step)
    except CliError as error:
        tell(failed(error))


def failed(error: CliError) -> Step:
    """The step that says what went wrong."""
    lines = error.lines if isinstance(error, NodeFailed) else []
    said = {"status": int(error.status), "message": error.message, "hint": error.hint, "code": error.code}
    return {"step": "failed", **said, "lines": lines}


def _read(line: bytes) -> tuple[Any, Any]:
    """What to do, and with which node; None of each for what makes no sense."""
    try:
        order = json.loads(line)
        return order["do"], order["name"]
    except (ValueError, TypeError, KeyError):
        return None, None


def steps_of(changes: Changes, do: object, name: object) -> Iterator[Step]:
    """The steps of an order, whoever gives it. Raises CliError."""
    cluster = changes.cluster
    if do == "nodes":
        found = [{**described(node), **last_words(node)} for node in cluster]
        return iter([{"step": "done", "document": {"nodes": found, "latency_ms": cluster.latency_ms}}])
    if do == "add" and (name is None or isinstance(name, str)):
        return changes.add(name)
    if do == "remove" and isinstance(name, str):
        return changes.remove(name)
    if isinstance(name, str) and isinstance(do, str) and do in ACTS:
        return ACTS[do](changes, name)
    raise CliError(ExitStatus.USAGE, "the demo does not know this order", "Is it another version of dyn?")


def last_words(node: DemoNode) -> dict[str, Any]:
    """How a node ended that does not run, and what it said last if it has crashed."""
    return {"how": node.how if node.ended else None, "said": node.last_lines if node.crashed else []}


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """A name of a socket's path that is short enough for its address."""
    if len(os.fsencode(path)) <= PATH_BYTES_MAX:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def order(folder: Path, do: str, name: str | None) -> Iterator[Step]:
    """Give an order to the demo in `folder`; its steps. Raises CliError, also what it says."""
    gone = CliError(ExitStatus.UNREACHABLE, f"no demo takes orders in {folder}", "Start one: dyn demo")
    path = folder / SOCKET
    try:
        found = path.lstat()
    except OSError:
        raise gone from None
    if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.getuid():
        raise CliError(ExitStatus.REFUSED, f"{path} is not a socket of this user", "Is that your demo?")
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(SILENCE_S)
        try:
            with reachable(path) as short:
                connection.connect(short)
            connection.sendall(json.dumps({"do": do, "name": name}).encode() + b"\n")
        except OSError:
            raise gone from None
        with connection.makefile("rb") as lines:
            yield from told(lines)


def told(lines: Any) -> Iterator[Step]:  # noqa: ANN401  # a socket's file
    """The steps up to the last one. Raises CliError: what the demo says, or that it says no more."""
    while True:
        try:
            line = lines.readline(STEP_BYTES_MAX)
            step = json.loads(line) if line else None
        except (OSError, ValueError):
            step = None
        if not isinstance(step, dict):
            raise CliError(ExitStatus.UNKNOWN, "the demo says no more", "See who is there: dyn cluster status")
        if step.get("step") == "failed":
            raise DemoFailed(step)
        yield step
        if step.get("step") == "done":
            return

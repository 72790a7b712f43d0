"""What the server decides by itself: which exception ends the node, and what the service manager is told."""

from __future__ import annotations

import asyncio
import io
import os
import socket
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from node.runtime.driver import Driver
from node.runtime.log import Log
from node.runtime.measures import Measures
from node.runtime.notify import notify
from node.runtime.server import Server
from node.runtime.watchdog import interval_s
from node.wire.requests import Get


class Broken:
    """An engine with a bug."""

    def step(self, *arguments: object) -> None:
        raise AssertionError("tally added twice")


def ending(cause: Callable[[Driver], Any]) -> tuple[int, bool, str]:
    """Let `cause` happen in a callback of a server's loop: exit status, whether the server stops, its log."""

    async def main() -> tuple[int, bool, str]:
        loop = asyncio.get_running_loop()
        server = object.__new__(Server)
        stream = io.StringIO()
        server.log = Log(stream, lambda: 0.0, monotonic)
        server._stop_code = 0
        server._stopping = loop.create_future()
        loop.set_exception_handler(server._exception)
        measures = Measures(monotonic, totals=lambda: (0, 0, 0, 0, 0), hints=tuple, storage=dict, queues=dict)
        nothing: Any = None
        engine: Any = Broken()
        driver = Driver(engine, nothing, nothing, measures, server.log.fact, lambda: None)
        loop.call_soon(cause, driver)
        for _ in range(3):
            await asyncio.sleep(0)
        return server._stop_code, server._stopping.done(), stream.getvalue()

    return asyncio.run(main())


def test_a_bug_in_the_engine_ends_the_node(capsys: pytest.CaptureFixture[str]) -> None:
    code, stops, log = ending(lambda driver: driver.submit(Get(b"k"), lambda result: None))
    assert (code, stops) == (1, True)
    assert "a bug in dyn ends this node: AssertionError: tally added twice" in log
    assert "Traceback" in capsys.readouterr().err


def test_an_exception_elsewhere_is_told_and_survived() -> None:
    code, stops, log = ending(lambda driver: int("x"))
    assert (code, stops) == (0, False)
    assert "an exception nobody expected: ValueError" in log


@pytest.mark.parametrize("abstract", [False, True])
def test_the_manager_hears_every_line(tmp_path: Path, abstract: bool) -> None:
    name = f"@dyn-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0", 1) if abstract else name)
        notify({"NOTIFY_SOCKET": name}, "READY=1", "STATUS=up")
        manager.settimeout(30)
        assert manager.recv(100) == b"READY=1\nSTATUS=up"


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:1"}, {"NOTIFY_SOCKET": "/no"}])
def test_without_a_manager_nothing_happens(environ: dict[str, str]) -> None:
    notify(environ, "READY=1")


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "1"}, 0.05),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
    ],
)
def test_the_watchdog_is_told_twice_as_often_as_it_asks(environ: dict[str, str], seconds: float | None) -> None:
    assert interval_s(environ, 7) == seconds

"""A real browser for tests: Debian's Chromium without a window, told what to do over a pipe (DevTools protocol).

    with Browser(tmp_path) as browser:
        page = browser.open("http://127.0.0.1:7900/")
        page.wait("document.querySelectorAll('#nodes-body tr').length === 3", "three nodes")
        assert page.problems == []

The pipe is Chromium's own (`--remote-debugging-pipe`: JSON, a zero byte after each), so that no driver of the very same
version is needed, no port is open meanwhile, and whatever ends the test ends the browser.
"""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.helpers.cluster import dying_with_us
from tests.helpers.patience import Patience
from tests.helpers.tools import need

ANSWER_S = 20.0
FLAGS = (
    "--headless", "--no-sandbox", "--remote-debugging-pipe", "--disable-gpu", "--disable-dev-shm-usage",
    "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--hide-scrollbars", "--no-proxy-server",
)  # fmt: skip
"""Without a sandbox: tests run as root in containers, and the only pages are ours."""

PIPES = """
import fcntl, os, sys
pair = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]]
os.dup2(pair[0], 3), os.dup2(pair[1], 4), [os.close(number) for number in pair]
os.execvp(sys.argv[3], sys.argv[3:])
"""
"""Chromium reads from 3 and writes to 4: what these were before may be in each other's place."""


class Browser:
    """One Chromium with a profile of its own in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._program = need("chromium", package="chromium")
        self._last = 0
        self._buffer = b""
        self.pages: dict[str, Page] = {}

    def __enter__(self) -> Browser:
        told, self._say = os.pipe()
        self._hear, said = os.pipe()
        profile = f"--user-data-dir={self._folder / 'chromium'}"
        wrapped = [sys.executable, "-c", PIPES, str(told), str(said), *dying_with_us()]
        self._log = (self._folder / "chromium.log").open("wb")
        self._process = subprocess.Popen(
            [*wrapped, self._program, *FLAGS, profile, "about:blank"], pass_fds=(told, said),
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log, env={**os.environ, "HOME": str(self._folder)},
        )  # fmt: skip
        os.close(told)
        os.close(said)
        return self

    def __exit__(self, *exc: object) -> None:
        os.close(self._say)
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._hear)
        self._log.close()
        shutil.rmtree(self._folder / "chromium", ignore_errors=True)  # 10 MB, of which nobody learns anything

    def open(self, url: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> Page:
        """A new page, on which nothing of others is: no cookies, no cache, no passwords."""
        context = self.call("Target.createBrowserContext")["browserContextId"]
        where = {"url": "about:blank", "browserContextId": context}
        target = self.call("Target.createTarget", where)["targetId"]
        session = self.call("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
        page = self.pages[session] = Page(self, session)
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.call(f"{domain}.enable")
        page.resize(width, height)
        page.prefer(dark=dark)
        page.call("Page.navigate", {"url": url})
        return page

    def call(self, method: str, parameters: Mapping[str, Any] = {}, session: str = "") -> dict[str, Any]:
        """One command of the protocol, and its result."""
        self._last += 1
        message = {"id": self._last, "method": method, "params": parameters} | (
            {"sessionId": session} if session else {}
        )
        os.write(self._say, json.dumps(message).encode() + b"\0")
        patience = Patience(ANSWER_S)
        while True:
            answer = self._read(patience)
            if answer.get("id") == self._last:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result
            if answer.get("sessionId") in self.pages:
                self.pages[answer["sessionId"]].happened(answer["method"], answer["params"])

    def _read(self, patience: Patience) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            assert patience.is_left(), f"Chromium says nothing: {(self._folder / 'chromium.log').read_text()[-2000:]}"
            if select.select([self._hear], [], [], 0.5)[0]:
                data = os.read(self._hear, 1 << 20)
                assert data, f"Chromium ended: {(self._folder / 'chromium.log').read_text()[-2000:]}"
                self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        return message


class Page:
    """One page. `problems` are what its console and its policies complained of, `requests` the URLs it asked for."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.problems: list[str] = []
        self.requests: list[str] = []

    def call(self, method: str, parameters: Mapping[str, Any] = {}) -> dict[str, Any]:
        """One command of the protocol for this page."""
        return self._browser.call(method, parameters, self._session)

    def happened(self, method: str, told: Mapping[str, Any]) -> None:
        """An event of this page."""
        if method == "Network.requestWillBeSent":
            self.requests.append(told["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.problems.append(str(told["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled":
            self.problems.append(f"console.{told['type']}: {[each.get('value') for each in told['args']]}")
        elif method == "Log.entryAdded":
            self.problems.append(f"{told['entry']['source']}: {told['entry']['text']} {told['entry'].get('url')}")

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; a promise is waited for."""
        asked = {"expression": script, "awaitPromise": True, "returnByValue": True}
        answer = self.call("Runtime.evaluate", asked)
        assert "exceptionDetails" not in answer, f"{script}: {answer['exceptionDetails']}"
        return answer["result"].get("value")

    def wait(self, condition: str, what: str, *, seconds: float = ANSWER_S) -> None:
        """Wait until an expression is true of the page."""
        patience = Patience(seconds)
        while patience.is_left():
            if self.run(f"Boolean({condition})"):
                return
            self.run("new Promise(done => setTimeout(done, 30))")
        raise AssertionError(f"waited {seconds} s for {what}: {self.problems}\n{self.text('body')[:3000]}")

    def text(self, selector: str) -> str:
        """What can be read of an element."""
        text: str = self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")
        return text

    def type(self, selector: str, text: str) -> None:
        """Put the focus into a field and type."""
        self.run(f"document.querySelector({json.dumps(selector)}).select()")
        self.call("Input.insertText", {"text": text})

    def press(self, key: str) -> None:
        """Press a key by its name."""
        code = {"Enter": 13, "Tab": 9, " ": 32}[key]
        pressed = {"key": key, "code": key, "windowsVirtualKeyCode": code, "text": {13: "\r", 32: " "}.get(code, "")}
        self.call("Input.dispatchKeyEvent", pressed | {"type": "keyDown"})
        self.call("Input.dispatchKeyEvent", pressed | {"type": "keyUp", "text": ""})

    def click(self, x: float, y: float) -> None:
        """Click at a point of the window."""
        for kind in ("mousePressed", "mouseReleased"):
            at = {"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", at)

    def resize(self, width: int, height: int) -> None:
        """Be so large, in CSS pixels; under 500 a phone."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.call("Emulation.setDeviceMetricsOverride", size)

    def prefer(self, *, dark: bool) -> None:
        """Ask for dark colours, or for light ones."""
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.call("Emulation.setEmulatedMedia", {"features": scheme})

    def picture(self, file: Path) -> None:
        """Save the whole page as PNG: the window is made as long as the page first."""
        width, height = self.run("[innerWidth, document.documentElement.scrollHeight]")
        self.resize(width, height)
        self.run("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        taken = self.call("Page.captureScreenshot", {"format": "png"})
        file.write_bytes(base64.b64decode(taken["data"]))

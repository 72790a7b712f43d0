"""What the HTTP port answers to whom: each path, each reason to refuse, and how little any of it may cost the node."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from node.core.limits import KEY_BYTES_MAX
from node.core.limits_http import (
    HTTP_BURST,
    HTTP_COSTLY_MAX,
    HTTP_COSTLY_PER_S,
    HTTP_DOCUMENT_BYTES_MAX,
    HTTP_FRESH_S,
    HTTP_TOO_LONG_S,
    HTTP_WRONG_PASSWORD_S,
)
from node.runtime.auth import Password
from node.runtime.http import Answer, Question
from node.runtime.site import FILES, FOLDER, Site
from node.wire.requests import Document, Failed, Inspect, KeyPage, Keys, Request, Result
from tests.helpers import documents

SECRET = "correct: horse ✓"


class World:
    """A site over made-up documents, with a clock of its own; with `hold` the engine answers when it is told to."""

    def __init__(self, *, secret: str | None = None, listen: str = "127.0.0.1") -> None:
        self.now = 100.0
        self.asked: list[Inspect | Keys] = []
        self.held: list[Callable[[Result], None]] = []
        self.hold = False
        self.result: Result = Document(json.dumps(documents.status()).encode())
        password = Password(secret.encode()) if secret is not None else None
        self.site = Site(
            self._submit, lambda: ("text/plain", b"figures"), password=lambda: password, listen=listen,
            now=lambda: self.now,
        )  # fmt: skip

    def _submit(self, request: Request, deliver: Callable[[Result], None]) -> None:
        assert isinstance(request, Inspect | Keys)
        self.asked.append(request)
        if self.hold:
            self.held.append(deliver)
        else:
            deliver(self.result)

    def ask(self, path: str, *, method: str = "GET", peer: str = "127.0.0.1", **headers: str) -> list[Answer]:
        """The answers to one request: one, or none as yet."""
        answers: list[Answer] = []
        path, _, query = path.partition("?")
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.site.answer(Question(method, path, query, named, peer), answers.append)
        return answers

    def status(self, path: str, **more: str) -> int:
        (answer,) = self.ask(path, **more)
        return answer.status


def basic(user: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


# The paths --------------------------------------------------------------------------------------------------------


def test_the_paths() -> None:
    world = World()
    for path in FILES:
        (answer,) = world.ask(path)
        assert (answer.status, answer.body != b"") == (200, True)
    for name in ("ring", "status", "stats", "hints", "transfers", "views"):
        assert world.status(f"/api/{name}") == 200
        assert world.asked[-1] == Inspect(name)
    assert world.ask("/metrics") == [Answer(200, "text/plain", b"figures")]
    assert world.status("/health") == 200


@pytest.mark.parametrize(
    "path",
    ["/x", "/api", "/api/", "/api/cluster", "/api/repair", "/api/restore", "/page", "/site.py", "//", "/index.html",
     "/../http.py", "/page/../http.py", "/%2e%2e/http.py", "/page.css%00", "/API/STATUS"],
)  # fmt: skip
def test_there_is_nothing_else(path: str) -> None:
    world = World()
    assert world.status(path) == 404
    assert world.asked == []


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH"])
def test_it_only_reads(method: str) -> None:
    for path in ("/", "/api/status", "/health"):
        (answer,) = World().ask(path, method=method)
        assert (answer.status, answer.headers) == (405, "Allow: GET, HEAD\r\n")


def test_events_come_with_words() -> None:
    world = World()
    event = {"at": "2026-11-23T12:03:11.402Z", "node": "n2", "kind": "peer_down", "address": "\x1b[31m"}
    world.result = Document(json.dumps({"schema": "dyn.events/v1", "events": [event]}).encode())
    (answer,) = world.ask("/api/events")
    (told,) = json.loads(answer.body)["events"]
    assert told == event | {"level": "warn", "said": r"n2 is down (\x1b[31m)"}


# Who may ask ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("localhost", True), ("LOCALHOST:7900", True), ("127.0.0.1", True), ("127.0.0.1:7900", True),
        ("127.1.2.3:80", True), ("[::1]:7900", True), ("[::1]", True),
        ("evil.example", False), ("evil.example:7900", False), ("127.0.0.1.evil.example", False),
        ("localhost.evil.example:7900", False), ("evil@127.0.0.1:7900", False), ("", False), (":7900", False),
        ("10.0.0.1:7900", False), ("0.0.0.0", False), ("[::]", False), ("2130706433", False), ("127.1", False),
    ],
)  # fmt: skip
def test_on_loopback_only_a_name_of_this_machine_is_answered(host: str, ours: bool) -> None:
    """A page of somebody else whose name was made to resolve to 127.0.0.1 is of another origin to no browser."""
    world = World()
    for path in ("/", "/api/status", "/health", "/metrics"):
        assert world.status(path, host=host) == (200 if ours else 421)


def test_elsewhere_a_node_may_have_any_name() -> None:
    world = World(secret=SECRET, listen="10.0.0.1")
    assert world.status("/", host="n1.example", authorization=basic("default", SECRET)) == 200
    assert World(listen="::1").status("/", host="evil.example") == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"sec_fetch_site": "same-origin"}, 200),
        ({"sec_fetch_site": "none"}, 200),
        ({"sec_fetch_site": "same-origin", "origin": "http://localhost:7900"}, 200),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "http://localhost:8000"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_documents_are_for_the_page_itself(headers: dict[str, str], status: int) -> None:
    world = World()
    assert world.status("/api/status", host="localhost:7900", **headers) == status
    assert world.status("/", host="localhost:7900", **headers) == 200, "anybody may link to the page"


GUARDED = ["/", "/page.js", "/api/status", "/api/ring", "/api/explain?key=k", "/api/keys"]


@pytest.mark.parametrize("path", GUARDED)
def test_where_clients_have_a_password_the_page_asks_for_it(path: str) -> None:
    world = World(secret=SECRET)
    (answer,) = world.ask(path)
    assert (answer.status, answer.delay_s) == (401, 0.0)
    assert answer.headers.startswith("WWW-Authenticate: Basic ")
    assert world.asked == []
    for user in ("default", ""):
        assert world.status(path, authorization=basic(user, SECRET)) == 200


@pytest.mark.parametrize(
    "authorization",
    [basic("default", "wrong"), basic("default", ""), basic("root", SECRET), basic("", ""), "Basic", "Basic ",
     "Basic !!!", "Basic " + base64.b64encode(SECRET.encode()).decode(), "Bearer x", "",
     "Digest " + basic("default", SECRET).split()[1], "Basic " + base64.b64encode(b"default").decode()],
)  # fmt: skip
def test_a_wrong_password_is_slow(authorization: str) -> None:
    world = World(secret=SECRET)
    (answer,) = world.ask("/api/explain?key=k", authorization=authorization)
    assert (answer.status, answer.delay_s) == (401, HTTP_WRONG_PASSWORD_S)
    assert world.asked == []


def test_the_password_is_the_present_one() -> None:
    """SIGHUP exchanges it while the node serves."""
    passwords = [Password(b"old")]
    site = Site(lambda request, deliver: None, lambda: ("", b""), password=lambda: passwords[-1])
    answers: list[Answer] = []
    old, new = ({"authorization": basic("default", secret)} for secret in ("old", "new"))
    site.answer(Question("GET", "/", "", old, "127.0.0.1"), answers.append)
    passwords.append(Password(b"new"))
    site.answer(Question("GET", "/", "", new, "127.0.0.1"), answers.append)
    site.answer(Question("GET", "/", "", old, "127.0.0.1"), answers.append)
    assert [answer.status for answer in answers] == [200, 200, 401]


def test_load_balancers_and_scrapers_need_no_password() -> None:
    world = World(secret=SECRET)
    assert world.status("/health") == world.status("/metrics") == 200


def test_without_a_password_the_node_answers_its_own_machine_only() -> None:
    world = World(listen="10.0.0.1")
    assert world.status("/api/explain?key=k", peer="10.0.0.7") == 403
    assert world.status("/api/explain?key=k", peer="127.0.0.1") == 200
    assert world.status("/health", peer="10.0.0.7") == 200


# What it costs ----------------------------------------------------------------------------------------------------


def test_many_viewers_cost_one_question_a_second() -> None:
    world = World()
    world.hold = True
    answers = [world.ask("/api/status") for _ in range(20)] + [world.ask("/health")]
    assert len(world.asked) == 1
    world.held.pop()(world.result)
    assert [answer.status for (answer,) in answers] == [200] * 21
    world.now += HTTP_FRESH_S * 0.9
    assert world.status("/api/status") == 200
    assert len(world.asked) == 1
    assert world.ask("/health") == []
    assert len(world.asked) == 2, "who watches the node is told of now"
    world.held.pop()(world.result)
    world.now += HTTP_FRESH_S
    world.ask("/api/status")
    assert len(world.asked) == 3


def test_a_failure_is_told_and_not_kept() -> None:
    world = World()
    world.result = Failed("UNAVAILABLE", "no seat yet")
    (answer,) = world.ask("/api/ring")
    assert (answer.status, json.loads(answer.body)) == (
        503,
        {"error": {"code": "UNAVAILABLE", "message": "no seat yet"}},
    )
    world.result = Document(b"{}")
    assert world.status("/api/ring") == 200


def test_requests_are_bounded_and_those_of_programs_are_not_among_them() -> None:
    world = World()
    statuses = [world.status("/api/status") for _ in range(HTTP_BURST + 5)]
    assert statuses == [200] * HTTP_BURST + [429] * 5
    assert world.status("/") == 429
    assert world.status("/health") == world.status("/metrics") == 200
    world.now += 0.5
    assert world.status("/") == 200


def test_who_may_not_ask_uses_up_nobodys_share() -> None:
    world = World(secret=SECRET)
    for _ in range(HTTP_BURST + 5):
        assert world.status("/") == world.status("/api/keys", authorization=basic("default", "wrong")) == 401
        assert world.status("/api/keys", authorization=basic("", SECRET), sec_fetch_site="cross-site") == 403
    assert world.status("/", authorization=basic("", SECRET)) == 200


# A key ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "key"),
    [
        ("key=cart", b"cart"),
        ("key=cart&enc=utf8", b"cart"),
        ("key=a+b%2B%26%3D%00%ff", b"a b+&=\x00\xff"),
        ("enc=base64&key=AP%2F%2BPmJpbg%3D%3D", b"\x00\xff\xfe>bin"),
        ("key=" + "%61" * KEY_BYTES_MAX, b"a" * KEY_BYTES_MAX),
        ("key=%3Cscript%3E", b"<script>"),
        ("key=a=b", b"a=b"),
    ],
)
def test_keys_are_bytes(query: str, key: bytes) -> None:
    world = World()
    assert world.status(f"/api/explain?{query}") == 200
    assert world.asked == [Inspect("explain", key)]


@pytest.mark.parametrize(
    "query",
    [
        "",
        "key=",
        "Key=k",
        "key=k&enc=hex",
        "key=%%%&enc=base64",
        "key=a&enc=base64",
        "key=" + "a" * (KEY_BYTES_MAX + 1),
    ],
)
def test_what_is_no_key_is_not_asked_for(query: str) -> None:
    world = World()
    (answer,) = world.ask(f"/api/explain?{query}")
    assert (answer.status, json.loads(answer.body)["error"]["code"]) == (400, "ERR")
    assert world.asked == []


def test_keys_are_listed_page_by_page() -> None:
    world = World()
    world.result = KeyPage(b"123", (b"cart", b"\xff"))
    (answer,) = world.ask("/api/keys?siblings=1&prefix=a+%2B&cursor=77")
    assert world.asked == [Keys(b"a +", b"77", siblings=True)]
    keys = [{"key": "cart", "enc": "utf8"}, {"key": "/w==", "enc": "base64"}]
    assert json.loads(answer.body) == {"schema": "dyn.keys/v1", "cursor": "123", "keys": keys}
    world.ask("/api/keys")
    assert world.asked[-1] == Keys()
    assert world.status("/api/keys?prefix=" + "a" * (KEY_BYTES_MAX + 1)) == 400
    world.result = Failed("ERR", "invalid cursor: begin with 0")
    assert world.status("/api/keys?cursor=x") == 400


def test_costly_questions_are_bounded() -> None:
    world = World()
    world.hold = True
    for _ in range(HTTP_COSTLY_MAX):
        assert world.ask("/api/explain?key=k") == []
    assert world.status("/api/explain?key=k") == world.status("/api/keys") == 429
    for deliver in world.held:
        deliver(world.result)
    world.hold = False
    left = HTTP_COSTLY_PER_S - HTTP_COSTLY_MAX
    assert [world.status("/api/explain?key=k") for _ in range(left + 1)] == [200] * left + [429]
    world.now += 1.0
    assert world.status("/api/explain?key=k") == 200


@pytest.mark.parametrize("path", ["/api/explain?key=k", "/api/ring"])
def test_a_document_that_is_too_long_for_a_browser_is_not_sent(path: str) -> None:
    world = World()
    world.result = Document(b"x" * (HTTP_DOCUMENT_BYTES_MAX + 1))
    (answer,) = world.ask(path)
    assert (answer.status, len(answer.body) < 200) == (413, True)


def test_a_document_that_was_too_long_is_not_made_again_at_once() -> None:
    world = World()
    world.result = Document(b"x" * (HTTP_DOCUMENT_BYTES_MAX + 1))
    assert [world.status("/api/ring"), world.status("/api/ring")] == [413, 413]
    assert len(world.asked) == 1
    world.now += HTTP_TOO_LONG_S
    world.result = Document(b"{}")
    assert world.status("/api/ring") == 200


# The files --------------------------------------------------------------------------------------------------------


def test_the_files_are_small_and_nobody_elses() -> None:
    files = {path.name: path.read_text() for path in FOLDER.iterdir()}
    assert {name for name, _ in FILES.values()} == files.keys()
    assert sum(len(text.encode()) for text in files.values()) <= 44_000
    for name, text in files.items():
        addresses = [found for found in re.findall(r"\w+://[^\s'\"]*", text) if "www.w3.org" not in found]
        assert addresses == [], name


FORBIDDEN: list[Any] = [
    r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|srcdoc",
    r"\beval\b|new Function|setTimeout\([\"']|javascript:",
    r"\son\w+=|<script>|<style|\sstyle=",
]


@pytest.mark.parametrize("pattern", FORBIDDEN)
def test_no_text_becomes_markup_or_code(pattern: str) -> None:
    assert {path.name for path in FOLDER.iterdir() if re.search(pattern, path.read_text())} == set()

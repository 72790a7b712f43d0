"""What the HTTP port answers: `/health` and `/metrics` for programs, a page for people, and its documents.

    /health /metrics     to everybody: load balancers, Prometheus
    /  /page.css …       the page, files of `page/`; /grafana.json, a dashboard of the metrics
    /api/NAME            what DYN.NAME says, as JSON

It reads and answers, nothing else: there is no path that changes anything. All but the first two ask for the password
of clients where there is one (HTTP Basic, user `default` or none), as the client port does. Where there is none, the
node answers its own machine alone, and a browser on that machine may be led here by anybody's page. So:

* on loopback the name that was asked for must be of this machine (a foreign name that resolves to it is a rebound one);
* documents are for requests of this very page: a browser says when another one made it ask.

A document is asked of the engine once for all who wait for it, and told again for HTTP_FRESH_S.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from time import monotonic
from typing import Any, Final
from urllib.parse import unquote_to_bytes

import msgspec

from node.core.limits import KEY_BYTES_MAX
from node.core.limits_http import (
    HTTP_BURST,
    HTTP_COSTLY_MAX,
    HTTP_COSTLY_PER_S,
    HTTP_DOCUMENT_BYTES_MAX,
    HTTP_EVENTS,
    HTTP_FRESH_S,
    HTTP_PER_S,
    HTTP_TOO_LONG_S,
    HTTP_WRONG_PASSWORD_S,
)
from node.runtime.auth import USER, Password, is_loopback
from node.runtime.dashboard import dashboard
from node.runtime.http import TEXT, Answer, Question, Respond
from node.wire.requests import Document, Failed, Inspect, KeyPage, Keys, Request, Result
from node.wire.text import as_text
from node.words import in_words, level_of

JSON: Final = "application/json"
FOLDER: Final = Path(__file__).with_name("page")
FILES: Final = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
} | {f"/{name}.js": (f"{name}.js", "text/javascript; charset=utf-8") for name in ("page", "ring", "key", "text")}
DOCUMENTS: Final = ("ring", "status", "stats", "events", "hints", "transfers", "views")
"""What /api/NAME tells without an argument."""

STATUSES: Final = {"ERR": 400, "TOOBIG": 413, "DENIED": 403, "NOTSUPPORTED": 404}
"""What an error of the client port is here; anything else is the cluster's state: 503."""

Submit = Callable[[Request, Callable[[Result], None]], None]


class Bucket:
    """So many a second, and a burst after a while without any."""

    def __init__(self, per_s: float, burst: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._left = burst
        self._at: float | None = None

    def take(self, now: float) -> bool:
        """Whether one more may be now."""
        if self._at is not None:
            self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Site:
    """The paths of one node. `submit` asks the engine, `metrics` renders the figures, `password` is the present one."""

    def __init__(
        self,
        submit: Submit,
        metrics: Callable[[], tuple[str, bytes]],
        *,
        password: Callable[[], Password | None] = lambda: None,
        listen: str = "127.0.0.1",
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._submit = submit
        self._metrics = metrics
        self._password = password
        self._listen = listen
        self._now = now
        self._files: dict[str, bytes] = {}
        self._told: dict[str, tuple[float, Result]] = {}
        self._awaited: dict[str, list[Callable[[Result], None]]] = {}
        self._requests = Bucket(HTTP_PER_S, HTTP_BURST)
        self._costlies = Bucket(HTTP_COSTLY_PER_S, HTTP_COSTLY_PER_S)
        self._under_way = 0

    def answer(self, question: Question, respond: Respond) -> None:
        """Answer one request, now or later."""
        method, path = question.method, question.path
        if method not in ("GET", "HEAD"):
            respond(Answer(405, TEXT, b"this port only reads\n", "Allow: GET, HEAD\r\n"))
        elif not is_ours(question.headers.get("host"), self._listen):
            respond(Answer(421, TEXT, b"this node listens on loopback: ask for localhost or 127.0.0.1\n"))
        elif path == "/health":
            self._ask("status", lambda result: respond(health(result)), kept=False)
        elif path == "/metrics":
            respond(Answer(200, *self._metrics()))
        elif (refusal := self._refusal(question)) is not None:
            respond(refusal)
        elif path in FILES:
            respond(Answer(200, FILES[path][1], self._file(FILES[path][0])))
        elif path == "/grafana.json":
            respond(Answer(200, JSON, msgspec.json.format(msgspec.json.encode(dashboard()), indent=2) + b"\n"))
        elif path == "/api/explain":
            self._explain(question, respond)
        elif path == "/api/keys":
            self._keys(question, respond)
        elif path.startswith("/api/") and (name := path.removeprefix("/api/")) in DOCUMENTS:
            self._ask(name, lambda result: respond(told(result)))
        else:
            respond(Answer(404, TEXT, b"there are /, /health, /metrics, /grafana.json and /api/status\n"))

    # Who may ask -----------------------------------------------------------------------------------------

    def _refusal(self, question: Question) -> Answer | None:
        """Why this request is not answered, if it is not: nobody's browser, password or patience is abused."""
        password, headers = self._password(), question.headers
        if password is None and not is_loopback(question.peer):
            return Answer(403, TEXT, b"this node has no client password, so it answers its own machine only\n")
        if password is not None and not knows(password, headers.get("authorization")):
            wait_s = HTTP_WRONG_PASSWORD_S if "authorization" in headers else 0.0
            ask = 'WWW-Authenticate: Basic realm="dyn: user default, and the password of clients", charset="UTF-8"\r\n'
            return Answer(401, TEXT, b"the password of clients is needed\n", ask, wait_s)
        if question.path.startswith("/api/") and is_from_elsewhere(headers):
            return Answer(403, TEXT, b"another site's page asks, and this is for the node's own\n")
        if not self._requests.take(self._now()):  # last: who may not ask uses up nobody's share
            return Answer(429, TEXT, b"too many requests\n", "Retry-After: 1\r\n")
        return None

    # Documents -------------------------------------------------------------------------------------------

    def _ask(self, name: str, deliver: Callable[[Result], None], *, kept: bool = True) -> None:
        """Have the engine's document: of a question that is under way, or one that is `kept`, or asked for now."""
        until, result = self._told.get(name, (0.0, None))
        if kept and result is not None and self._now() < until:
            deliver(result)
        elif name in self._awaited:
            self._awaited[name].append(deliver)
        else:
            self._awaited[name] = [deliver]
            arguments = (b"%d" % HTTP_EVENTS,) if name == "events" else ()
            self._submit(Inspect(name, arguments=arguments), partial(self._deliver, name))

    def _deliver(self, name: str, result: Result) -> None:
        if name == "events":
            result = with_words(result)
        for deliver in self._awaited.pop(name):
            deliver(result)
        if isinstance(result, Document):
            fits = len(result.json) <= HTTP_DOCUMENT_BYTES_MAX
            until = self._now() + (HTTP_FRESH_S if fits else HTTP_TOO_LONG_S)
            self._told[name] = until, result if fits else too_long(result)

    def _explain(self, question: Question, respond: Respond) -> None:
        key = key_of(fields_of(question.query))
        if isinstance(key, Answer):
            respond(key)
        else:
            self._costly(Inspect("explain", key), respond)

    def _keys(self, question: Question, respond: Respond) -> None:
        fields = fields_of(question.query)
        prefix, cursor = fields.get("prefix", b""), fields.get("cursor", b"0")
        if len(prefix) > KEY_BYTES_MAX:
            respond(failure(400, "ERR", f"a key has at most {KEY_BYTES_MAX} bytes"))
        else:
            self._costly(Keys(prefix, cursor, siblings=fields.get("siblings") == b"1"), respond)

    def _costly(self, request: Request, respond: Respond) -> None:
        """Ask what makes several nodes read: only so much of it at a time."""
        if self._under_way >= HTTP_COSTLY_MAX or not self._costlies.take(self._now()):
            respond(failure(429, "BUSY", "too many questions at once; ask again in a second", "Retry-After: 1\r\n"))
        else:
            self._under_way += 1
            self._submit(request, partial(self._answered, respond))

    def _answered(self, respond: Respond, result: Result) -> None:
        self._under_way -= 1
        respond(told(result))

    def _file(self, name: str) -> bytes:
        """A file of the page, read when somebody first asks: most nodes are never looked at."""
        if name not in self._files:
            self._files[name] = (FOLDER / name).read_bytes()
        return self._files[name]


# Requests ------------------------------------------------------------------------------------------------


def is_ours(host: str | None, listen: str) -> bool:
    """Whether a Host header names a node that listens at `listen`. Elsewhere than on loopback any name may be its own
    (and the password is not sent to others); a request without the header is no browser's."""
    if host is None or not is_loopback(listen):
        return True
    name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
    if name.lower() in ("localhost", listen.lower()):
        return True
    try:
        return ip_address(name.removeprefix("[").removesuffix("]")).is_loopback
    except ValueError:
        return False


def is_from_elsewhere(headers: Mapping[str, str]) -> bool:
    """Whether a browser says that another site's page made it ask (programs say nothing of the kind)."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return True
    origin = headers.get("origin")
    return origin is not None and origin.partition("://")[2] != headers.get("host", "")


def knows(password: Password, authorization: str | None) -> bool:
    """Whether an Authorization header has the password: Basic, of the user `default` or of none (RFC 7617)."""
    scheme, _, token = (authorization or "").partition(" ")
    try:
        user, colon, secret = base64.b64decode(token.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return False
    return scheme.lower() == "basic" and bool(colon) and password.matches(user or USER, secret)


def fields_of(query: str) -> dict[str, bytes]:
    """The fields of a query, percent-encoded bytes; of two of one name the last."""
    fields = {}
    for field in query.split("&"):
        name, _, value = field.partition("=")
        fields[name] = unquote_to_bytes(value.replace("+", " "))
    return fields


def key_of(fields: Mapping[str, bytes]) -> bytes | Answer:
    """The key that `key` and `enc` (utf8 or base64) name."""
    key, encoding = fields.get("key", b""), fields.get("enc", b"utf8")
    if encoding == b"base64":
        try:
            key = base64.b64decode(key, validate=True)
        except ValueError:
            return failure(400, "ERR", "key is no base64")
    elif encoding != b"utf8":
        return failure(400, "ERR", "enc is utf8 or base64")
    if not 0 < len(key) <= KEY_BYTES_MAX:
        return failure(400, "ERR", f"a key has 1 to {KEY_BYTES_MAX} bytes: /api/explain?key=…")
    return key


# Answers -------------------------------------------------------------------------------------------------


def failure(status: int, code: str, text: str, headers: str = "") -> Answer:
    """What went wrong, as JSON."""
    return Answer(status, JSON, msgspec.json.encode({"error": {"code": code, "message": text}}) + b"\n", headers)


def told(result: Result) -> Answer:
    """A document, or why there is none."""
    if isinstance(result, Document):
        if len(result.json) <= HTTP_DOCUMENT_BYTES_MAX:
            return Answer(200, JSON, result.json + b"\n")
        result = too_long(result)
    if isinstance(result, KeyPage):
        keys = [dict(zip(("key", "enc"), as_text(key), strict=True)) for key in result.keys]
        document = {"schema": "dyn.keys/v1", "cursor": result.cursor.decode(), "keys": keys}
        return Answer(200, JSON, msgspec.json.encode(document) + b"\n")
    assert isinstance(result, Failed), f"{result!r} is no answer to what is asked here"
    return failure(STATUSES.get(result.code, 503), result.code, result.text)


def too_long(document: Document) -> Failed:
    """What is told of a document that is none for a browser."""
    return Failed("TOOBIG", f"{len(document.json)} bytes are too many for a page: ask with dyn")


def health(result: Result) -> Answer:
    """200 with the status document while every key has its quorums, else 503."""
    if isinstance(result, Document):
        status = msgspec.json.decode(result.json).get("health")
        return Answer(200 if status in ("healthy", "degraded") else 503, JSON, result.json + b"\n")
    why = getattr(result, "text", "no answer")
    document = {"schema": "dyn.status/v1", "health": "critical", "reasons": [why]}
    return Answer(503, JSON, msgspec.json.encode(document) + b"\n")


def with_words(result: Result) -> Result:
    """DYN.EVENTS, each event with its level and a line of words (`said`) beside its fields."""
    if not isinstance(result, Document):
        return result
    document: dict[str, Any] = msgspec.json.decode(result.json)
    for event in document["events"]:
        fields = {name: value for name, value in event.items() if name not in ("at", "kind")}
        event |= {"level": level_of(event["kind"]), "said": in_words(event["kind"], fields)}
    return Document(msgspec.json.encode(document))

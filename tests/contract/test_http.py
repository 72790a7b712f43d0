"""The HTTP port against whoever connects: half requests, long ones, slow ones, and many. Under both event loops."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from node.core.limits import HTTP_CONNECTIONS_MAX, HTTP_REQUEST_BYTES_MAX
from node.core.limits_http import HTTP_HEADERS_MAX
from node.runtime.auth import Password
from node.runtime.http import Answer, HttpListener, Question, Respond, read_head
from node.runtime.site import Site
from node.wire.requests import Document, Request, Result
from tests.helpers.peers import Run, until

ASK = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n"
STATUS = Document(b'{"health":"healthy"}')


class Port:
    """A listening HTTP port, and what was asked of its node."""

    def __init__(self, listener: HttpListener, number: int) -> None:
        self.listener = listener
        self.number = number

    async def connect(self, said: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.number)
        writer.write(said)
        return reader, writer

    async def ask(self, said: bytes) -> bytes:
        """All that is answered to some bytes, until the node hangs up."""
        reader, writer = await self.connect(said)
        try:
            return await asyncio.wait_for(reader.read(), 10)
        except ConnectionError:
            return b""
        finally:
            writer.close()


def submit(request: Request, deliver: Callable[[Result], None]) -> None:
    deliver(STATUS)


def site(password: Password | None = None) -> Site:
    return Site(submit, lambda: ("text/plain", b"figures"), password=lambda: password)


@asynccontextmanager
async def listening(route: Callable[[Question, Respond], None], seconds: float = 10.0) -> AsyncIterator[Port]:
    listener = HttpListener(route, seconds=seconds)
    number = await listener.start("127.0.0.1", 0)
    try:
        yield Port(listener, number)
    finally:
        await listener.stop()
        await until(lambda: not listener.open)


def test_every_answer_binds_the_browser(run: Run) -> None:
    async def main() -> None:
        async with listening(site().answer) as port:
            for path in (b"/", b"/api/status", b"/health", b"/nothing"):
                head = (await port.ask(b"GET %s HTTP/1.1\r\n\r\n" % path)).partition(b"\r\n\r\n")[0].decode()
                assert "\r\nContent-Security-Policy: default-src 'none'; script-src 'self';" in head
                assert "frame-ancestors 'none'" in head
                assert "unsafe" not in head
                assert "\r\nX-Content-Type-Options: nosniff" in head
                assert "\r\nCross-Origin-Resource-Policy: same-origin" in head
                assert "\r\nReferrer-Policy: no-referrer" in head
                assert "\r\nCache-Control: no-store" in head
                assert "access-control" not in head.lower()
            assert port.listener.answered == {200: 3, 404: 1}

    run(main())


def test_a_request_may_come_in_pieces_and_head_has_no_body(run: Run) -> None:
    async def main() -> None:
        async with listening(site().answer) as port:
            reader, writer = await port.connect()
            for byte in ASK:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0)
            assert (await reader.read()).endswith(b"\r\n\r\nfigures")
            writer.close()
            answer = await port.ask(ASK.replace(b"GET", b"HEAD"))
            assert b"Content-Length: 7\r\n" in answer
            assert answer.endswith(b"\r\n\r\n")

    run(main())


def test_one_request_a_connection(run: Run) -> None:
    """So there is nothing to smuggle: what follows the first head is never read as another."""

    async def main() -> None:
        async with listening(site().answer) as port:
            answer = await port.ask(ASK + ASK.replace(b"/metrics", b"/health"))
            assert answer.count(b"HTTP/1.1 ") == 1
            assert answer.endswith(b"figures")

    run(main())


@pytest.mark.parametrize(
    ("said", "status"),
    [
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (HTTP_HEADERS_MAX + 1) + b"\r\n", 431),
        (b"GET /metrics HTTP/2\r\n\r\n", 400),
        (b"GET metrics HTTP/1.1\r\n\r\n", 400),
        (b"GET http://localhost/ HTTP/1.1\r\n\r\n", 400),
        (b"GET  / HTTP/1.1\r\n\r\n", 400),
        (b"GET /\x00 HTTP/1.1\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\n\r\n", 400),
        (b"get / HTTP/1.1\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"*1\r\n$4\r\nPING\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\x00c\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nA: b\nHost: evil\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nhost: evil.example\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n", 400),
        (b"POST /health HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 405),
        (b"GET /health HTTP/1.0\r\n\r\n", 200),
        (b"GET /metrics?name[]=x HTTP/1.1\r\nhOsT:\tLocalHost:1\r\nAccept: */*\r\nAccept: x\r\n\r\n", 200),
    ],
)
def test_heads(said: bytes, status: int) -> None:
    answers: list[Answer] = []
    question = read_head(said.partition(b"\r\n\r\n")[0])
    if isinstance(question, Answer):
        answers.append(question)
    else:
        site().answer(question, answers.append)
    assert [answer.status for answer in answers] == [status]


def test_a_head_that_is_too_long_or_malformed_is_refused(run: Run) -> None:
    async def main() -> None:
        async with listening(site().answer) as port:
            for end in (b"", b"\r\n\r\n"):
                answer = await port.ask(b"GET / HTTP/1.1\r\nX: " + b"x" * HTTP_REQUEST_BYTES_MAX + end)
                assert answer.startswith(b"HTTP/1.1 431 ")
            assert b"HTTP/1.1 400 " in await port.ask(b"GET / HTTP/1.1\r\nno colon\r\n\r\n")

    run(main())


def test_who_says_nothing_is_let_go(run: Run) -> None:
    async def main() -> None:
        async with listening(site().answer, seconds=0.1) as port:
            for said in (b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n", b"GET / HTTP/1.1\n\n"):
                assert await port.ask(said) == b""

    run(main())


def test_who_does_not_read_is_let_go(run: Run) -> None:
    """The answer waits in the node's memory: for so long and no longer."""

    def long(question: Question, respond: Respond) -> None:
        respond(Answer(200, "text/plain", b"x" * 50_000_000))

    async def main() -> None:
        async with listening(long, seconds=0.2) as port:
            _, writer = await port.connect(ASK)
            await until(lambda: port.listener.answered)
            await until(lambda: not port.listener.open)
            writer.close()

    run(main())


@pytest.mark.parametrize("said", [b"", b"GET / HTTP/1.1\r\nX: "], ids=["silent", "slow"])
def test_idlers_shut_nobody_out(run: Run, said: bytes) -> None:
    async def main() -> None:
        async with listening(site().answer) as port:
            idlers = [await port.connect(said) for _ in range(HTTP_CONNECTIONS_MAX)]
            await until(lambda: len(port.listener.open) == HTTP_CONNECTIONS_MAX)
            for _ in range(3):
                assert (await port.ask(ASK)).endswith(b"figures")
            assert len(port.listener.open) <= HTTP_CONNECTIONS_MAX
            for _, writer in idlers:
                writer.close()

    run(main())


def test_who_guesses_passwords_shuts_nobody_out(run: Run) -> None:
    async def main() -> None:
        async with listening(site(Password(b"secret")).answer) as port:
            guess = b"GET /api/status HTTP/1.1\r\nAuthorization: Basic ZGVmYXVsdDp4\r\n\r\n"
            guessers = [await port.connect(guess) for _ in range(HTTP_CONNECTIONS_MAX)]
            await until(lambda: len(port.listener.open) == HTTP_CONNECTIONS_MAX)
            assert (await port.ask(ASK)).endswith(b"figures")
            assert not port.listener.answered[401], "they wait for it"
            for _, writer in guessers:
                writer.close()

    run(main())


def test_who_has_asked_keeps_the_place(run: Run) -> None:
    """One more than there is room for is let go, if all others wait for their answers."""
    held: list[Respond] = []

    async def main() -> None:
        async with listening(lambda question, respond: held.append(respond)) as port:
            askers = [await port.connect(ASK) for _ in range(HTTP_CONNECTIONS_MAX)]
            await until(lambda: len(held) == HTTP_CONNECTIONS_MAX)
            assert await port.ask(ASK) == b""
            for respond in held:
                respond(Answer(200, "text/plain", b"late"))
            for reader, writer in askers:
                assert (await reader.read()).endswith(b"late")
                writer.close()

    run(main())

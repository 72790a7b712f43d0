"""The typed client, synchronous and asyncio alike, on the client port: values, contexts, errors, other endpoints."""

from __future__ import annotations

import asyncio
import inspect
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest

from node import client as module
from node.client import (
    AsyncClient,
    BadContext,
    BadRequest,
    Client,
    ConflictError,
    Denied,
    DynError,
    NotSupported,
    OutcomeUnknown,
    Siblings,
    TooBig,
    Unreachable,
)
from node.core.limits import MIB
from node.runtime.auth import Password
from node.wire.calls import ERRORS, error_of
from node.wire.requests import Failed
from tests.helpers.fake_store import Port, serving_blocking_clients
from tests.helpers.peers import until


class Both:
    """Calls a method of the synchronous or of the asyncio client."""

    def __init__(self, *, asynchronous: bool) -> None:
        self.asynchronous = asynchronous

    def __call__(self, *arguments: Any, calls: Callable[[Any], Any], **options: Any) -> Any:
        """`calls(client)`: a result, or an awaitable of one."""
        if not self.asynchronous:
            with Client(*arguments, **options) as client:
                return calls(client)

        async def main() -> Any:
            async with AsyncClient(*arguments, **options) as client:
                return await calls(client)

        return asyncio.run(main())


@pytest.fixture(params=["sync", "asyncio"])
def both(request: pytest.FixtureRequest) -> Both:
    return Both(asynchronous=request.param == "asyncio")


@pytest.fixture
def port() -> Iterator[Port]:
    with serving_blocking_clients() as served:
        yield served


def closed_port() -> int:
    """A port of loopback where nothing listens."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
    return number


@contextmanager
def broken(*, hangs: bool = False) -> Iterator[tuple[int, list[bytes]]]:
    """A server that reads DYN commands and hangs up, or says nothing; yields its port and what it has read."""
    heard: list[bytes] = []
    held: list[socket.socket] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                    while data := connection.recv(65536):
                        if b"DYN." not in data:
                            connection.sendall(b"+OK\r\n" * data.count(b"*"))
                            continue
                        heard.append(data)
                        if not hangs:
                            break
                except OSError:
                    return
                held.append(connection) if hangs else connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], heard
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)
    for connection in held:
        connection.close()


def test_values_and_contexts(port: Port, both: Both) -> None:
    def call(calls: Callable[[Any], Any]) -> Any:
        return both("127.0.0.1", port.number, writer="cart-7", calls=calls)

    assert call(lambda c: c.get("k")) == Siblings((), b"")
    first = call(lambda c: c.put("k", "ä"))
    assert call(lambda c: c.get(b"k")) == Siblings(("ä".encode(),), first)
    assert call(lambda c: c.get("k", r=1, strict=True, timeout_ms=500)).value == "ä".encode()
    second = call(lambda c: c.put("k", b"b", first))
    third = call(lambda c: c.put("k", b"\0\xff", first.decode(), w=1, strict=True))
    found = call(lambda c: c.get("k"))
    assert found == Siblings((b"b", b"\0\xff"), third)
    assert len({first, second, third}) == 3
    with pytest.raises(ConflictError):
        _ = found.value
    call(lambda c: c.delete("k", found.context))
    gone = call(lambda c: c.get("k"))
    assert gone.values == ()
    assert gone.value is None
    assert gone.context
    assert port.store.rows[b"k"].versions[0].writer == "cart-7"


@pytest.mark.parametrize(
    ("calls", "kind"),
    [
        (lambda c: c.put("k", "v", "forged"), BadContext),
        (lambda c: c.delete("k", ""), BadContext),
        (lambda c: c.put("k", bytes(MIB + 1)), TooBig),
        (lambda c: c.put("k" * 5000, "v"), TooBig),
        (lambda c: c.put("", "v"), BadRequest),
        (lambda c: c.get("k", r=0), BadRequest),
    ],
)
def test_errors(port: Port, both: Both, calls: Callable[[Any], Any], kind: type[DynError]) -> None:
    with pytest.raises(kind) as caught:
        both("127.0.0.1", port.number, calls=calls)
    assert type(caught.value) is kind
    assert not port.store.rows


@pytest.mark.parametrize("code", [code for code in ERRORS if code not in ("NOAUTH", "WRONGPASS")])
def test_every_prefix_is_a_type(port: Port, both: Both, code: str) -> None:
    port.store.failing = Failed(code, "because of that")
    for calls in (lambda c: c.get("k"), lambda c: c.put("k", "v"), lambda c: c.delete("k", "c")):
        with pytest.raises(ERRORS[code]) as caught:
            both("127.0.0.1", port.number, calls=calls)
        assert type(caught.value) is ERRORS[code]
        assert (caught.value.code, caught.value.text) == (code, "because of that")


def test_an_unknown_prefix_is_an_error_all_the_same() -> None:
    assert type(error_of("NEWKIND of error")) is DynError
    assert type(error_of("NOTSUPPORTED x")) is NotSupported


def test_passwords(both: Both) -> None:
    with serving_blocking_clients(Password(b"secret")) as port:
        assert both("127.0.0.1", port.number, password="secret", calls=lambda c: c.put("k", "v"))
        for password in ("wrong", None):
            with pytest.raises(Denied):
                both("127.0.0.1", port.number, password=password, calls=lambda c: c.get("k"))


def test_nobody_there(both: Both) -> None:
    for calls in (lambda c: c.get("k"), lambda c: c.put("k", "v")):
        with pytest.raises(Unreachable):
            both("127.0.0.1", closed_port(), calls=calls)


def test_other_endpoints_when_nobody_is_there(port: Port, both: Both) -> None:
    """Nothing was sent, so a write may go elsewhere too."""
    options: dict[str, Any] = {"endpoints": [("127.0.0.1", closed_port()), ("127.0.0.1", port.number)]}
    context = both("127.0.0.1", closed_port(), **options, calls=lambda c: c.put("k", "v"))
    assert both("127.0.0.1", closed_port(), **options, calls=lambda c: c.get("k")) == Siblings((b"v",), context)


def test_reads_go_on_to_the_next_endpoint_and_writes_do_not(port: Port, both: Both) -> None:
    with broken() as (number, heard):
        options: dict[str, Any] = {"endpoints": [("127.0.0.1", port.number)]}
        assert both("127.0.0.1", number, **options, calls=lambda c: c.get("k")) == Siblings((), b"")
        assert len(heard) == 1
        for calls in (lambda c: c.put("k", "v"), lambda c: c.delete("k", "c")):
            with pytest.raises(OutcomeUnknown, match="may still take effect"):
                both("127.0.0.1", number, **options, calls=calls)
        assert len(heard) == 3, "a write is never sent twice"
        assert not port.store.rows


def test_silence_ends(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MARGIN_S", 0.05)
    with broken(hangs=True) as (number, heard):
        with pytest.raises(OutcomeUnknown):
            both("127.0.0.1", number, timeout_ms=50, calls=lambda c: c.put("k", "v"))
        with pytest.raises(Unreachable):
            both("127.0.0.1", number, timeout_ms=50, calls=lambda c: c.get("k"))
        assert len(heard) == 2


def test_a_cancelled_call_leaves_no_answer_behind(port: Port) -> None:
    """The reply of a cancelled get must not become the reply of the next."""

    async def main() -> None:
        async with AsyncClient("127.0.0.1", port.number) as client:
            await client.put("a", "1")
            await client.put("b", "2")
            port.store.hold = True
            task = asyncio.create_task(client.get("a"))
            await until(lambda: port.store.held)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            port.store.hold = False
            assert (await client.get("b")).value == b"2"

    asyncio.run(main())


def test_threads_share_a_client(port: Port) -> None:
    with Client("127.0.0.1", port.number) as client:
        failures = []

        def work(name: str) -> None:
            context = b""
            for n in range(50):
                context = client.put(name, str(n), context)
                if client.get(name) != Siblings((str(n).encode(),), context):
                    failures.append((name, n))

        threads = [threading.Thread(target=work, args=(f"k{n}",)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures


def test_both_clients_are_alike() -> None:
    for name in ("__init__", "get", "put", "delete"):
        ours, theirs = (inspect.signature(getattr(kind, name)) for kind in (Client, AsyncClient))
        assert ours.parameters == theirs.parameters, name

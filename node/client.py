"""A small typed client for applications, synchronous and asyncio, over redis-py's connections.

    with Client("127.0.0.1", 7700, writer="cart-service") as dyn:
        found = dyn.get("cart:1042")                        # Siblings(values=(b"milk",), context=b"AQGh…")
        merged = b",".join(sorted(set(found.values)))       # several values: two writers did not see each other
        dyn.put("cart:1042", merged, context=found.context) # replaces exactly what was read

    async with AsyncClient("127.0.0.1", 7700) as dyn:
        await dyn.put("greeting", "hello")

    Client("192.0.2.7", password="…", tls_ca="ca.pem")      # nodes with TLS; tls_cert and tls_key show a certificate

What went wrong is a type: `Unavailable` (nothing was stored), `OutcomeUnknown` (it may take effect, or not: read before
you write again), `BadContext`, and so on, all of them `DynError`.

Nothing is ever sent twice, except that a read goes on to the next endpoint when one fails. A write goes to the next
endpoint only while nothing of it was sent, because no connection could be made.
"""

from __future__ import annotations

from collections.abc import Sequence
from ssl import TLSVersion
from types import TracebackType
from typing import Any, Final, Self

import redis
import redis.asyncio
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from node.core.limits import TIMEOUT_MS
from node.core.roles import NODE, fault_of
from node.wire.calls import (
    BadContext,
    BadRequest,
    Busy,
    Bytes,
    ConflictError,
    Denied,
    DiskFull,
    DynError,
    NotSupported,
    OutcomeUnknown,
    Request,
    Siblings,
    T,
    TooBig,
    TooManySiblings,
    Unavailable,
    Unreachable,
    delete_request,
    error_of,
    failure,
    get_request,
    put_request,
)

__all__ = [
    "AsyncClient",
    "BadContext",
    "BadRequest",
    "Busy",
    "Client",
    "ConflictError",
    "Denied",
    "DiskFull",
    "DynError",
    "NotSupported",
    "OutcomeUnknown",
    "Siblings",
    "TooBig",
    "TooManySiblings",
    "Unavailable",
    "Unreachable",
]

MARGIN_S: Final = 1.0
"""A node answers within the request's timeout; who has heard nothing this long after it stops waiting."""

CONNECTIONS_MAX: Final = 64
"""Connections of one client to one endpoint."""


class _Tls(redis.SSLConnection):
    """A connection whose other end is a node: it says so in its certificate, under whatever name it was reached."""

    def _connect(self) -> Any:  # noqa: ANN401  # redis-py's: a socket
        made = super()._connect()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        try:
            _check(made.getpeercert())
        except redis.ConnectionError:
            made.close()
            raise
        return made


class _AsyncTls(redis.asyncio.SSLConnection):
    async def _connect(self) -> None:
        await super()._connect()  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
        assert self._writer is not None, "connected"
        try:
            _check(self._writer.get_extra_info("peercert"))
        except redis.ConnectionError:
            self._writer.close()
            raise


def _check(certificate: dict[str, Any] | None) -> None:
    fault = fault_of(certificate or {}, (NODE,), None)
    if fault:
        raise redis.ConnectionError(f"its certificate {fault}")


def _tls(ca: str | None, cert: str | None, key: str | None, connection: type) -> dict[str, Any]:
    """What TLS adds to the settings of a connection."""
    if ca is None:
        return {}
    return {
        "connection_class": connection,
        "ssl_ca_certs": ca,
        "ssl_certfile": cert,
        "ssl_keyfile": key,
        "ssl_check_hostname": False,
        "ssl_min_version": TLSVersion.TLSv1_2,
    }


def _settings(
    endpoint: tuple[str, int], password: str | None, writer: str, timeout_ms: int, retry: object
) -> dict[str, Any]:
    return {
        "host": endpoint[0],
        "port": endpoint[1],
        "password": password,
        "client_name": writer or None,
        "protocol": 2,  # one round trip less to open; our replies are the same in both
        "retry": retry,
        "retry_on_error": [],
        "socket_connect_timeout": timeout_ms / 1000,
        "socket_timeout": timeout_ms / 1000 + MARGIN_S,
        "max_connections": CONNECTIONS_MAX,
    }


_REFUSED: Final = (redis.ResponseError, redis.AuthenticationError)
_BROKEN: Final = (redis.ConnectionError, redis.TimeoutError, OSError)


def _refusal(error: redis.RedisError) -> DynError:
    """The typed error of an error reply: redis-py keeps the prefixes that it knows beside the text."""
    code = getattr(error, "status_code", None)
    return error_of(f"{code} {error}" if code else str(error))


class Client:
    """A synchronous client; threads may share it.

    `endpoints` are further nodes to go to when `host:port` fails. `writer` labels the versions it writes (for display,
    at most 64 printable ASCII characters). With `tls_ca` (a file: who signs the nodes) it speaks TLS, from 1.2 on.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 7700,
        *,
        endpoints: Sequence[tuple[str, int]] = (),
        password: str | None = None,
        writer: str = "",
        timeout_ms: int = TIMEOUT_MS,
        tls_ca: str | None = None,
        tls_cert: str | None = None,
        tls_key: str | None = None,
    ) -> None:
        self.timeout_ms = timeout_ms
        self._pools: list[Any] = [
            redis.ConnectionPool(
                **_settings(endpoint, password, writer, timeout_ms, Retry(NoBackoff(), 0)),
                **_tls(tls_ca, tls_cert, tls_key, _Tls),
            )
            for endpoint in ((host, port), *endpoints)
        ]

    def get(self, key: Bytes, *, r: int | None = None, strict: bool = False, timeout_ms: int | None = None) -> Siblings:
        """Return the live values of `key` and their context; `r` nodes must answer. Raises DynError.

        >>> client.get("cart:1042")
        Siblings(values=(b'milk',), context=b'AQGhssPU5fYHGAEB…')
        """
        return self._run(get_request(key, r, timeout_ms or self.timeout_ms, strict=strict))

    def put(
        self,
        key: Bytes,
        value: Bytes,
        context: Bytes = b"",
        *,
        w: int | None = None,
        strict: bool = False,
        timeout_ms: int | None = None,
    ) -> bytes:
        """Write `value` over what `context` covers, and return the new context once `w` nodes hold it. Raises DynError.

        Without a context the value becomes one more sibling; it never replaces what you have not read.

        >>> context = client.put("cart:1042", "milk")
        >>> context = client.put("cart:1042", "milk,eggs", context)
        """
        return self._run(put_request(key, value, context, w, timeout_ms or self.timeout_ms, strict=strict))

    def delete(
        self,
        key: Bytes,
        context: Bytes,
        *,
        w: int | None = None,
        strict: bool = False,
        timeout_ms: int | None = None,
    ) -> bytes:
        """Delete what `context` covers, and return the new context. Raises DynError.

        >>> client.delete("cart:1042", client.get("cart:1042").context)
        """
        return self._run(delete_request(key, context, w, timeout_ms or self.timeout_ms, strict=strict))

    def _run(self, request: Request[T]) -> T:
        failed: DynError | None = None
        for pool in self._pools:
            try:
                connection = pool.get_connection()
            except _REFUSED as error:
                raise _refusal(error) from error
            except _BROKEN as error:
                failed = failed or failure(request, error, sent=False)
                continue
            try:
                connection.send_command(*request.words)
                return request.read(connection.read_response(disable_decoding=True))
            except _REFUSED as error:
                raise _refusal(error) from error
            except _BROKEN as error:
                connection.disconnect()
                failed = failure(request, error, sent=True)
                if request.writes:
                    raise failed from error
            except BaseException:
                connection.disconnect()  # interrupted half-way: nobody may read the rest as an answer of theirs
                raise
            finally:
                pool.release(connection)
        assert failed is not None, "a client has an endpoint"
        raise failed

    def close(self) -> None:
        """Close all connections."""
        for pool in self._pools:
            pool.disconnect()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient:
    """The same for asyncio: see `Client`. One event loop, any number of tasks."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 7700,
        *,
        endpoints: Sequence[tuple[str, int]] = (),
        password: str | None = None,
        writer: str = "",
        timeout_ms: int = TIMEOUT_MS,
        tls_ca: str | None = None,
        tls_cert: str | None = None,
        tls_key: str | None = None,
    ) -> None:
        self.timeout_ms = timeout_ms
        self._pools: list[Any] = [
            redis.asyncio.ConnectionPool(
                **_settings(endpoint, password, writer, timeout_ms, AsyncRetry(NoBackoff(), 0)),
                **_tls(tls_ca, tls_cert, tls_key, _AsyncTls),
            )
            for endpoint in ((host, port), *endpoints)
        ]

    async def get(
        self, key: Bytes, *, r: int | None = None, strict: bool = False, timeout_ms: int | None = None
    ) -> Siblings:
        """Return the live values of `key` and their context, as `Client.get`."""
        return await self._run(get_request(key, r, timeout_ms or self.timeout_ms, strict=strict))

    async def put(
        self,
        key: Bytes,
        value: Bytes,
        context: Bytes = b"",
        *,
        w: int | None = None,
        strict: bool = False,
        timeout_ms: int | None = None,
    ) -> bytes:
        """Write `value` over what `context` covers, and return the new context, as `Client.put`."""
        return await self._run(put_request(key, value, context, w, timeout_ms or self.timeout_ms, strict=strict))

    async def delete(
        self,
        key: Bytes,
        context: Bytes,
        *,
        w: int | None = None,
        strict: bool = False,
        timeout_ms: int | None = None,
    ) -> bytes:
        """Delete what `context` covers, and return the new context, as `Client.delete`."""
        return await self._run(delete_request(key, context, w, timeout_ms or self.timeout_ms, strict=strict))

    async def _run(self, request: Request[T]) -> T:
        failed: DynError | None = None
        for pool in self._pools:
            try:
                connection = await pool.get_connection()
            except _REFUSED as error:
                raise _refusal(error) from error
            except _BROKEN as error:
                failed = failed or failure(request, error, sent=False)
                continue
            try:
                await connection.send_command(*request.words)
                return request.read(await connection.read_response(disable_decoding=True))
            except _REFUSED as error:
                raise _refusal(error) from error
            except _BROKEN as error:
                await connection.disconnect(nowait=True)
                failed = failure(request, error, sent=True)
                if request.writes:
                    raise failed from error
            except BaseException:
                await connection.disconnect(nowait=True)  # cancelled half-way: nobody may read the rest as their answer
                raise
            finally:
                await pool.release(connection)
        assert failed is not None, "a client has an endpoint"
        raise failed

    async def aclose(self) -> None:
        """Close all connections."""
        for pool in self._pools:
            await pool.disconnect()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

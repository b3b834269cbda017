"""Connect only to allowed addresses, and end every request at a deadline, however slowly the server responds."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore2
import httpx2

from painchain.core import address_policy


class Deadline:
    """The time, of `time.monotonic()`, by which the current request must be complete."""

    def __init__(self) -> None:
        self.moment = float("inf")

    def remaining(self, timeout: float | None) -> float:
        """Return how many seconds the next step may take.

        :raises httpcore2.ReadTimeout: when the deadline has passed.
        """
        seconds = self.moment - time.monotonic()
        if seconds <= 0:
            raise httpcore2.ReadTimeout("the deadline has passed")
        return seconds if timeout is None else min(timeout, seconds)


class BoundedTransport(httpx2.HTTPTransport):
    """A transport whose every step ends at the deadline, even if the headers arrive byte by byte.

    With `guarded`, it connects only to allowed addresses. Hosts that the server's own settings name need no guard.
    """

    def __init__(self, context: ssl.SSLContext, deadline: Deadline, guarded: bool = True):
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore2.ConnectionPool(ssl_context=context, network_backend=_Backend(deadline, guarded))


class GuardedAsyncTransport(httpx2.AsyncHTTPTransport):
    """A transport that connects only to allowed addresses, with any number of connections."""

    def __init__(self, context: ssl.SSLContext):
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=context, max_connections=None, network_backend=_AsyncBackend()
        )


class _Backend(httpcore2.SyncBackend):
    def __init__(self, deadline: Deadline, guarded: bool):
        self._deadline = deadline
        self._guarded = guarded

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        problem: Exception | None = None
        for address in self._addresses(host, port):
            try:
                seconds = self._deadline.remaining(timeout)
                with _as_connect_error():
                    stream = super().connect_tcp(address, port, seconds, local_address, socket_options)
                return _Stream(stream, self._deadline)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                problem = error
        raise problem or httpcore2.ConnectError("a host without addresses")

    def _addresses(self, host: str, port: int) -> list[str]:
        """Return the addresses to connect to. Once they are checked, the name is not resolved again."""
        if not self._guarded:
            return [host]
        with _as_connect_error():
            return address_policy.resolve(host, port)


class _AsyncBackend(httpcore2.AnyIOBackend):
    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        problem: Exception | None = None
        with _as_connect_error():
            addresses = await address_policy.resolve_async(host, port)
        for address in addresses:
            try:
                return await super().connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                problem = error
        raise problem or httpcore2.ConnectError("a host without addresses")


@contextmanager
def _as_connect_error() -> Iterator[None]:
    """Raise the exception that the library expects when a connection fails."""
    try:
        yield
    except (OSError, UnicodeError) as error:
        raise httpcore2.ConnectError(str(error)) from error


class _Stream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream, deadline: Deadline):
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.remaining(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.remaining(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._deadline.remaining(timeout))
        return _Stream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

"""Connections to addresses that may be asked, over at a given moment, however slowly the other side talks."""

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
    """The moment, of ``time.monotonic()``, at which the request that is going on has to be answered."""

    def __init__(self) -> None:
        self.moment = float("inf")

    def left(self, timeout: float | None) -> float:
        """Return how long the next step may take.

        :raises httpcore2.ReadTimeout: when the time is over.
        """
        left = self.moment - time.monotonic()
        if left <= 0:
            raise httpcore2.ReadTimeout("the deadline is over")
        return left if timeout is None else min(timeout, left)


class BoundedTransport(httpx2.HTTPTransport):
    """A transport whose every step ends at the deadline: also the headers, whose bytes may come one by one.

    A host that whoever runs the server has chosen is not `guarded`; all others lead to addresses that may be asked.
    """

    def __init__(self, context: ssl.SSLContext, deadline: Deadline, guarded: bool = True):
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore2.ConnectionPool(ssl_context=context, network_backend=_Backend(deadline, guarded))


class GuardedAsyncTransport(httpx2.AsyncHTTPTransport):
    """A transport that leads to addresses that may be asked, and to no others; as many connections as are wanted."""

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
                left = self._deadline.left(timeout)
                with _in_its_words():
                    stream = super().connect_tcp(address, port, left, local_address, socket_options)
                return _Stream(stream, self._deadline)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                problem = error
        raise problem or httpcore2.ConnectError("a host without addresses")

    def _addresses(self, host: str, port: int) -> list[str]:
        """Return where to connect to: where every address was checked, no name is looked up a second time."""
        if not self._guarded:
            return [host]
        with _in_its_words():
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
        with _in_its_words():
            found = await address_policy.resolve_async(host, port)
        for address in found:
            try:
                return await super().connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                problem = error
        raise problem or httpcore2.ConnectError("a host without addresses")


@contextmanager
def _in_its_words() -> Iterator[None]:
    """Raise what the library expects of a connection that fails."""
    try:
        yield
    except (OSError, UnicodeError) as error:
        raise httpcore2.ConnectError(str(error)) from error


class _Stream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream, deadline: Deadline):
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, self._deadline.left(timeout))
        return _Stream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

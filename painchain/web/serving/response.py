"""Produce responses part by part, and pause between the parts while the client has enough to read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextvars import Context, copy_context
from functools import lru_cache, partial
from typing import TYPE_CHECKING
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from waitress.task import WSGITask
from waitress.utilities import build_http_date

if TYPE_CHECKING:
    from painchain.web.serving.connection import Connection

TASK = "painchain.task"  # in the WSGI environment


class Paused(BaseException):
    """The rest of a response has to wait, and the thread does something else. waitress handles each `Exception`."""


class Stream:
    """The body of a response of unknown length, which may pause before each of its parts.

    Each part can be produced by another thread, so all of them run in the context of the request.
    """

    def __init__(self, channel: Connection, context: Context, parts: Iterable[bytes]):
        self._channel = channel
        self._context = context
        self._parts = parts
        self._iterator = iter(parts)
        self._has_paused = False

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._has_paused:
            self._has_paused = False  # each turn of a thread produces a part
        elif self._channel.is_behind or self._channel.others_wait:
            self._has_paused = True
            raise Paused
        return self._context.run(next, self._iterator)

    def end(self) -> None:
        """Release what the rest of the body would need. waitress would call this at each pause if it were `close`."""
        if close := getattr(self._parts, "close", None):
            self._context.run(close)


class Response(WSGITask):  # type: ignore[misc]
    """The response to one request."""

    _stream: Stream | None = None

    def get_environment(self) -> WSGIEnvironment:
        """Return the WSGI environment, with which `begin` finds this response."""
        environ: WSGIEnvironment = super().get_environment()
        environ[TASK] = self
        return environ

    def begin(self, app: WSGIApplication, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Call the app and return the body; after a pause, return the rest of it."""
        if self._stream:
            return self._stream
        context = copy_context()
        parts = context.run(app, environ, start_response)
        if self.content_length is not None or hasattr(parts, "__len__"):
            return parts
        self._stream = Stream(self.channel, context, parts)
        return self._stream

    def build_response_header(self) -> bytes:
        """Return the head.

        waitress would close the connection after a response without a body (204, 304). It also sorts the headers and
        changes their names to its own case, which takes a twentieth of a short request.
        """
        names = {name.lower() for name, _ in self.response_headers}
        ends_by_itself = self.content_length is not None if self.has_body else "content-length" not in names
        is_last = self.request.headers.get("CONNECTION", "").lower() == "close"
        if self.version != "1.1" or is_last or not ends_by_itself:
            return bytes(super().build_response_header())
        lines = [f"HTTP/1.1 {self.status}", *[f"{name}: {value}" for name, value in self.response_headers]]
        if self.has_body and "content-length" not in names:
            lines.append(f"Content-Length: {self.content_length}")
        if "date" not in names:
            lines.append(f"Date: {_date(int(self.start_time))}")
        lines.append("\r\n")
        return "\r\n".join(lines).encode("latin-1")

    def write(self, data: bytes) -> None:
        """Send a part of the body. waitress would send the head before the first part, in a packet of its own."""
        if self.wrote_header:
            super().write(data)
        else:
            self.channel.write_together(partial(super().write, data))

    def service(self) -> None:
        """Send the response, or what comes after a pause."""
        try:
            super().service()
        except Paused:
            raise
        except BaseException:
            if self._stream:
                self.channel.reset_on_close()
            self.end()
            raise
        self.end()

    def end(self) -> None:
        """End the body, if it has not ended."""
        stream, self._stream = self._stream, None
        self.channel.forget(self)
        if stream:
            stream.end()


_date = lru_cache(1)(build_http_date)  # by the second


def pausing(app: WSGIApplication) -> WSGIApplication:
    """Return an app whose responses can pause."""

    def begin(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        response: Response = environ[TASK]
        return response.begin(app, environ, start_response)

    return begin

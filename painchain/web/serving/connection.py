"""Serve connections so that no client keeps others waiting: not by reading slowly, and not by sending nothing.

waitress alone lets the thread of a response wait for its client, and accepts no connection while too many are open.
"""

from __future__ import annotations

import logging
import math
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from wsgiref.types import WSGIApplication

from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer

from painchain.web.common.client_address import normalized
from painchain.web.serving.event_loop import EventLoop
from painchain.web.serving.response import Paused, Response

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
WARN_SECONDS = 60.0
RESET = struct.pack("ii", 1, 0)  # for SO_LINGER: the connection closes with an error
_thread = threading.local()  # its `connection` is the one whose request the thread answers


@dataclass(frozen=True)
class Limits:
    """The limits of connections, in seconds and bytes.

    If more than `connections` are open, those give way that have been waiting for their client. Its next request may
    take `idle_seconds` to begin and, once its head has arrived, as long for the body. The head of a request, and the
    first request of a connection, may take `head_seconds`. While parts of a response are unread, a client must read
    `least_bytes` in every `unread_seconds`. A response is produced while less than `unread_bytes` of it are unread.
    """

    connections: int = 500
    head_seconds: float = 20
    idle_seconds: float = 120
    unread_seconds: float = 60
    least_bytes: int = 65_536
    unread_bytes: int = 262_144


DEFAULT_LIMITS = Limits()


class Connection(HTTPChannel):  # type: ignore[misc]
    """One connection. The main thread reads and writes it, another thread answers its requests."""

    is_parked = False  # set by `EventLoop`
    _response: Response | None = None
    _requests = 0  # that were answered
    _read = 0  # bytes that the client has read, as far as is known
    _parts: list[bytes] | None = None  # that are to be sent together
    _waits = False  # a request waits until the client has read more of the responses
    _state: tuple[float, str, int] = (math.inf, "", 0)

    def __init__(self, server: Listener, *arguments: Any, **more: Any):
        self._limits = server.limits
        self.since = time.monotonic()  # when the client last did something
        super().__init__(server, *arguments, **more)

    @property
    def is_behind(self) -> bool:
        """Whether the client has too much left to read."""
        return bool(self.total_outbufs_len > self._limits.unread_bytes)

    @property
    def needs_main_thread(self) -> bool:
        """Whether the main thread has something to do before the next request arrives."""
        return bool(self.is_parked or self.total_outbufs_len or self.will_close or self.close_when_flushed)

    @property
    def others_wait(self) -> bool:
        """Whether other requests wait for a thread."""
        return bool(self.server.task_dispatcher.queue)

    def task_class(self, channel: Connection, request: Any) -> Response:
        """Return the response that has paused, or one to the next request."""
        if self._response is None:
            self._requests += 1
            self._response = Response(channel, request)
        return self._response

    def forget(self, response: Response) -> None:
        """End a response: the next one can begin."""
        if self._response is response:
            self._response = None

    def service(self) -> None:
        """Answer the next request, or continue to, if the client has read the responses before."""
        if self.is_behind:
            self._wait()
            return
        paused = self._response
        _thread.connection = self
        try:
            super().service()
        except Paused:
            self._wait()
            return
        finally:
            _thread.connection = None
        if paused:
            paused.end()  # if the connection is closed, nothing else has ended it

    def _wait(self) -> None:
        """Continue later, when the client has read enough; at once if it has, after the requests that wait."""
        with self.outbuf_lock:
            self._waits = is_too_early = self.connected and self.is_behind
        if not is_too_early:
            self._queue()

    def write_together(self, write: Callable[[], None]) -> None:
        """Send together what `write` writes."""
        parts: list[bytes] = []
        self._parts = parts
        try:
            write()
        finally:
            self._parts = None
        self.write_soon(b"".join(parts))

    def write_soon(self, data: bytes) -> int:
        """Send bytes, or keep those that are to be sent together."""
        if self._parts is not None:
            self._parts.append(data)
            return len(data)
        with self.outbuf_lock:
            sent = self._send_at_once(data)
            if sent < len(data):
                super().write_soon(data[sent:] if sent else data)
        return len(data)

    def _send_at_once(self, data: bytes) -> int:
        """Send what the client can take, without the buffers of waitress. Return the number of bytes sent."""
        if not self.connected or self.total_outbufs_len or not isinstance(data, bytes):
            return 0
        return self.send(data, do_close=False)

    def _flush_outbufs_below_high_watermark(self) -> None:
        """Let no thread wait here, as waitress does: `_wait` waits without one."""

    def _flush_some(self, do_close: bool = True) -> bool:
        """Send what the client can take. The main thread does so too, also while another one asks for a body."""
        with self.outbuf_lock:
            return bool(super()._flush_some(do_close))

    def send(self, data: bytes, do_close: bool = True) -> int:
        """Send what the client can take of these bytes, and count it."""
        sent: int = super().send(data, do_close)
        self._read += sent
        return sent

    def handle_write(self) -> None:
        """Send what the client can take."""
        super().handle_write()
        self._go_on()

    def handle_close(self) -> None:
        """Close the connection."""
        super().handle_close()
        self._go_on()

    def _go_on(self) -> None:
        if self._waits and not (self.connected and self.is_behind):
            self._waits = False
            self._queue()

    def _queue(self) -> None:
        """Wait for a thread, which is not logged: the rest of a response is no new request."""
        self.server.task_dispatcher.put(self)

    def check(self, now: float) -> None:
        """Close the connection if its client has done nothing for too long."""
        state = self._waiting_for()
        if state != self._state:
            self._state, self.since = state, now
        elif now - self.since > state[0]:
            if self.total_outbufs_len:
                address = normalized(self.addr[0])
                log.warning("A response was cut off: %s read too little for %g seconds.", address, state[0])
            self.cut_off()

    def _waiting_for(self) -> tuple[float, str, int]:
        """Return for how many seconds the client may do nothing, and what changes when it does something."""
        limits = self._limits
        if self.total_outbufs_len:
            return limits.unread_seconds, "to read", self._read // limits.least_bytes
        if self.requests:
            return math.inf, "", 0
        if self.request is None and self._requests:
            return limits.idle_seconds, "to ask", self._requests
        if self.request is not None and self.request.headers_finished:
            return limits.idle_seconds, "to send", self._requests
        return limits.head_seconds, "to begin", self._requests

    def cut_off(self) -> None:
        """Close the connection soon, in the main thread; at once if the client reads nothing."""
        self.will_close = True
        self.server.sockets.changed(self)
        if self.total_outbufs_len:
            self.reset_on_close()
            with suppress(OSError):
                self.socket.shutdown(socket.SHUT_RDWR)  # otherwise it would count as not writable, and stay open

    def reset_on_close(self) -> None:
        """Let the client see that the response is incomplete. In HTTP/1.0, it ends where the connection closes."""
        with suppress(OSError, AttributeError):  # it may be closed already
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


class Listener(TcpWSGIServer):  # type: ignore[misc]
    """The server at one address."""

    channel_class: Callable[..., Connection]
    _next_look = _next_warning = -math.inf

    def __init__(self, limits: Limits, application: WSGIApplication, sockets: EventLoop, **more: Any):
        self.limits = limits
        self.sockets = sockets
        super().__init__(application, sockets, **more)
        sockets.listeners.append(self)

    def run(self) -> None:
        """Serve until a signal stops the process."""
        try:
            self.sockets.run(self.adj.asyncore_loop_timeout)
        except (SystemExit, KeyboardInterrupt):
            self.task_dispatcher.shutdown()

    def pull_trigger(self) -> None:
        """Wake up the main thread, unless the connection whose request this thread answers does not need it."""
        connection: Connection | None = getattr(_thread, "connection", None)
        if connection is None:
            super().pull_trigger()
        elif connection.needs_main_thread:
            self.sockets.changed(connection)
            super().pull_trigger()

    def readable(self) -> bool:
        """Return whether it accepts connections. Once a second, look at those that it has."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + LOOK_SECONDS
            for connection in self.active_channels.values():
                connection.check(now)
        return bool(super().readable())

    def maintenance(self, now: float) -> None:
        """Do nothing: `readable` closes connections, and does not depend on the clock of the machine."""

    def handle_accept(self) -> None:
        """Accept a connection. If too many are open, another one gives way."""
        super().handle_accept()
        if len(self.active_channels) > self.limits.connections:
            self._make_room()

    def _make_room(self) -> None:
        """Close the connection that has waited longest for its client, of the address that has the most.

        Behind a proxy, all connections have the same address.
        """
        *earlier, _ = self.active_channels.values()
        counts = Counter(connection.addr[0] for connection in earlier)
        waiting = [connection for connection in earlier if not connection.requests and not connection.will_close]
        if waiting:
            min(waiting, key=lambda connection: (-counts[connection.addr[0]], connection.since)).cut_off()
        if (now := time.monotonic()) >= self._next_warning:
            self._next_warning = now + WARN_SECONDS
            log.warning(
                "%d connections are open. Those that have waited longest are closed for new ones.", len(earlier)
            )

"""Configure the HTTP server: the limits of a request, and the answer to an invalid one."""

from __future__ import annotations

from typing import Any

from flask import Flask
from waitress.adjustments import Adjustments
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import MultiSocketServer
from waitress.task import ErrorTask
from waitress.utilities import BadRequest

from painchain.core import logs
from painchain.core.config import Settings
from painchain.web.common.client_address import normalized
from painchain.web.common.security_headers import SECURITY
from painchain.web.serving.connection import DEFAULT_LIMITS, Connection, Limits, Listener
from painchain.web.serving.event_loop import EventLoop
from painchain.web.serving.processor import SharedProcessor
from painchain.web.serving.response import pausing
from painchain.web.serving.threads import Threads

# Request line and headers together.
MAX_HEADER_BYTES = 65_536
# An empty line whose end, or the end of the line before it, is a bare line feed.
BARE_ENDS = (b"\n\n", b"\n\r\n")
# Connections whose requests are being answered do not give way, so a few more than the limit can be open.
SPARE_CONNECTIONS = 50
BUFFER_BYTES = 1_048_576  # of a response in one buffer, which keeps what was sent
MESSAGES = {
    400: "Malformed request.",
    413: "Nothing was saved: the request is larger than the server accepts.",
    431: f"The URL and headers of this request together exceed {MAX_HEADER_BYTES // 1024} KiB.",
    501: "The server does not support this request.",
}
BUG_MESSAGE = "This is a bug in PainChain. See the server log."


class Refusal(ErrorTask):  # type: ignore[misc]
    """The answer to a request that cannot reach the app, or that fails there: the usual headers, no text of it."""

    def execute(self) -> None:
        """Send the answer."""
        problem = self.request.error
        if problem.code in MESSAGES:  # the server logs another error itself
            message = "A request cannot be read or exceeds a limit."
            logs.security("unreadable_request", message, address=normalized(self.channel.addr[0]), status=problem.code)
        body = f"{MESSAGES.get(problem.code, BUG_MESSAGE)}\n".encode()
        self.status = f"{problem.code} {problem.reason}"
        plain = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
        self.response_headers.extend({**plain, **SECURITY}.items())
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Request(HTTPRequestParser):  # type: ignore[misc]
    """One request."""

    def received(self, data: bytes) -> int:
        """Refuse a head that ends with bare line feeds: it would otherwise wait for the usual end."""
        consumed = int(super().received(data))
        head = b"" if self.completed or self.headers_finished else self.header_plus.lstrip()
        if any(end in head for end in BARE_ENDS):
            self.error = BadRequest("bare line feeds")
            self.completed: bool = True
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        """Refuse a body with two lengths, too: a proxy may have used the other one (RFC 9112, 6.1)."""
        try:
            super().parse_header(header_plus)
        except ValueError:  # a length of thousands of digits, an address with half a bracket
            raise ParsingError("no number or address") from None
        has_two_lengths = self.chunked and "CONTENT_LENGTH" in self.headers
        if has_two_lengths or "TRANSFER_ENCODING" in self.headers:  # HTTP/1.0 leaves the header there
            raise ParsingError("conflicting Content-Length headers")


class Channel(Connection):
    """One connection."""

    parser_class = Request
    error_task_class = Refusal


class Server(Listener):
    """The server at one address."""

    channel_class = Channel


class Servers(MultiSocketServer):  # type: ignore[misc]
    """The servers at several addresses: a name such as localhost can have more than one."""

    def run(self) -> None:
        """Serve until a signal stops the process."""
        try:
            self.map.run(self.adj.asyncore_loop_timeout)
        except (SystemExit, KeyboardInterrupt):
            self.close()


def server_for(app: Flask, settings: Settings, limits: Limits = DEFAULT_LIMITS) -> Any:
    """Return the server, listening.

    :raises OSError: when it cannot listen there.
    :raises ValueError: when host and port are not an address.
    """
    adjustments = Adjustments(
        host=settings.host,
        port=settings.port,
        threads=settings.threads,
        max_request_body_size=max(settings.max_request_bytes, settings.max_webhook_bytes),
        max_request_header_size=MAX_HEADER_BYTES,
        connection_limit=limits.connections + SPARE_CONNECTIONS,
        outbuf_high_watermark=BUFFER_BYTES,
        # Headers of untrusted proxies are dropped; the app reads those of as many proxies as the settings say.
        clear_untrusted_proxy_headers=not settings.trusted_proxies,
        ident=None,
    )
    processor = SharedProcessor()
    sockets = EventLoop(processor)
    threads = Threads(adjustments.threads, processor)
    shared: dict[str, Any] = {"dispatcher": threads, "adj": adjustments}
    servers = [Server(limits, pausing(app), sockets, sockinfo=address, **shared) for address in adjustments.listen]
    if len(servers) == 1:
        return servers[0]
    addresses = [(server.effective_host, server.effective_port) for server in servers]
    return Servers(sockets, adjustments, addresses, threads, servers[0].log_info)

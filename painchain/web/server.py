"""The server in front of the app: what it reads of a request, and what it says to what is none."""

from __future__ import annotations

from typing import Any

from flask import Flask
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser, ParsingError
from waitress.server import create_server
from waitress.task import ErrorTask

from painchain.core import logs
from painchain.core.config import Settings
from painchain.web.common.security_headers import SECURITY

# Request line and headers together.
MOST_HEADER_BYTES = 65_536
# Browsers keep several open for a while.
MOST_CONNECTIONS = 500
WORDS = {
    400: "This is no request that can be read.",
    413: "Nothing was saved: this is more than the server accepts in one request.",
    431: f"The address and the headers of this request are longer than {MOST_HEADER_BYTES // 1024} KiB together.",
    501: "This server does not understand such a request.",
}
DEFECT = "This is a defect in PainChain. Its log has details."


class Refusal(ErrorTask):  # type: ignore[misc]
    """An answer to what never reaches the app: in words of ours that repeat nothing of it, with the usual headers."""

    def execute(self) -> None:
        """Answer."""
        problem = self.request.error
        words = "What came is no request, or more than is read."
        logs.security("unreadable_request", words, address=self.channel.addr[0], status=problem.code)
        body = f"{WORDS.get(problem.code, DEFECT)}\n".encode()
        self.status = f"{problem.code} {problem.reason}"
        plain = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
        self.response_headers.extend({**plain, **SECURITY}.items())
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Request(HTTPRequestParser):  # type: ignore[misc]
    """One request."""

    def parse_header(self, header_plus: bytes) -> None:
        """Refuse a body whose end is told in two ways, too: a proxy may have believed the other one (RFC 9112, 6.1)."""
        try:
            super().parse_header(header_plus)
        except ValueError:  # a length of thousands of digits, an address with half a bracket
            raise ParsingError("no number or address") from None
        in_two_ways = self.chunked and "CONTENT_LENGTH" in self.headers
        if in_two_ways or "TRANSFER_ENCODING" in self.headers:  # it stays there where HTTP is older than that header
            raise ParsingError("two lengths")


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection."""

    parser_class = Request
    error_task_class = Refusal


def server_for(app: Flask, own: Settings) -> Any:
    """Return the server, listening.

    :raises OSError: when it cannot listen there.
    :raises ValueError: when that is no address.
    """
    sockets: dict[int, Any] = {}
    server = create_server(
        app,
        map=sockets,
        host=own.host,
        port=own.port,
        threads=own.threads,
        max_request_body_size=max(own.max_request_bytes, own.max_webhook_bytes),
        max_request_header_size=MOST_HEADER_BYTES,
        connection_limit=MOST_CONNECTIONS,
        # What proxies say that are not trusted, nobody hears of; the app believes as many as the settings say.
        clear_untrusted_proxy_headers=not own.trusted_proxies,
        ident=None,
    )
    for one in sockets.values():
        if hasattr(one, "channel_class"):
            one.channel_class = Channel
    return server

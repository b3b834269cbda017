"""The server in front of the app: what it reads of a request, and what it says to what is none."""

from __future__ import annotations

from typing import Any

from flask import Flask
from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import ErrorTask

from painchain.config import Settings
from painchain.web.headers import SECURITY

# Request line and headers together.
MOST_HEADER_BYTES = 65_536
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
        body = f"{WORDS.get(problem.code, DEFECT)}\n".encode()
        self.status = f"{problem.code} {problem.reason}"
        plain = {"Content-Type": "text/plain; charset=utf-8", "Cache-Control": "no-store"}
        self.response_headers.extend({**plain, **SECURITY}.items())
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class Channel(HTTPChannel):  # type: ignore[misc]
    """One connection."""

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
        # What proxies say that are not trusted, nobody hears of; the app believes as many as the settings say.
        clear_untrusted_proxy_headers=not own.trusted_proxies,
        ident=None,
    )
    for one in sockets.values():
        if hasattr(one, "channel_class"):
            one.channel_class = Channel
    return server

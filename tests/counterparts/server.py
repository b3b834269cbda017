"""A fake HTTP server for JSON: it parses the parameters of requests, and encodes what a test returns as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests import counterparts


@dataclass(frozen=True)
class ReceivedRequest:
    """A received request: its path with percent-encoding, its parameters, its headers in lower case."""

    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class JsonReply:
    """A response. `value` is sent as JSON; bytes are sent unchanged."""

    value: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class FakeServer:
    """The address of the server, and the received requests."""

    url: str = ""
    requests: list[ReceivedRequest] = field(default_factory=list)


@contextmanager
def run_fake_json_server(answer: Callable[[ReceivedRequest], JsonReply]) -> Iterator[FakeServer]:
    """Run a fake server that replies with the JSON that `answer` returns."""
    fake_server = FakeServer()

    def reply(request: counterparts.ReceivedRequest) -> counterparts.Reply:
        parts = urlsplit(request.path)
        received = ReceivedRequest(parts.path, dict(parse_qsl(parts.query)), request.headers)
        fake_server.requests.append(received)
        return _reply(answer(received))

    with counterparts.run_fake_server(reply) as served:
        fake_server.url = served.url
        yield fake_server


def _reply(response: JsonReply) -> counterparts.Reply:
    raw = response.value if isinstance(response.value, bytes) else json.dumps(response.value).encode()
    return counterparts.Reply(response.status, b"" if response.status == 304 else raw, response.headers)

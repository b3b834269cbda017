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
class Asked:
    """A received request: its path with percent-encoding, its parameters, its headers in lower case."""

    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Told:
    """A response. `value` is sent as JSON; bytes are sent unchanged."""

    value: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class FakeServer:
    """The address of the server, and the received requests."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def run_fake_json_server(answer: Callable[[Asked], Told]) -> Iterator[FakeServer]:
    """Run a fake server that replies with the JSON that `answer` returns."""
    fake_server = FakeServer()

    def reply(request: counterparts.Asked) -> counterparts.Reply:
        parts = urlsplit(request.path)
        asked = Asked(parts.path, dict(parse_qsl(parts.query)), request.headers)
        fake_server.asked.append(asked)
        return _reply(answer(asked))

    with counterparts.run_fake_server(reply) as served:
        fake_server.url = served.url
        yield fake_server


def _reply(response: Told) -> counterparts.Reply:
    raw = response.value if isinstance(response.value, bytes) else json.dumps(response.value).encode()
    return counterparts.Reply(response.status, b"" if response.status == 304 else raw, response.headers)

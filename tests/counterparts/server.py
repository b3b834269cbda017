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
    """One request: its path as it was sent (percent signs and all), its parameters, its headers in lower case."""

    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Told:
    """One answer. `value` is sent as JSON; bytes are sent as they are."""

    value: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class FakeServer:
    """The server: its address, and what it was asked."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)


@contextmanager
def run_fake_json_server(answer: Callable[[Asked], Told]) -> Iterator[FakeServer]:
    """Run a fake server that replies with the JSON that `answer` returns."""
    told = FakeServer()

    def reply(request: counterparts.Asked) -> counterparts.Reply:
        parts = urlsplit(request.path)
        asked = Asked(parts.path, dict(parse_qsl(parts.query)), request.headers)
        told.asked.append(asked)
        return _reply(answer(asked))

    with counterparts.run_fake_server(reply) as served:
        told.url = served.url
        yield told


def _reply(told: Told) -> counterparts.Reply:
    raw = told.value if isinstance(told.value, bytes) else json.dumps(told.value).encode()
    return counterparts.Reply(told.status, b"" if told.status == 304 else raw, told.headers)

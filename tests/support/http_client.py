"""An HTTP client for a fake server, and the error it raises."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from painchain.connectors.contract import PollError
from painchain.connectors.http_client import HttpClient
from tests.counterparts import FakeServer

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
TOKEN = "canary-token-1234567890"
SIGNED = {"Authorization": f"Bearer {TOKEN}"}


def client(fake_server: FakeServer | str, **limits: Any) -> HttpClient:
    return HttpClient(fake_server if isinstance(fake_server, str) else fake_server.url, SIGNED, NOW, **limits)


def failure(fake_server: FakeServer | str, path: str = "things", **limits: Any) -> PollError:
    """Send a request, and return its error, which must not contain the token."""
    with pytest.raises(PollError) as caught, client(fake_server, **limits) as http:
        http.get(path)
    assert TOKEN not in str(caught.value)
    return caught.value

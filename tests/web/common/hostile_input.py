"""Input that must not cause a server error, and where it is sent."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask.testing import FlaskClient

from tests.support.html import form_of

HTMX = {"HX-Request": "true"}
LIST = "/settings/integrations"
SYSTEM = 1


def opened(client: FlaskClient, number: int) -> dict[str, Any]:
    """Open a connector's page and return its form."""
    return form_of(client.get(f"{LIST}/{number}"), "#connector-form")


# Invalid input

HOSTILE = [
    b"a\x00b",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"%",
    b"..",
    b"../../etc/passwd",
    b"-1",
    b"9" * 19,
    b"9" * 400,
    "٣".encode(),
    b"1e309",
    b"[]",
    b"x" * 5000,
    "\u202e\ufeff\u2028".encode(),
]
# They are special in an address. In a parameter or a form they are words, as others are.
SPECIAL_IN_ADDRESSES = [b"%", b"..", b"../../etc/passwd", b"[]"]
PARAMETERS = {
    "/": (
        "source",
        "event_type",
        "connector",
        "tag",
        "author",
        "status",
        "q",
        "range",
        "start_date",
        "end_date",
        "cursor",
    ),
    "/feed": ("cursor",),
    "/news": ("after",),
    "/timeline": ("range", "start_date"),
    LIST: ("q", "type"),
}

# The inputs of each form. Inputs of one group are sent together: an invalid one does not stop the others.
INPUTS = {
    f"{LIST}/new/github": (
        ("name", "tags", "base_url", "token", "poll_interval", "repos", "branches", "enabled"),
        ("csrf_token",),
    ),
    f"{LIST}/2": (
        ("name", "tags", "base_url", "token", "poll_interval", "repos", "branches"),
        ("version",),
        ("base",),
        ("visibility",),
    ),
    f"{LIST}/2/visibility": (("event_type", "field"), ("show",), ("hide",), ("version",)),
    f"{LIST}/2/enable": (("version", "at"),),
}


@contextmanager
def time_limit() -> Iterator[None]:
    """Abort a request after 5 s of processor time, so that a test fails instead of hanging."""

    def give_up(number: int, frame: object) -> None:
        raise TimeoutError

    # Processor time, because other tests may use this machine.
    before = signal.signal(signal.SIGPROF, give_up)
    signal.setitimer(signal.ITIMER_PROF, 5)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


ENDLESS = {
    "name": "a" * 900_000,
    "base_url": "/" * 300_000 + "x",
    "repos": "a://" * 70_000,
    "token": "?token" * 100_000,
    "tags": ",".join(map(str, range(90_000))),
    "branches": "a" + "\u0301\u0323" * 80_000,
}

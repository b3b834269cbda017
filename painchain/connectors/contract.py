"""What polling hands to and fro: a turn to poll, what was found, and why it failed. Plain values only."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

FIRST_POLL_WINDOW = timedelta(hours=24)  # a new connector looks back so far
MAX_EVENTS = 10_000  # of one poll; the rest follows next time

Cursor = dict[str, Any]


class ErrorKind(StrEnum):
    """Why a poll failed, as health and bands on the timeline tell them apart."""

    AUTHENTICATION = "sign_in"
    PERMISSION = "permission"
    NOT_FOUND = "missing"
    RATE_LIMITED = "rate_limited"
    UNREACHABLE = "unreachable"
    TLS = "tls"
    SERVER_ERROR = "far_error"
    INVALID_RESPONSE = "bad_answer"
    SETTINGS = "settings"
    INTERNAL = "ours"


class PollError(Exception):
    """A poll that failed. The message tells a person what to do; it holds no secret.

    `retry_at` is the moment before which the source does not want to be asked again.
    """

    def __init__(self, message: str, kind: ErrorKind, retry_at: datetime | None = None, status: int | None = None):
        super().__init__(message)
        self.kind = kind
        self.retry_at = retry_at
        self.status = status


@dataclass(frozen=True)
class SourceEvent:
    """One change that a source tells of, as it goes on the timeline.

    `event_id` is made of the source's own ids, so that what is found again adds nothing. `facts` has a value for the
    keys of its event type's fields, each in the shape that the field names (``painchain.connectors.base.Shape``);
    a field that the source does not tell of is left out. `url` is http or https, whatever the source sent: see
    ``painchain.connectors.http.link``. An unknown author is "unknown".
    """

    event_id: str
    event_type: str
    title: str
    timestamp: datetime
    author: str = "unknown"
    status: str | None = None
    url: str | None = None
    text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RateLimit:
    """How many more requests the source takes until `resets`."""

    limit: int | None
    remaining: int
    resets: datetime | None = None


@dataclass(frozen=True)
class PollGap:
    """A stretch of time of which the source can no longer tell everything, and why in words."""

    start: datetime
    end: datetime
    reason: str


@dataclass(frozen=True)
class PollContext:
    """All that a connector type needs to poll once.

    `settings` are the values of its fields, normalised, secrets in plain text. `cursor` is what the poll before
    returned, {} the first time; `since` is where that first time begins. `stopping` says that the server is going
    down: return what is found so far.
    """

    settings: Mapping[str, Any]
    cursor: Cursor
    now: datetime
    stopping: Callable[[], bool] = lambda: False

    @property
    def since(self) -> datetime:
        """Where the first poll of a new connector begins."""
        return self.now - FIRST_POLL_WINDOW


@dataclass(frozen=True)
class PollResult:
    """What one poll found, and the cursor from which the next goes on: both are stored in one commit.

    `more` says that there is more than one poll takes: the next is due at once. `note` says so, or what else a
    person should know, in words.
    """

    events: Sequence[SourceEvent]
    cursor: Cursor
    has_more: bool = False
    note: str = ""
    gap: PollGap | None = None
    rate_limit: RateLimit | None = None


@dataclass(frozen=True)
class ConnectionTestResult:
    """What a test of the connection tells: whose token it is, what it can see, and what is missing.

    `missing` names each permission or thing that is not there, in words that say what to do. `ok` is False if
    polling would fail.
    """

    ok: bool
    identity: str = ""
    sees: Sequence[str] = ()
    missing: Sequence[str] = ()


@dataclass(frozen=True)
class Delivery:
    """One webhook delivery as it came in: its headers by lower-case name, and the raw body."""

    headers: Mapping[str, str]
    body: bytes


class InvalidSignature(Exception):
    """A webhook delivery whose signature or token is missing or wrong."""


class UnreadableDelivery(Exception):
    """A genuine webhook delivery whose body is not what it should be; the message says what is wrong."""


@dataclass(frozen=True)
class WebhookHandler:
    """How the webhooks of a connector type are read.

    `verify(delivery, secret)` raises NotGenuine, in constant time. `delivery_id(delivery)` returns the source's own
    id of the delivery, by which a repeated one is known; "" if it has none. `read(delivery, settings, now)` returns
    the same events with the same ids as polling would, [] for what is no news; it raises Unreadable.
    `topic(delivery)` is what the source calls it, such as "push"; "" if it has no name for it.
    """

    verify: Callable[[Delivery, str], None]
    delivery_id: Callable[[Delivery], str]
    read: Callable[[Delivery, Mapping[str, Any], datetime], Sequence[SourceEvent]]
    instructions: str = ""
    topic: Callable[[Delivery], str] = lambda delivery: ""


Poll = Callable[[PollContext], PollResult]
TestConnection = Callable[[Mapping[str, Any], datetime], ConnectionTestResult]

# What a watch has heard, to be put on the cursor that is stored, whatever it is by then.
CursorUpdate = Callable[[Cursor], PollResult]
# ``watch(turn)`` listens between polls and yields what it hears, in order. It begins with the cursor of a poll. It runs
# in the event loop of all watches, so it never blocks, and stops where it is cancelled. Where it ends by itself, it
# can only go on after a poll. ``Polled.more`` asks for one at once.
Watch = Callable[[PollContext], AsyncIterator[CursorUpdate]]

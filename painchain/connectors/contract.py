"""The values that connector types exchange with ingestion: poll contexts, results, events and errors."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

FIRST_POLL_WINDOW = timedelta(hours=24)  # how far the first poll of a new connector looks back
MAX_EVENTS = 10_000  # of one poll; the next poll reads the rest
# No source is older. Programs that have no date write year 1, 1970 or 1980.
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)

Cursor = dict[str, Any]


class ErrorKind(StrEnum):
    """Why a poll failed. Connector health and the data gaps of the timeline depend on it."""

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
    """A poll that failed. The message says what happened and what to do; it contains no secret.

    `retry_at` is the earliest time of the next request, if the source names one. `status` is the HTTP status.
    """

    def __init__(self, message: str, kind: ErrorKind, retry_at: datetime | None = None, status: int | None = None):
        super().__init__(message)
        self.kind = kind
        self.retry_at = retry_at
        self.status = status


@dataclass(frozen=True)
class SourceEvent:
    """One change that a source reports, as the timeline stores it.

    `event_id` is built from the source's own ids, so that reading a change twice adds nothing
    (``painchain.connectors.code_hosts.event_id``). `timestamp` is the time that the source gives; a time in the future
    or absurdly early is stored as now. The keys of `facts` are those of the event type's fields, the values have the
    shape of the field (``painchain.connectors.base.Shape``); facts that the source does not send are left out. `url` is
    an http or https URL, or None (see ``painchain.connectors.http_client.link``). An unknown author is "unknown".

    `former_ids` are the ids under which older versions may have stored this very event, each with the time of the
    stored event, or None if any time will do. If the same connector has stored one of them, the event is a duplicate.
    A former id can end in ``:*``: then the last part can be anything, other parts that are ``*`` too, and the time is
    right to a minute. This finds an event that a webhook reported before the source's own id was known. If only the
    previous poll is known to be earlier, `former_since` is its time: the event can be stored at any time since then.

    `details` refers to what the source's API still has to add to an event that a webhook reported: JSON that
    ``WebhookHandler.complete`` understands. None means that the event is complete. `tags` are those that the source
    gives, beside those of the connector.
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
    former_ids: Mapping[str, datetime | None] = field(default_factory=dict)
    former_since: datetime | None = None
    details: Mapping[str, Any] | None = None
    tags: Sequence[str] = ()


@dataclass(frozen=True)
class RateLimit:
    """The rate limit of a source: `remaining` requests until `resets`."""

    limit: int | None
    remaining: int
    resets: datetime | None = None


@dataclass(frozen=True)
class PollGap:
    """A period from which events are missing, because the source no longer has them, and the reason."""

    start: datetime
    end: datetime
    reason: str


@dataclass(frozen=True)
class PollContext:
    """The input of one poll.

    `settings` are the normalized field values, with secrets in plain text. `cursor` is the cursor of the previous
    poll, {} for the first one. `stopping` returns whether the server is shutting down: then return the events read
    so far. `connector_id` is part of the ids of events. `recorded_facts` returns the facts of the event with this id,
    None if it is not recorded; each call costs a query.
    """

    settings: Mapping[str, Any]
    cursor: Cursor
    now: datetime
    stopping: Callable[[], bool] = lambda: False
    connector_id: int = 0
    recorded_facts: Callable[[str], Mapping[str, Any] | None] = lambda event_id: None

    @property
    def since(self) -> datetime:
        """The start of the period that the first poll reads."""
        return self.now - FIRST_POLL_WINDOW


@dataclass(frozen=True)
class PollResult:
    """The events of one poll and the cursor for the next one. Both are stored in one transaction.

    If `has_more` is true, the next poll is due immediately. `note` is a message for the people who look at the
    connector. `requests` is the number of requests that the poll sent, None if they are not counted.
    """

    events: Sequence[SourceEvent]
    cursor: Cursor
    has_more: bool = False
    note: str = ""
    gap: PollGap | None = None
    rate_limit: RateLimit | None = None
    requests: int | None = None


@dataclass(frozen=True)
class ConnectionTestResult:
    """The result of a connection test: the owner of the token, what it can access, and what is missing.

    `missing` has one message for each missing permission or object, which says what to do. `ok` is False if polling
    would fail.
    """

    ok: bool
    identity: str = ""
    sees: Sequence[str] = ()
    missing: Sequence[str] = ()


@dataclass(frozen=True)
class Delivery:
    """One webhook delivery: its headers by lower-case name, and the raw body."""

    headers: Mapping[str, str]
    body: bytes


class InvalidSignature(Exception):
    """A webhook delivery whose signature or token is missing or wrong."""


class UnreadableDelivery(Exception):
    """A webhook delivery with a valid signature but an unexpected body; the message says what is wrong."""


class NothingToRecord(Exception):
    """A genuine webhook delivery that makes no event; the message gives the reason in one sentence for people."""


@dataclass(frozen=True)
class WebhookContext:
    """The connector that receives a webhook delivery.

    `settings` are the normalized field values, with secrets in plain text. `read_cursor` returns the cursor of the last
    poll, {} before the first one; `is_recorded` returns whether an event with this id is recorded. Each
    call costs a query. Reading a delivery adds to `left_out` why a part of it makes no event, as sentences for people.
    """

    connector_id: int
    settings: Mapping[str, Any]
    now: datetime
    read_cursor: Callable[[], Cursor] = dict
    is_recorded: Callable[[str], bool] = lambda event_id: False
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class SetupGuide:
    """How to set up a webhook at its source.

    `sender` is what sends the webhooks, as in “the registry”. `steps` are Markdown with ``{url}`` and ``{secret}`` in
    place of those of the connector. With `gives_secret`, the source makes the secret.
    """

    sender: str
    steps: str
    gives_secret: bool = False


@dataclass(frozen=True)
class ConfiguredWebhook:
    """Webhooks whose signature and content depend on the settings of the connector.

    The last deliveries of such a connector are kept, so that other settings can be tried with them.

    `verify(settings, delivery, secret, now)` is as `WebhookHandler.verify`. `kept_headers(settings, headers)` returns
    the headers of a delivery without those that can have a secret. `guide(settings)` says how to set up the webhook.
    """

    verify: Callable[[Mapping[str, Any], Delivery, str, datetime], None]
    kept_headers: Callable[[Mapping[str, Any], Mapping[str, str]], Mapping[str, str]]
    guide: Callable[[Mapping[str, Any]], SetupGuide]


@dataclass(frozen=True)
class WebhookHandler:
    """How a connector type reads webhooks.

    `verify(delivery, secret, now)` checks the signature in constant time and raises InvalidSignature.
    `delivery_id(delivery)` returns the source's id of the delivery, which finds repeated deliveries; "" if it has none.
    `read(delivery, context)` returns the events that polling would find, with the same ids, and sends no request; it
    raises NothingToRecord or UnreadableDelivery. `topic(delivery)` returns the source's name of the delivery, such as
    "push", or "". `complete(context, event)` asks the source's API for what the event's `details` refer to, and returns
    the event as polling makes it; it raises PollError. It runs after the delivery was answered. The id stays the same,
    unless only the API knows the id that polling gives. `first_cursor(settings)` returns the cursor of a connector that
    has recorded deliveries and was not polled yet. `configured` has what depends on the settings of the connector;
    without it, nothing does.
    """

    verify: Callable[[Delivery, str, datetime], None]
    delivery_id: Callable[[Delivery], str]
    read: Callable[[Delivery, WebhookContext], Sequence[SourceEvent]]
    instructions: str = ""
    topic: Callable[[Delivery], str] = lambda delivery: ""
    complete: Callable[[WebhookContext, SourceEvent], SourceEvent] | None = None
    first_cursor: Callable[[Mapping[str, Any]], Cursor] = lambda settings: {}
    configured: ConfiguredWebhook | None = None

    def verify_for(self, settings: Mapping[str, Any], delivery: Delivery, secret: str, now: datetime) -> None:
        """Check the signature of a delivery to a connector with these settings.

        :raises InvalidSignature: if it is missing or wrong.
        """
        if self.configured:
            self.configured.verify(settings, delivery, secret, now)
        else:
            self.verify(delivery, secret, now)


Poll = Callable[[PollContext], PollResult]
TestConnection = Callable[[Mapping[str, Any], datetime], ConnectionTestResult]

# ``followed(settings, cursor)`` returns what a connector follows, such as repositories: the name of each by everything
# that identifies it on its server.
Followed = Callable[[Mapping[str, Any], Cursor], Mapping[str, str]]

# Applies what a watch received to the stored cursor. A poll may have advanced the cursor in the meantime.
CursorUpdate = Callable[[Cursor], PollResult]
# ``watch(context)`` listens between polls and yields what it receives, in order. It starts from the cursor of a poll,
# and runs in the event loop of all watches: it must not block, and it stops when it is cancelled. When it returns, it
# can only continue after a poll; ``PollResult.has_more`` requests one immediately.
Watch = Callable[[PollContext], AsyncIterator[CursorUpdate]]

"""The transactional outbox of notifications: a message is written in the same transaction as its event."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, or_, select, update
from sqlalchemy.engine import Connection

from painchain import connectors
from painchain.core.backoff import delay_after, delay_before
from painchain.database import clock
from painchain.database.models import Notice, NotifyRule
from painchain.database.prepared import Prepared
from painchain.database.session import Base, autocommit_connection, db, write_transaction
from painchain.database.types import EPOCH
from painchain.eventlog import writer
from painchain.eventlog.writer import NewEvent

LEASE = timedelta(minutes=2)
MAX_BATCH = 20  # notices of a rule that one server sends at a time
MAX_TRIES = 10
TITLE_LENGTH, TEXT_LENGTH = 200, 1_000

_notices, _rules = (Base.metadata.tables[model.__tablename__] for model in (Notice, NotifyRule))
_HAS_NOTICES = Prepared(select(exists(select(_notices.c.id))))


@dataclass(frozen=True)
class Kind:
    """One choice under “Notify when”: the event types it covers, and a condition on the event."""

    key: str
    label: str
    event_types: tuple[str, ...]
    matches: Callable[[NewEvent], bool] = lambda event: True


@dataclass(frozen=True)
class QueuedNotice:
    """A notice in the outbox. The last line of `text` says who did it and when."""

    id: int
    title: str
    text: str


@dataclass(frozen=True)
class ClaimedNotices:
    """Notices of one rule that this process is sending, oldest first, and the number of earlier tries of each."""

    rule_id: int
    sealed_url: str
    notices: Sequence[QueuedNotice]
    tries: int


def _is_about_auditing(event: NewEvent) -> bool:
    return event.connector_type == connectors.BUILTIN.key


KINDS = (
    Kind("auditing_off", "Auditing is switched off", ("ConnectorDisabled",), _is_about_auditing),
    Kind("connector_deleted", "A connector is deleted", ("ConnectorDeleted",)),
    Kind(
        "connector_disabled",
        "A connector is disabled",
        ("ConnectorDisabled",),
        lambda event: not _is_about_auditing(event),
    ),
    Kind("connector_failing", "A connector starts failing or recovers", ("ConnectorFailing", "ConnectorRecovered")),
    Kind("sign_in_failed", "A sign-in fails", ("SignInFailed",)),
    Kind("chain_broken", "The audit log fails verification", ("ChainBroken",)),
)
# Offer only kinds whose event types exist.
OFFERED = tuple(kind for kind in KINDS if any(connectors.BUILTIN.event_type(name) for name in kind.event_types))
_NOTIFIED_TYPES = {name for kind in OFFERED for name in kind.event_types}


def enqueue(connection: Connection, event: NewEvent) -> None:
    """Put a message into the outbox for each rule that matches this event, in the event's transaction.

    Events of other types cost no query. Events reported by scripts are skipped: they happened elsewhere.
    """
    if event.event_type not in _NOTIFIED_TYPES or event.description.get("reported"):
        return
    matching_kinds = {kind.key for kind in OFFERED if event.event_type in kind.event_types and kind.matches(event)}
    rules = connection.execute(select(_rules.c.id, _rules.c.kinds).where(_rules.c.enabled)).all()
    rule_ids = [rule_id for rule_id, kinds in rules if matching_kinds & set(kinds)]
    if rule_ids:
        connection.execute(insert(_notices), [{"rule_id": rule_id, **_message(event)} for rule_id in rule_ids])


def _message(event: NewEvent) -> dict[str, object]:
    event_type = connectors.BUILTIN.event_type(event.event_type)
    label = event_type.label if event_type else event.event_type
    title = f"PainChain: {label}: {event.connector_name}" if event.connector_name else f"PainChain: {label}"
    text = _cut(str(event.description.get("text") or event.title), TEXT_LENGTH)
    return {
        "title": _cut(title, TITLE_LENGTH),
        "text": f"{text}\nby {event.author}, {event.timestamp:%Y-%m-%d %H:%M:%S} UTC",
        "tries": 0,
        "due": event.recorded_at,
        "taken_until": EPOCH,
    }


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: length - 1]}…"


def has_notices() -> bool:
    """Return whether a notice waits, or is being sent."""
    with autocommit_connection() as connection:
        return _HAS_NOTICES.all(connection) != [[False]]


def claim(now: datetime) -> ClaimedNotices | None:
    """Lease due notices of one rule to this process. None if nothing is due.

    All of them have been tried equally often, so that a new notice does not share the last try of an old one.

    :raises painchain.database.session.WrongKey: when the key was replaced: this process can decrypt no address.
    """
    if not has_notices():  # as nearly always: the query would take five times as long
        return None
    with db.engine.connect() as connection:
        claimable = (_is_due(now), clock.reached_condition(_notices.c.taken_until, now, LEASE))
        query = select(_notices.c.rule_id, _notices.c.tries).where(*claimable).order_by(_notices.c.due, _notices.c.id)
        first = connection.execute(query.limit(1)).first()
        if first is None:
            return None
        writer.check_key()
        numbers = list(
            connection.scalars(
                select(_notices.c.id)
                .where(*claimable, _notices.c.rule_id == first.rule_id, _notices.c.tries == first.tries)
                .order_by(_notices.c.id)
                .limit(MAX_BATCH)
            )
        )
    with write_transaction() as connection:
        claimed = connection.execute(
            update(_notices)
            .where(_notices.c.id.in_(numbers), *claimable)
            .values(taken_until=now + LEASE)
            .returning(_notices.c.id, _notices.c.title, _notices.c.text)
        ).all()
        url = connection.scalar(select(_rules.c.url).where(_rules.c.id == first.rule_id))
    if not claimed or url is None:
        return None
    notices = sorted((QueuedNotice(*row) for row in claimed), key=lambda notice: notice.id)
    return ClaimedNotices(first.rule_id, url, notices, first.tries)


def _is_due(now: datetime) -> ColumnElement[bool]:
    """Return the condition for due messages. None waits longer than its delay, even if the clock was set back."""
    due_after_tries = (
        and_(_notices.c.tries == tries, clock.reached_condition(_notices.c.due, now, delay_before(tries)))
        for tries in range(MAX_TRIES)
    )
    return or_(*due_after_tries)


def settle(claimed: ClaimedNotices, numbers: Collection[int], now: datetime, error: str | None) -> bool:
    """Store the result of sending some of the claimed notices, and return whether they were given up.

    Sent notices are deleted. Others are retried later, or given up after `MAX_TRIES`.
    """
    rows = _notices.c.id.in_(numbers)
    gives_up = error is not None and claimed.tries + 1 >= MAX_TRIES
    with write_transaction() as connection:
        if error is None or gives_up:
            connection.execute(delete(_notices).where(rows))
        else:
            retry = {"tries": claimed.tries + 1, "due": now + delay_after(claimed.tries), "taken_until": EPOCH}
            connection.execute(update(_notices).where(rows).values(retry))
        store_result(connection, claimed.rule_id, now, error, len(numbers) if gives_up else 0)
    return gives_up


def release(numbers: Collection[int]) -> None:
    """End the lease of notices that were not tried: they are still due."""
    with write_transaction() as connection:
        connection.execute(update(_notices).where(_notices.c.id.in_(numbers)).values(taken_until=EPOCH))


def store_result(connection: Connection, rule_id: int, now: datetime, error: str | None, lost: int = 0) -> None:
    """Store the latest result on the rule.

    A success does not hide a failure while a notice is being retried, or before a person has seen that some were
    given up.
    """
    the_rule = update(_rules).where(_rules.c.id == rule_id)
    if error:
        connection.execute(the_rule.values(error=error, failed_at=now, lost=_rules.c.lost + lost))
        return
    connection.execute(the_rule.values(last_sent=now))
    retried = exists().where(_notices.c.rule_id == rule_id, _notices.c.tries > 0)
    connection.execute(the_rule.where(_rules.c.lost == 0, ~retried).values(error=None, failed_at=None))


def mark_seen(rule_id: int, lost: int) -> bool:
    """Clear the failure of a rule: a person has seen that `lost` notices were given up. False if they are more now."""
    seen = {"lost": 0, "error": None, "failed_at": None}
    with write_transaction() as connection:
        cleared = connection.execute(
            update(_rules).where(_rules.c.id == rule_id, _rules.c.lost == lost).values(seen).returning(_rules.c.id)
        )
        return cleared.first() is not None


def pending() -> dict[int, tuple[int, datetime]]:
    """Return the number of unsent messages of each rule, and when the next is due."""
    query = select(_notices.c.rule_id, func.count(), func.min(_notices.c.due)).group_by(_notices.c.rule_id)
    return {rule_id: (count, due) for rule_id, count, due in db.session.execute(query)}


def delete_pending(rule_id: int) -> None:
    """Delete the unsent messages of a rule, inside a write transaction."""
    db.session.execute(delete(_notices).where(_notices.c.rule_id == rule_id))

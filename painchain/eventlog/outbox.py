"""The transactional outbox of notifications: a message is written in the same transaction as its event."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, func, insert, or_, select, update
from sqlalchemy.engine import Connection

from painchain import connectors
from painchain.core.backoff import delay_after, delay_before
from painchain.database import clock
from painchain.database.models import Notice, NotifyRule
from painchain.database.session import Base, db, write_transaction
from painchain.database.types import EPOCH
from painchain.eventlog import writer
from painchain.eventlog.writer import NewEvent

LEASE = timedelta(minutes=2)
MAX_BATCH = 20  # messages of a rule that are sent together
MAX_TRIES = 10
TITLE_LENGTH, TEXT_LENGTH = 200, 1_000

_notices, _rules = (Base.metadata.tables[model.__tablename__] for model in (Notice, NotifyRule))


@dataclass(frozen=True)
class Kind:
    """One choice under “Notify when”: the event types it covers, and a condition on the event."""

    key: str
    label: str
    event_types: tuple[str, ...]
    matches: Callable[[NewEvent], bool] = lambda event: True


@dataclass(frozen=True)
class ClaimedNotices:
    """Messages of one rule that this process is sending, and the number of earlier tries."""

    rule_id: int
    sealed_url: str
    numbers: Sequence[int]
    messages: Sequence[tuple[str, str]]
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
    text = str(event.description.get("text") or event.title)[:TEXT_LENGTH]
    return {
        "title": title[:TITLE_LENGTH],
        "text": f"{text}\nby {event.author}, {event.timestamp:%Y-%m-%d %H:%M:%S} UTC",
        "tries": 0,
        "due": event.recorded_at,
        "taken_until": EPOCH,
    }


def claim(now: datetime) -> ClaimedNotices | None:
    """Lease the due messages of one rule to this process. None if nothing is due.

    :raises painchain.database.session.WrongKey: when the key was replaced: this process can decrypt no address.
    """
    claimable = (_is_due(now), clock.reached_condition(_notices.c.taken_until, now, LEASE))
    query = select(_notices.c.rule_id, _notices.c.id).where(*claimable).order_by(_notices.c.due, _notices.c.id)
    with db.engine.connect() as connection:
        first = connection.execute(query.limit(1)).first()
        if first is None:
            return None
        writer.check_key()
        numbers = list(
            connection.scalars(
                select(_notices.c.id)
                .where(*claimable, _notices.c.rule_id == first.rule_id)
                .order_by(_notices.c.id)
                .limit(MAX_BATCH)
            )
        )
    with write_transaction() as connection:
        claimed = connection.execute(
            update(_notices)
            .where(_notices.c.id.in_(numbers), *claimable)
            .values(taken_until=now + LEASE)
            .returning(_notices.c.id, _notices.c.title, _notices.c.text, _notices.c.tries)
        ).all()
        url = connection.scalar(select(_rules.c.url).where(_rules.c.id == first.rule_id))
    if not claimed or url is None:
        return None
    claimed = sorted(claimed, key=lambda row: row.id)
    return ClaimedNotices(
        first.rule_id,
        url,
        [row.id for row in claimed],
        [(row.title, row.text) for row in claimed],
        max(row.tries for row in claimed),
    )


def _is_due(now: datetime) -> ColumnElement[bool]:
    """Return the condition for due messages. None waits longer than its delay, even if the clock was set back."""
    due_after_tries = (
        and_(_notices.c.tries == tries, clock.reached_condition(_notices.c.due, now, delay_before(tries)))
        for tries in range(MAX_TRIES)
    )
    return or_(*due_after_tries)


def settle(claimed: ClaimedNotices, now: datetime, error: str | None) -> None:
    """Store the result of sending: delete sent messages, retry failed ones later, give up after `MAX_TRIES`."""
    claimed_rows = _notices.c.id.in_(claimed.numbers)
    gives_up = error is not None and claimed.tries + 1 >= MAX_TRIES
    with write_transaction() as connection:
        if error is None or gives_up:
            connection.execute(delete(_notices).where(claimed_rows))
        else:
            retry = {"tries": claimed.tries + 1, "due": now + delay_after(claimed.tries), "taken_until": EPOCH}
            connection.execute(update(_notices).where(claimed_rows).values(retry))
        store_result(connection, claimed.rule_id, now, error, len(claimed.numbers) if gives_up else 0)


def store_result(connection: Connection, rule_id: int, now: datetime, error: str | None, lost: int = 0) -> None:
    """Store the latest result on the rule."""
    succeeded: dict[str, object] = {"last_sent": now, "error": None, "failed_at": None, "lost": 0}
    failed = {"error": error, "failed_at": now, "lost": _rules.c.lost + lost}
    connection.execute(update(_rules).where(_rules.c.id == rule_id).values(failed if error else succeeded))


def pending() -> dict[int, tuple[int, datetime]]:
    """Return the number of unsent messages of each rule, and when the next is due."""
    query = select(_notices.c.rule_id, func.count(), func.min(_notices.c.due)).group_by(_notices.c.rule_id)
    return {rule_id: (count, due) for rule_id, count, due in db.session.execute(query)}


def delete_pending(rule_id: int) -> None:
    """Delete the unsent messages of a rule, inside a write transaction."""
    db.session.execute(delete(_notices).where(_notices.c.rule_id == rule_id))

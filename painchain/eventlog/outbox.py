"""The transactional outbox of notifications: messages are written in the transaction of the events they are about."""

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
AT_ONCE = 20  # messages of a rule that are sent as one
TRIES = 10
TITLE_LENGTH, TEXT_LENGTH = 200, 1_000

_notices, _rules = (Base.metadata.tables[model.__tablename__] for model in (Notice, NotifyRule))


@dataclass(frozen=True)
class Kind:
    """One kind of events that rules can notify of: those of these types, about auditing itself or not."""

    key: str
    label: str
    event_types: tuple[str, ...]
    about: Callable[[NewEvent], bool] = lambda event: True


@dataclass(frozen=True)
class ClaimedNotices:
    """Messages of one rule that this process sends now, and how often that was tried before."""

    rule_id: int
    sealed_url: str
    numbers: Sequence[int]
    messages: Sequence[tuple[str, str]]
    tries: int


def _of_auditing(event: NewEvent) -> bool:
    return event.connector_type == connectors.BUILTIN.key


KINDS = (
    Kind("auditing_off", "Auditing is switched off", ("ConnectorDisabled",), _of_auditing),
    Kind("connector_deleted", "A connector is deleted", ("ConnectorDeleted",)),
    Kind(
        "connector_disabled", "A connector is disabled", ("ConnectorDisabled",), lambda event: not _of_auditing(event)
    ),
    Kind("connector_failing", "A connector begins to fail, or recovers", ("ConnectorFailing", "ConnectorRecovered")),
    Kind("sign_in_failed", "A sign-in fails", ("SignInFailed",)),
    Kind("chain_broken", "The chain of the audit trail is broken", ("ChainBroken",)),
)
# Only what can happen is offered: a kind comes by itself with the event type that it is about.
OFFERED = tuple(kind for kind in KINDS if any(connectors.BUILTIN.event_type(name) for name in kind.event_types))
_TOLD = {name for kind in OFFERED for name in kind.event_types}


def announce(connection: Connection, event: NewEvent) -> None:
    """Put a message into the outbox for each rule that asks for this event, in the event's transaction.

    Most events are of no such kind, and cost nothing. What a script reports happened elsewhere.
    """
    if event.event_type not in _TOLD or event.description.get("reported"):
        return
    wanted = {kind.key for kind in OFFERED if event.event_type in kind.event_types and kind.about(event)}
    rules = connection.execute(select(_rules.c.id, _rules.c.kinds).where(_rules.c.enabled)).all()
    rule_ids = [rule_id for rule_id, kinds in rules if wanted & set(kinds)]
    if rule_ids:
        connection.execute(insert(_notices), [{"rule_id": rule_id, **_message(event)} for rule_id in rule_ids])


def _message(event: NewEvent) -> dict[str, object]:
    event_type = connectors.BUILTIN.event_type(event.event_type)
    what = event_type.label if event_type else event.event_type
    title = f"PainChain: {what}: {event.connector_name}" if event.connector_name else f"PainChain: {what}"
    text = str(event.description.get("text") or event.title)[:TEXT_LENGTH]
    return {
        "title": title[:TITLE_LENGTH],
        "text": f"{text}\nby {event.author}, {event.timestamp:%Y-%m-%d %H:%M:%S} UTC",
        "tries": 0,
        "due": event.recorded_at,
        "taken_until": EPOCH,
    }


def claim(now: datetime) -> ClaimedNotices | None:
    """Take what is due of one rule: no other process takes it for a while. None if nothing is due.

    :raises painchain.database.session.WrongKey: when the key was replaced, and this process can decrypt no address.
    """
    free = (_is_due(now), clock.reached_condition(_notices.c.taken_until, now, LEASE))
    query = select(_notices.c.rule_id, _notices.c.id).where(*free).order_by(_notices.c.due, _notices.c.id)
    with db.engine.connect() as connection:
        first = connection.execute(query.limit(1)).first()
        if first is None:
            return None
        writer.check_key()
        numbers = list(
            connection.scalars(
                select(_notices.c.id)
                .where(*free, _notices.c.rule_id == first.rule_id)
                .order_by(_notices.c.id)
                .limit(AT_ONCE)
            )
        )
    with write_transaction() as connection:
        mine = connection.execute(
            update(_notices)
            .where(_notices.c.id.in_(numbers), *free)
            .values(taken_until=now + LEASE)
            .returning(_notices.c.id, _notices.c.title, _notices.c.text, _notices.c.tries)
        ).all()
        url = connection.scalar(select(_rules.c.url).where(_rules.c.id == first.rule_id))
    if not mine or url is None:
        return None
    mine = sorted(mine, key=lambda row: row.id)
    return ClaimedNotices(
        first.rule_id,
        url,
        [row.id for row in mine],
        [(row.title, row.text) for row in mine],
        max(row.tries for row in mine),
    )


def _is_due(now: datetime) -> ColumnElement[bool]:
    """Say whether a message is due; none waits longer than its delay, also if the clock was put back."""
    waits = (
        and_(_notices.c.tries == tries, clock.reached_condition(_notices.c.due, now, delay_before(tries)))
        for tries in range(TRIES)
    )
    return or_(*waits)


def settle(taken: ClaimedNotices, now: datetime, error: str | None) -> None:
    """Store how it went: what was sent is gone; what failed is tried again later, and given up after `TRIES`."""
    here = _notices.c.id.in_(taken.numbers)
    given_up = error is not None and taken.tries + 1 >= TRIES
    with write_transaction() as connection:
        if error is None or given_up:
            connection.execute(delete(_notices).where(here))
        else:
            again = {"tries": taken.tries + 1, "due": now + delay_after(taken.tries), "taken_until": EPOCH}
            connection.execute(update(_notices).where(here).values(again))
        note(connection, taken.rule_id, now, error, len(taken.numbers) if given_up else 0)


def note(connection: Connection, rule_id: int, now: datetime, error: str | None, lost: int = 0) -> None:
    """Store on the rule whether it went well last."""
    went: dict[str, object] = {"last_sent": now, "error": None, "failed_at": None, "lost": 0}
    failed = {"error": error, "failed_at": now, "lost": _rules.c.lost + lost}
    connection.execute(update(_rules).where(_rules.c.id == rule_id).values(failed if error else went))


def waiting() -> dict[int, tuple[int, datetime]]:
    """Return how many messages each rule still has to send, and when the next is due."""
    query = select(_notices.c.rule_id, func.count(), func.min(_notices.c.due)).group_by(_notices.c.rule_id)
    return {rule_id: (count, due) for rule_id, count, due in db.session.execute(query)}


def withdraw(rule_id: int) -> None:
    """Remove what a rule still has to send, inside a write transaction."""
    db.session.execute(delete(_notices).where(_notices.c.rule_id == rule_id))

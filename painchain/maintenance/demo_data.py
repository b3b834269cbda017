"""Fill a log with the events of a made-up company, for demonstrations and measurements."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import count, takewhile
from random import Random

from painchain.database.types import microseconds, moment
from painchain.eventlog import writer
from painchain.eventlog.writer import NewEvent
from painchain.maintenance.demo import changes, connectors, incidents, webhooks
from painchain.maintenance.demo.company import AUTHORS, EDGE, RARE, SILENT, Company, Step
from painchain.maintenance.demo.connectors import Action, DemoConnector
from painchain.maintenance.demo.stories import Stories

__all__ = ["AUTHORS", "RARE", "fill", "is_in_log"]

BATCH = 5_000  # events in one transaction
AUDITED_INTERVAL = 100  # after so many events, one setting is changed
RARELY = 60  # the number of events by the rare author, in a log of any size
SCHEDULED_SHARE = 8  # at most one of so many events is of a scheduled run
SILENT_FOR, FAILING_FOR = timedelta(hours=7), timedelta(hours=5)
WEEKDAY_WEIGHTS = (*(0.25 for _ in range(6)), 0.6, 2, *(6 for _ in range(10)), 2, 1, 0.8, 0.6, 0.4, 0.3)
Item = Step | Action


def fill(
    events: int,
    days: int,
    seed: int,
    now: datetime,
    done: Callable[[int], None],
    with_teams: bool = False,
    with_changes: bool = False,
) -> None:
    """Write `events` sample events of the last `days`. The same `seed` and time give the same events.

    `done` is called with the number of new events after each transaction. The demo connectors are created and
    recorded, and two teams if they are wanted. Their addresses do not exist, and only the one that fails is polled.
    `with_changes` adds what scripts report to the API, and what an Alertmanager and a CI server post.
    """
    random, begin = Random(seed), now - timedelta(days=days)  # noqa: S311  nothing here is secret
    with writer.writing() as event_log:
        base = event_log.last_event
        demo_connectors = connectors.create(event_log, begin)
        if with_teams:
            connectors.create_teams(event_log, begin)
        if with_changes:
            webhooks.create(event_log, begin)
        created = event_log.last_event - base
    done(created)
    company = Company(random, base - 1)
    ids = {name: connector.id for name, connector in demo_connectors.items()}
    stories = Stories(company, ids, lambda name, at: _is_collecting(name, at, now))
    special = [*_incidents(stories, begin, now), *_schedule(stories, events, begin, now)]
    if demo_connectors[connectors.ARCHIVE].enabled:
        special.append(connectors.archived(begin + (now - begin) / 5))
    if with_changes:
        special += changes.reported(company, events, begin, now)
        special += (each for each in webhooks.received(company, events, begin, now) if begin <= each.at <= now)
    items = _in_order(_plan(stories, special, events - created, begin, now))
    batch: list[NewEvent | Action] = []
    for item in items:
        batch.append(item if isinstance(item, Action) else _new_event(item, demo_connectors, base, now))
        if len(batch) >= BATCH:
            done(_write(batch))
            batch = []
    done(_write(batch))
    with writer.writing():
        connectors.stop_polls(now, now - FAILING_FOR)


def is_in_log() -> bool:
    """Return whether the log has the events of a demo: whether one of its connectors exists."""
    return connectors.any_exist()


def _write(batch: list[NewEvent | Action]) -> int:
    with writer.writing() as event_log:
        before = event_log.last_event
        for item in batch:
            if isinstance(item, Action):
                item.run(event_log)
            else:
                event_log.append(item)
        return event_log.last_event - before


def _plan(stories: Stories, special: list[Item], events: int, begin: datetime, now: datetime) -> Iterator[list[Item]]:
    """Yield lists of steps that begin one after the other: the special ones, and ordinary ones between them.

    Together they make exactly this many events.
    """
    special = sorted(special, key=lambda item: item.at)
    while (budget := events - _size(special)) < 0:
        special.pop(0)
    for story in _ordinary(stories, budget, begin, now):
        first = story[0].at
        while special and special[0].at <= first:
            yield [special.pop(0)]
        yield story
    yield from ([item] for item in special)


def _incidents(stories: Stories, begin: datetime, now: datetime) -> Iterator[Item]:
    """Yield the steps of the three incidents, and the failure of a connector."""
    silent_at = now - SILENT_FOR
    yield from incidents.bad_deployment(stories, now)
    yield from incidents.bad_configuration(stories, _working_time(begin, now))
    yield from incidents.last_before_silence(stories, silent_at)
    yield connectors.wrong_projects(silent_at)
    yield connectors.failure(now - FAILING_FOR)


def _working_time(begin: datetime, now: datetime) -> datetime:
    """Return an afternoon of a working day at least two days ago, or about the middle of a shorter time."""
    afternoon = (now - timedelta(days=2)).replace(hour=14, minute=21, second=0, microsecond=0)
    while afternoon.weekday() >= 5:
        afternoon -= timedelta(days=1)
    return afternoon if afternoon > begin else begin + (now - begin) / 2


def _ordinary(stories: Stories, budget: int, begin: datetime, now: datetime) -> Iterator[list[Item]]:
    """Yield ordinary stories with exactly `budget` events together, in order of their beginnings."""
    random, times = stories.random, _times(budget, begin, now, stories.random)
    small, rarely = stories.small(), max(budget // RARELY, 25)
    used = rare = audited = number = 0
    while used < budget:
        at = times[used]
        number += 1
        story: list[Item]
        if used // AUDITED_INTERVAL > audited and budget - used > 1:
            audited += 1
            story = [connectors.ordinary_change(random, at)]
        elif used // rarely > rare:
            rare += 1
            story = list(stories.by_rare_author(at, rare))
        else:
            story = list(stories.delivery(at) if number % 5 == 1 else next(small)(at))
        kept = list(takewhile(lambda step: isinstance(step, Action) or _is_collected(step, now), story))
        kept = kept[: budget - used]
        used += _size(kept)
        yield kept


def _schedule(stories: Stories, events: int, begin: datetime, now: datetime) -> Iterator[Item]:
    """Yield the runs that start by the clock, day and night: of one service on each code host."""
    at = begin + timedelta(hours=1)
    pause = max(timedelta(hours=6), (now - begin) / max(events // (4 * SCHEDULED_SHARE), 1))
    while at < now - pause:
        for name, start in (("mailer", at), ("storefront", at + pause / 2)):
            run = stories.checks(start, stories.company.service(name))
            yield from (step for step in run if _is_collected(step, now))
        at += pause


def _size(items: Iterable[Item]) -> int:
    """Return how many events these steps make."""
    return sum(item.events if isinstance(item, Action) else 1 for item in items)


def _is_collected(step: Step, now: datetime) -> bool:
    """Return whether a step is in the past, and its connector collects events then."""
    return step.at <= now and _is_collecting(step.connector, step.at, now)


def _is_collecting(connector: str, at: datetime, now: datetime) -> bool:
    """Return whether a connector collects events at this time: one falls silent, one fails."""
    until = {SILENT: now - SILENT_FOR, EDGE: now - FAILING_FOR}.get(connector)
    return until is None or at < until


def _times(events: int, begin: datetime, now: datetime, random: Random) -> list[datetime]:
    """Return sorted times: many in working hours, few at night and at weekends."""
    hours = [begin + timedelta(hours=hour) for hour in range(max(int((now - begin) / timedelta(hours=1)), 1))]
    weights = [WEEKDAY_WEIGHTS[hour.hour] * (1 if hour.weekday() < 5 else 0.2) for hour in hours]
    busy = random.choices(hours, weights, k=events)
    latest = now - timedelta(seconds=30)
    return sorted(
        min(hour + timedelta(microseconds=random.randrange(20_000_000, 3_600_000_000)), latest) for hour in busy
    )


def _in_order(plan: Iterator[list[Item]]) -> Iterator[Item]:
    """Yield the steps of all stories in order of their times."""
    waiting: list[tuple[datetime, int, Item]] = []
    numbers = count()
    for story in plan:
        while waiting and waiting[0][0] < story[0].at:
            yield heapq.heappop(waiting)[2]
        for item in story:
            heapq.heappush(waiting, (item.at, next(numbers), item))
    while waiting:
        yield heapq.heappop(waiting)[2]


def _new_event(step: Step, demo_connectors: Mapping[str, DemoConnector], base: int, now: datetime) -> NewEvent:
    """Return the event of a step as the next poll of its connector writes it. Events of one poll share a request ID."""
    connector, event = demo_connectors[step.connector], step.make()
    interval = connector.interval * 1_000_000
    polled_at = min(moment((microseconds(step.at) // interval + 1) * interval), now)
    unique = sha256(f"{base} {connector.id} {polled_at}".encode()).hexdigest()[:16]
    return NewEvent(
        event_id=event.event_id,
        source=connector.type,
        event_type=event.event_type,
        title=event.title,
        description={"text": event.text},
        metadata=dict(event.facts),
        author=event.author,
        request_id=f"{microseconds(polled_at):016x}{unique}",
        timestamp=event.timestamp,
        recorded_at=polled_at,
        connector_id=connector.id,
        connector_name=connector.name,
        connector_type=connector.type,
        status=event.status,
        url=event.url,
        tags=connector.tags,
    )

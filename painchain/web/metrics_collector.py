"""Collect for Prometheus the state of database and process at each scrape, without counting long tables."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError

from painchain import connectors
from painchain.audit import trail as audit_trail
from painchain.database.models import ChangeEvent, Connector, EventCount, LogHead, Notice, NotifyRule, PollState
from painchain.database.session import db
from painchain.indexes import rollups
from painchain.ingestion import health as connector_polls
from painchain.ingestion import pending_events
from painchain.integrity import check_job, latest_checkpoint
from painchain.timeline import queries

STATES = ("off", "waiting", "polling", "fine", "failing", "rate_limited")
# Prefixes of the background threads' names.
THREADS = ("scheduler", "poller", "messenger", "watching", "keeper", "completer")


class State(Collector):
    """The current state of database and process. It needs an app context."""

    def collect(self) -> Iterator[Metric]:
        """Yield every series; if the database is down, only that fact and the series that need no database."""
        yield threads()
        try:
            series = [log(), *events(), auditing(), *trust(), *polls(datetime.now(UTC)), *notices(), pending()]
        except SQLAlchemyError:
            series = None
        finally:
            db.session.rollback()
        yield GaugeMetricFamily(
            "painchain_database_up", "Whether the database can be read (1) or not (0).", int(series is not None)
        )
        yield from series or ()


def threads() -> Metric:
    """Return the number of live threads of each kind of background work."""
    alive = GaugeMetricFamily("painchain_background_threads", "Background threads that are alive.", labels=["work"])
    names = [thread.name.partition("-")[0] for thread in threading.enumerate()]
    for work in THREADS:
        alive.add_metric([work], names.count(work))
    return alive


def log() -> Metric:
    """Return the number of the newest event."""
    description = "Highest event number: the number of events ever written, including deleted ones."
    return GaugeMetricFamily("painchain_log_last_event", description, queries.head().last_event)


def events() -> Iterator[Metric]:
    """Yield the number of events by source: from the rollups, plus the few not yet in them."""
    gauge = GaugeMetricFamily("painchain_events", "Events in the log by source.", labels=["source"])
    everything = (EventCount.facet == rollups.ALL, EventCount.grain == rollups.ALL_TIME, EventCount.value == "")
    counted = select(LogHead.counted).scalar_subquery()
    totals: Counter[str] = Counter()
    for query in (
        select(EventCount.source, EventCount.events).where(*everything),
        select(ChangeEvent.source, func.count()).where(ChangeEvent.id > counted).group_by(ChangeEvent.source),
    ):
        for source, number in db.session.execute(query):
            totals[source] += number
    for source, number in sorted(totals.items()):
        gauge.add_metric([source], number)
    yield gauge


def auditing() -> Metric:
    """Return whether changes are recorded."""
    description = "1 if configuration changes are recorded, 0 if auditing is off."
    return GaugeMetricFamily("painchain_auditing_on", description, int(audit_trail.auditing().on))


def trust() -> Iterator[Metric]:
    """Yield the result and the time of the last check, and whether checkpoints fail."""
    description = "1 if the last verification of the log failed, else 0."
    yield GaugeMetricFamily("painchain_log_broken", description, int(audit_trail.auditing().broken is not None))
    checked_at = check_job.state().checked_at
    timestamp = checked_at.timestamp() if checked_at else 0
    description = "Time of the last check of the whole log; 0 if never."
    yield GaugeMetricFamily("painchain_log_checked_timestamp_seconds", description, timestamp)
    last = latest_checkpoint.last()
    description = "1 if the last checkpoint could not be created, written or posted, else 0."
    yield GaugeMetricFamily("painchain_checkpoint_failing", description, int(bool(last.problem or last.error)))


def polls(now: datetime) -> Iterator[Metric]:
    """Yield the connectors by type and state, and how long the most overdue poll has been due."""
    polled = db.session.scalars(select(Connector)).all()
    health = connector_polls.read(polled, now)
    states = Counter((connector.type, health[connector.id].state) for connector in polled if connector.id in health)
    gauge = GaugeMetricFamily("painchain_connectors", "Connectors by type and state.", labels=["type", "state"])
    for key in connectors.ADDABLE:
        for state in STATES:
            gauge.add_metric([key, state], states[key, state])
    yield gauge
    description = "Seconds since the most overdue poll became due; 0 if none is due."
    oldest = db.session.scalar(
        select(func.min(PollState.due))
        .join(Connector, Connector.id == PollState.connector_id)
        .where(Connector.enabled, PollState.due <= now, PollState.taken_until <= now)
    )
    lag = (now - oldest).total_seconds() if oldest else 0.0
    yield GaugeMetricFamily("painchain_poll_lag_seconds", description, lag)


def notices() -> Iterator[Metric]:
    """Yield the numbers of messages that wait to be sent, and of those that were given up."""
    waiting = db.session.scalar(select(func.count(Notice.id))) or 0
    yield GaugeMetricFamily("painchain_notices_waiting", "Queued messages of notification rules.", waiting)
    lost = db.session.scalar(select(func.sum(NotifyRule.lost))) or 0
    description = "Messages of notification rules that were dropped and that nobody has marked as seen."
    yield GaugeMetricFamily("painchain_notices_lost", description, int(lost))


def pending() -> Metric:
    """Return the number of webhook events that wait for details from the source's API."""
    description = "Webhook events that wait for details from the API of their source."
    return GaugeMetricFamily("painchain_pending_events", description, pending_events.count())

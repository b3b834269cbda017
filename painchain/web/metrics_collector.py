"""Read for Prometheus how things stand at the moment it asks: never by counting a long table."""

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
from painchain.integrity import check_job, latest_checkpoint
from painchain.timeline import queries

STATES = ("off", "waiting", "polling", "fine", "failing", "rate_limited")
THREADS = ("scheduler", "poller", "messenger", "watching", "keeper")  # how the names of the background threads begin


class State(Collector):
    """What the database and the process tell at the moment. It needs an app context."""

    def collect(self) -> Iterator[Metric]:
        """Yield every series; where the database cannot be read, those that do without, and that it is down."""
        yield threads()
        try:
            found = [log(), *events(), auditing(), *trust(), *polls(datetime.now(UTC)), *notices()]
        except SQLAlchemyError:
            found = None
        finally:
            db.session.rollback()
        yield GaugeMetricFamily(
            "painchain_database_up", "Whether the database can be read (1) or not (0).", int(found is not None)
        )
        yield from found or ()


def threads() -> Metric:
    """Return how many threads of each background work are alive."""
    alive = GaugeMetricFamily("painchain_background_threads", "Background threads that are alive.", labels=["work"])
    names = [thread.name.partition("-")[0] for thread in threading.enumerate()]
    for work in THREADS:
        alive.add_metric([work], names.count(work))
    return alive


def log() -> Metric:
    """Return how far the log has come."""
    about = "Number of the newest event: so many were ever written, some of which retention may have removed."
    return GaugeMetricFamily("painchain_log_last_event", about, queries.head().last_event)


def events() -> Iterator[Metric]:
    """Yield how many events there are of each source: those in the rollups, and the few behind them."""
    kept = GaugeMetricFamily("painchain_events", "Events in the log by source.", labels=["source"])
    everything = (EventCount.facet == rollups.ALL, EventCount.grain == rollups.EVER, EventCount.value == "")
    counted = select(LogHead.counted).scalar_subquery()
    found: Counter[str] = Counter()
    for query in (
        select(EventCount.source, EventCount.events).where(*everything),
        select(ChangeEvent.source, func.count()).where(ChangeEvent.id > counted).group_by(ChangeEvent.source),
    ):
        for source, number in db.session.execute(query):
            found[source] += number
    for source, number in sorted(found.items()):
        kept.add_metric([source], number)
    yield kept


def auditing() -> Metric:
    """Return whether changes are recorded."""
    about = "Whether changes of the configuration are recorded (1) or auditing is switched off (0)."
    return GaugeMetricFamily("painchain_auditing_on", about, int(audit_trail.auditing().on))


def trust() -> Iterator[Metric]:
    """Yield whether the log is known to be broken, when it was checked, and whether checkpoints fail."""
    about = "Whether the last check has found that the log is not as it was written (1)."
    yield GaugeMetricFamily("painchain_log_broken", about, int(audit_trail.auditing().broken is not None))
    checked = check_job.state().checked_at
    about = "When the log was checked from beginning to end; 0 where it never was."
    yield GaugeMetricFamily("painchain_log_checked_timestamp_seconds", about, checked.timestamp() if checked else 0)
    last = latest_checkpoint.last()
    about = "Whether the last checkpoint could not be made, written or posted (1)."
    yield GaugeMetricFamily("painchain_checkpoint_failing", about, int(bool(last.problem or last.error)))


def polls(now: datetime) -> Iterator[Metric]:
    """Yield how the connectors do, and for how long the one that has waited longest for its poll is due."""
    there = db.session.scalars(select(Connector)).all()
    health = connector_polls.read(there, now)
    states = Counter((one.type, health[one.id].state) for one in there if one.id in health)
    found = GaugeMetricFamily("painchain_connectors", "Connectors by type and state.", labels=["type", "state"])
    for key in connectors.ADDABLE:
        for state in STATES:
            found.add_metric([key, state], states[key, state])
    yield found
    about = "For how many seconds the connector that has waited longest is due; 0 where none is."
    oldest = db.session.scalar(
        select(func.min(PollState.due))
        .join(Connector, Connector.id == PollState.connector_id)
        .where(Connector.enabled, PollState.due <= now, PollState.taken_until <= now)
    )
    lag = (now - oldest).total_seconds() if oldest else 0.0
    yield GaugeMetricFamily("painchain_poll_lag_seconds", about, lag)


def notices() -> Iterator[Metric]:
    """Yield what is still to be told, and what was given up."""
    waiting = db.session.scalar(select(func.count(Notice.id))) or 0
    yield GaugeMetricFamily("painchain_notices_waiting", "Messages of notify rules that are to be sent.", waiting)
    lost = db.session.scalar(select(func.sum(NotifyRule.lost))) or 0
    about = "Messages that were given up, of rules that have not gone well since."
    yield GaugeMetricFamily("painchain_notices_lost", about, int(lost))

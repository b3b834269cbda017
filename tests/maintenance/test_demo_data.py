"""`painchain demo` fills an empty log with realistic events that are recognisable as samples."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from painchain import connectors
from painchain.cli.main import main
from painchain.core.config import Settings
from painchain.database.models import ChangeEvent, Connector
from painchain.database.session import db
from painchain.maintenance import demo_data
from painchain.presentation.facts import fact
from painchain.timeline import histogram, queries
from painchain.timeline.filter import Filter
from tests.conftest import ON_SQLITE

UTC_ZONE = ZoneInfo("UTC")
NOW = datetime(2026, 3, 13, 12, 30, tzinfo=UTC)


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch):
    """Run the command on the test's database."""
    monkeypatch.setenv("PAINCHAIN_INSTANCE", str(settings.instance))
    monkeypatch.setenv("PAINCHAIN_DATABASE_URL", settings.database_url)

    def invoke(*words: str) -> Result:
        return CliRunner().invoke(main, ["demo", *words])

    return invoke


def everything() -> list[tuple]:
    """Return the generated columns of each event."""
    columns = ("event_id", "source", "event_type", "title", "author", "status", "connector_name", "timestamp")
    return list(db.session.execute(select(*(ChangeEvent.__table__.c[name] for name in columns)).order_by("timestamp")))


def test_the_requested_number_of_events_covers_every_source_and_type(app):
    done = []
    with app.app_context():
        before = queries.head().last_event
        demo_data.fill(6_000, 90, 1, NOW, done.append)
        assert queries.head().last_event - before == sum(done) == 6_000
        by_type = histogram.counts_by("event_type", Filter(end=NOW))
        known_types = {event_type.name for kind in connectors.ADDABLE.values() for event_type in kind.event_types}
        assert known_types - set(by_type) == set()
        assert {"ConfigChanged", "ConnectorUpdated", "ConnectorEnabled"} <= set(by_type)
        assert histogram.count(Filter(start=NOW - timedelta(days=90), end=NOW)) == 6_000
        assert len(histogram.histogram(Filter(start=NOW - timedelta(days=90)), NOW, UTC_ZONE).sources) == 4


@ON_SQLITE
def test_facts_have_the_shapes_of_their_fields(app):
    with app.app_context():
        demo_data.fill(1_000, 30, 1, NOW, lambda number: None)
        rows = db.session.execute(select(ChangeEvent).where(ChangeEvent.source != "painchain")).scalars().all()
        odd = {
            (row.event_type, field.key)
            for row in rows
            for field in connectors.event_type(row.source, row.event_type).fields
            if fact(field.shape, value := row.event_metadata[field.key]).shape is not field.shape and value != []
        }
        assert (len(rows) > 900, odd) == (True, set())


@ON_SQLITE
def test_demo_data_is_recognisable_and_never_polled(app):
    with app.app_context():
        demo_data.fill(500, 30, 1, NOW, lambda number: None)
        rows = db.session.scalars(select(Connector).where(Connector.type != "painchain")).all()
        assert all(row.name.startswith("Demo ") and not row.enabled for row in rows)
        addresses = [value for row in rows for value in row.config.values() if "://" in str(value)]
        assert set(addresses) == {"https://demo.invalid"}
        assert all(author.startswith("demo-") for author in queries.filter_values().authors if author != "system")


@ON_SQLITE
def test_the_rare_author_is_as_rare_in_a_long_log(app):
    with app.app_context():
        demo_data.fill(6_000, 90, 1, NOW, lambda number: None)
        assert 50 <= histogram.count(Filter(author=(demo_data.RARE,))) <= 60


@ON_SQLITE
def test_facts_are_plausible(app):
    with app.app_context():
        demo_data.fill(1_000, 30, 1, NOW, lambda number: None)
        query = select(ChangeEvent.event_metadata).where(ChangeEvent.event_type == "Commit")
        lines = [row["changes"] for row in db.session.scalars(query)]
        assert lines
        assert all(0 < line["additions"] < 1000 and 0 <= line["deletions"] < 1000 for line in lines)


@ON_SQLITE
def test_working_hours_are_busier_than_nights_and_weekends(app):
    with app.app_context():
        demo_data.fill(2_000, 28, 1, NOW, lambda number: None)
        times = [row.timestamp for row in everything() if row.timestamp < NOW]
    hours = Counter(8 <= time.hour < 18 for time in times)
    days = Counter(time.weekday() < 5 for time in times)
    assert hours[True] > 2 * hours[False]
    assert days[True] > 4 * days[False]


@ON_SQLITE
def test_the_same_seed_gives_the_same_events(app, settings, tmp_path):
    with app.app_context():
        demo_data.fill(300, 10, 7, NOW, lambda number: None)
        first = [tuple(row)[1:-1] for row in everything() if row.timestamp < NOW and row.source != "painchain"]
        demo_data.fill(300, 10, 7, NOW, lambda number: None)
        all_events = [tuple(row)[1:-1] for row in everything() if row.timestamp < NOW and row.source != "painchain"]
    assert len(all_events) > len(first)
    assert Counter(first) <= Counter(all_events)


def test_the_command_prints_its_result(run, app):
    result = run("--events", "200", "--days", "7", "--seed", "3")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "Added 200 sample events over 7 days to the log." in result.stdout
    with app.app_context():
        assert histogram.count(Filter()) == 201


def test_a_log_in_use_is_not_changed_unless_forced(run, app):
    assert run("--events", "100").exit_code == 0
    refused = run("--events", "100")
    assert refused.exit_code == 2
    assert "Nothing was written: this log already has 101 events." in refused.stderr
    assert "--force" in refused.stderr
    with app.app_context():
        assert histogram.count(Filter()) == 101
    assert run("--events", "100", "--force").exit_code == 0
    with app.app_context():
        assert histogram.count(Filter()) == 201


@ON_SQLITE
@pytest.mark.parametrize("words", [("--events", "0"), ("--days", "0"), ("--events", "many")])
def test_an_invalid_number_is_refused(run, words):
    assert run(*words).exit_code == 2

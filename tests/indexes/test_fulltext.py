"""A search finds the matching events on every database, and the full-text index follows the events."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from sqlalchemy import select, text
from sqlalchemy.exc import DatabaseError

from painchain.database.models import ChangeEvent
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.indexes import fulltext, search_query
from painchain.indexes import tokens as index_tokens
from painchain.timeline import histogram, queries
from painchain.timeline.filter import BadFilter, Filter, parse_filter
from tests.indexes.searches import UTC_ZONE, matching_numbers
from tests.support.sample_events import HOUR, NOW, new
from tests.support.search_strategies import SEARCHES
from tests.support.thorough import examples

CHANGED = {"source": "painchain", "event_type": "ConfigChanged", "connector_id": 7, "connector_name": "Work GitHub"}
VARIED: list[dict[str, Any]] = [
    {},
    {"source": "gitlab", "event_type": "Pipeline", "status": "failed", "tags": ["ci", "night"]},
    {**CHANGED, "author": "Doe, J", "metadata": {"action": "config_change", "field": "poll_interval"}},
    {**CHANGED, "event_type": "ConnectorUpdated", "metadata": {"action": "update", "changes": {"repos": {"new": "x"}}}},
    {"connector_id": 8, "connector_name": "7", "timestamp": NOW - 40 * 24 * HOUR},
    {"title": "[Commit] 100% Größe_fix 5", "description": {"text": "Raise the limit", "hidden": ["acme/api"]}},
]
SEARCHED = [
    ("number", [3, 2, 1, 0]),
    ("num", [3, 2, 1, 0]),
    ('"num"', []),
    ("NUMBER 3", [3]),
    ("umber", []),
    ("raise LIMIT", [5]),
    ('"raise the limit"', [5]),
    ('"limit the raise"', []),
    ("größe", [5]),
    ("GROSSE", [5]),
    ("100%", [5]),
    ("acme/api", [5]),
    ("hidden", []),
    ("***", []),
    ("limit ***", [5]),
    ("-number", [5]),
    ("commit -raise -3", [2, 1, 0]),
    ("source:gitlab", [1]),
    ("-source:github", [3, 2, 1]),
    ("source:gitlab,painchain", [3, 2, 1]),
    ("source:gitlab source:painchain", [3, 2, 1]),
    ("type:config_changed", [2]),
    ("action:config_change", [2]),
    ("action:update", [3]),
    ("field:poll_interval", [2]),
    ('field:"Poll interval"', [2]),
    ("field:repos", [3]),
    ("field:poll", []),
    ('connector:"work github"', [3, 2]),
    ("connector:7", [3, 2]),
    ("connector:7 range", []),
    ('author:"doe, j"', [2]),
    ("author:system status:failed", [1]),
    ("tag:CI", [1]),
    ("tag:ci -tag:night", []),
    ("-author:system -type:ConfigChanged", []),
    ("connector:7 2020-01-01..", [3, 2, 4]),
    ("connector:8 before:2026-03-01", [4]),
    ("after:2026-03-09", [5, 3, 2, 1, 0]),
    ("connector:7 2026-01-01.. -2026-01-01..2026-02-28", [3, 2]),
    ("around:11:10", [5, 3, 2, 1, 0]),
    ("around:11:10~5m", []),
    ("number -around:11:10", []),
]


def test_search_finds_matching_events(app, write, subtests):
    write(*VARIED)
    for q, numbers in SEARCHED:
        with subtests.test(q=q):
            assert matching_numbers(app, q) == numbers


def test_search_finds_events_of_older_versions_by_the_repository_in_their_id(app, write):
    ids = (
        *("pr-acme/api-12-merged", "mr-acme/api-3-opened", "workflow-acme/api-7-1-timed_out", "release-acme/api-12345"),
        *("pipeline-acme/api-31-failed", "deployment-acme/api-9-success", f"commit-acme/api-{'ab' * 20}"),
    )
    others = ("pr-acme/api-2-12-merged", "mr-acme/api/sub-3-opened", "github:3:4711:pr:12:merged", "pr-acme/api")
    write(*({"event_id": event_id, "metadata": {}} for event_id in (*ids, *others)))
    with app.app_context():
        found = [event.event_id for event in queries.page(Filter(q="repo:acme/api"), limit=50).events]
        assert sorted(found) == sorted(ids)
        [other] = queries.page(Filter(q="repo:acme/api-2")).events
        assert other.event_id == "pr-acme/api-2-12-merged"


def test_search_finds_the_events_of_a_repository(app, write):
    names = ("Acme/api", "acme/API", "acme/api-old", "Acme/Größe", ["acme/api"], "", None)
    facts = [{} if name is None else {"repository": name} for name in names]
    write(*({"metadata": fact, "status": "odd" if number % 2 else "even"} for number, fact in enumerate(facts)))
    for q, numbers in {
        "repo:acme/api": [1, 0],
        'REPO:"ACME/API"': [1, 0],
        "repo:acme/api,acme/GRÖßE": [3, 1, 0],
        "repo:acme/api repo:acme/api-old": [2, 1, 0],
        "repo:acme/api status:odd": [1],
        "-repo:acme/api": [6, 5, 4, 3, 2],
        "-repo:acme/api,acme/api-old source:github": [6, 5, 4, 3],
        "repo:acme/ap": [],
        "acme/api": [4, 2, 1, 0],
    }.items():
        assert matching_numbers(app, q) == numbers, q


def test_time_in_a_search_replaces_the_range_but_not_the_dates(app, write):
    write(*VARIED)
    assert matching_numbers(app, "connector:8") == []
    assert matching_numbers(app, "connector:8 before:2026-03-01", range=["1h"]) == [4]
    assert matching_numbers(app, "connector:8", range=["all"]) == [4]
    assert matching_numbers(app, "number ..2026-12-31", start_date=["2026-03-10"]) == [3, 2, 1, 0]
    with pytest.raises(BadFilter, match="do not overlap"):
        matching_numbers(app, "before:2026-01-01", start_date=["2026-02-01"])


def test_times_that_do_not_overlap_are_refused(app):
    with pytest.raises(BadFilter, match="do not overlap"):
        matching_numbers(app, "after:2026-02-01 before:2026-01-01")


def test_unindexed_events_are_searched(app, write):
    write(*VARIED)
    with app.app_context():
        last = queries.head().last_event
        new_ones = queries.written_after(Filter(q="raise"), last - len(VARIED))
        assert [event.title.split()[-1] for event in new_ones] == ["5"]


def check_index() -> None:
    """Let SQLite check its full-text index against all events. PostgreSQL maintains its own index."""
    with writer.writing() as event_log:
        event_log.count()
    if db.engine.dialect.name == "sqlite":
        with db.engine.connect() as connection:
            connection.execute(text("INSERT INTO event_words (event_words, rank) VALUES ('integrity-check', 1)"))


def test_index_follows_the_events(app, client, make_connector, write):
    connector = make_connector("kubernetes", "Zanzibar")
    client.post(f"/api/connectors/{connector}/enable")
    with app.app_context():
        check_index()
        for row in db.session.execute(select(ChangeEvent.__table__)).mappings():
            assert row["words"] == index_tokens.of_event(row)
            assert row["words"].startswith(f"_ {index_tokens.search_term('source', row['source'])} ")
        assert histogram.count(Filter(q="zanzibar")) == 2


def test_rolled_back_event_is_not_indexed(app):
    with app.app_context():
        with suppress(ZeroDivisionError), writer.writing() as event_log:
            event_log.append(new(1, title="Vanishing"))
            raise ZeroDivisionError
        assert histogram.count(Filter(q="vanishing")) == 0
        check_index()


def test_removed_event_is_not_found(app, write):
    write(*VARIED)
    with app.app_context():
        with writer.writing() as event_log:
            [number] = db.session.scalars(select(ChangeEvent.id).where(ChangeEvent.title.contains("fix")))
            event_log.remove([number])
        check_index()
        assert histogram.count(Filter(q="raise")) == 0


def test_inconsistent_index_is_detected(app, write):
    write(*VARIED)
    with app.app_context():
        if db.engine.dialect.name != "sqlite":
            pytest.skip("PostgreSQL keeps its own index")
        check_index()
        db.session.execute(text("UPDATE change_events SET words = '_ other'"))
        db.session.commit()
        with pytest.raises(DatabaseError):
            check_index()
        db.session.execute(text("INSERT INTO event_words (event_words) VALUES ('rebuild')"))
        db.session.commit()
        check_index()


def test_longest_event_is_found_by_its_first_words(app, write):
    long = " ".join(f"word{number}" for number in range(60_000)) + "x" * 5_000
    write({"description": {"text": long}, "metadata": {"changes": {f"{n}" * 300: 1 for n in range(2_000)}}}, {})
    assert matching_numbers(app, "word123") == [0]
    assert matching_numbers(app, "word59999") == []


LAX = hypothesis.settings(
    deadline=None,
    max_examples=examples(150),
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)


@LAX
@hypothesis.given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"])) | SEARCHES)
def test_any_search_runs_without_error(app, q):
    with app.app_context():
        with suppress(BadFilter):
            event_filter = parse_filter({"q": [q]}, NOW, UTC_ZONE, "24h")
            queries.page(event_filter)
            histogram.count(event_filter)
            histogram.histogram(event_filter, NOW, UTC_ZONE)
        db.session.rollback()


@LAX
@hypothesis.given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=60))
def test_every_event_is_found_by_its_title(app, title):
    with app.app_context(), suppress(ZeroDivisionError), writer.writing() as event_log:
        number = event_log.append(new(0, title=title))
        event_log.flush()
        for q in {f'"{word}"' for word in title.replace('"', " ").split() if index_tokens.tokens(word)}:
            groups = search_query.groups(search_query.parse(q))
            matches = fulltext.condition(event_log.connection, groups, None, None)
            statement = select(ChangeEvent.id).where(matches, ChangeEvent.id == number)
            assert event_log.connection.execute(statement).all(), q
        raise ZeroDivisionError

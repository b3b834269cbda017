"""The demo data are realistic events that are recognisable as samples."""

from __future__ import annotations

import json
import re
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import pytest
from flask import Flask
from sqlalchemy import select

from painchain import connectors
from painchain.database.models import ChangeEvent, Connector, KeptDelivery
from painchain.database.session import db
from painchain.ingestion import health as health_reader
from painchain.integrity import derived_data
from painchain.maintenance import demo_data
from painchain.maintenance.demo import company
from painchain.maintenance.demo import connectors as demo_connectors
from painchain.maintenance.demo.kubernetes import MACHINES
from painchain.presentation.facts import fact
from painchain.scheduling import poll_leases
from painchain.startup import create_app
from painchain.timeline import histogram, queries, silent_connectors
from painchain.timeline.filter import Filter
from tests.conftest import ON_SQLITE, close, settings_for

UTC_ZONE = ZoneInfo("UTC")
NOW = datetime(2026, 3, 13, 12, 30, tzinfo=UTC)
TIME = r"20\d\d-\d\d-\d\dT\d\d%3A\d\d%3A\d\dZ|20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ"
K8S_ID = r"(production|staging|edge):[a-z]*:[A-Za-z]+:[a-z0-9.-]+:[0-9a-f-]{{36}}:[0-9]+:(added|modified|deleted)"
ID_SHAPES = {
    "PullRequest": rf"{{host}}[0-9]+:pr:[0-9]+:(opened|merged|closed:({TIME}))",
    "MergeRequest": rf"{{host}}[0-9]+:mr:[0-9]+:(opened|merged|closed:({TIME}))",
    "Push": rf"{{host}}[0-9]+:push:(main:[0-9a-f]{{{{12}}}}:({TIME})|[0-9]+)",
    "Commit": r"{host}[0-9]+:commit:[0-9a-f]{{40}}",
    "WorkflowRun": r"{host}[0-9]+:run:[0-9]+:1:(in_progress|success|failure)",
    "Pipeline": rf"{{host}}[0-9]+:pipeline:[0-9]+:(running|(success|failed):({TIME}))",
    "Deployment": rf"{{host}}[0-9]+:deployment:[0-9]+:(requested|status:[0-9]+|(running|success):({TIME}))",
    "Image": r"{host}(:image:[0-9]+|[0-9]+:image:[0-9]+:1\.[0-9]+\.0:sha256%3A[0-9a-f]{{64}})",
    "Release": rf"{{host}}[0-9]+:release:([0-9]+:published|v1[0-9.]+):({TIME})",
}
ALWAYS_SENT = {
    *("repository", "branches", "changes", "reviewers", "approvals", "files_changed", "failed_jobs", "logs_url"),
    *("before", "after", "sha", "digest", "tags", "size", "environment", "cluster", "namespace", "workload", "images"),
    *("replicas", "ports", "keys_modified", "annotations_modified", "hosts", "duration", "schedule", "conditions"),
    *("unschedulable", "reason", "restarts", "rules", "role", "subjects", "release", "revision", "chart", "status"),
}


@pytest.fixture(scope="module")
def demo(started_instance: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Flask]]:
    """Return a function that returns an app with demo data, the same for the same arguments. Tests only read them."""
    apps: dict[tuple[int, int, datetime], Flask] = {}

    def filled(events: int = 2_000, days: int = 14, now: datetime = NOW) -> Flask:
        if (events, days, now) not in apps:
            folder = shutil.copytree(started_instance, tmp_path_factory.mktemp("demo") / "instance")
            app = apps[events, days, now] = create_app(settings_for(folder))
            with app.app_context():
                demo_data.fill(events, days, 1, now, lambda number: None)
        return apps[events, days, now]

    yield filled
    for app in apps.values():
        close(app)


def everything() -> list[tuple]:
    """Return the generated columns of each event."""
    columns = ("event_id", "source", "event_type", "title", "author", "status", "connector_name", "timestamp")
    return list(db.session.execute(select(*(ChangeEvent.__table__.c[name] for name in columns)).order_by("timestamp")))


@pytest.mark.both_databases
def test_the_requested_number_of_events_covers_every_source_and_type(app, monkeypatch):
    monkeypatch.setattr(demo_data, "BATCH", 250)
    done = []
    with app.app_context():
        before = queries.head().last_event
        demo_data.fill(600, 90, 1, NOW, done.append)
        assert queries.head().last_event - before == sum(done) == 600
        by_type = histogram.counts_by("event_type", Filter(end=NOW))
        polled = [kind for kind in connectors.ADDABLE.values() if kind.poll]  # the others send what they like
        known_types = {event_type.name for kind in polled for event_type in kind.event_types}
        assert known_types - set(by_type) == set()
        assert {"ConfigChanged", "ConnectorUpdated", "ConnectorEnabled"} <= set(by_type)
        assert histogram.count(Filter(start=NOW - timedelta(days=90), end=NOW)) == 600
        assert len(histogram.histogram(Filter(start=NOW - timedelta(days=90)), NOW, UTC_ZONE).sources) == 4


def test_facts_have_the_shapes_of_their_fields(demo):
    with demo().app_context():
        rows = db.session.execute(select(ChangeEvent).where(ChangeEvent.source != "painchain")).scalars().all()
        assert len(rows) > 900
        sent = defaultdict(set)
        for row in rows:
            fields = {field.key: field for field in connectors.event_type(row.source, row.event_type).fields}
            for key, value in row.event_metadata.items():
                assert key in fields, (row.event_type, key)
                assert fact(fields[key].shape, value).shape is fields[key].shape or value == [], (row.event_type, key)
            sent[row.source, row.event_type] |= row.event_metadata.keys()
    polled = {source: kind for source, kind in connectors.ADDABLE.items() if kind.poll}
    known = {(source, type.name) for source, kind in polled.items() for type in kind.event_types}
    assert sent.keys() == known
    assert {key for keys in sent.values() for key in keys} >= ALWAYS_SENT


@ON_SQLITE
def test_scripts_report_changes_of_services_to_the_api(app):
    with app.app_context():
        before = queries.head().last_event
        demo_data.fill(400, 30, 1, NOW, lambda number: None, with_changes=True)
        assert queries.head().last_event - before == 400
        reported = db.session.scalars(select(ChangeEvent).where(ChangeEvent.source == "api")).all()
        known = {event_type.name for event_type in connectors.TYPES["api"].event_types}
        assert {row.event_type for row in reported} == known - {"Release", "Configuration", "Deployment", "Other"}
        fields = {field.key for field in connectors.TYPES["api"].event_types[0].fields}
        assert all(row.event_metadata.keys() <= fields for row in reported)
        assert all(row.author.startswith("token:Demo ") and row.timestamp <= NOW for row in reported)
        assert {row.status for row in reported} >= {"success", "firing", "resolved", "enabled", "applied"}
        services, environments = (
            {row.event_metadata.get(name) for row in reported} for name in ("service", "environment")
        )
        assert services <= {None, *(service.name for service in company.services())}
        assert environments == {"production", "staging"}
        assert derived_data.find_problems() == []
        posted = db.session.scalars(select(ChangeEvent).where(ChangeEvent.source == "webhook")).all()
        assert Counter(row.event_type for row in posted).keys() == {"Incident", "Build"}
        assert {row.status for row in posted} >= {"firing", "resolved", "started", "success"}
        assert all(row.recorded_at <= NOW and row.connector_name.startswith("Demo ") for row in posted)
        kept = db.session.scalars(select(KeptDelivery).order_by(KeptDelivery.id.desc())).all()
        assert (kept[0].events, kept[0].reason, json.loads(kept[0].body)["status"]) == (1, "", "resolved")
        assert "this is another phase" in next(each.reason for each in kept if not each.events)


def test_ids_have_the_shape_that_connectors_give_them(demo):
    with demo().app_context():
        rows = db.session.execute(select(ChangeEvent).where(ChangeEvent.source != "painchain")).scalars().all()
        for row in rows:
            host = rf"{row.source}:{row.connector_id}:"
            assert re.fullmatch(ID_SHAPES.get(row.event_type, K8S_ID).format(host=host), row.event_id), row.event_id


def test_demo_data_is_recognisable_and_never_polled(demo):
    with demo().app_context():
        rows = db.session.scalars(select(Connector).where(Connector.type != "painchain")).all()
        assert all(row.name.startswith("Demo ") for row in rows)
        addresses = [value for row in rows for value in row.config.values() if "://" in str(value)]
        assert len(addresses) == len(rows)
        assert all(urlsplit(address).hostname.endswith(".demo.invalid") for address in addresses)
        people = set(queries.filter_values().authors) - {*MACHINES, f"connector:{company.EDGE}", "unknown", "system"}
        assert all(author.startswith("demo-") for author in people)
        assert len(people) <= 10


@ON_SQLITE
def test_only_the_failing_connector_is_polled_and_one_is_disabled(app):
    with app.app_context():
        demo_data.fill(500, 30, 1, NOW, lambda number: None)
        health_by_name = {connector.name: health for connector, health in health_reader.overview(NOW).connectors}
        states = {name: health.state for name, health in health_by_name.items() if health}
        assert states == {
            **dict.fromkeys((company.GITHUB, company.GITLAB, company.PRODUCTION, company.STAGING), "fine"),
            **{company.EDGE: "failing", demo_connectors.ARCHIVE: "off"},
        }
        for hours in (0, 1, 24 * 90):
            now = NOW + timedelta(hours=hours, minutes=1)
            lease = poll_leases.acquire(now)
            assert lease is not None
            assert db.session.get_one(Connector, lease.connector_id).name == company.EDGE
            assert poll_leases.acquire(now + timedelta(seconds=1)) is None


def test_the_rare_author_is_as_rare_in_a_long_log(demo):
    with demo(3_000, 90).app_context():
        assert 50 <= histogram.count(Filter(author=(demo_data.RARE,))) <= 60


def test_facts_are_plausible(demo):
    with demo().app_context():
        query = select(ChangeEvent.event_metadata).where(ChangeEvent.event_type == "Commit")
        lines = [row["changes"] for row in db.session.scalars(query)]
        assert lines
        assert all(0 < line["additions"] < 1000 and 0 <= line["deletions"] < 1000 for line in lines)


def test_working_hours_are_busier_than_nights_and_weekends(demo):
    with demo().app_context():
        times = [row.timestamp for row in everything() if row.timestamp < NOW]
    assert times
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


@ON_SQLITE
def test_the_same_seed_gives_the_same_events_in_another_log(app, settings, tmp_path):
    instance = tmp_path / "other"
    shutil.copytree(settings.instance, instance)
    other = create_app(settings_for(instance))
    logs = []
    for each in (app, other):
        with each.app_context():
            demo_data.fill(300, 14, 7, NOW, lambda number: None)
            query = select(ChangeEvent).where(ChangeEvent.source != "painchain").order_by(ChangeEvent.id)
            rows = db.session.scalars(query).all()
            logs.append([(row.event_id, row.event_metadata, row.request_id, row.timestamp, row.title) for row in rows])
    close(other)
    assert len(logs[0]) > 250
    assert logs[0] == logs[1]


def rows_of(*event_types: str, **columns: str) -> list[ChangeEvent]:
    """Return events of these types, oldest first."""
    query = select(ChangeEvent).where(ChangeEvent.event_type.in_(event_types)).filter_by(**columns)
    return list(db.session.scalars(query.order_by(ChangeEvent.timestamp, ChangeEvent.id)))


def test_events_continue_where_the_ones_before_ended(demo):
    with demo().app_context():
        heads, images, opened = {}, {}, set()
        for push in rows_of("Push"):
            facts = push.event_metadata
            assert facts["before"] == heads.get(facts["repository"], facts["before"])
            heads[facts["repository"]] = facts["after"]
        for update in rows_of("K8sDeployment"):
            for image in update.event_metadata.get("images", ()):
                key = update.connector_name, image["name"]
                assert image["old"] == images.get(key, image["old"]) != image["new"]
                images[key] = image["new"]
        for request in rows_of("PullRequest", "MergeRequest"):
            number = request.event_id.split(":")[2:5]
            if request.status in ("open", "opened"):
                opened.add(tuple(number))
            assert tuple(number) in opened
        assert (len(heads), len(images) >= 10) == (8, True)
        shas = {row.event_metadata["sha"] for row in rows_of("Commit")}
        assert {row.event_metadata["after"] for row in rows_of("Push")} <= shas
        assert {row.event_metadata["sha"] for row in rows_of("Deployment")} <= shas


@ON_SQLITE
def test_a_dense_log_has_exactly_the_requested_events(app):
    with app.app_context():
        before = queries.head().last_event
        demo_data.fill(1_000, 1, 1, NOW, lambda number: None)
        assert queries.head().last_event - before == 1_000


def test_the_events_of_one_poll_share_a_request_id(demo):
    with demo().app_context():
        rows = db.session.scalars(select(ChangeEvent).where(ChangeEvent.source != "painchain")).all()
        polls = defaultdict(set)
        for row in rows:
            assert row.timestamp <= row.recorded_at <= NOW
            polls[row.connector_id, row.recorded_at].add(row.request_id)
        ids = [request_id for poll in polls.values() for request_id in poll]
        assert len(ids) == len(set(ids)) == len(polls) < len(rows)


@pytest.mark.parametrize(
    "now", [NOW, NOW.replace(hour=3), NOW.replace(day=15, hour=20)], ids=["noon", "night", "Sunday"]
)
def test_a_changed_setting_silences_a_connector(demo, now):
    with demo(now=now).app_context():
        silence = next(row for row in silent_connectors.find_silent(now) if row.name == company.GITLAB)
        assert now - silence.last > timedelta(hours=6)
        assert "projects" in [change.metadata.get("field") for change in silence.changes]


def test_a_bad_deployment_crashes_and_is_rolled_back_within_the_last_day(demo):
    with demo().app_context():
        since = NOW - timedelta(hours=24)
        title = "Reuse connections to the payment provider"
        rows = [
            row
            for row in rows_of("PullRequest", "Push", "Deployment", "K8sDeployment", "K8sPod", "WorkflowRun")
            if row.timestamp >= since and "checkout" in f"{row.title} {row.event_metadata}"
        ]
        steps = [
            next(at for at, row in enumerate(rows) if title in row.title and row.status == "merged"),
            next(
                at
                for at, row in enumerate(rows)
                if row.connector_name == company.PRODUCTION and row.event_metadata.get("images")
            ),
            next(at for at, row in enumerate(rows) if row.status == "CrashLoopBackOff"),
            next(at for at, row in enumerate(rows) if row.event_type == "WorkflowRun" and row.status == "failure"),
            next(at for at, row in enumerate(rows) if row.title.startswith("[PR] Revert") and row.status == "merged"),
            max(at for at, row in enumerate(rows) if row.event_type == "K8sDeployment"),
            max(at for at, row in enumerate(rows) if row.event_type == "WorkflowRun" and row.status == "success"),
        ]
    assert steps == sorted(steps)


def test_an_edited_config_map_makes_runs_fail_until_it_is_reverted(demo):
    with demo().app_context():
        edits = [row.timestamp for row in rows_of("K8sConfigMap") if "ingress-nginx" in row.title]
        failed = [row for row in rows_of("WorkflowRun", status="failure") if "Smoke" in row.title]
        between = [row for row in failed if edits[0] < row.timestamp < edits[1]]
        after = [row for row in rows_of("WorkflowRun") if "Smoke" in row.title and row.timestamp > edits[1]]
        assert (len(edits), len(between)) == (2, 4)
        assert [row.status for row in after[:4]] == ["in_progress", "success"] * 2

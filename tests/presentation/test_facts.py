"""The facts of an event are shown according to their shape, and hidden facts nowhere."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import hypothesis
import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask, render_template
from hypothesis import strategies as st

from painchain import connectors
from painchain.connectors.base import EventField, EventType, Shape
from painchain.eventlog.writer import NewEvent
from painchain.presentation import facts
from painchain.presentation.event_groups import EventRow
from painchain.presentation.event_view import ShownEvent
from painchain.presentation.facts import fact, format_fact
from tests.support.html import PageBuilder, glued, soup, texts, words
from tests.support.thorough import examples

NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
UTC_ZONE = ZoneInfo("UTC")
SHA = "0123456789abcdef0123456789abcdef01234567"
HEAD_BASE = {"head": "fix/retry", "base": "main"}
IMAGES = [{"name": "nginx", "old": "1.25", "new": "1.27"}]


@pytest.mark.parametrize(
    ("shape", "value", "text"),
    [
        (Shape.SECONDS, 252, "4 min 12 s"),
        (Shape.SECONDS, 0, "0 s"),
        (Shape.SECONDS, 59.6, "1 min"),
        (Shape.SECONDS, 86_400 * 3 + 7, "3 d"),
        (Shape.BYTES, 12_345_678, "12.3 MB"),
        (Shape.BYTES, 999, "999 B"),
        (Shape.BYTES, 999_960, "1.0 MB"),
        (Shape.YES_NO, True, "yes"),
        (Shape.YES_NO, False, "no"),
        (Shape.SHA, SHA, SHA),
        (Shape.SHA, f"sha256:{SHA}", f"sha256:{SHA}"),
        (Shape.LINK, "https://ci.example/run/7", "https://ci.example/run/7"),
        (Shape.STATUS, "in_progress", "in progress"),
        (Shape.LIST, ["a"], "a"),
        (Shape.LIST, ["a", "b", "c"], "a and 2 more"),
        (Shape.BRANCHES, HEAD_BASE, "fix/retry → main"),
        (Shape.BRANCHES, {"base": "main"}, "main"),
        (Shape.LINES, {"additions": 120, "deletions": 8, "files": 5}, "+120 −8 in 5 files"),
        (Shape.LINES, {"files": 1}, "1 file"),
        (Shape.MOVES, IMAGES, "nginx: 1.25 → 1.27"),
        (Shape.MOVES, [*IMAGES, {"name": "log", "new": "2"}], "nginx: 1.25 → 1.27 and 1 more"),
        (Shape.TEXT, "plain", "plain"),
        (Shape.TEXT, 7, "7"),
    ],
)
def test_fact_is_formatted_by_its_shape(shape, value, text):
    parsed = fact(shape, value)
    assert (parsed.shape, format_fact(parsed)) == (shape, text)


OTHER_SHAPES: tuple[tuple[Shape, Any], ...] = (
    *((shape, odd) for shape in Shape for odd in (None, "", [], {}, {"a": 1}, [[]], -1, "x y")),
    *((Shape.SECONDS, odd) for odd in (True, "252", float("inf"), float("nan"), 10**400, -0.5)),
    (Shape.YES_NO, 1),
    (Shape.SHA, "main"),
    *((Shape.LINK, odd) for odd in ("javascript:alert(1)", "//host/x", "ftp://host", "https://", "http://[::1")),
    *((Shape.LINK, odd) for odd in ("https://github.com@evil.example", "https://a b", "https://a\u202eb.example")),
    (Shape.STATUS, "x" * 61),
    (Shape.LIST, ["a", None]),
    (Shape.BRANCHES, {"head": 1, "base": "main"}),
    (Shape.BRANCHES, {**HEAD_BASE, "more": "x"}),
    (Shape.LINES, {"additions": "120"}),
    (Shape.LINES, {"additions": True}),
    (Shape.MOVES, [{"old": 1, "new": 2}]),
    (Shape.MOVES, [{"name": "x", "old": [1]}]),
)


def test_value_of_another_shape_is_text():
    for shape, value in OTHER_SHAPES:
        parsed = fact(shape, value)
        if shape is not Shape.STATUS or value != "x y":
            assert (parsed.shape, parsed.value is value) == (Shape.TEXT, True), (shape, value)


@pytest.mark.parametrize(
    ("status", "tone"),
    [
        *((word, "good") for word in ("success", "merged", "published", "Succeeded", "deployed")),
        *((word, "bad") for word in ("failure", "failed", "error", "timed_out", "CrashLoopBackOff", "OOMKilled")),
        *(
            (word, "info")
            for word in (
                "in_progress",
                "running",
                "pending",
                "waiting-for-resource",
                "open",
                "opened",
                "pending-upgrade",
            )
        ),
        *(
            (word, "calm")
            for word in ("cancelled", "canceled", "skipped", "closed", "neutral", "uninstalled", "something new")
        ),
    ],
)
def test_status_has_the_same_colour_for_every_source(status, tone):
    assert facts.status(status).tone == tone


# On the page


def event(source: str, event_type: str, metadata: dict[str, Any], **members: Any) -> Any:
    """Return an event as read from the database."""
    plain: dict[str, Any] = {"event_id": "made-up", "title": "a title", "description": {"text": "Something"}}
    plain |= {"author": "ann", "request_id": "request", "timestamp": NOON, "recorded_at": NOON}
    new_event = NewEvent(source=source, event_type=event_type, metadata=metadata, **{**plain, **members})
    new_event.__dict__["id"] = 7
    return new_event


def page_of(app: Flask, event: Any, *hidden: str) -> Tag:
    """Return the element of an event on the dashboard, with some fields hidden."""
    together = {"api": "ApiChange", "webhook": "WebhookChange"}  # under which fields of all types are hidden
    name = together.get(event.source, event.event_type)
    shown = ShownEvent(event, frozenset((name, key) for key in hidden), UTC_ZONE)
    with app.test_request_context():
        html = render_template("partials/dashboard/event.html", row=EventRow(shown), open=True, zone=UTC_ZONE, now=NOON)
    article = BeautifulSoup(html, builder=PageBuilder).article
    assert article is not None
    return article


def test_workflow_run_shows_its_facts_and_outcome(app):
    jobs = [f"job {number}" for number in range(8)]
    run = {"status": "failure", "duration": 252, "branch": "main", "commit": SHA, "failed_jobs": jobs}
    run["logs_url"] = "https://ci.example/run/7"
    page = page_of(app, event("github", "WorkflowRun", run, url="https://ci.example/7"))
    assert words(page.select_one("summary .status.bad")) == "failure"
    assert texts(page, "summary .line-fact") == ["4 min 12 s", "Branch: main"]
    assert words(page.select_one("[data-field=duration] dd")) == "4 min 12 s"
    assert page.select_one("[data-field=duration] span")["title"] == "252 seconds"
    assert page.select_one("[data-field=commit] code.sha")["title"] == SHA
    assert texts(page, "[data-field=failed_jobs] dd > ul li") == jobs[:5]
    assert words(page.select_one("[data-field=failed_jobs] summary")) == "3 more"
    assert texts(page, "[data-field=failed_jobs] details li") == jobs[5:]
    log = page.select_one("[data-field=logs_url] a")
    assert (words(log), log["href"], "noopener" in log["rel"]) == ("ci.example", "https://ci.example/run/7", True)
    link = next(anchor for anchor in page.select(".links a") if "Open in" in words(anchor))
    assert (words(link), link["href"], "noopener" in link["rel"]) == ("Open in GitHub", "https://ci.example/7", True)


def test_pull_request_shows_branches_lines_and_merged(app):
    metadata = {"branches": HEAD_BASE, "changes": {"additions": 42, "deletions": 7, "files": 1}, "merged": True}
    merged = event("github", "PullRequest", metadata, status="merged")
    page = page_of(app, merged)
    assert words(page.select_one("summary .status.good")) == "merged"
    assert texts(page, "summary .line-fact") == ["fix/retry → main", "+42 −7 in 1 file"]
    assert (words(page.select_one(".plus")), words(page.select_one(".minus"))) == ("+42", "−7")
    assert words(page.select_one("[data-field=merged] dd")) == "yes"
    assert page_of(app, merged, "merged").select(".status") == []


def test_image_changes_show_old_new_added_and_removed(app):
    images = [
        *IMAGES,
        {"name": "proxy", "old": None, "new": "envoy:3"},
        {"name": "log", "old": "fluent:1", "new": None},
    ]
    page = page_of(app, event("kubernetes", "K8sDeployment", {"images": images}, status="modified"))
    assert texts(page, "[data-field=images] li") == [
        "nginx: 1.25 → 1.27",
        "proxy: envoy:3 added",
        "log: fluent:1 removed",
    ]
    assert texts(page, "summary .line-fact") == ["nginx: 1.25 → 1.27 and 2 more"]
    assert page.select(".status") == []


def test_a_row_leaves_out_the_registry_that_the_old_and_the_new_image_share(app):
    images = [{"name": "web", "old": "registry.example/shop/web:1.21.0", "new": "registry.example/shop/web:1.22.0"}]
    page = page_of(app, event("kubernetes", "K8sDeployment", {"images": images}, status="modified"))
    assert texts(page, "summary .line-fact") == ["web: …/web:1.21.0 → …/web:1.22.0"]
    assert texts(page, "[data-field=images] li") == [
        "web: registry.example/shop/web:1.21.0 → registry.example/shop/web:1.22.0"
    ]


def test_every_event_of_a_code_host_shows_its_repository_first(app):
    for source, kind in ((source, kind) for source, kind in ALL_EVENT_TYPES if source in ("github", "gitlab")):
        facts = {field.key: sample(field)[0] for field in reversed(kind.fields)}
        page = page_of(app, event(source, kind.name, {**facts, "repository": "acme/api"}))
        [where] = texts(page, "summary .where")
        assert (where.split(" · ")[0], texts(page, ".fields dd")[0]) == ("acme/api", "acme/api"), kind.name


def test_kubernetes_event_shows_its_namespace_and_workload(app):
    facts = {"reason": "OOMKilled", "workload": "Deployment/web", "namespace": "shop", "cluster": "prod"}
    page = page_of(app, event("kubernetes", "K8sPod", facts))
    assert texts(page, "summary .where") == ["prod · shop · Deployment/web"]
    assert texts(page, "summary .line-fact") == []
    assert texts(page, ".fields dt")[:3] == ["Cluster", "Namespace", "Workload"]


def test_no_words_of_a_row_are_glued_together(app):
    why = {"reason": "because", "claimed_author": "zoe", "reverts": "made-up", "text": "Something"}
    changed = {"field": "x", "label": "X", "old_value": [1], "new_value": "two"}
    # Each event type with its facts, and in turn one of three members that all types have.
    for (source, kind), members in zip(ALL_EVENT_TYPES, itertools.cycle(({}, why, {**why, **changed})), strict=False):
        facts = {field.key: sample(field)[0] for field in kind.fields}
        for more in (members, {**facts, "changes": {"a": {"old": 1, "new": 2}, "b": {}, "c": {}}}):
            page = page_of(
                app, event(source, kind.name, {**facts, **more}, description={**why, **more}, status="failed")
            )
            assert glued(page) == [], (source, kind.name)


def test_invalid_link_is_not_a_link(app):
    for address in ("javascript:alert(1)", "https://github.com@evil.example/", "data:text/html,x"):
        page = page_of(app, event("github", "WorkflowRun", {"logs_url": address}, url=address))
        assert [anchor for anchor in page.select("a") if not str(anchor["href"]).startswith("/")] == []
        assert address in words(page.select_one("[data-field=logs_url] dd"))


ALL_EVENT_TYPES = [
    (key, kind) for key, connector_type in connectors.TYPES.items() for kind in connector_type.event_types
]


def sample(field: EventField) -> tuple[Any, str]:
    """Return a value of the field's shape, and its text on the page."""
    mark = f"m-{field.key}-m"
    return {
        Shape.SECONDS: (252, "4 min 12 s"),
        Shape.BYTES: (12_345_678, "12.3 MB"),
        Shape.YES_NO: (True, "yes"),
        Shape.SHA: (digest := f"{hash(field.key) % 2**60:040x}", digest),
        Shape.LINK: (f"https://{field.key.replace('_', '-')}.example/", f"{field.key.replace('_', '-')}.example"),
        Shape.LIST: ([mark], mark),
        Shape.BRANCHES: ({"head": mark, "base": "b"}, mark),
        Shape.LINES: ({"additions": 4711}, "+4,711"),
        Shape.MOVES: ([{"name": mark, "old": "1", "new": "2"}], mark),
    }.get(field.shape, (mark, mark))


def test_hidden_field_is_not_on_the_page_and_others_are(app: Flask, thorough: bool) -> None:
    of_other_fields = {(source, tuple(kind.fields)): (source, kind) for source, kind in ALL_EVENT_TYPES}
    for source, kind in ALL_EVENT_TYPES if thorough else of_other_fields.values():
        check_hiding(app, source, kind)


def check_hiding(app: Flask, source: str, kind: EventType) -> None:
    """Hide each field of an event type in turn, and check the page."""
    samples = {field.key: sample(field) for field in kind.fields}
    name = samples.get("connector_name", ("Work", ""))[0]
    shown_event = event(source, kind.name, {key: value for key, (value, _) in samples.items()}, connector_name=name)
    for hidden in ("", *samples):
        page = page_of(app, shown_event, *([hidden] if hidden else []))
        rows = page.select("[data-field]")
        assert [str(row["data-field"]) for row in rows] == [key for key in samples if key != hidden]
        shown = {str(row["data-field"]): words(row.dd) for row in rows}
        for key, (_, mark) in samples.items():
            if key != hidden:
                assert mark in shown[key], (source, kind.name, hidden, key)
            elif mark != "yes":
                assert mark not in words(page), (source, kind.name, hidden)
        assert not page.select(f"[data-fact='{hidden}']")


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from([SHA, "https://a"]),
    lambda inner: (
        st.lists(inner, max_size=8)
        | st.dictionaries(
            st.sampled_from(["head", "base", "additions", "deletions", "files", "name", "old", "new", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@hypothesis.settings(
    deadline=None, max_examples=examples(40), suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
@hypothesis.given(st.data())
def test_any_recorded_value_is_shown_without_error(app: Any, data: Any) -> None:
    source, kind = data.draw(st.sampled_from(ALL_EVENT_TYPES))
    metadata = {field.key: data.draw(JSON) for field in kind.fields}
    page = page_of(app, event(source, kind.name, metadata, status=data.draw(st.text(max_size=9) | st.none())))
    assert len(page.select("[data-field]")) == len(metadata)
    assert page.select("script, img, iframe") == []
    assert all(str(anchor["href"]).startswith(("/", "https://a", "http")) for anchor in page.select("a"))


def test_event_page_shows_a_hidden_field_only_in_the_raw_record(client, make_connector):
    number = make_connector()
    etag = client.get(f"/api/connectors/{number}").headers["ETag"]
    client.patch(f"/api/connectors/{number}", json={"config": {"repos": ["acme/shop"]}}, headers={"If-Match": etag})
    [changed] = client.get("/api/changes?event_type=ConfigChanged").get_json()

    def read() -> str:
        page = soup(client.get(f"/events/{changed['id']}"))
        for part in page.select(".recorded, .feed"):
            part.decompose()
        return words(page)

    assert "acme/shop" in read()
    for field in ("new_value", "field", "connector_name"):
        client.put(f"/api/connectors/1/visibility/ConfigChanged/{field}", json={"visible": False})
    page_text = read() + words(soup(client.get(f"/events/{changed['id']}/around")).select_one("main p.meta"))
    assert [word for word in ("acme/shop", "Repositories", "repos", "Work GitHub") if word in page_text] == []

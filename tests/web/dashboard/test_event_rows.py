"""A row of the feed says at a glance where what happened; it unfolds to its group and loads its details."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask
from flask.testing import FlaskClient

from painchain.connectors import ADDABLE
from painchain.connectors.base import Shape
from painchain.eventlog import writer
from painchain.eventlog.writer import NewEvent
from painchain.timeline.queries import PAGE
from tests.support.html import fill, form_of, glued, soup, texts, unfold, words
from tests.web.parts import part_of

HTMX = {"HX-Request": "true"}
MINUTE = timedelta(minutes=1)
NOON = datetime(2020, 5, 4, 12, 0, tzinfo=UTC)
THAT_DAY = "/?start_date=2020-05-04T00:00:00Z&end_date=2020-05-05T00:00:00Z"
MAX_NODES = 1_200  # elements of the feed

Write = Callable[..., list[int]]


@pytest.fixture
def write(app: Flask) -> Write:
    """Return a function that logs events of a connector, each a minute before the previous one unless it has a time."""
    serial = itertools.count()

    def event(members: dict[str, Any]) -> NewEvent:
        number = next(serial)
        timestamp = members.get("timestamp", NOON - number * MINUTE)
        plain: dict[str, Any] = {"event_id": f"made-up-{number}", "source": "github", "title": f"[Made Up] {number}"}
        plain |= {"description": {"text": "Something"}, "metadata": {}, "author": "ann", "connector_id": 3}
        plain |= {"request_id": f"request-{number}", "recorded_at": timestamp, "timestamp": timestamp}
        return NewEvent(**{**plain, **members})

    def append(*events: dict[str, Any]) -> list[int]:
        new_events = [event(members) for members in events]
        with app.app_context(), writer.writing() as event_log:
            return [event_log.append(new) for new in new_events[::-1]][::-1]

    return append


def run(status: str, **members: Any) -> dict[str, Any]:
    facts = {"repository": "acme/api", "branch": "main", "status": status}
    event_id, title = f"github:3:4711:run:99:1:{status}", "[Workflow] CI - main"
    return {
        **{"event_type": "WorkflowRun", "event_id": event_id, "title": title, "metadata": facts, "status": status},
        **members,
    }


def read(client: FlaskClient, address: str = THAT_DAY, only: str = "feed") -> BeautifulSoup:
    """Return an element of a page."""
    response = client.get(address)
    assert response.status_code == 200
    return part_of(response, only)


def edit(client: FlaskClient, number: int, **values: Any) -> None:
    address = f"/settings/integrations/{number}"
    form = fill(form_of(client.get(address), "#connector-form"), **values)
    assert client.post(address, data=form).status_code == 303


def rows(page: BeautifulSoup) -> list[Tag]:
    """Return the rows of the feed that are not inside a group."""
    return [article for article in page.select("#feed article") if not article.find_parent("article")]


def line(row: Tag) -> dict[str, str]:
    """Return the columns of a row by name."""
    summary = row.select_one("summary")
    assert summary is not None
    names = ("time", "source", "event-type", "where", "what", "outcome", "by")
    found = {name: summary.select_one(name if name == "time" else f".{name}") for name in names}
    return {name: words(element) for name, element in found.items() if element}


# Columns


def test_deployment_says_where_and_how_it_ended_once(client, write):
    facts = {"repository": "acme/api", "environment": "production", "state": "failure", "ref": "v1.2"}
    write(
        {
            **{"event_type": "Deployment", "title": "[Deployment] production failure", "metadata": facts},
            **{"status": "failure", "author": "octocat"},
        }
    )
    [row] = rows(read(client))
    assert line(row) == {
        "time": "12:00",
        "source": "GitHub",
        "event-type": "Deployment",
        "where": "acme/api · production",
        "what": "Ref: v1.2",
        "outcome": "failure",
        "by": "by octocat",
    }


def test_push_shows_its_commits_and_force(client, write):
    facts = {"repository": "acme/api", "branch": "main", "before": "a1" * 20, "after": "b2" * 20, "commits": 40}
    write({"event_type": "Push", "title": "[Push] main", "metadata": {**facts, "forced": True}, "status": "forced"})
    [row] = rows(read(client))
    assert line(row)["what"] == "main a1a1a1a → b2b2b2b 40 commits forced"


def test_workload_of_kubernetes_is_not_repeated(client, write):
    facts = {"cluster": "eu-1", "namespace": "shop", "workload": "Deployment/web"}
    title = "[Deployment Updated] web"
    [number] = write({"source": "kubernetes", "event_type": "K8sDeployment", "title": title, "metadata": facts})
    [row] = rows(read(client))
    assert line(row)["where"] == "eu-1 · shop · Deployment/web"
    assert line(row)["what"] == "updated"
    assert words(part_of(client.get(f"/events/{number}"), "main").h1) == title


def test_failing_connector_has_its_error_and_outcome_in_the_row(client, write):
    failing = {"connector_name": "Work", "error": "GitHub answered 401: the token has expired."}
    write(
        {
            **{"source": "painchain", "event_type": "ConnectorFailing", "title": "[Connector Failing] Work"},
            **{"description": failing, "metadata": {"connector_name": "Work"}, "connector_name": "Work"},
            "status": "failing",
        }
    )
    [row] = rows(read(client))
    assert line(row) == {
        "time": "12:00",
        "source": "PainChain",
        "event-type": "Connector Failing",
        "where": "Work",
        "what": "GitHub answered 401: the token has expired.",
        "outcome": "failing",
        "by": "by ann",
    }


def sample(shape: Shape, key: str) -> Any:
    return {
        Shape.SECONDS: 252,
        Shape.BYTES: 12_345_678,
        Shape.YES_NO: True,
        Shape.SHA: "a1" * 20,
        Shape.LIST: [f"{key} one", f"{key} two"],
        Shape.STATUS: "failure",
        Shape.BRANCHES: {"head": "fix/retry", "base": "main"},
        Shape.LINES: {"additions": 176, "deletions": 35, "files": 8},
        Shape.MOVES: [
            {"name": "web", "old": "web:1.25", "new": "web:1.26"},
            {"name": "log", "old": None, "new": "l:1"},
        ],
    }.get(shape, f"some {key}")


@pytest.fixture
def one_page(write: Write) -> None:
    """Fill one page with events of every type of every source."""
    types = [(source, kind) for source, host in ADDABLE.items() for kind in host.event_types]
    write(
        *(
            {
                **{"source": source, "event_type": kind.name, "title": f"[{kind.label}] Fix the retry loop"},
                **{"metadata": {field.key: sample(field.shape, field.key) for field in kind.fields}},
                **{"status": "failure", "author": "somebody"},
            }
            for source, kind in itertools.islice(itertools.cycle(types), PAGE)
        )
    )


def test_no_words_of_the_feed_are_glued_together(client, one_page, make_connector):
    number = make_connector()
    edit(client, number, poll_interval="600", tags="a, b", repos="acme/api")
    for address in (THAT_DAY, "/", f"/settings/integrations/{number}/history"):
        page = unfold(client, read(client, address))
        assert rows(page)
        for row in rows(page):
            assert glued(row) == []


def test_page_of_fifty_events_has_few_elements(client, one_page):
    feed = read(client).select_one("#feed")
    assert feed is not None
    assert len(feed.select("article")) == PAGE
    assert len(feed.find_all()) <= MAX_NODES


# Details


def test_details_are_loaded_when_a_row_is_unfolded(client, write):
    [number] = write({"event_type": "Commit", "metadata": {"sha": "a1" * 20}, "tags": ["ci"]})
    page = read(client)
    assert page.select("#feed .fields, #feed .links") == []
    [link] = page.select("#feed a.unfolds")
    assert (link["href"], link["hx-get"]) == (f"/events/{number}", f"/events/{number}/details")
    assert link["hx-trigger"] == "toggle from:closest details"
    details = soup(client.get(str(link["hx-get"]), headers=HTMX))
    assert [element["id"] for element in details.find_all(recursive=False)] == [f"details-{number}"]
    assert texts(details, "dt") == ["SHA", "Tags"]
    assert words(details.select_one(".links a")) == "Permalink"


def test_without_javascript_a_row_links_to_the_page_of_its_event(client, write):
    [number] = write({"event_type": "Commit"})
    page = read(client)
    [link] = page.select("#feed details > a")
    assert (link["href"], words(link)) == (f"/events/{number}", "Details of this event")
    assert page.select("#feed summary a") == []  # a link in a summary cannot be reached by every screen reader
    response = client.get(f"/events/{number}/details")
    assert (response.status_code, response.location) == (302, f"/events/{number}")
    assert part_of(client.get(f"/events/{number}"), "main").select_one("article .fields")


def test_details_of_an_unknown_event_are_not_found(client):
    for number in (4711, 10**30):
        assert client.get(f"/events/{number}/details", headers=HTMX).status_code == 404


def test_chosen_event_has_its_details_in_the_page(client, write):
    [number] = write({"event_type": "Commit"})
    for address in (f"/events/{number}", f"/events/{number}/around"):
        article = read(client, address, only=f"event-{number}").select_one(f"#event-{number}")
        assert article.select_one("details").has_attr("open")
        assert article.select_one(".fields")
        assert article.select(".unfolds") == []


# Groups


def test_states_of_one_run_are_one_row_that_unfolds(client, write):
    failure, other, running = write(
        run("failure", author="ann", timestamp=NOON),
        {"event_type": "Release", "title": "[Release] v1", "timestamp": NOON - MINUTE},
        run("in_progress", author="bob", timestamp=NOON - 7 * MINUTE),
    )
    page = read(client, only="main")
    group, alone = rows(page)
    assert (group["id"], alone["id"]) == (f"event-{failure}", f"event-{other}")
    assert line(group)["what"] == "CI - main 2 states, 11:53–12:00"
    assert (line(group)["outcome"], line(group)["by"]) == ("failure", "by ann bob")
    [part] = group.select("article")
    assert part["id"] == f"event-{running}"
    assert (line(part)["time"], line(part)["outcome"], line(part)["by"]) == ("11:53", "in progress", "by bob")
    assert words(page.select_one("#timeline .count strong")) == "3"


def test_new_state_of_a_shown_run_comes_with_the_states_before(client, write):
    [running] = write(run("in_progress", timestamp=datetime.now(UTC)))
    page = read(client, "/", only="live")
    [failure] = write(run("failure", timestamp=datetime.now(UTC)))
    news = soup(client.get(str(page.select_one("#live")["hx-get"]), headers=HTMX))
    assert [article["id"] for article in news.select("article")] == [f"event-{failure}", f"event-{running}"]
    [group] = [row for row in rows(read(client, "/")) if row["data-source"] == "github"]
    assert [article["id"] for article in group.select("article")] == [f"event-{running}"]


def test_group_around_one_of_its_events_is_open(client, write):
    _, running = write(run("failure"), run("in_progress"))
    page = read(client, f"/events/{running}/around", only="main")
    [group] = rows(page)
    assert group.select_one("details").has_attr("open")
    [chosen] = page.select("[aria-current].event")
    assert chosen["id"] == f"event-{running}"
    assert chosen.find_parent("article") == group
    assert chosen.select_one("details").has_attr("open")


def test_push_unfolds_to_its_commits(client, write):
    place = {"repository": "acme/api", "branch": "main"}
    pushed = {"event_type": "Push", "title": "[Push] main", "timestamp": NOON}
    numbers = write(
        {**pushed, "metadata": {**place, "after": "b2" * 20, "commits": 2}},
        *(
            {
                **{"event_type": "Commit", "title": f"[Commit] Fix {name}", "author": name, "timestamp": NOON},
                "metadata": {**place, "sha": name * 20, "push": "b2" * 20},
            }
            for name in ("b2", "a1")
        ),
    )
    [group] = rows(read(client))
    assert group["id"] == f"event-{numbers[0]}"
    assert line(group)["what"].endswith(" 2 commits")
    assert line(group)["by"] == "by ann b2 a1"
    assert sorted(texts(group, ".parts-of .subject")) == ["Fix a1", "Fix b2"]


def test_save_is_one_row_with_its_change(client, make_connector, events):
    edit(client, make_connector(), poll_interval="600")
    page = read(client, "/")
    [save] = [row for row in rows(page) if row["data-event-type"] == "ConnectorUpdated"]
    assert (line(save)["where"], line(save)["what"]) == ("Work GitHub", "Poll interval: 300 → 600")
    [part] = save.select("article")
    assert part["id"] == f"event-{events(event_type='ConfigChanged')[-1]['id']}"
    assert texts(part, ".change") == texts(page, "#feed .change") == ["Poll interval: 300 → 600"]


def test_save_of_several_settings_shows_the_first_values_and_the_other_names(client, make_connector):
    edit(client, make_connector(), poll_interval="600", tags="a", repos="acme/api")
    [save] = [row for row in rows(read(client, "/")) if row["data-event-type"] == "ConnectorUpdated"]
    assert line(save)["what"] == "3 settings: Tags: +a Poll interval: 300 → 600 and Repositories"
    assert sorted(texts(save, "article .change .label")) == ["Poll interval:", "Repositories:", "Tags:"]

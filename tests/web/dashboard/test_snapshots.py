"""The configuration at a time, and the differences between two times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from painchain.eventlog import writer
from tests.support.html import fill, form_of, soup, texts, words
from tests.web.dashboard.reports import edit, log
from tests.web.parts import part_of


def moments(events):
    return [event["timestamp"] for event in events()]


def card_of(page, name):
    """Return the label and value of each field on the card of a connector."""
    cards = [card for card in page.select(".standing") if words(card.select_one("h3")) == name]
    return {words(row.dt): words(row.dd) for row in cards[0].select("dl > div")} if cards else None


def test_now_shows_the_current_configuration(client, make_connector):
    number = make_connector(name="Work GitHub", repos="acme/api", tags="ci")
    edit(client, number, poll_interval="3600")
    page = part_of(client.get("/as-of"), "main")
    assert texts(page, ".standing h3") == ["PainChain System", "Work GitHub"]
    assert card_of(page, "Work GitHub") == {
        "Tags": "ci",
        "API URL": "https://api.github.com",
        "Token": "set",
        "Poll interval (seconds)": "3600",
        "Repositories": "acme/api",
        "Branches": "empty",
    }
    assert texts(page, ".standing .pill") == ["Enabled", "Disabled"]


def test_a_time_shows_the_configuration_of_then(client, make_connector, events):
    number = make_connector(name="Work GitHub")
    edit(client, number, poll_interval="3600")
    edit(client, number, name="Home")
    first, created, changed, *_ = moments(events)
    assert texts(part_of(client.get("/as-of", query_string={"at": first}), "main"), ".standing h3") == [
        "PainChain System"
    ]
    for moment, interval in ((created, "300"), (changed, "3600")):
        then = card_of(part_of(client.get("/as-of", query_string={"at": moment}), "main"), "Work GitHub")
        assert then["Poll interval (seconds)"] == interval


def test_a_deleted_connector_exists_at_an_earlier_time(client, make_connector, events):
    number = make_connector(name="Work GitHub")
    assert client.delete(f"/api/connectors/{number}").status_code == 204
    assert card_of(part_of(client.get("/as-of"), "main"), "Work GitHub") is None
    before = part_of(client.get("/as-of", query_string={"at": moments(events)[1]}), "main")
    assert card_of(before, "Work GitHub")["Token"] == "set"


def test_two_times_are_compared_in_either_order(client, make_connector, events):
    number = make_connector(name="Work GitHub")
    created = moments(events)[-1]
    edit(client, number, poll_interval="3600", repos="acme/api", token="another")
    client.put(f"/api/connectors/{number}/visibility/PullRequest/comments", json={"visible": False})
    make_connector("kubernetes", "Cluster")
    now = datetime.now(UTC).isoformat()
    for at, compare in ((now, created), (created, now)):
        page = part_of(client.get("/as-of", query_string={"at": at, "compare": compare}), "main")
        assert texts(page, ".difference h3") == ["Cluster added", "Work GitHub changed"]
        assert texts(page, ".difference .changes li") == [
            "Token replaced",
            "Poll interval 300 → 3600",
            "Repositories +acme/api",
            "Comments of PullRequest shown → hidden",
        ]


def test_equal_configurations_have_a_message(client):
    now = datetime.now(UTC).isoformat()
    page = part_of(client.get("/as-of", query_string={"at": now, "compare": now}), "main")
    assert texts(page, ".differences") == ["No connectors changed No differences recorded between these two times."]


def test_the_form_shows_and_reads_times_in_the_viewers_zone(client):
    client.set_cookie("zone", "Europe/Berlin")
    form = form_of(client.get("/as-of?at=2026-01-15T14:00:00.5Z"), "form.as-of")
    assert form == {"at": "2026-01-15T15:00:01", "compare": ""}, "the second in which it is all over"
    answer = client.get("/as-of", query_string=fill(form, at="2026-01-15T14:00", compare="2026-01-15T15:00"))
    assert answer.location == "/as-of?at=2026-01-15T13%3A00%3A00Z&compare=2026-01-15T14%3A00%3A00Z"
    answer = client.get(answer.location)
    assert words(part_of(answer, "main").h1) == "What changed between 15 Jan 2026, 14:00:00 and 15 Jan 2026, 15:00:00"
    assert part_of(answer, "main").select_one("h1 time")["datetime"] == "2026-01-15T13:00:00+00:00"


def test_every_event_links_to_the_configuration_at_its_time(client, make_connector, events):
    edit(client, make_connector(name="Work GitHub"), poll_interval="3600", branches="main")
    for event in events(event_type="ConfigChanged"):
        page = soup(client.get(f"/events/{event['id']}"))
        [link] = [link["href"] for link in page.select("a") if words(link) == "Configuration at this time"]
        then = card_of(part_of(client.get(link), "main"), "Work GitHub")
        assert (then["Poll interval (seconds)"], then["Branches"]) == ("3600", "main"), "a save counts as a whole"


def test_before_the_start_of_the_log_the_configuration_is_unknown(client):
    nothing = part_of(client.get("/as-of?at=2020-01-01", follow_redirects=True), "main").select_one("main .nothing")
    assert words(nothing).startswith("No data for this time The audit log starts on")
    assert client.get(str(nothing.a["href"])).status_code == 200
    assert texts(part_of(client.get(str(nothing.a["href"])), "main"), ".standing h3") == ["PainChain System"]


def test_a_future_time_has_a_message(client):
    page = part_of(client.get("/as-of?at=2222-01-01", follow_redirects=True), "main")
    assert "This time is in the future" in words(page.select_one(".warning"))
    assert texts(page, ".standing h3") == ["PainChain System"]


@pytest.mark.parametrize("query", ["at=nonsense", "at=1969-01-01", "compare=soon", "at=2026-01-01&compare=%00"])
def test_an_invalid_time_is_refused_with_a_message(client, query):
    response = client.get(f"/as-of?{query}")
    assert response.status_code == 422
    assert "Showing the current configuration instead" in words(part_of(response, "main").select_one("[role=alert]"))
    assert texts(part_of(response, "main"), ".standing h3") == ["PainChain System"]


def test_a_time_without_auditing_is_shown_as_a_gap(client, make_connector):
    number = make_connector(name="Work GitHub")
    client.post("/api/connectors/1/disable")
    edit(client, number, poll_interval="3600")
    assert "since" in words(part_of(client.get("/as-of"), "main").select_one(".unrecorded li"))
    client.post("/api/connectors/1/enable")
    page = part_of(client.get("/as-of"), "main")
    assert words(page.select_one(".unrecorded li")).startswith("between")
    assert card_of(page, "Work GitHub")["Poll interval (seconds)"] == "300", "as it was recorded"


def test_a_pruned_log_gives_a_partial_configuration_with_a_message(app, client, make_connector, events):
    number = make_connector(name="Work GitHub")
    edit(client, number, poll_interval="3600")
    edit(client, make_connector("kubernetes", "Cluster"), poll_interval="600")
    with app.app_context(), writer.writing() as event_log:
        event_log.connection.execute(text("DELETE FROM change_events WHERE id < 4"))
    first = moments(events)[0]
    page = part_of(client.get("/as-of", query_string={"at": first}), "main")
    assert "Older events were deleted" in words(page.select_one(".warning"))
    assert texts(page, ".standing h3") == ["PainChain System", "Work GitHub"]
    assert card_of(page, "Work GitHub")["Poll interval (seconds)"] == "3600"
    assert "unchanged since the start of the audit log" in words(page.select_one(".standing .meta"))
    answer = client.get("/api/as-of").get_json()
    assert (answer["complete"], [connector["complete"] for connector in answer["connectors"]]) == (
        False,
        [False, False, True],
    )


def test_events_reported_by_scripts_are_counted_but_not_applied(client, make_connector):
    make_connector(name="Work GitHub")
    log(client, event_type="connector_deleted", connector_name="Work GitHub", connector_type="github")
    page = part_of(client.get("/as-of"), "main")
    assert card_of(page, "Work GitHub")
    assert "Not included: 1 event that scripts reported up to this time." in words(page.select_one(".past-page"))


def test_the_api_returns_the_same_configuration(client, make_connector, events):
    number = make_connector(name="Work GitHub", tags="ci")
    created = moments(events)[-1]
    edit(client, number, poll_interval="3600")
    client.put(f"/api/connectors/{number}/visibility/PullRequest/comments", json={"visible": False})
    answer = client.get("/api/as-of", query_string={"at": created}).get_json()
    assert (answer["at"], answer["complete"], answer["gaps"]) == (created, True, [])
    then = answer["connectors"][1]
    assert (then["id"], then["name"], then["tags"], then["enabled"]) == (number, "Work GitHub", ["ci"], False)
    assert (then["config"]["poll_interval"], then["config"]["token"], then["hidden"]) == (300, {"set": True}, [])
    now = client.get("/api/as-of").get_json()["connectors"][1]
    assert (now["config"]["poll_interval"], now["changed_by"]) == (3600, "system")
    assert now["hidden"] == [{"event_type": "PullRequest", "field": "comments"}]


@pytest.mark.parametrize("query", ["at=nonsense", "at=1969-01-01", "when=2026-01-01", "at=%ff"])
def test_the_api_refuses_invalid_parameters(client, query):
    response = client.get(f"/api/as-of?{query}")
    assert response.status_code == 422
    assert response.get_json()["errors"]


def test_no_secret_is_ever_on_the_page(client, make_connector):
    number = make_connector(token="planted-f00dcafe")
    edit(client, number, token="planted-too-f00dcafe")
    later = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    for address in ("/as-of", f"/as-of?compare={later}", "/api/as-of", "/report"):
        assert "f00dcafe" not in client.get(address).get_data(as_text=True)
    table = client.post("/report.csv", data=form_of(client.get("/report"), "#csv"))
    assert table.status_code == 200
    assert "f00dcafe" not in table.get_data(as_text=True)

"""Settings are reverted after a preview, and reverts are audited."""

from __future__ import annotations

import pytest

from tests.support.html import fill, form_of, soup, texts, unfold, words
from tests.web.dashboard.reverts import LIST, SYSTEM, change, newest, page_of, previewed, refusal_reason, revert, stored
from tests.web.parts import part_of


@pytest.mark.parametrize("htmx", [False, True], ids=["plain", "htmx"])
def test_reverting_a_setting_is_previewed_and_audited(client, make_connector, htmx):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=3600)
    event = newest(client, "ConfigChanged")
    assert previewed(part_of(client.get(page_of(event)), "restore")) == {"poll_interval": "3600 → 300"}
    answer = revert(client, event, htmx=htmx)
    if htmx:
        assert (answer.status_code, answer.headers["HX-Redirect"]) == (204, f"{LIST}/{connector_id}")
    else:
        assert (answer.status_code, answer.location) == (303, f"{LIST}/{connector_id}")
    page = soup(client.get(f"{LIST}/{connector_id}"))
    assert texts(page, "#toast .toast span") == ["Reverted in “Work GitHub”: Poll interval."]
    assert texts(page, "#feed .event-type")[:2] == ["Connector Updated", "Config Changed"]
    assert texts(page, "#feed .change")[0] == "Poll interval: 3600 → 300"
    assert stored(client, connector_id)["poll_interval"] == 300


def test_the_new_events_link_to_the_event_that_they_revert(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=3600)
    event = newest(client, "ConfigChanged")
    assert revert(client, event).status_code == 303
    for event_type in ("ConfigChanged", "ConnectorUpdated"):
        new = newest(client, event_type)
        assert new["metadata"]["reverts"] == new["description"]["reverts"] == event["event_id"]
        for address in ("/", f"/events/{new['id']}"):
            details = unfold(client, part_of(client.get(address), "main")).select_one(f"#event-{new['id']} > details")
            assert "reverts an earlier change" in texts(details, ":scope > summary .note")
            links = details.select(":scope > .details .links a")
            [link] = [link for link in links if words(link) == f"Reverts {event['event_id']}"]
            assert client.get(str(link["href"])).location == f"/events/{event['id']}"


def test_an_ordinary_change_is_not_marked_as_a_revert(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=3600)
    event = newest(client, "ConfigChanged")
    assert "reverts" not in event["metadata"]
    assert "reverts" not in event["description"]
    assert "reverts" not in client.get(f"/events/{event['id']}").text.lower()


def test_some_settings_of_a_save_can_be_reverted(client, make_connector):
    connector_id = make_connector(tags="a, b")
    change(client, connector_id, name="Home", tags=["b", "c"], poll_interval=600, repos=["acme/api"])
    event = newest(client, "ConnectorUpdated")
    assert previewed(part_of(client.get(page_of(event)), "restore")) == {
        "name": "Home → Work GitHub",
        "tags": "−c +a",
        "poll_interval": "600 → 300",
        "repos": "−acme/api",
    }
    assert revert(client, event, fields=["name", "tags"]).status_code == 303
    now = stored(client, connector_id)
    assert (now["name"], set(now["tags"]), now["poll_interval"], now["repos"]) == (
        "Work GitHub",
        {"a", "b"},
        600,
        ["acme/api"],
    )
    assert newest(client, "ConnectorUpdated")["metadata"]["changes"].keys() == {"name", "tags"}


def test_visibility_changes_can_be_reverted(client, make_connector):
    connector_id = make_connector()
    form = fill(form_of(client.get(f"{LIST}/{connector_id}"), "#connector-form"), **{"visible.Commit.sha": False})
    assert client.post(f"{LIST}/{connector_id}", data=form).status_code == 303
    save_event = newest(client, "ConnectorUpdated")
    assert previewed(part_of(client.get(page_of(save_event)), "restore")) == {
        "field_visibility.Commit.sha": "hidden → shown"
    }
    assert revert(client, save_event).status_code == 303
    assert stored(client, connector_id)["visibility"]["Commit"]["sha"] is True
    toggled = newest(client, "FieldVisibilityChanged")
    assert toggled["metadata"]["reverts"] == save_event["event_id"]
    assert revert(client, toggled).status_code == 303
    assert stored(client, connector_id)["visibility"]["Commit"]["sha"] is False
    assert refusal_reason(client, toggled).endswith("of Commit is already hidden.")


def test_the_name_of_the_built_in_connector_can_be_reverted(client):
    change(client, SYSTEM, name="Ours")
    assert revert(client, newest(client, "ConfigChanged")).status_code == 303
    assert stored(client, SYSTEM)["name"] == "PainChain System"


def test_a_revert_can_be_reverted(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=600)
    for value in (300, 600):
        assert revert(client, newest(client, "ConfigChanged")).status_code == 303
        assert stored(client, connector_id)["poll_interval"] == value


def test_while_auditing_is_off_a_revert_works_and_is_not_recorded(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=600)
    client.post(f"/api/connectors/{SYSTEM}/disable")
    event = newest(client, "ConfigChanged")
    assert revert(client, event).status_code == 303
    assert stored(client, connector_id)["poll_interval"] == 300
    assert newest(client, "ConfigChanged") == event

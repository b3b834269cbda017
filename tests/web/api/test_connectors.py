"""Reading and changing connectors through the API."""

from __future__ import annotations

from typing import Any

from flask.testing import FlaskClient

from tests.support.api import CANARY, GITHUB, KUBERNETES, SYSTEM, Events, fields_at_fault, patch, problem, titles


def test_a_connector_is_added_disabled_with_its_defaults(client: FlaskClient) -> None:
    response = client.post("/api/connectors", json=GITHUB)
    connector = response.get_json()
    assert (response.status_code, response.headers["Location"]) == (201, f"/api/connectors/{connector['id']}")
    assert (connector["name"], connector["type"], connector["enabled"], connector["tags"]) == (
        "Work GitHub",
        "github",
        False,
        ["team", "ci"],
    )
    assert connector["config"] == {
        "base_url": "https://api.github.com",
        "token": {"set": True},
        "poll_interval": 300,
        "repos": [],
        "branches": [],
    }
    assert connector["visibility"]["PullRequest"]["branches"] is True
    assert (connector["version"], connector["created_by"], connector["updated_by"]) == (1, "system", "system")
    read = client.get(response.headers["Location"])
    assert connector.pop("warnings") == []
    assert (read.get_json(), read.headers["ETag"]) == (connector, response.headers["ETag"])
    assert connector in client.get("/api/connectors").get_json()


def test_adding_a_connector_enabled_is_two_events_of_one_request(client: FlaskClient, events: Events) -> None:
    response = client.post("/api/connectors", json={**GITHUB, "enabled": True})
    created, enabled = events()[-2:]
    assert titles([created, enabled]) == ["[Connector Created] Work GitHub", "[Connector Enabled] Work GitHub"]
    assert created["request_id"] == enabled["request_id"] == response.headers["X-Request-Id"]
    assert created["description"]["configuration"]["token"] == "set"
    assert response.get_json()["enabled"] is True


def test_tags_are_accepted_as_list_or_text_and_returned_as_a_list(client: FlaskClient, github: str) -> None:
    for tags in (["b", "a"], ["b,a"], "b, a", " b ,, a,b", ["b", " a ", ""], "b\na"):
        patch(client, github, tags=[])
        assert patch(client, github, tags=tags).get_json()["tags"] == ["b", "a"], tags
    added = client.post("/api/connectors", json={**KUBERNETES, "tags": "b, a"})
    assert added.get_json()["tags"] == ["b", "a"]


WRONG_VALUES = [
    ({"name": ""}, ["name"]),
    ({"name": "  "}, ["name"]),
    ({"name": "N" * 101}, ["name"]),
    ({"name": "a\0b"}, ["name"]),
    ({"name": None}, ["name"]),
    ({"name": 7}, ["name"]),
    ({"type": "jenkins"}, ["type"]),
    ({"type": "painchain", "config": {}}, ["type"]),
    ({"enabled": "yes"}, ["enabled"]),
    ({"tags": 7}, ["tags.list[str]", "tags.str"]),
    ({"tags": ["x" * 51]}, ["tags"]),
    ({"config": {}}, ["config.token"]),
    ({"config": {"token": ""}}, ["config.token"]),
    ({"config": {"token": "t", "poll_interval": 59}}, ["config.poll_interval"]),
    ({"config": {"token": "t", "poll_interval": True}}, ["config.poll_interval"]),
    ({"config": {"token": "t", "poll_interval": 10**30}}, ["config.poll_interval"]),
    ({"config": {"token": "t", "base_url": "ftp://x"}}, ["config.base_url"]),
    ({"config": {"token": "t", "base_url": "https://me:pw@git.example"}}, ["config.base_url"]),
    ({"config": {"token": "t", "repos": ["no-slash"]}}, ["config.repos"]),
    ({"config": {"token": "t", "namespaces": ["a"]}}, ["config.namespaces"]),
    ({"config": {"token": "t", "name": "x"}}, ["config.name"]),
    ({"config": {"token": "t", "repos": ["x"], "poll_interval": 1}}, ["config.poll_interval", "config.repos"]),
    ({"config": None}, ["config"]),
    ({"surprise": 1}, ["surprise"]),
]


def test_a_connector_with_invalid_values_is_not_added(client: FlaskClient, events: Events) -> None:
    before = events()
    for changes, at_fault in WRONG_VALUES:
        assert fields_at_fault(client.post("/api/connectors", json={**GITHUB, **changes})) == at_fault, changes
    assert (events(), len(client.get("/api/connectors").get_json())) == (before, 1)


def test_connector_names_are_unique(client: FlaskClient) -> None:
    for first, second in (("Prod", "Prod"), ("Stage", "STAGE"), ("Test", " Test "), ("Ärger", "Ärger")):
        assert client.post("/api/connectors", json={**KUBERNETES, "name": first}).status_code == 201
        assert fields_at_fault(client.post("/api/connectors", json={**KUBERNETES, "name": second})) == ["name"]


def test_each_changed_field_is_one_event_plus_one_for_the_save(
    client: FlaskClient, github: str, events: Events
) -> None:
    before = len(events())
    etag = client.get(github).headers["ETag"]
    config = {"poll_interval": 3600, "repos": ["acme/shop"], "base_url": "https://api.github.com/"}
    response = patch(client, github, etag, name="Home GitHub", tags="ci,new", config=config)
    *single, updated = events()[before:]
    assert titles(single) == [
        f"[Config Changed] Home GitHub - {field}" for field in ("name", "tags", "poll_interval", "repos")
    ]
    assert updated["title"] == "[Connector Updated] Home GitHub"
    assert updated["metadata"]["changes"] == {
        "name": {"old": "Work GitHub", "new": "Home GitHub"},
        "tags": {"old": ["team", "ci"], "new": ["ci", "new"]},
        "poll_interval": {"old": 300, "new": 3600},
        "repos": {"old": [], "new": ["acme/shop"]},
    }
    assert {event["request_id"] for event in [*single, updated]} == {response.headers["X-Request-Id"]}
    assert (response.headers["ETag"] != etag, response.get_json()["name"]) == (True, "Home GitHub")
    assert response.get_json()["config"]["poll_interval"] == 3600


def test_a_patch_that_changes_nothing_writes_nothing(client: FlaskClient, github: str, events: Events) -> None:
    before, connector = events(), client.get(github)
    unchanged: list[dict[str, Any]] = [
        {},
        {"name": "Work GitHub", "tags": ["ci", "team"], "enabled": False},
        {"name": " Work GitHub ", "tags": "ci, team,", "config": {"poll_interval": "300", "repos": None}},
        {"config": {"token": CANARY, "base_url": "https://api.github.com/", "branches": ""}},
        {"enabled": None},
    ]
    for changes in unchanged:
        response = patch(client, github, connector.headers["ETag"], **changes)
        assert (response.status_code, response.get_json()) == (200, {**connector.get_json(), "warnings": []}), changes
        assert response.headers["ETag"] == connector.headers["ETag"]
    assert events() == before


def test_values_missing_from_a_patch_are_unchanged(client: FlaskClient, github: str) -> None:
    before = client.get(github).get_json()
    after = patch(client, github, config={"branches": ["main"]}).get_json()
    assert after["config"] == {**before["config"], "branches": ["main"]}
    assert (after["name"], after["tags"], after["enabled"]) == (before["name"], before["tags"], before["enabled"])


def test_a_patch_can_enable_and_change_together(client: FlaskClient, github: str, events: Events) -> None:
    patch(client, github, enabled=True, config={"poll_interval": 600})
    new_events = events()[-3:]
    assert [event["event_type"] for event in new_events] == ["ConfigChanged", "ConnectorUpdated", "ConnectorEnabled"]
    assert len({event["request_id"] for event in new_events}) == 1


def test_a_patch_with_one_invalid_value_changes_nothing(client: FlaskClient, github: str, events: Events) -> None:
    before, connector = events(), client.get(github).get_json()
    response = patch(client, github, name="Home", enabled=True, config={"poll_interval": 5})
    assert fields_at_fault(response) == ["config.poll_interval"]
    assert (events(), client.get(github).get_json()) == (before, connector)


def test_a_patch_without_if_match_is_refused(client: FlaskClient, github: str, events: Events) -> None:
    before = events()
    problem(client.patch(github, json={"name": "Home"}), 428)
    assert events() == before


CHANGES: list[tuple[str, str, Any]] = [
    ("PATCH", "", {"name": "Mine"}),
    ("DELETE", "", None),
    ("POST", "/enable", None),
    ("POST", "/disable", None),
    ("PUT", "/visibility/PullRequest/branches", {"visible": False}),
]


def test_a_change_of_an_older_version_is_refused_with_the_new_etag(
    client: FlaskClient, github: str, events: Events
) -> None:
    read = client.get(github).headers["ETag"]
    patch(client, github, read, name="Theirs")
    before, connector = events(), client.get(github)
    for method, action, body in CHANGES:
        for etag in (read, '"2-99"', "nonsense", f"W/{connector.headers['ETag']}"):
            response = client.open(github + action, method=method, json=body, headers={"If-Match": etag})
            assert "“Theirs”" in problem(response, 412)["message"]
            assert response.headers["ETag"] == connector.headers["ETag"] != read
    assert (events(), client.get(github).get_json()) == (before, connector.get_json())


def test_an_unknown_connector_is_not_found(client: FlaskClient) -> None:
    for method, action, body in [("GET", "", None), *CHANGES]:
        for connector_id in ("99", "0", "9" * 18, "9" * 30, "x", "-1"):
            address = f"/api/connectors/{connector_id}{action}"
            problem(client.open(address, method=method, json=body, headers={"If-Match": "*"}), 404)
            problem(client.open(address, method=method, json=body), 404)


def test_enabling_is_one_event_and_repeating_it_none(client: FlaskClient, github: str, events: Events) -> None:
    before = len(events())
    for action in ("enable", "enable", "disable", "disable"):
        response = client.post(f"{github}/{action}")
        assert response.get_json()["enabled"] is (action == "enable")
        assert response.headers["ETag"] == client.get(github).headers["ETag"]
    new_events = events()[before:]
    assert titles(new_events) == ["[Connector Enabled] Work GitHub", "[Connector Disabled] Work GitHub"]
    about = {"connector_type": "github", "connector_name": "Work GitHub"}
    assert [event["metadata"] for event in new_events] == [
        {"action": "enable", **about},
        {"action": "disable", **about},
    ]


def test_a_toggle_is_one_event_and_repeating_it_none(client: FlaskClient, github: str, events: Events) -> None:
    before = len(events())
    for _ in range(2):
        response = client.put(f"{github}/visibility/PullRequest/branches", json={"visible": False})
        assert response.get_json()["visibility"]["PullRequest"]["branches"] is False
    (event,) = events()[before:]
    assert event["title"] == "[Field Visibility Changed] PullRequest"
    assert event["metadata"] == {
        "action": "field_visibility_change",
        "event_type": "PullRequest",
        "field": "branches",
        "visible": False,
    }
    assert event["connector_name"] == "Work GitHub"


def test_a_field_that_the_connector_type_lacks_cannot_be_hidden(client: FlaskClient, github: str) -> None:
    for toggle in ("PullRequest/nothing", "MergeRequest/branches", "ConfigChanged/field", "%00/branches"):
        problem(client.put(f"{github}/visibility/{toggle}", json={"visible": False}), 404)


def test_a_toggle_is_true_or_false(client: FlaskClient, github: str, events: Events) -> None:
    before = events()
    for body in ({}, {"visible": None}, {"visible": "no"}, {"visible": 0}, {"visible": True, "x": 1}):
        assert fields_at_fault(client.put(f"{github}/visibility/PullRequest/branches", json=body)), body
    assert events() == before


def test_deleting_a_connector_keeps_its_events(client: FlaskClient, github: str, events: Events) -> None:
    patch(client, github, config={"poll_interval": 600})
    before = len(events())
    response = client.delete(github, headers={"If-Match": client.get(github).headers["ETag"]})
    assert (response.status_code, response.data) == (204, b"")
    problem(client.get(github), 404)
    (event,) = events()[before:]
    assert event["title"] == "[Connector Deleted] Work GitHub"
    assert event["description"]["configuration"]["poll_interval"] == 600
    assert len(events(connector="Work GitHub")) == 4


def test_the_built_in_connector_can_be_changed_but_not_deleted(client: FlaskClient, events: Events) -> None:
    address = f"/api/connectors/{SYSTEM}"
    assert patch(client, address, name="Audit", tags=["audit"]).get_json()["name"] == "Audit"
    before = events()
    assert "“Audit”" in problem(client.delete(address), 409)["message"]
    assert fields_at_fault(patch(client, address, config={"poll_interval": 60})) == ["config.poll_interval"]
    assert events() == before


def test_while_auditing_is_off_only_enabling_and_disabling_it_is_recorded(
    client: FlaskClient, github: str, events: Events
) -> None:
    before = len(events())
    client.post(f"/api/connectors/{SYSTEM}/disable")
    assert patch(client, github, name="Quiet").get_json()["name"] == "Quiet"
    client.post(f"/api/connectors/{SYSTEM}/enable")
    assert titles(events()[before:]) == [
        "[Connector Disabled] PainChain System",
        "[Connector Enabled] PainChain System",
    ]

"""A script reverts settings through the API."""

from __future__ import annotations

import pytest

from painchain import connectors
from tests.web.dashboard.reverts import change, newest, revert, revert_by_api, stored


def test_a_script_reverts_by_number_or_event_id_and_gets_the_connector(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=600)
    event = newest(client, "ConfigChanged")
    answer = client.post(f"/api/changes/{event['event_id']}/restore", json={"fields": ["poll_interval"]})
    assert (answer.status_code, answer.get_json()) == (200, client.get(f"/api/connectors/{connector_id}").get_json())
    assert answer.headers["ETag"] == client.get(f"/api/connectors/{connector_id}").headers["ETag"]
    assert stored(client, connector_id)["poll_interval"] == 300
    assert newest(client, "ConfigChanged")["request_id"] == answer.headers["X-Request-Id"]
    assert revert_by_api(client, event).get_json()["errors"] == [
        {"field": "poll_interval", "message": "Poll interval is already 300."}
    ]


INVALID = [({"fields": []}, 422), ({"fields": "name"}, 422), ({"fields": [1]}, 422), ({"other": 1}, 422), ([], 422)]


def test_an_invalid_body_is_refused(client, make_connector, subtests):
    change(client, make_connector(), poll_interval=600)
    event = newest(client, "ConfigChanged")
    for body, status in INVALID:
        with subtests.test(str(body)):
            assert client.post(f"/api/changes/{event['id']}/restore", json=body).status_code == status


def test_another_site_cannot_revert_anything(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, poll_interval=600)
    address = f"/api/changes/{newest(client, 'ConfigChanged')['id']}/restore"
    assert client.post(address, json={}, headers={"Origin": "https://elsewhere.example"}).status_code == 403
    assert client.post(address, data="{}", content_type="text/plain").status_code == 415
    assert client.post(f"{address}?fields=name", json={}).status_code == 422
    assert stored(client, connector_id)["poll_interval"] == 600


def test_an_address_is_not_reverted_if_the_token_is_of_another_server(client, make_connector):
    connector_id = make_connector()
    change(client, connector_id, base_url="https://git.example", token="for-git-example")
    address = f"/api/changes/{newest(client, 'ConnectorUpdated')['id']}/restore"
    answer = client.post(address, json={"fields": ["base_url"]})
    assert (answer.status_code, stored(client, connector_id)["config"]["base_url"]) == (422, "https://git.example")
    assert "points to another server" in answer.get_json()["message"] + str(answer.get_json()["errors"])


@pytest.mark.parametrize("key", connectors.ADDABLE)
def test_every_setting_except_secrets_can_be_reverted(client, make_connector, key):
    connector_id = make_connector(key, "One")
    item = "shop" if key == "kubernetes" else "acme/api"
    samples = {"number": 77, "checkbox": False, "list": [item], "text": "other", "url": "https://other.example"}
    has_token = key != "kubernetes"
    fields = [field for field in connectors.TYPES[key].fields if field.kind in samples]
    fields = [field for field in fields if not (has_token and field.kind == "url")]
    before = stored(client, connector_id)
    patterns = {"leave_out": ["Secret/ci/*"]}
    change(client, connector_id, **{field.key: patterns.get(field.key, samples[field.kind]) for field in fields})
    assert stored(client, connector_id) != before
    assert revert(client, newest(client, "ConnectorUpdated")).status_code == 303
    assert stored(client, connector_id)["config"] == before["config"]

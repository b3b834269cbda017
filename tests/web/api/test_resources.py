"""The resources that the OpenAPI document describes are what the API and the exports write."""

from __future__ import annotations

from flask import Flask
from flask.testing import FlaskClient

from painchain.exports.export import event_json
from painchain.timeline import queries
from painchain.timeline.filter import Filter
from painchain.web.api import openapi
from painchain.web.api.resources.events import Event
from tests.conftest import ON_SQLITE, add_connector


@ON_SQLITE
def test_an_event_is_serialised_as_its_resource_describes_it(app: Flask, client: FlaskClient) -> None:
    number = add_connector(client)
    client.patch(f"/api/connectors/{number}", json={"name": "Home", "tags": ["a"]}, headers={"If-Match": "*"})
    with app.test_request_context():
        events = queries.page(Filter(), None, 100).events
        assert len(events) > 3
        for event in events:
            serialised = event_json(event)
            assert list(serialised) == list(Event.model_fields)
            assert Event.model_validate(serialised).model_dump() == serialised


@ON_SQLITE
def test_every_reference_of_the_description_leads_to_a_component(app: Flask) -> None:
    document = openapi.document()
    kinds = document["components"]
    for reference in _references(document):
        kind, _, name = reference.rpartition("/")
        assert name in kinds[kind.removeprefix("#/components/")]


def _references(value: object) -> list[str]:
    if isinstance(value, list):
        return [reference for item in value for reference in _references(item)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + _references(list(value.values()))

"""A connector's form is built from the fields of its type, and submitted values are read back correctly."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from bs4 import BeautifulSoup, Tag
from flask import Flask

from painchain.audit.diff import diff
from painchain.configuration import connector_store, stored_connector
from painchain.configuration.stored_connector import StoredConnector
from painchain.connectors import ADDABLE, TYPES
from painchain.connectors.base import Field, Kind
from painchain.web.settings import connector_form
from tests.support.html import fill, form_of, soup, texts, words
from tests.web.parts import part_of

KUBERNETES = TYPES["kubernetes"]
INPUTS = {
    Kind.TEXT: "text",
    Kind.URL: "url",
    Kind.NUMBER: "number",
    Kind.CHECKBOX: "checkbox",
    Kind.LIST: "textarea",
    Kind.TAGS: "text",
    Kind.CERTIFICATE: "textarea",
    Kind.CHOICE: "select",
    Kind.SECRET: "password",
}


@contextmanager
def submitting(app: Flask, **form: Any) -> Iterator[None]:
    """Open the context of a request that submits a form."""
    with app.test_request_context("/", method="POST", data=form):
        yield


def read(number: int) -> StoredConnector:
    """Return the connector with a number."""
    stored = stored_connector.read(number)
    assert stored is not None
    return stored


def input_of(page: BeautifulSoup, field: Field) -> Tag:
    inputs = page.select(f".connector-form [name='{field.key}']")
    assert len(inputs) == 1, field.key
    return inputs[0]


def test_every_field_has_an_input_of_its_kind_named_after_its_key(client):
    for key, connector_type in ADDABLE.items():
        page = part_of(client.get(f"/settings/integrations/new/{key}"), "new")
        for field in connector_type.all_fields:
            element = input_of(page, field)
            assert INPUTS[field.kind] in (element.name, element.get("type")), field.key


def test_every_input_has_a_label_its_help_and_its_limits(client):
    for key, connector_type in ADDABLE.items():
        page = soup(client.get(f"/settings/integrations/new/{key}"))
        for field in connector_type.all_fields:
            element = input_of(page, field)
            label = page.select_one(f"label[for='{element['id']}']") or element.find_parent("label")
            assert words(label).startswith(field.caption)
            assert words(page.find(id=element["aria-describedby"])) == field.help
            if field.kind is Kind.NUMBER:
                assert (element["min"], element["max"]) == (str(field.minimum), str(field.maximum))


def test_required_fields_are_marked_visibly_and_for_screen_readers(client):
    page = part_of(client.get("/settings/integrations/new/github"), "new")
    required = [str(row["data-field"]) for row in page.select(".field:has(.required)")]
    assert required == ["name", "base_url", "token", "poll_interval"]
    assert [str(element["name"]) for element in page.select("[aria-required=true]")] == required


def test_an_empty_form_shows_the_defaults(app):
    with app.test_request_context("/"):
        form = connector_form.shown_form(KUBERNETES)
        assert form.cluster_name.data == "default"
        assert form.poll_interval.data == "300"
        assert form.verify_ssl.data is True
        assert form.enabled.data is False


@pytest.mark.parametrize(
    ("kind", "value", "entered"),
    [
        (Kind.TEXT, None, ""),
        (Kind.TEXT, "a", "a"),
        (Kind.NUMBER, 0, "0"),
        (Kind.NUMBER, 300, "300"),
        (Kind.LIST, ["a", "b"], "a\nb"),
        (Kind.LIST, [], ""),
        (Kind.TAGS, ["a", "b c"], "a, b c"),
        (Kind.CHECKBOX, None, False),
        (Kind.CHECKBOX, True, True),
        (Kind.SECRET, "made-up", ""),
    ],
)
def test_values_are_shown_as_typed_and_secrets_never(kind, value, entered):
    field = Field("key", "Label", kind)
    assert connector_form.as_entered(field, value) == entered
    if kind is not Kind.SECRET:
        assert field.normalize(connector_form.as_entered(field, value)) == (
            field.normalize(value) or field.normalize(entered)
        )


def test_an_unchanged_form_contains_no_change(app, make_connector):
    for key, connector_type in ADDABLE.items():
        number = make_connector(key, f"Some {key}", tags="b, a", **{"poll_interval": "3600"})
        with app.test_request_context("/"):
            connector = read(number)
            inputs = connector_form.shown_form(connector_type, connector).data
            stored = connector_store.values(connector.connector)
        with submitting(app, **{name: value for name, value in inputs.items() if value not in (False, None)}):
            submitted = connector_form.submitted(connector_type)
        assert diff(connector_type.all_fields, stored, submitted) == []


def test_an_unticked_box_is_off_and_other_missing_fields_are_ignored(app):
    with submitting(app, name="Cluster"):
        assert connector_form.submitted(KUBERNETES) == {
            "name": "Cluster",
            "verify_ssl": False,
        }


@pytest.mark.parametrize(
    ("submitted", "expected"),
    [
        ({}, {}),
        ({"token": ""}, {}),
        ({"token": "", "token_clear": "y"}, {"token": None}),
        ({"token": "new"}, {"token": "new"}),
        ({"token": "new", "token_clear": "y"}, {"token": "new"}),
    ],
)
def test_a_blank_secret_is_unchanged_unless_it_is_cleared(app, make_connector, submitted, expected):
    number = make_connector("kubernetes", "Cluster", token="old")
    with submitting(app, **submitted):
        values = connector_form.submitted(KUBERNETES, read(number).connector)
    assert {key: value for key, value in values.items() if key == "token"} == expected


def test_a_required_secret_cannot_be_cleared(app, make_connector):
    number = make_connector("github")
    with submitting(app, token_clear="y"):
        assert "token" not in connector_form.submitted(TYPES["github"], read(number).connector)


@pytest.mark.parametrize(
    ("submitted", "version"),
    [({}, None), ({"version": ""}, None), ({"version": "7"}, 7), ({"version": "999999999"}, 999_999_999)],
)
def test_the_version_is_that_of_the_form(app, submitted, version):
    with submitting(app, **submitted):
        assert connector_form.version_submitted() == version


@pytest.mark.parametrize("text", ["x", "-1", "1.0", " 1", "٣", "9" * 400])
def test_an_invalid_version_matches_no_connector(app, text):
    with submitting(app, version=text):
        assert connector_form.version_submitted() == 0


def test_without_the_visibility_section_no_toggle_is_sent(app):
    with submitting(app, **{"visible.K8sPod.reason": "1"}):
        assert connector_form.visibility_submitted(KUBERNETES) == {}


def test_with_the_visibility_section_a_missing_toggle_is_off(app):
    with submitting(app, **{"visibility": "1", "visible.K8sPod.reason": "1", "visible.Unknown.field": "1"}):
        toggles = connector_form.visibility_submitted(KUBERNETES)
    assert [toggle for toggle, visible in toggles.items() if visible] == [("K8sPod", "reason")]
    assert len(toggles) == sum(len(event_type.fields) for event_type in KUBERNETES.event_types)


def test_a_name_with_credentials_is_refused_again_after_they_were_masked(client):
    """Saving the form that came back would otherwise save the mask as the name."""
    address = "/settings/integrations/new/kubernetes"
    form = fill(form_of(client.get(address)), name="mailto://a:b@c", cluster_name="c")
    for is_masked in (True, False):
        response = client.post(address, data=form)
        warning = ["The password or token that you entered was replaced by *** for security."] if is_masked else []
        assert texts(soup(response), ".field .warning") == warning, "what was typed never changes without a word"
        assert response.status_code == 422
        assert "a:b" not in response.text
        form = form_of(response)
    assert form["name"] == "mailto://***@c"


def test_an_invalid_field_keeps_its_input_except_credentials_in_addresses(app):
    with submitting(app, api_server="https://me:made-up@cluster.example", cluster_name="production"):
        form = connector_form.sent_form(KUBERNETES)
        connector_form.show_errors(form, {"api_server": "No."})
        assert form.api_server.errors == ["No."]
        assert form.api_server.data == "https://***@cluster.example"
        assert form.cluster_name.data == "production"


def test_a_conflict_compares_both_edits_with_the_original(app, make_connector):
    number = make_connector("kubernetes", "Cluster", poll_interval="600", namespaces="theirs")
    base = {"poll_interval": 300, "namespaces": [], "tags": []}
    submitted = {"base": json.dumps(base), "poll_interval": "900", "tags": "mine", "namespaces": "", "verify_ssl": "y"}
    with submitting(app, **submitted):
        stored = read(number)
        form = connector_form.sent_form(KUBERNETES, stored)
        conflict = connector_form.conflict(form, stored)
        assert [(change.key, change.old, change.new) for change in conflict.theirs] == [
            ("poll_interval", 300, 600),
            ("namespaces", [], ["theirs"]),
        ]
        assert [(change.key, change.old, change.new) for change in conflict.mine] == [
            ("tags", [], ["mine"]),
            ("poll_interval", 300, 900),
        ]
        assert (form.poll_interval.data, form.namespaces.data, form.tags.data) == ("900", "theirs", "mine")
        assert form.version.data == str(stored.connector.version)
        assert json.loads(form.base.data).items() >= connector_store.values(stored.connector).items()


def test_a_conflict_shows_no_secrets(app, make_connector):
    number = make_connector("kubernetes", "Cluster", token="theirs")
    with submitting(app, base="{}", token="mine", verify_ssl="y"):
        stored = read(number)
        conflict = connector_form.conflict(connector_form.sent_form(KUBERNETES, stored), stored)
    assert (conflict.theirs, conflict.mine) == ([], [])

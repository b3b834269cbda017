"""Connectors are validated, created, changed, enabled and deleted, and every change is recorded."""

from __future__ import annotations

from datetime import timedelta

import pytest

from painchain.configuration import connector_store
from painchain.configuration.connector_edit import ConnectorEdit
from painchain.configuration.errors import InvalidValues, StaleRow
from painchain.connectors import ADDABLE, TYPES
from painchain.timeline import queries, visibility
from tests.configuration.connectors import NOW, attribute, audited_transaction, create, hide, save, stored


def test_a_new_connector_gets_defaults_for_missing_values(app):
    number = create(app, "kubernetes", name="Cluster", token=None)
    assert stored(app, number) == {
        "name": "Cluster",
        "tags": [],
        "api_server": None,
        "ca_certificate": None,
        "verify_ssl": True,
        "cluster_name": "default",
        "poll_interval": 300,
        "namespaces": [],
        "leave_out": [],
    }


def test_a_new_connector_is_disabled_until_a_separate_event_enables_it(app, new_titles):
    assert attribute(app, create(app), "enabled") is False
    assert attribute(app, create(app, name="Other", enabled=True), "enabled") is True
    assert new_titles() == ["[Connector Created] Work", "[Connector Created] Other", "[Connector Enabled] Other"]


def test_a_connector_stores_who_created_changed_and_enabled_it_and_when(app):
    number = create(app, author="first")
    with audited_transaction(app, "second", NOW + timedelta(hours=1)) as trail:
        connector_store.update(connector_store.get(number), ConnectorEdit({"poll_interval": 600}), trail)
    with audited_transaction(app, "third", NOW + timedelta(hours=2)) as trail:
        connector_store.set_enabled(connector_store.get(number), True, trail)
    with app.app_context():
        connector = connector_store.get(number)
        assert (connector.created_by, connector.created_at) == ("first", NOW)
        assert (connector.updated_by, connector.updated_at) == ("third", NOW + timedelta(hours=2))
        assert (connector.switched_by, connector.switched_at) == ("third", NOW + timedelta(hours=2))


@pytest.mark.parametrize("type_key", ["github", "gitlab"])
def test_a_required_token_must_be_given(app, new_titles, type_key):
    for token in (None, "", "  "):
        with pytest.raises(InvalidValues) as refused:
            create(app, type_key, token=token)
        assert refused.value.errors == {"token": "Token is required."}
    assert new_titles() == []


def test_all_invalid_fields_are_reported_together_and_nothing_is_saved(app, new_titles):
    with pytest.raises(InvalidValues) as refused:
        create(app, name="", token="", poll_interval=7, repos="nonsense")
    assert set(refused.value.errors) == {"name", "token", "poll_interval", "repos"}
    with app.app_context():
        assert len(connector_store.list_all()) == 1
    assert new_titles() == []


def test_a_save_logs_one_config_changed_per_field_and_one_connector_updated(app, new_titles):
    number = create(app)
    saved = save(app, number, poll_interval="600", repos="a/b\r\nc/d", name="Home", branches="")
    assert [change.key for change in saved.changes] == ["name", "poll_interval", "repos"]
    assert new_titles()[1:] == [
        "[Config Changed] Home - name",
        "[Config Changed] Home - poll_interval",
        "[Config Changed] Home - repos",
        "[Connector Updated] Home",
    ]
    with app.app_context():
        events = queries.events_of_request("one-action")
        assert events[0].metadata["changes"] == {
            "name": {"old": "Work", "new": "Home"},
            "poll_interval": {"old": 300, "new": 600},
            "repos": {"old": [], "new": ["a/b", "c/d"]},
        }
    assert stored(app, number) == {
        "name": "Home",
        "tags": [],
        "base_url": "https://api.github.com",
        "poll_interval": 600,
        "repos": ["a/b", "c/d"],
        "branches": [],
    }


def test_a_field_that_is_not_submitted_is_unchanged(app):
    number = create(app, repos="a/b", tags="work")
    save(app, number, poll_interval=600)
    assert (stored(app, number)["repos"], stored(app, number)["tags"]) == (["a/b"], ["work"])


def test_saving_without_a_change_writes_nothing_and_reports_it(app, new_titles):
    number = create(app, repos="a/b", tags="a, b")
    as_entered = {**stored(app, number), "poll_interval": "300", "tags": "b,a", "repos": "a/b\r\n"}
    assert not save(app, number, **as_entered)
    assert len(new_titles()) == 1
    assert attribute(app, number, "version") == 1
    assert stored(app, number)["tags"] == ["a", "b"]


@pytest.mark.parametrize("values", [{"tags": "one, two"}, {"name": "Renamed"}])
def test_changing_only_tags_or_name_is_recorded(app, new_titles, values):
    number = create(app)
    assert save(app, number, **values)
    assert len(new_titles()) == 3
    assert attribute(app, number, "version") == 2


def test_one_invalid_value_prevents_the_whole_save(app, new_titles):
    number = create(app)
    with pytest.raises(InvalidValues) as refused:
        save(app, number, poll_interval=7, tags="new")
    assert refused.value.errors == {"poll_interval": "Poll interval must be an integer between 60 and 3600."}
    assert stored(app, number)["tags"] == []
    assert len(new_titles()) == 1


def test_every_field_of_every_type_can_be_changed(app):
    new_values = {"number": 61, "url": "https://other.example", "list": ["42"], "text": "other", "checkbox": False}
    for type_key in ADDABLE:
        number = create(app, type_key, name=type_key)
        for field in TYPES[type_key].fields:
            if field.kind in new_values:
                value = {"repos": ["a/b"], "leave_out": ["*/ci/*"]}.get(field.key, new_values[field.kind])
                token = {"token": "another"} if field.kind == "url" else {}
                change = save(app, number, **{field.key: value}, **token).changes[0]
                assert (change.key, change.new) == (field.key, value)
                assert stored(app, number)[field.key] == value


def test_enabling_twice_is_one_change(app, new_titles):
    number = create(app)
    for enabled, changed in ((True, True), (True, False), (False, True), (False, False)):
        with audited_transaction(app) as trail:
            assert connector_store.set_enabled(connector_store.get(number), enabled, trail) is changed
        assert attribute(app, number, "enabled") is enabled
    assert new_titles()[1:] == ["[Connector Enabled] Work", "[Connector Disabled] Work"]
    assert attribute(app, number, "version") == 3


def test_deleting_a_connector_removes_its_hidden_fields_but_not_its_events(app, new_titles):
    number = create(app)
    hide(app, number, ("Commit", "sha"))
    with audited_transaction(app) as trail:
        connector_store.delete(connector_store.get(number), trail)
    with app.app_context():
        assert connector_store.get(number) is None
        assert visibility.all_hidden().by_connector == {}
    assert new_titles() == ["[Connector Created] Work", "[Field Visibility Changed] Commit", "[Connector Deleted] Work"]


STALE_ACTS = [
    lambda row, trail: connector_store.update(row, ConnectorEdit({"poll_interval": 900}, version=1), trail),
    lambda row, trail: connector_store.update(row, ConnectorEdit({"poll_interval": 600}, version=1), trail),
    lambda row, trail: connector_store.set_enabled(row, True, trail, 1),
    lambda row, trail: connector_store.set_visible(
        row, ConnectorEdit(visibility={("Commit", "sha"): False}, version=1), trail
    ),
    lambda row, trail: connector_store.delete(row, trail, 1),
]


@pytest.mark.parametrize("act", STALE_ACTS, ids=["save", "save the same", "switch", "hide", "delete"])
def test_a_change_based_on_an_older_version_is_refused_and_changes_nothing(app, new_titles, act):
    number = create(app)
    save(app, number, version=1, poll_interval=600)
    before = new_titles()
    with (
        pytest.raises(StaleRow, match="“Work” was changed by operator in the meantime"),
        audited_transaction(app) as trail,
    ):
        act(connector_store.get(number), trail)
    assert (attribute(app, number, "version"), attribute(app, number, "enabled")) == (2, False)
    assert stored(app, number)["poll_interval"] == 600
    assert new_titles() == before


@pytest.mark.parametrize("act", STALE_ACTS[2:4], ids=["switch", "hide"])
def test_every_change_makes_older_forms_stale(app, act):
    number = create(app)
    with audited_transaction(app) as trail:
        act(connector_store.get(number), trail)
    with pytest.raises(StaleRow):
        save(app, number, version=1, poll_interval=600)


def test_search_and_type_narrow_the_list_and_the_built_in_connector_comes_first(app):
    create(app, name="zeta", tags="Front-end")
    create(app, "gitlab", name="Alpha")
    create(app, name="beta")

    def names(*field_names: str) -> list[str]:
        with app.app_context():
            return [row.name for row in connector_store.list_all(*field_names)]

    assert names() == ["PainChain System", "beta", "zeta", "Alpha"]
    assert names("ALPH") == ["Alpha"]
    assert names("front github") == ["zeta"]
    assert names("", "gitlab") == ["Alpha"]
    assert names("beta", "gitlab") == []

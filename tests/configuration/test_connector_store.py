"""Connectors are validated, created, changed, enabled and deleted, and every change is recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import inspect, text

from painchain.audit.trail import Trail
from painchain.configuration import connector_store, secrets
from painchain.configuration.connector_edit import ConnectorEdit, Saved
from painchain.configuration.errors import InvalidValues, ProtectedConnector, StaleRow
from painchain.connectors import ADDABLE, TYPES
from painchain.core.crypto import KeyUnusable, new_key, parse_key
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.startup import create_app
from painchain.timeline import queries, visibility
from painchain.timeline.filter import Filter
from tests.conftest import close

NOW = datetime(2100, 1, 1, tzinfo=UTC)
GITHUB = TYPES["github"]
TOKEN = "planted-f00dcafe-token"
ADDRESSES = {"github": "base_url", "gitlab": "base_url", "kubernetes": "api_server"}


@contextmanager
def audited_transaction(app: Flask, author: str = "operator", now: datetime = NOW) -> Iterator[Trail]:
    """Open an audited transaction."""
    with app.app_context(), writer.writing() as event_log:
        yield Trail(event_log, author, "one-action", now)


def create(app: Flask, type_key: str = "github", enabled: bool = False, author: str = "operator", **values: Any) -> int:
    """Add a connector and return its number."""
    all_values = {"name": "Work", "token": "made-up", **values}
    with audited_transaction(app, author) as trail:
        return int(connector_store.create(TYPES[type_key], all_values, enabled, trail).id)


def save(app: Flask, number: int, version: int | None = None, toggles: Any = None, **values: Any) -> Saved:
    """Save values of a connector."""
    with audited_transaction(app) as trail:
        return connector_store.update(
            connector_store.get(number), ConnectorEdit(values, toggles or {}, version=version), trail
        )


def stored(app: Flask, number: int) -> dict[str, Any]:
    """Return the values of a connector without its secrets."""
    with app.app_context():
        return connector_store.values(connector_store.get(number))


def attribute(app: Flask, number: int, name: str) -> Any:
    """Return one attribute of a connector."""
    with app.app_context():
        return getattr(connector_store.get(number), name)


def builtin(app: Flask) -> int:
    """Return the number of the built-in connector."""
    with app.app_context():
        return int(connector_store.list_all(connector_type="painchain")[0].id)


@pytest.fixture
def new_titles(app: Flask) -> Callable[[], list[str]]:
    """Return the titles of the events since the first start, oldest first."""

    def read() -> list[str]:
        with app.app_context():
            return [event.title for event in queries.written_after(Filter(), 1, 500)]

    return read


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


NAME_VARIANTS = [
    ("Work", "Work"),
    ("Work", "wORK"),
    ("Work", "  work "),
    ("ÜBUNG", "ÜBUNG"),
    ("ÜBUNG", "übung"),
    ("Zo\u00eb", "Zoe\u0308"),
]


@pytest.mark.parametrize(("name", "again"), NAME_VARIANTS)
def test_taken_names_are_compared_without_case(app, new_titles, name, again):
    create(app, name=name)
    with pytest.raises(InvalidValues, match="A connector named") as refused:
        create(app, "gitlab", name=again)
    assert set(refused.value.errors) == {"name"}
    assert len(new_titles()) == 1


@pytest.mark.parametrize(("name", "again"), NAME_VARIANTS)
def test_a_connector_cannot_be_renamed_to_a_taken_name(app, new_titles, name, again):
    create(app, name=name)
    number = create(app, name="Other")
    with pytest.raises(InvalidValues, match="A connector named"):
        save(app, number, name=again)
    assert stored(app, number)["name"] == "Other"
    assert len(new_titles()) == 2


def test_the_name_of_the_built_in_connector_is_taken_too(app):
    with pytest.raises(InvalidValues, match="A connector named"):
        create(app, name="painchain system")


def test_a_connector_may_change_the_case_of_its_own_name(app, new_titles):
    number = create(app, name="work")
    assert save(app, number, name="WORK")
    assert new_titles()[1:] == ["[Config Changed] WORK - name", "[Connector Updated] WORK"]


def test_the_name_of_a_deleted_connector_is_free_again(app):
    number = create(app)
    with audited_transaction(app) as trail:
        connector_store.delete(connector_store.get(number), trail)
    assert create(app) > number


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


def secret_events(app: Flask) -> list[tuple[Any, Any]]:
    """Return the recorded old and new value of each change of a token."""
    with app.app_context():
        events = queries.written_after(Filter(event_type=("ConfigChanged",)), 1)
        return [(event.description["old_value"], event.description["new_value"]) for event in events]


def test_setting_replacing_and_clearing_a_secret_records_only_that(app):
    number = create(app, "kubernetes", token=None)
    for token in ("first", "second", None):
        assert save(app, number, token=token)
    assert secret_events(app) == [(None, "set"), ("set", "replaced"), ("set", "cleared")]
    assert attribute(app, number, "secrets") == {}


@pytest.mark.parametrize("address", ["https://other.example", "http://api.github.com", "https://api.github.com:8443"])
def test_a_stored_secret_never_goes_to_another_server(app, new_titles, address):
    number = create(app)
    with pytest.raises(InvalidValues, match="Enter the token again"):
        save(app, number, base_url=address)
    assert stored(app, number)["base_url"] == "https://api.github.com"
    assert save(app, number, base_url="https://api.github.com/api/v3")
    assert save(app, number, base_url=address, token="for-that-server")


def test_a_secret_that_is_not_submitted_is_unchanged(app, new_titles):
    number = create(app)
    sealed = attribute(app, number, "secrets")
    save(app, number, poll_interval=600)
    assert attribute(app, number, "secrets") == sealed
    assert "[Config Changed] Work - token" not in new_titles()


@pytest.mark.parametrize("same", ["made-up", " made-up\r\n"])
def test_the_same_secret_again_is_not_a_change(app, new_titles, same):
    number = create(app)
    sealed = attribute(app, number, "secrets")
    assert not save(app, number, token=same)
    assert attribute(app, number, "secrets") == sealed
    assert len(new_titles()) == 1


def test_clearing_an_unset_secret_is_not_a_change(app, new_titles):
    number = create(app, "kubernetes", token=None)
    assert not save(app, number, token=None)
    assert len(new_titles()) == 1


@pytest.mark.parametrize("type_key", ["github", "gitlab"])
def test_a_required_secret_can_be_replaced_but_not_cleared(app, type_key):
    number = create(app, type_key)
    with pytest.raises(InvalidValues, match="instead of clearing"):
        save(app, number, token=None)
    assert set(attribute(app, number, "secrets")) == {"token"}


def test_a_secret_encrypted_with_a_lost_key_is_detected_and_can_be_replaced(app):
    number = create(app)
    with app.app_context():
        secrets.check_key()
        app.extensions["painchain"].box = parse_key(new_key(), "a new key file").box()
        with pytest.raises(KeyUnusable, match="does not decrypt the stored tokens"):
            secrets.check_key()
    assert save(app, number, token="made-up")
    assert secret_events(app) == [("set", "replaced")]
    with app.app_context():
        secrets.check_key()


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


def test_the_built_in_connector_cannot_be_deleted(app, new_titles):
    number = builtin(app)
    with (
        pytest.raises(ProtectedConnector, match="You can rename it, change its tags or disable it"),
        audited_transaction(app) as trail,
    ):
        connector_store.delete(connector_store.get(number), trail)
    with app.app_context():
        assert connector_store.get(number) is not None
    assert new_titles() == []


def test_the_built_in_connector_can_be_renamed_retagged_and_disabled(app, new_titles):
    number = builtin(app)
    save(app, number, name="Trail", tags="a,b")
    with audited_transaction(app) as trail:
        connector_store.set_enabled(connector_store.get(number), False, trail)
    assert stored(app, number) == {"name": "Trail", "tags": ["a", "b"]}
    assert new_titles() == [
        "[Config Changed] Trail - name",
        "[Config Changed] Trail - tags",
        "[Connector Updated] Trail",
        "[Connector Disabled] Trail",
    ]


def test_repeated_starts_create_only_one_built_in_connector(app, settings, new_titles):
    close(create_app(settings))
    with app.app_context():
        assert [row.name for row in connector_store.list_all()] == ["PainChain System"]
    assert new_titles() == []


def test_a_renamed_built_in_connector_is_not_created_again(app, settings):
    save(app, builtin(app), name="Trail")
    close(create_app(settings))
    with app.app_context():
        assert [row.name for row in connector_store.list_all()] == ["Trail"]


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


def hide(app: Flask, number: int, *toggles: visibility.Toggle, show: bool = False) -> list[Any]:
    """Hide or show fields."""
    with audited_transaction(app) as trail:
        return connector_store.set_visible(
            connector_store.get(number), ConnectorEdit(visibility=dict.fromkeys(toggles, show)), trail
        )


def hidden(app: Flask, number: int) -> frozenset[visibility.Toggle]:
    """Return the hidden fields of a connector."""
    with app.app_context():
        return visibility.hidden(number)


def test_a_toggle_is_one_event_and_an_unchanged_toggle_is_no_event(app, new_titles):
    number = create(app)
    assert [change.label for change in hide(app, number, ("PullRequest", "reviewers"))] == ["Reviewers"]
    assert hide(app, number, ("PullRequest", "reviewers")) == []
    assert hide(app, number, ("PullRequest", "reviewers"), show=True)
    assert hide(app, number, ("PullRequest", "reviewers"), show=True) == []
    assert new_titles()[1:] == ["[Field Visibility Changed] PullRequest"] * 2
    assert hidden(app, number) == frozenset()


def test_saving_only_visibility_is_a_change(app, new_titles):
    number = create(app)
    result = save(app, number, toggles={("Commit", "sha"): False, ("Commit", "branch"): True})
    assert not result.changes
    assert [(change.field, change.visible) for change in result.visibility] == [("sha", False)]
    assert new_titles()[1:] == ["[Field Visibility Changed] Commit", "[Connector Updated] Work"]
    assert hidden(app, number) == {("Commit", "sha")}
    with app.app_context():
        [updated, _] = [change for change in queries.events_of_request("one-action") if change.id > 2]
        assert updated.metadata["changes"] == {"field_visibility.Commit.sha": {"old": True, "new": False}}


def test_a_save_of_values_and_visibility_lists_both_in_connector_updated(app, new_titles):
    number = create(app)
    save(app, number, toggles={("Commit", "sha"): False}, poll_interval=600)
    assert new_titles()[1:] == [
        "[Config Changed] Work - poll_interval",
        "[Field Visibility Changed] Commit",
        "[Connector Updated] Work",
    ]
    with app.app_context():
        updated = queries.page(Filter(event_type=("ConnectorUpdated",))).events[0]
    assert set(updated.metadata["changes"]) == {"poll_interval", "field_visibility.Commit.sha"}


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


def everything_stored(app: Flask, settings: Any) -> str:
    """Return the complete content of the database: every row of every table, and the bytes of its files."""
    with app.app_context(), db.engine.connect() as connection:
        tables = inspect(connection).get_table_names()
        rows = [str(connection.execute(text(f'SELECT * FROM "{table}"')).all()) for table in tables]
    files = [path for path in Path(settings.instance).iterdir() if path.name.startswith("painchain.db")]
    return "\n".join([*rows, *(path.read_bytes().decode("latin-1") for path in files)])


def test_a_planted_token_is_stored_only_encrypted_in_its_column(app, settings, client, events):
    new = {"name": "Work", "type": "github", "config": {"token": TOKEN}}
    created = client.post("/api/connectors", json=new)
    address, etag = f"/api/connectors/{created.json['id']}", {"If-Match": created.headers["ETag"]}
    again = client.patch(address, json={"config": {"token": TOKEN + "-2", "poll_interval": 900}}, headers=etag)
    log = {"event_type": "config_changed", "connector_name": "Work", "connector_type": "github", "field": "token"}
    reported = client.post("/api/painchain/log", json={**log, "old_value": TOKEN, "new_value": TOKEN + "-2"})
    answers = [created, again, reported, *(client.get(path) for path in (address, "/api/connectors", "/api/stats"))]
    assert {response.status_code for response in answers} == {200, 201}
    assert "planted" not in "".join(response.get_data(as_text=True) for response in answers)
    assert again.json["config"]["token"] == {"set": True}
    assert len(events(event_type="ConfigChanged")) == 3
    assert "planted" not in str(events())
    stored_values = everything_stored(app, settings)
    assert "Work" in stored_values
    assert "planted" not in stored_values
    assert decrypted_token(app, created.json["id"]) == TOKEN + "-2"


def test_error_messages_do_not_contain_a_token(client):
    for config in ({"token": TOKEN + "x" * 10_000}, {"token": [TOKEN]}, {"token": TOKEN, "poll_interval": 7}):
        refused = client.post("/api/connectors", json={"name": "Work", "type": "github", "config": config})
        assert refused.status_code == 422
        assert "planted" not in refused.get_data(as_text=True)


def decrypted_token(app: Flask, number: int) -> str:
    """Return the stored token, decrypted."""
    with app.app_context():
        return app.extensions["painchain"].box.decrypt(connector_store.get(number).secrets["token"]).decode()

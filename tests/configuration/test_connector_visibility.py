"""Hiding a field of a connector is recorded as a change."""

from __future__ import annotations

from painchain.timeline import queries
from painchain.timeline.filter import Filter
from tests.configuration.connectors import create, hidden, hide, save


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

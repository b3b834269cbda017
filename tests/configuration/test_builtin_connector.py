"""The built-in connector is created once, and cannot be deleted."""

from __future__ import annotations

import pytest

from painchain.configuration import connector_store
from painchain.configuration.errors import ProtectedConnector
from painchain.startup import create_app
from tests.configuration.connectors import audited_transaction, builtin, save, stored
from tests.conftest import close


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

"""Names of connectors are unique without regard to case."""

from __future__ import annotations

import pytest

from painchain.configuration import connector_store
from painchain.configuration.errors import InvalidValues
from tests.configuration.connectors import audited_transaction, create, save, stored

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

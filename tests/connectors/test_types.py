"""Connector types have the fields, validation, events and labels of the specification."""

from __future__ import annotations

import pytest

from painchain import connectors
from painchain.connectors import ADDABLE, BUILTIN, TYPES
from painchain.connectors.base import Kind
from painchain.connectors.painchain import PEOPLE, SYSTEM_NAME, SYSTEM_TAGS
from tests.connectors.specification import EVENT_FIELDS, FIELDS, TITLES_OF_FIELDS, field_of


def test_these_types_can_be_added_and_painchain_is_built_in():
    assert list(ADDABLE) == ["github", "gitlab", "kubernetes", "webhook"]
    assert set(TYPES) == {*ADDABLE, "painchain", "api"}
    assert BUILTIN is TYPES["painchain"]
    assert [kind.key for kind in TYPES.values() if kind.builtin] == ["painchain"]


@pytest.mark.parametrize(
    ("type_key", "key", "caption", "kind", "default", "required", "range_"), FIELDS, ids=lambda value: str(value)[:20]
)
def test_a_field_is_as_specified(type_key, key, caption, kind, default, required, range_):
    result = field_of(f"{type_key}.{key}")
    assert (result.caption, result.kind, result.required) == (caption, kind, required)
    assert result.normalize(result.default) == default
    assert ((result.minimum, result.maximum) if result.maximum else None) == range_


@pytest.mark.parametrize("type_key", TYPES)
def test_a_type_has_these_fields_and_no_others_in_this_order(type_key):
    own = [key for owner, key, *_ in FIELDS if owner == type_key]
    assert [field.key for field in TYPES[type_key].all_fields] == ["name", "tags", *own]


@pytest.mark.parametrize("type_key", TYPES)
def test_every_type_has_a_required_name_and_optional_tags(type_key):
    name, tags = TYPES[type_key].all_fields[:2]
    assert (name.label, name.kind, name.required, name.max_length) == ("Connection Name", "text", True, 100)
    assert (tags.label, tags.kind, tags.required) == ("Tags", "tags", False)


def test_the_built_in_connector_has_the_specified_name_and_tags():
    assert (SYSTEM_NAME, SYSTEM_TAGS) == ("PainChain System", ["system", "audit"])


@pytest.mark.parametrize("type_key", TYPES)
def test_a_type_has_these_event_types_with_these_fields(type_key):
    fields_by_type = {
        event_type.name: " ".join(field.key for field in event_type.fields)
        for event_type in TYPES[type_key].event_types
    }
    assert fields_by_type == EVENT_FIELDS[type_key]


def test_the_fields_of_the_audit_trail_are_labelled_as_specified():
    own = {
        "EventsExported",
        "TeamCreated",
        "TeamUpdated",
        "TeamDeleted",
        "ViewSaved",
        "ViewChanged",
        "ViewDeleted",
        "NoteAdded",
        "RetentionChanged",
        "EventsPruned",
        "BackupRestored",
        "KeyRotated",
        "KeyReplaced",
        "KeyCopyConfirmed",
        "SetupListHidden",
        "CheckpointMade",
        "ChainBegun",
        "ChainBroken",
        "ChainMended",
        "ConnectorFailing",
        "ConnectorRecovered",
        *(event_type.name for event_type in PEOPLE),
        "WebhookChanged",
        "NotifyRuleCreated",
        "NotifyRuleChanged",
        "NotifyRuleDeleted",
    }  # these are not in the specification
    for event_type in BUILTIN.event_types:
        for field in event_type.fields if event_type.name not in own else ():
            assert field.label.casefold() == TITLES_OF_FIELDS[field.key].casefold()


@pytest.mark.parametrize("type_key", TYPES)
def test_keys_are_unique_within_a_type(type_key):
    connector_type = TYPES[type_key]
    for keys in (
        [field.key for field in connector_type.all_fields],
        [event_type.name for event_type in connector_type.event_types],
        *([field.key for field in event_type.fields] for event_type in connector_type.event_types),
    ):
        assert len(keys) == len(set(keys))


@pytest.mark.parametrize("type_key", ADDABLE)
def test_the_defaults_of_a_type_are_valid_except_required_values(type_key):
    cleaned, errors = TYPES[type_key].clean(TYPES[type_key].defaults())
    assert set(errors) == {"name"}
    assert cleaned == {key: value for key, value in TYPES[type_key].defaults().items() if key != "name"}


def test_turning_off_certificate_checks_shows_a_warning():
    assert "not verified" in field_of("kubernetes.verify_ssl").off_warning


@pytest.mark.parametrize("type_key", [None, "", "unknown"])
def test_for_an_unknown_type_a_field_is_secret_if_any_type_has_it_secret(type_key):
    assert connectors.field(type_key, "token").kind is Kind.SECRET
    assert connectors.field(type_key, "poll_interval").kind is Kind.NUMBER
    assert connectors.field(type_key, "no_such_field") is None


def test_a_field_or_event_type_is_that_of_its_own_type():
    assert connectors.field("kubernetes", "poll_interval").minimum == 10
    assert connectors.field("painchain", "token") is None
    assert connectors.event_type("gitlab", "Pipeline").label == "Pipeline"
    assert connectors.event_type("github", "Pipeline") is None
    assert connectors.event_type("unknown", "Pipeline") is None

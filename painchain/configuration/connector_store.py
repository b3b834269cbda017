"""Create, change, enable, disable and delete connectors; each change is audited in the same transaction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, bindparam, func, select

from painchain import connectors
from painchain.audit.diff import SET, Change, diff
from painchain.audit.records import Subject, VisibilityChange
from painchain.audit.trail import Trail
from painchain.configuration.connector_edit import ConnectorEdit, Saved
from painchain.configuration.errors import InvalidValues, ProtectedConnector
from painchain.configuration.named_rows import refuse_stale
from painchain.configuration.secrets import decrypt, encrypt
from painchain.connectors.base import ConnectorType, Field, Kind
from painchain.connectors.painchain import SYSTEM_NAME, SYSTEM_TAGS
from painchain.core.crypto import KeyUnusable
from painchain.core.redaction import scrub_value
from painchain.database.models import Connector
from painchain.database.prepared import Prepared
from painchain.database.session import db
from painchain.scheduling import poll_leases
from painchain.timeline import coverage
from painchain.timeline import visibility as timeline_visibility
from painchain.timeline.visibility import Toggle

_NAME = Prepared(select(Connector.name).where(Connector.id == bindparam("connector_id")))


def type_of(connector: Connector) -> ConnectorType:
    """Return the type of a connector."""
    return connectors.TYPES[connector.type]


def subject(connector: Connector) -> Subject:
    """Return the connector as the subject of an event."""
    return Subject(connector.name, connector.type, connector.id)


def list_all(search: str = "", connector_type: str = "") -> list[Connector]:
    """Return the connectors in page order, the built-in one first, filtered by words and by type."""
    by_name = list(db.session.scalars(select(Connector).order_by(func.lower(Connector.name), Connector.id)))
    search_words = search.casefold().split()
    matching = [
        connector
        for connector in by_name
        if (not connector_type or connector.type == connector_type)
        and all(word in _searchable(connector) for word in search_words)
    ]
    return in_page_order(matching)


def in_page_order(by_name: Iterable[Connector]) -> list[Connector]:
    """Sort connectors that are in order of name into page order: by type, the built-in one first."""
    order = list(connectors.TYPES)
    return sorted(by_name, key=lambda connector: order.index(connector.type))


def get(connector_id: int) -> Connector | None:
    """Return the connector with this ID, or None."""
    return db.session.get(Connector, connector_id)


def name_of(connector_id: int) -> str | None:
    """Return the name of the connector with this ID, or None."""
    return next((name for (name,) in _NAME.all(db.session.connection(), connector_id=connector_id)), None)


def get_many(ids: Sequence[int]) -> list[Connector]:
    """Return the connectors with these ids; ids without a connector are ignored."""
    return list(db.session.scalars(select(Connector).where(Connector.id.in_(ids)).order_by(Connector.id)))


def values(connector: Connector) -> dict[str, Any]:
    """Return the current value of every field except secrets."""
    stored = {**connector.config, "name": connector.name, "tags": connector.tags}
    return {
        field.key: stored.get(field.key, field.normalize(field.default))
        for field in type_of(connector).all_fields
        if field.kind is not Kind.SECRET
    }


def configuration(connector: Connector) -> dict[str, Any]:
    """Return the configuration as an event records it: secrets only as “set”, credentials in texts masked."""
    secrets = dict.fromkeys(connector.secrets, SET)
    scrubbed: dict[str, Any] = scrub_value(values(connector))
    return {**scrubbed, **secrets, "enabled": connector.enabled}


def create(
    connector_type: ConnectorType, submitted: Mapping[str, Any], enabled: bool, trail: Trail, copied_from: str = ""
) -> Connector:
    """Add a connector, a copy of the one named `copied_from`. `enabled` enables it, which is an event of its own.

    :raises InvalidValues: when a value is invalid, a required one is missing or the name is taken.
    """
    cleaned, errors = connector_type.clean({**connector_type.defaults(), **submitted})
    for field in connector_type.all_fields:
        if field.kind is Kind.SECRET and field.required and field.key not in errors and not cleaned[field.key]:
            errors[field.key] = f"{field.label} is required."
    _refuse_taken_name(cleaned.get("name"), errors)
    if errors:
        raise InvalidValues(errors)
    connector = _new(connector_type, trail)
    _assign(connector, cleaned)
    db.session.add(connector)
    db.session.flush()
    trail.log_connector_created(subject(connector), configuration(connector), copied_from)
    if enabled:
        set_enabled(connector, True, trail)
    return connector


def has_builtin() -> bool:
    """Return whether the built-in connector exists."""
    return db.session.scalar(select(Connector.id).where(Connector.type == connectors.BUILTIN.key)) is not None


def ensure_builtin(trail: Trail) -> Connector | None:
    """Create the built-in connector, enabled, unless it exists. Return it if it is new."""
    if has_builtin():
        return None
    connector = _new(connectors.BUILTIN, trail)
    _assign(connector, {"name": SYSTEM_NAME, "tags": SYSTEM_TAGS})
    connector.enabled = True
    db.session.add(connector)
    db.session.flush()
    trail.log_connector_created(subject(connector), configuration(connector))
    return connector


def update(connector: Connector, edit: ConnectorEdit, trail: Trail, hidden: frozenset[Toggle] | None = None) -> Saved:
    """Save an edit: one Config Changed per changed field, and one Connector Updated with all of them.

    `hidden` are the connector's hidden fields, if the caller has read them in this transaction.

    :raises painchain.configuration.errors.StaleRow: when the connector's version differs from the edit's.
    :raises InvalidValues: when a value is invalid or the name is taken.
    """
    refuse_stale(connector, edit.version)
    cleaned = _clean(connector, edit.values)
    changes = diff(type_of(connector).all_fields, _values_before(connector, cleaned), cleaned)
    toggled = _visibility_differences(connector, edit.visibility, hidden)
    if not changes and not toggled:
        return Saved()
    _assign(connector, {change.key: change.new for change in changes})
    if changes and connector.enabled:
        poll_leases.make_due(connector, trail.now)
    timeline_visibility.store(connector, toggled)
    _touch(connector, trail)
    visibility = [_visibility_change(connector, toggle, visible) for toggle, visible in toggled]
    for change in changes:
        trail.log_config_changed(subject(connector), change)
    for visibility_change in visibility:
        trail.log_field_visibility_changed(visibility_change, subject(connector))
    trail.log_connector_updated(subject(connector), changes, visibility)
    return Saved(changes, visibility)


def _clean(connector: Connector, submitted: Mapping[str, Any]) -> dict[str, Any]:
    """Validate and normalize the submitted values, secrets in plain text.

    :raises InvalidValues: when a value is invalid or the name is taken.
    """
    connector_type = type_of(connector)
    cleaned, errors = connector_type.clean(submitted)
    if cleaned.get("name") != connector.name:
        _refuse_taken_name(cleaned.get("name"), errors, Connector.id != connector.id)
    for field in connector_type.all_fields:
        if field.kind is Kind.SECRET and field.required and field.key in cleaned and not cleaned[field.key]:
            errors[field.key] = f"{field.label} is required; enter a new one instead of clearing it."
    if connector_type.changes_origin(values(connector), cleaned):
        for field in connector_type.all_fields:
            if field.key in connector.secrets and field.key not in cleaned:
                errors.setdefault(field.key, reenter_message(field))
    if errors:
        raise InvalidValues(errors)
    return cleaned


def reenter_message(field: Field) -> str:
    """Return the error for a changed address: the stored secret must not be sent to another server."""
    return f"Enter the {field.label.lower()} again: the stored one is not sent to a new address."


def set_visible(
    connector: Connector, edit: ConnectorEdit, trail: Trail, hidden: frozenset[Toggle] | None = None
) -> list[VisibilityChange]:
    """Show or hide the fields of an edit. Return the changes; each is recorded as one event.

    `hidden` are the connector's hidden fields, if the caller has read them in this transaction.

    :raises painchain.configuration.errors.StaleRow: when the connector's version differs from the edit's.
    """
    refuse_stale(connector, edit.version)
    toggled = _visibility_differences(connector, edit.visibility, hidden)
    if toggled:
        timeline_visibility.store(connector, toggled)
        _touch(connector, trail)
    changes = [_visibility_change(connector, toggle, visible) for toggle, visible in toggled]
    for change in changes:
        trail.log_field_visibility_changed(change, subject(connector))
    return changes


def _visibility_differences(
    connector: Connector, visibility: Mapping[Toggle, bool], hidden: frozenset[Toggle] | None
) -> list[tuple[Toggle, bool]]:
    if not visibility:
        return []
    hidden = timeline_visibility.hidden(connector.id) if hidden is None else hidden
    return timeline_visibility.differences(hidden, visibility)


def set_enabled(connector: Connector, enabled: bool, trail: Trail, version: int | None = None) -> bool:
    """Enable or disable a connector. Return whether that changed anything.

    :raises painchain.configuration.errors.StaleRow: when `version` is no longer the connector's version.
    """
    refuse_stale(connector, version)
    if connector.enabled == enabled:
        return False
    connector.enabled = enabled
    connector.switched_at, connector.switched_by = trail.now, trail.author
    _touch(connector, trail)
    if enabled:
        coverage.close_gaps(connector, trail.now, coverage.DISABLED)
        poll_leases.make_due(connector, trail.now)
        trail.log_connector_enabled(subject(connector))
    else:
        _stop_polling(connector, trail)
        coverage.open_gap(connector, coverage.DISABLED, trail.now)
        trail.log_connector_disabled(subject(connector))
    return True


def delete(connector: Connector, trail: Trail, version: int | None = None) -> None:
    """Remove a connector; its events stay.

    :raises ProtectedConnector: when it is the built-in connector.
    :raises painchain.configuration.errors.StaleRow: when `version` is no longer the connector's version.
    """
    if type_of(connector).builtin:
        raise ProtectedConnector(
            f"“{connector.name}” records the audit log and cannot be deleted. You can rename it, change its tags or "
            "disable it."
        )
    refuse_stale(connector, version)
    trail.log_connector_deleted(subject(connector), configuration(connector))
    _stop_polling(connector, trail)
    coverage.close_gaps(connector, trail.now, coverage.DISABLED)
    db.session.delete(connector)


def _stop_polling(connector: Connector, trail: Trail) -> None:
    poll_leases.revoke(connector)
    coverage.close_gaps(connector, trail.now, coverage.FAILING, coverage.RATE_LIMITED)


def drop_secrets(connector: Connector, trail: Trail) -> None:
    """Clear the secrets of a connector that no key decrypts, and disable it: without them it cannot be polled."""
    labels = {field.key: field.label for field in type_of(connector).all_fields}
    secret = Kind.SECRET.value
    changes = [Change(key, labels.get(key, key), secret, SET, None) for key in connector.secrets]
    connector.secrets = {}
    _touch(connector, trail)
    for change in changes:
        trail.log_config_changed(subject(connector), change)
    trail.log_connector_updated(subject(connector), changes)
    set_enabled(connector, False, trail)


def _new(connector_type: ConnectorType, trail: Trail) -> Connector:
    return Connector(
        type=connector_type.key,
        enabled=False,
        config={},
        secrets={},
        version=1,
        created_at=trail.now,
        created_by=trail.author,
        updated_at=trail.now,
        updated_by=trail.author,
        switched_at=trail.now,
        switched_by=trail.author,
    )


def _assign(connector: Connector, cleaned: Mapping[str, Any]) -> None:
    for field in type_of(connector).all_fields:
        if field.key not in cleaned:
            continue
        value = cleaned[field.key]
        if field.kind is Kind.SECRET:
            others = {key: secret for key, secret in connector.secrets.items() if key != field.key}
            connector.secrets = {**others, field.key: encrypt(value)} if value else others
        elif field.key in ("name", "tags"):
            setattr(connector, field.key, value)
        else:
            connector.config = {**connector.config, field.key: value}


def _touch(connector: Connector, trail: Trail) -> None:
    connector.version += 1
    connector.updated_at, connector.updated_by = trail.now, trail.author
    if type_of(connector).builtin:
        trail.audit_connector = connector  # later events use its new state
    db.session.flush()


def _values_before(connector: Connector, submitted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the current values for a diff, with the stored secrets among the submitted fields in plain text."""
    stored = values(connector)
    for key, text in connector.secrets.items():
        if key in submitted:
            try:
                stored[key] = decrypt(text)
            except KeyUnusable:
                stored[key] = text  # differs from any submitted value
    return stored


def is_name_taken(name: str, by_other_than: Connector) -> bool:
    """Return whether another connector has this name."""
    errors: dict[str, str] = {}
    _refuse_taken_name(name, errors, Connector.id != by_other_than.id)
    return bool(errors)


def _refuse_taken_name(name: str | None, errors: dict[str, str], *conditions: ColumnElement[bool]) -> None:
    names = db.session.scalars(select(Connector.name).where(*conditions)) if name else ()
    if name and name.casefold() in (stored_name.casefold() for stored_name in names):
        errors["name"] = f"A connector named “{name}” already exists. Choose another name."


def _searchable(connector: Connector) -> str:
    return " ".join((connector.name, connector.type, type_of(connector).label, *connector.tags)).casefold()


def _visibility_change(connector: Connector, toggle: Toggle, visible: bool) -> VisibilityChange:
    event_type = connectors.configurable_type(type_of(connector), toggle[0])
    assert event_type is not None  # noqa: S101  toggles come from the type
    label = next(field.label for field in event_type.fields if field.key == toggle[1])
    return VisibilityChange(toggle[0], toggle[1], label, visible)

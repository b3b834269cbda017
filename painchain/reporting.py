"""Put events that scripts report on the record."""

from __future__ import annotations

from painchain import connectors
from painchain.audit import Subject, Trail, VisibilityChange, outside_change
from painchain.secrets import scrub
from painchain.web.bodies import LogBody


def record(body: LogBody, trail: Trail) -> str | None:
    """Route a reported event to the ``log_*`` method of its type. The author that it names is kept as claimed.

    Return the event id: None while auditing is off.
    """
    trail.claimed, trail.reported = scrub(body.author or ""), True
    if body.event_type == "field_visibility_changed":
        return trail.log_field_visibility_changed(_toggled(body), _subject(body, connector_type=""))
    subject = _subject(body, body.connector_type or "")
    assert subject is not None  # noqa: S101  the body's validator requires a name
    if body.event_type == "config_changed":
        change = outside_change(body.connector_type, body.field or "", body.old_value, body.new_value)
        return trail.log_config_changed(subject, change)
    if body.event_type == "connector_updated":
        changes = [
            outside_change(body.connector_type, key, sides.old, sides.new)
            for key, sides in (body.changes or {}).items()
        ]
        return trail.log_connector_updated(subject, changes)
    plain = {
        "connector_created": trail.log_connector_created,
        "connector_deleted": trail.log_connector_deleted,
        "connector_enabled": trail.log_connector_enabled,
        "connector_disabled": trail.log_connector_disabled,
    }
    return plain[body.event_type](subject)


def _subject(body: LogBody, connector_type: str) -> Subject | None:
    return Subject(scrub(body.connector_name), scrub(connector_type)) if body.connector_name else None


def _toggled(body: LogBody) -> VisibilityChange:
    event_type, field = scrub(body.connector_type or ""), scrub(body.field_key or "")
    labels = (
        one.label
        for connector_type in connectors.TYPES.values()
        if (known := connector_type.event_type(event_type))
        for one in known.fields
        if one.key == field
    )
    return VisibilityChange(event_type, field, next(labels, field), bool(body.visible))

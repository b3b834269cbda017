"""The form of a connector, made from the fields of its type."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import request
from flask_wtf import FlaskForm
from wtforms import BooleanField, HiddenField, PasswordField, SelectField, StringField, TextAreaField
from wtforms.fields.choices import SelectChoice
from wtforms.widgets import NumberInput, URLInput

from painchain.audit.diff import Change, diff
from painchain.configuration import connector_copy, connector_store
from painchain.configuration.connector_copy import Original
from painchain.configuration.connector_edit import ConnectorEdit
from painchain.configuration.connector_store import type_of, values
from painchain.configuration.errors import NamedRow
from painchain.configuration.stored_connector import StoredConnector
from painchain.connectors.base import ConnectorType, Field, Kind
from painchain.core.redaction import scrub
from painchain.database.models import Connector
from painchain.timeline import visibility
from painchain.timeline.visibility import Toggle

_INPUTS: dict[Kind, Any] = {
    Kind.TEXT: StringField,
    Kind.URL: lambda label, **more: StringField(label, widget=URLInput(), **more),
    Kind.NUMBER: lambda label, **more: StringField(label, widget=NumberInput(step=1), **more),
    Kind.CHECKBOX: BooleanField,
    Kind.LIST: TextAreaField,
    Kind.TAGS: StringField,
    Kind.CERTIFICATE: TextAreaField,
    Kind.CHOICE: SelectField,
    Kind.SECRET: PasswordField,
}


class ConnectorForm(FlaskForm):  # type: ignore[misc]
    """What every connector's form carries: the version it was read at and the values it began with.

    That of a copy carries the ID of the other connector, and the names of the toggles that are off there.
    """

    version = HiddenField()
    base = HiddenField()
    copied_from = HiddenField()
    copied_hidden = HiddenField()
    enabled = BooleanField("Enable now")


@dataclass(frozen=True)
class Conflict:
    """What another person changed since the form was opened, and what this person wants to change."""

    connector: NamedRow
    theirs: list[Change]
    mine: list[Change]

    @property
    def their_keys(self) -> set[str]:
        """The keys that another person changed."""
        return {change.key for change in self.theirs}


def shown_form(connector_type: ConnectorType, stored: StoredConnector | None = None) -> Any:
    """Return the form with the connector's values, or with the defaults of its type."""
    return _form(connector_type, stored, {"formdata": None})


def sent_form(connector_type: ConnectorType, stored: StoredConnector | None = None) -> Any:
    """Return the form as it was submitted, to show it again."""
    return _form(connector_type, stored, {})


def copied_form(stored: StoredConnector) -> Any:
    """Return the form of a new connector with the values of another one, except its secrets and its name."""
    connector, connector_type = stored.connector, type_of(stored.connector)
    form = shown_form(connector_type)
    for key, value in connector_copy.values(connector).items():
        field = connector_type.field(key)
        form[key].data = as_entered(field, value) if field else value
    form.copied_from.data = str(connector.id)
    form.copied_hidden.data = " ".join(sorted(map(toggle_name, stored.hidden)))
    return form


def original_submitted(connector_type: ConnectorType) -> Original | None:
    """Return the connector that a new one is a copy of; None for any other, and if it was deleted since."""
    text = request.form.get("copied_from", "")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else 0
    connector = connector_store.get(number)
    if connector is None or connector.type != connector_type.key:
        return None
    names = request.form.get("copied_hidden", "").split()
    return Original(connector.name, [each for each in visibility.toggles(connector_type) if toggle_name(each) in names])


def _form(connector_type: ConnectorType, stored: StoredConnector | None, options: dict[str, Any]) -> Any:
    connector = stored.connector if stored else None
    inputs: dict[str, Any] = {}
    current = values(connector) if connector else connector_type.defaults()
    for field in connector_type.all_fields:
        options_of_input = {"choices": _choices(field, current.get(field.key))} if field.kind is Kind.CHOICE else {}
        inputs[field.key] = _INPUTS[field.kind](field.caption, description=field.help, **options_of_input)
        if _is_clearable(field, connector):
            inputs[clear_name(field)] = BooleanField(f"Remove the stored {field.label.lower()}")
    entered = {field.key: as_entered(field, current.get(field.key)) for field in connector_type.all_fields}
    return type("Form", (ConnectorForm,), inputs)(data={**entered, **_origin(stored)}, **options)


def _choices(field: Field, current: Any) -> list[SelectChoice]:
    """Return the choices of a field. A stored value that is none of them stays, until the person chooses another."""
    unknown = [(current, f"{current} (no longer offered)")] if current and current not in dict(field.choices) else []
    return [SelectChoice(value, label) for value, label in (*field.choices, *unknown)]


def _is_clearable(field: Field, connector: Connector | None) -> bool:
    return connector is not None and field.key in connector.secrets and not field.required


def clear_name(field: Field) -> str:
    """Return the name of the checkbox that clears a secret."""
    return f"{field.key}_clear"


def edit_submitted(connector: Connector) -> ConnectorEdit:
    """Return what the submitted form changes of a connector."""
    connector_type = type_of(connector)
    values, shown = submitted(connector_type, connector), visibility_submitted(connector_type)
    return ConnectorEdit(values, shown, version_submitted())


def submitted(connector_type: ConnectorType, connector: Connector | None = None) -> dict[str, Any]:
    """Return the submitted values. A blank secret is left out: it stays as it is, unless it is to be cleared."""
    values: dict[str, Any] = {}
    for field in connector_type.all_fields:
        text = request.form.get(field.key)
        if field.kind is Kind.CHECKBOX:
            values[field.key] = _is_ticked(field.key)
        elif field.kind is not Kind.SECRET:
            if text is not None:
                values[field.key] = text
        elif text:
            values[field.key] = text
        elif _is_clearable(field, connector) and _is_ticked(clear_name(field)):
            values[field.key] = None
    return values


def enable_submitted() -> bool:
    """Return whether a new connector is to be enabled."""
    return _is_ticked("enabled")


def _is_ticked(name: str) -> bool:
    return request.form.get(name, "") not in BooleanField.false_values


def visibility_submitted(connector_type: ConnectorType) -> dict[Toggle, bool]:
    """Return the submitted toggles: none, if the form has no visibility section."""
    if "visibility" not in request.form:
        return {}
    return {toggle: toggle_name(toggle) in request.form for toggle in visibility.toggles(connector_type)}


def version_submitted() -> int | None:
    """Return the version that the form was read at, if it says so; one that never was, for what is no number."""
    text = request.form.get("version", "")
    if not text:
        return None
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def toggle_name(toggle: Toggle) -> str:
    """Return the input name of a visibility toggle."""
    return f"visible.{toggle[0]}.{toggle[1]}"


def show_errors(form: Any, errors: Mapping[str, str], has_addresses: bool = True) -> None:
    """Mark the fields that are wrong. What was typed stays, but for credentials in addresses; the form says so.

    A form without fields for addresses shows what was typed: it returns only to its sender.
    """
    for key, message in errors.items():
        form[key].errors = [message]
        typed = form[key].data
        if has_addresses and isinstance(typed, str):
            form[key].data = scrub(typed)
            form[key].is_masked = form[key].data != typed


def conflict(form: Any, stored: StoredConnector) -> Conflict:
    """Compare both people's changes since the form of a connector was opened, and merge them in the form."""
    connector = stored.connector
    connector_type = type_of(connector)
    base, _ = connector_type.clean(read_base(form.base.data))
    mine, _ = connector_type.clean(submitted(connector_type, connector))
    fields = [field for field in connector_type.all_fields if field.kind is not Kind.SECRET]
    return merged(form, connector, fields, base, values(connector), mine, _origin(stored))


def merged(
    form: Any,
    row: NamedRow,
    fields: Sequence[Field],
    base: Mapping[str, Any],
    now: Mapping[str, Any],
    entered: Mapping[str, Any],
    origin: Mapping[str, str],
) -> Conflict:
    """Compare both people's changes since the form was opened; update the fields that only the other one changed.

    `base` are the values that the form began with, `now` the stored ones, `entered` those of this person. `origin` are
    the values of the hidden inputs for the next save.
    """
    base = {**now, **base}
    theirs, mine = diff(fields, base, now), diff(fields, base, entered)
    for change in theirs:
        if change.key not in {own.key for own in mine}:
            field = next(field for field in fields if field.key == change.key)
            form[change.key].data = as_entered(field, change.new)
    for key, value in origin.items():
        form[key].data = value
    return Conflict(row, theirs, mine)


def origin(row: NamedRow | None, values: Mapping[str, Any]) -> dict[str, str]:
    """Return what a form keeps in hidden inputs to notice other people's changes: the version and the values."""
    if row is None:
        return {"version": "", "base": ""}
    return {"version": str(row.version), "base": json.dumps(values, ensure_ascii=False)}


def merged_toggles(form: Any, stored: StoredConnector, shown: dict[Toggle, bool]) -> dict[Toggle, bool]:
    """Return the toggles with both people's changes: as submitted where the person flipped them, else as stored."""
    began_hidden = read_base(form.base.data).get("hidden", [])
    return {
        toggle: visible if visible == (toggle_name(toggle) in began_hidden) else toggle not in stored.hidden
        for toggle, visible in shown.items()
    }


def as_entered(field: Field, value: Any) -> Any:
    """Return a value as the person types it."""
    if field.kind is Kind.CHECKBOX:
        return bool(value)
    if field.kind is Kind.SECRET or value is None:
        return ""
    if field.kind is Kind.TAGS:
        return ", ".join(value)
    return "\n".join(value) if field.is_list else str(value)


def _origin(stored: StoredConnector | None) -> dict[str, str]:
    if stored is None:
        return origin(None, {})
    return origin(stored.connector, {**values(stored.connector), "hidden": sorted(map(toggle_name, stored.hidden))})


def read_base(text: str | None) -> dict[str, Any]:
    """Return the values that the form began with; whatever else was sent instead counts as none."""
    try:
        base = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    return base if isinstance(base, dict) else {}

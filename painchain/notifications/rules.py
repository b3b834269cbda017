"""Create, change and delete notification rules. Each change is recorded in the audit trail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import func, select

from painchain.audit import event_kinds
from painchain.audit.diff import SET, Change, diff
from painchain.audit.trail import Trail
from painchain.configuration.errors import InvalidValues
from painchain.configuration.named_rows import clean, is_taken, refuse_stale
from painchain.connectors.base import Field, Kind
from painchain.core import runtime
from painchain.core.crypto import open_sealed, seal
from painchain.database.models import NotifyRule
from painchain.database.session import db
from painchain.eventlog import outbox
from painchain.notifications import delivery
from painchain.notifications.delivery import BadUrl

FIELDS = (
    Field("name", "Name", Kind.TEXT, required=True, max_length=100),
    Field("url", "Apprise URL", Kind.SECRET, required=True, max_length=delivery.MAX_URL),
    Field("kinds", "Told of", Kind.LIST),
    Field("enabled", "Enabled", Kind.CHECKBOX, True),
)
NO_KIND = "Choose at least one kind of event."


def list_all() -> Sequence[NotifyRule]:
    """Return the rules, sorted by name."""
    return db.session.scalars(select(NotifyRule).order_by(func.lower(NotifyRule.name), NotifyRule.id)).all()


def get(rule_id: int) -> NotifyRule | None:
    """Return the rule with this id, or None."""
    return db.session.get(NotifyRule, rule_id) if rule_id < 2**63 else None


def values(rule: NotifyRule) -> dict[str, Any]:
    """Return the current values of all fields except the URL."""
    return {"name": rule.name, "kinds": rule.kinds, "enabled": rule.enabled}


def create(submitted: Mapping[str, Any], trail: Trail) -> NotifyRule:
    """Add a rule.

    :raises InvalidValues: if a value is invalid or the name is taken.
    """
    cleaned = _clean({"name": None, "url": None, "kinds": [], "enabled": True, **submitted})
    rule = NotifyRule(version=1, lost=0, updated_at=trail.now, updated_by=trail.author)
    _assign(rule, cleaned)
    db.session.add(rule)
    db.session.flush()
    trail.log(event_kinds.notify_rule_created(rule.name, _configuration(rule)))
    return rule


def update(rule: NotifyRule, submitted: Mapping[str, Any], version: int | None, trail: Trail) -> list[Change]:
    """Save new values and return the changes. A field missing from `submitted`, or a blank URL, is not changed.

    :raises painchain.configuration.errors.StaleRow: if the rule has another version than `version`; None accepts any.
    :raises InvalidValues: if a value is invalid or the name is taken.
    """
    refuse_stale(rule, version)
    cleaned = _clean({key: value for key, value in submitted.items() if key != "url" or value}, rule)
    stored = {**values(rule), "url": open_sealed(_box(), rule.url)}
    changes = diff(FIELDS, stored, cleaned)
    if not changes:
        return []
    _assign(rule, {change.key: change.new for change in changes})
    rule.version += 1
    rule.updated_at, rule.updated_by = trail.now, trail.author
    if not rule.enabled:
        outbox.delete_pending(rule.id)
    db.session.flush()
    trail.log(event_kinds.notify_rule_changed(rule.name, changes))
    return changes


def delete(rule: NotifyRule, version: int | None, trail: Trail) -> None:
    """Delete a rule with its unsent messages.

    :raises painchain.configuration.errors.StaleRow: if the rule has another version than `version`; None accepts any.
    """
    refuse_stale(rule, version)
    trail.log(event_kinds.notify_rule_deleted(rule.name, _configuration(rule)))
    db.session.delete(rule)


def _clean(submitted: Mapping[str, Any], rule: NotifyRule | None = None) -> dict[str, Any]:
    cleaned, errors = clean(FIELDS, submitted)
    _check(cleaned, errors, rule)
    if errors:
        raise InvalidValues(errors)
    return cleaned


def _check(cleaned: dict[str, Any], errors: dict[str, str], rule: NotifyRule | None) -> None:
    """Validate what depends on other fields or rules."""
    name = cleaned.get("name")
    if name and is_taken(name, _names(), rule):
        errors["name"] = f"A rule named “{name}” already exists. Choose another name."
    if "url" in cleaned:
        try:
            delivery.redacted_url(cleaned["url"] or "")
        except BadUrl as problem:
            errors.setdefault("url", str(problem) if cleaned["url"] else "Apprise URL is required.")
    if "kinds" in cleaned:
        offered = [kind.key for kind in outbox.OFFERED]
        # In a fixed order, so that the same choice is not a change.
        kinds = [key for key in offered if key in cleaned["kinds"]]
        if not kinds or len(kinds) != len(cleaned["kinds"]):
            errors["kinds"] = NO_KIND if not cleaned["kinds"] else f"kinds can be {', '.join(offered)}."
        cleaned["kinds"] = kinds
    if "enabled" in cleaned:
        cleaned["enabled"] = bool(cleaned["enabled"])


def _names() -> list[tuple[int, str]]:
    return [(number, name) for number, name in db.session.execute(select(NotifyRule.id, NotifyRule.name))]


def _assign(rule: NotifyRule, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if key != "url":
            setattr(rule, key, value)
        else:
            rule.url, rule.shown = seal(_box(), value), delivery.redacted_url(value)
            rule.error, rule.failed_at, rule.lost = None, None, 0


def _configuration(rule: NotifyRule) -> dict[str, Any]:
    return {**values(rule), "url": SET}


def _box() -> Any:
    return runtime.current().box

"""The rules of whom to tell at once: create, change, delete them, each on the record, and send what is due."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from painchain.audit import event_kinds
from painchain.audit.diff import SET, Change, diff
from painchain.audit.trail import Trail
from painchain.configuration.errors import ChangeRefused, InvalidValues
from painchain.connectors.base import Field, FieldError, Kind
from painchain.core import logs, runtime
from painchain.core.crypto import open_sealed, seal
from painchain.database.models import NotifyRule
from painchain.database.session import db, one_write_at_a_time
from painchain.eventlog import outbox
from painchain.notifications import delivery
from painchain.notifications.delivery import BadUrl, NotSent

log = logging.getLogger(__name__)

FIELDS = (
    Field("name", "Name", Kind.TEXT, required=True, max_length=100),
    Field("url", "Apprise URL", Kind.SECRET, required=True, max_length=delivery.MAX_URL),
    Field("kinds", "Told of", Kind.LIST),
    Field("enabled", "Enabled", Kind.CHECKBOX, True),
)
NO_KIND = "Choose at least one kind of event."


class StaleRule(ChangeRefused):
    """Somebody else changed the rule since the person's copy was read. `rule` is as it is now."""

    def __init__(self, rule: NotifyRule):
        super().__init__(f"“{rule.name}” was changed by {rule.updated_by} in the meantime. Nothing was saved.")
        self.rule = rule


def list_all() -> Sequence[NotifyRule]:
    """Return the rules in the order of their names."""
    return db.session.scalars(select(NotifyRule).order_by(func.lower(NotifyRule.name), NotifyRule.id)).all()


def get(rule_id: int) -> NotifyRule | None:
    """Return the rule of that id, if there is one."""
    return db.session.get(NotifyRule, rule_id) if rule_id < 2**63 else None


def values(rule: NotifyRule) -> dict[str, Any]:
    """Return the present value of every field but the URL."""
    return {"name": rule.name, "kinds": rule.kinds, "enabled": rule.enabled}


def create(submitted: Mapping[str, Any], trail: Trail) -> NotifyRule:
    """Add a rule.

    :raises Invalid: when a field does not take its value or the name is taken.
    """
    cleaned = _clean({"name": None, "url": None, "kinds": [], "enabled": True, **submitted})
    rule = NotifyRule(version=1, lost=0, updated_at=trail.now, updated_by=trail.author)
    _assign(rule, cleaned)
    db.session.add(rule)
    db.session.flush()
    trail.log(event_kinds.notify_rule_created(rule.name, _configuration(rule)))
    return rule


def update(rule: NotifyRule, submitted: Mapping[str, Any], version: int | None, trail: Trail) -> list[Change]:
    """Save new values and return what they change. A field missing from `submitted`, or a blank URL, stays as it is.

    :raises Stale: when `version` is not the rule's version any more; None stands for any.
    :raises Invalid: when a field does not take its value or the name is taken.
    """
    _refuse_stale(rule, version)
    cleaned = _clean({key: value for key, value in submitted.items() if key != "url" or value}, rule)
    stored = {**values(rule), "url": open_sealed(_box(), rule.url)}
    changes = diff(FIELDS, stored, cleaned)
    if not changes:
        return []
    _assign(rule, {change.key: change.new for change in changes})
    rule.version += 1
    rule.updated_at, rule.updated_by = trail.now, trail.author
    if not rule.enabled:
        outbox.withdraw(rule.id)
    db.session.flush()
    trail.log(event_kinds.notify_rule_changed(rule.name, changes))
    return changes


def delete(rule: NotifyRule, version: int | None, trail: Trail) -> None:
    """Remove a rule with what it still has to send.

    :raises Stale: when `version` is not the rule's version any more; None stands for any.
    """
    _refuse_stale(rule, version)
    trail.log(event_kinds.notify_rule_deleted(rule.name, _configuration(rule)))
    db.session.delete(rule)


def test(rule: NotifyRule, now: datetime) -> str | None:
    """Send a test message at once and return what went wrong, in words; None if it went well."""
    rule_id, url = rule.id, open_sealed(_box(), rule.url)
    name = rule.name
    db.session.remove()  # no connection is kept meanwhile
    error = _send(url, "PainChain: a test", f"This is a test of the notify rule “{name}”.")
    with one_write_at_a_time() as connection:
        outbox.note(connection, rule_id, now, error)
    return error


def send_due(clock: Callable[[], datetime]) -> bool:
    """Send the messages that are due of one rule, and say whether there were any."""
    taken = outbox.claim(clock())
    if taken is None:
        return False
    db.session.remove()
    first, text = taken.messages[0]
    if len(taken.messages) > 1:
        first = f"PainChain: {len(taken.messages)} changes"
        text = "\n\n".join(text for _, text in taken.messages)
    with logs.about(rule=taken.rule_id):
        error = _send(open_sealed(_box(), taken.sealed_url), first, text)
        if error:
            log.warning("A message of a notify rule was not sent: %s", error)
        outbox.settle(taken, clock(), error)
    return True


def _send(url: str, title: str, text: str) -> str | None:
    try:
        delivery.send(url, title, text)
    except NotSent as problem:
        return str(problem)
    return None


def _clean(submitted: Mapping[str, Any], rule: NotifyRule | None = None) -> dict[str, Any]:
    cleaned, errors = {}, {}
    for field in FIELDS:
        if field.key not in submitted:
            continue
        try:
            cleaned[field.key] = field.clean(submitted[field.key])
        except FieldError as error:
            errors[field.key] = str(error)
    _check(cleaned, errors, rule)
    if errors:
        raise InvalidValues(errors)
    return cleaned


def _check(cleaned: dict[str, Any], errors: dict[str, str], rule: NotifyRule | None) -> None:
    """Check what a field alone cannot know."""
    others = db.session.execute(select(NotifyRule.id, NotifyRule.name)).all()
    name = cleaned.get("name")
    if name and name.casefold() in (one.name.casefold() for one in others if rule is None or one.id != rule.id):
        errors["name"] = f"A rule named “{name}” already exists. Choose another name."
    if "url" in cleaned:
        try:
            delivery.check(cleaned["url"] or "")
        except BadUrl as problem:
            errors.setdefault("url", str(problem) if cleaned["url"] else "Apprise URL is required.")
    if "kinds" in cleaned:
        known = [kind.key for kind in outbox.OFFERED]
        # In one order, so that the same choice is no change.
        kinds = [key for key in known if key in cleaned["kinds"]]
        if not kinds or len(kinds) != len(cleaned["kinds"]):
            errors["kinds"] = NO_KIND if not cleaned["kinds"] else f"kinds can be {', '.join(known)}."
        cleaned["kinds"] = kinds
    if "enabled" in cleaned:
        cleaned["enabled"] = bool(cleaned["enabled"])


def _assign(rule: NotifyRule, given: Mapping[str, Any]) -> None:
    for key, value in given.items():
        if key != "url":
            setattr(rule, key, value)
        else:
            rule.url, rule.shown = seal(_box(), value), delivery.check(value)
            rule.error, rule.failed_at, rule.lost = None, None, 0


def _configuration(rule: NotifyRule) -> dict[str, Any]:
    return {**values(rule), "url": SET}


def _refuse_stale(rule: NotifyRule, version: int | None) -> None:
    if version is not None and version != rule.version:
        raise StaleRule(rule)


def _box() -> Any:
    return runtime.current().box

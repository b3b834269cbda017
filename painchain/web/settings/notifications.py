"""Settings → Notifications: rules, test messages and the state of delivery."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, g, request, url_for
from flask.typing import ResponseReturnValue

from painchain.configuration.errors import InvalidValues, StaleRow
from painchain.database.models import NotifyRule
from painchain.eventlog import outbox
from painchain.notifications import rules as notification_rules
from painchain.notifications import sender
from painchain.web.common import responses
from painchain.web.common.responses import Toast
from painchain.web.common.transaction import audited_transaction
from painchain.web.settings.connector_form import version_submitted

blueprint = Blueprint("notify", __name__, url_prefix="/settings/notifications")

NEW = {"name": "", "kinds": [kind.key for kind in outbox.OFFERED], "enabled": True}
LABELS = {kind.key: kind.label for kind in outbox.KINDS}


@blueprint.get("")
def index() -> ResponseReturnValue:
    """List the rules with their delivery state."""
    return responses.page(
        "pages/settings/notifications.html",
        rules=notification_rules.list_all(),
        waiting=outbox.pending(),
        labels=LABELS,
        kinds=outbox.OFFERED,
    )


@blueprint.get("/new")
def new() -> ResponseReturnValue:
    """Show the empty form."""
    return _form(None, NEW)


@blueprint.post("/new")
def create() -> ResponseReturnValue:
    """Add a rule."""
    try:
        with audited_transaction() as trail:
            rule = notification_rules.create(_submitted(), trail)
    except InvalidValues as invalid:
        return _form(None, _submitted(), 422, invalid.errors)
    return responses.go_to(
        url_for(".rule", rule_id=rule.id), Toast(f"Added “{rule.name}”. Send a test message to check it.")
    )


@blueprint.get("/<int:rule_id>")
def rule(rule_id: int) -> ResponseReturnValue:
    """Show one rule: its form and delivery state."""
    rule = _get_or_404(rule_id)
    return _form(rule, notification_rules.values(rule))


@blueprint.post("/<int:rule_id>")
def update(rule_id: int) -> ResponseReturnValue:
    """Save the form of a rule."""
    try:
        with audited_transaction() as trail:
            rule = _get_or_404(rule_id)
            changes = notification_rules.update(rule, _submitted(), version_submitted(), trail)
    except InvalidValues as invalid:
        return _form(_get_or_404(rule_id), _submitted(), 422, invalid.errors)
    except StaleRow:
        return _form(_get_or_404(rule_id), _submitted(), 409)
    message = f"Saved “{rule.name}”. Changed: {', '.join(change.label for change in changes)}."
    toast = Toast(message) if changes else Toast("No changes to save.", "info")
    return responses.go_to(url_for(".rule", rule_id=rule_id), toast)


@blueprint.post("/<int:rule_id>/test")
def test(rule_id: int) -> ResponseReturnValue:
    """Send a test message and report the result."""
    rule = _get_or_404(rule_id)
    name = rule.name
    error = sender.send_test(rule, g.now)
    toast = Toast(f"Test message failed. {error}", "bad") if error else Toast(f"Sent a test message through “{name}”.")
    return responses.go_to(url_for(".rule", rule_id=rule_id), toast)


@blueprint.post("/<int:rule_id>/seen")
def mark_seen(rule_id: int) -> ResponseReturnValue:
    """Clear the failure of a rule that dropped messages, after a person has seen it."""
    name = _get_or_404(rule_id).name
    shown = request.form.get("lost", -1, type=int)
    if abs(shown) < 2**31 and outbox.mark_seen(rule_id, shown):
        toast = Toast(f"The dropped messages of “{name}” are marked as seen.")
    else:
        toast = Toast(f"The number of dropped messages of “{name}” has changed. Look again.", "bad")
    return responses.go_to(url_for(".rule", rule_id=rule_id), toast)


@blueprint.get("/<int:rule_id>/delete")
def confirm_delete(rule_id: int) -> ResponseReturnValue:
    """Ask for confirmation before deleting a rule."""
    return responses.page("pages/settings/notification_delete.html", rule=_get_or_404(rule_id), labels=LABELS)


@blueprint.post("/<int:rule_id>/delete")
def delete(rule_id: int) -> ResponseReturnValue:
    """Delete a rule."""
    try:
        with audited_transaction() as trail:
            rule = _get_or_404(rule_id)
            name = rule.name
            notification_rules.delete(rule, version_submitted(), trail)
    except StaleRow as stale:
        return responses.error(409, "Someone else changed this first", str(stale))
    return responses.go_to(url_for(".index"), Toast(f"Deleted “{name}”. It sends no more notifications."))


def _form(
    rule: NotifyRule | None, entered: dict[str, Any], status: int = 200, errors: dict[str, str] | None = None
) -> ResponseReturnValue:
    """Show the form. After a conflict, show the rule's current values as well."""
    return responses.page(
        "pages/settings/notification.html",
        status,
        rule=rule,
        entered=entered,
        errors=errors or {},
        conflict=rule if status == 409 else None,
        kinds=outbox.OFFERED,
        labels=LABELS,
        waiting=outbox.pending(),
    )


def _submitted() -> dict[str, Any]:
    return {
        "name": request.form.get("name", ""),
        "url": request.form.get("url", ""),
        "kinds": request.form.getlist("kinds"),
        "enabled": "enabled" in request.form,
    }


def _get_or_404(rule_id: int) -> NotifyRule:
    rule = notification_rules.get(rule_id)
    if rule is None:
        abort(404, "No notification rule with this ID. If it was deleted, the timeline shows when and by whom.")
    return rule

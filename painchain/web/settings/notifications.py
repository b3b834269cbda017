"""Settings → Notifications: whom to tell at once of what, a test of it, and how it went last."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, g, request, url_for
from flask.typing import ResponseReturnValue

from painchain.configuration.errors import InvalidValues
from painchain.database.models import NotifyRule
from painchain.eventlog import outbox
from painchain.notifications import rules as notification_rules
from painchain.notifications import sender
from painchain.notifications.rules import StaleRule
from painchain.web.common import responses
from painchain.web.common.responses import Toast
from painchain.web.common.transaction import audited_transaction
from painchain.web.settings.connector_form import version_submitted

blueprint = Blueprint("notify", __name__, url_prefix="/settings/notifications")

NEW = {"name": "", "kinds": [kind.key for kind in outbox.OFFERED], "enabled": True}
LABELS = {kind.key: kind.label for kind in outbox.KINDS}


@blueprint.get("")
def index() -> ResponseReturnValue:
    """List the rules and how each of them does."""
    return responses.page(
        "pages/settings/notifications.html",
        rules=notification_rules.list_all(),
        waiting=outbox.waiting(),
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
        url_for(".rule", rule_id=rule.id), Toast(f"“{rule.name}” is added. Send a test to see it arrive.")
    )


@blueprint.get("/<int:rule_id>")
def rule(rule_id: int) -> ResponseReturnValue:
    """Show one rule: its form and how it does."""
    one = _get_or_404(rule_id)
    return _form(one, notification_rules.values(one))


@blueprint.post("/<int:rule_id>")
def update(rule_id: int) -> ResponseReturnValue:
    """Save the form of a rule."""
    try:
        with audited_transaction() as trail:
            one = _get_or_404(rule_id)
            changes = notification_rules.update(one, _submitted(), version_submitted(), trail)
    except InvalidValues as invalid:
        return _form(_get_or_404(rule_id), _submitted(), 422, invalid.errors)
    except StaleRule:
        return _form(_get_or_404(rule_id), _submitted(), 409)
    words = f"Saved “{one.name}”: {', '.join(change.label for change in changes)}."
    toast = Toast(words) if changes else Toast("Nothing to save: everything is as it was.", "info")
    return responses.go_to(url_for(".rule", rule_id=rule_id), toast)


@blueprint.post("/<int:rule_id>/test")
def test(rule_id: int) -> ResponseReturnValue:
    """Send a test message and say whether it arrived."""
    one = _get_or_404(rule_id)
    name = one.name
    error = sender.send_test(one, g.now)
    toast = Toast(f"The test did not arrive. {error}", "bad") if error else Toast(f"A test was sent by “{name}”.")
    return responses.go_to(url_for(".rule", rule_id=rule_id), toast)


@blueprint.get("/<int:rule_id>/delete")
def confirm_delete(rule_id: int) -> ResponseReturnValue:
    """Ask before a rule goes."""
    return responses.page("pages/settings/notification_delete.html", rule=_get_or_404(rule_id), labels=LABELS)


@blueprint.post("/<int:rule_id>/delete")
def delete(rule_id: int) -> ResponseReturnValue:
    """Delete a rule."""
    try:
        with audited_transaction() as trail:
            one = _get_or_404(rule_id)
            name = one.name
            notification_rules.delete(one, version_submitted(), trail)
    except StaleRule as stale:
        return responses.error(409, "Somebody else was first", f"{stale} Look at it as it is now.")
    return responses.go_to(url_for(".index"), Toast(f"“{name}” is deleted: it tells nobody any more."))


def _form(
    one: NotifyRule | None, entered: dict[str, Any], status: int = 200, errors: dict[str, str] | None = None
) -> ResponseReturnValue:
    """Show the form. After a conflict it goes on from the rule as it is now, and says what that is."""
    return responses.page(
        "pages/settings/notification.html",
        status,
        rule=one,
        entered=entered,
        errors=errors or {},
        conflict=one if status == 409 else None,
        kinds=outbox.OFFERED,
        labels=LABELS,
        waiting=outbox.waiting(),
    )


def _submitted() -> dict[str, Any]:
    return {
        "name": request.form.get("name", ""),
        "url": request.form.get("url", ""),
        "kinds": request.form.getlist("kinds"),
        "enabled": "enabled" in request.form,
    }


def _get_or_404(rule_id: int) -> NotifyRule:
    one = notification_rules.get(rule_id)
    if one is None:
        abort(404, "There is no notify rule here any more. What became of it is on the timeline.")
    return one

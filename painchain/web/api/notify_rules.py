"""The JSON API of notification rules."""

from __future__ import annotations

from flask import g, request, url_for
from flask.typing import ResponseReturnValue

from painchain.configuration.errors import StaleRow
from painchain.core.validation import read
from painchain.database import models
from painchain.notifications import rules as notification_rules
from painchain.notifications import sender
from painchain.web.api.common import Editable, api_blueprint
from painchain.web.api.resources.base import answer, answer_list
from painchain.web.api.resources.settings import NotifyRule, Sent
from painchain.web.api.schemas import NewNotifyRule, NotifyRulePatch
from painchain.web.common.transaction import audited_transaction

blueprint = api_blueprint("notify_api", url_prefix="/api/notify-rules")
RECORDS = Editable("notification rule", notification_rules.get, StaleRow)


@blueprint.get("")
def rules() -> ResponseReturnValue:
    """List the notification rules."""
    return answer_list(NotifyRule.of(rule) for rule in notification_rules.list_all())


@blueprint.post("")
def create() -> ResponseReturnValue:
    """Add a notification rule."""
    body = read(NewNotifyRule, request.get_data())
    with audited_transaction() as trail:
        rule = notification_rules.create(body.model_dump(), trail)
    return _answer(rule, 201, Location=url_for(".rule", rule_id=rule.id))


@blueprint.get("/<int:rule_id>")
def rule(rule_id: int) -> ResponseReturnValue:
    """Return one notification rule with its ETag."""
    return _answer(RECORDS.get_or_404(rule_id))


@blueprint.patch("/<int:rule_id>")
def patch(rule_id: int) -> ResponseReturnValue:
    """Change some of a notification rule's values."""
    body = read(NotifyRulePatch, request.get_data())
    RECORDS.require_if_match(rule_id)
    with audited_transaction() as trail:
        rule = RECORDS.matching(rule_id)
        notification_rules.update(rule, body.model_dump(exclude_unset=True), None, trail)
    return _answer(rule)


@blueprint.delete("/<int:rule_id>")
def delete(rule_id: int) -> ResponseReturnValue:
    """Delete a notification rule."""
    with audited_transaction() as trail:
        notification_rules.delete(RECORDS.matching(rule_id), None, trail)
    return "", 204


@blueprint.post("/<int:rule_id>/test")
def test(rule_id: int) -> ResponseReturnValue:
    """Send a test message and return whether it was sent."""
    error = sender.send_test(RECORDS.get_or_404(rule_id), g.now)
    return answer(Sent(sent=error is None, error=error))


def _answer(rule: models.NotifyRule, status: int = 200, **headers: str) -> ResponseReturnValue:
    return answer(NotifyRule.of(rule), status, RECORDS.etag(rule) | headers)

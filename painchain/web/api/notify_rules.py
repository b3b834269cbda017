"""The JSON API of notify rules; the same guards and refusals as the rest of the API."""

from __future__ import annotations

from typing import Any

from flask import abort, g, jsonify, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from painchain.configuration.errors import InvalidValues
from painchain.core.validation import read
from painchain.database.models import NotifyRule
from painchain.database.types import iso
from painchain.notifications import rules as notification_rules
from painchain.notifications.rules import StaleRule
from painchain.web.api import events
from painchain.web.api.schemas import NewNotifyRule, NotifyRulePatch
from painchain.web.common.responses import json_error
from painchain.web.common.transaction import audited_transaction

blueprint = events.guarded("notify_api", url_prefix="/api/notify-rules")


@blueprint.errorhandler(InvalidValues)
def invalid(problem: InvalidValues) -> Response:
    """Answer values that are not taken."""
    return json_error(422, str(problem), [{"field": key, "message": text} for key, text in problem.errors.items()])


@blueprint.errorhandler(StaleRule)
def stale(problem: StaleRule) -> Response:
    """Answer a change upon an older version."""
    return json_error(412, f"{problem} Read it again and repeat the change.", headers=_etag(problem.rule))


@blueprint.get("")
def rules() -> ResponseReturnValue:
    """List the rules."""
    return jsonify([_json(rule) for rule in notification_rules.list_all()])


@blueprint.post("")
def create() -> ResponseReturnValue:
    """Add a rule."""
    body = read(NewNotifyRule, request.get_data())
    with audited_transaction() as trail:
        rule = notification_rules.create(body.model_dump(), trail)
    return _answer(rule, 201, Location=url_for(".rule", rule_id=rule.id))


@blueprint.get("/<int:rule_id>")
def rule(rule_id: int) -> ResponseReturnValue:
    """Return one rule with its ETag."""
    return _answer(_get_or_404(rule_id))


@blueprint.patch("/<int:rule_id>")
def patch(rule_id: int) -> ResponseReturnValue:
    """Change some of a rule's values."""
    body = read(NotifyRulePatch, request.get_data())
    if "If-Match" not in request.headers:
        _get_or_404(rule_id)
        return json_error(428, "Send the ETag of the rule you read as If-Match, so that no one's change is lost.")
    with audited_transaction() as trail:
        rule = _matched_or_412(rule_id)
        notification_rules.update(rule, body.model_dump(exclude_unset=True), None, trail)
    return _answer(rule)


@blueprint.delete("/<int:rule_id>")
def delete(rule_id: int) -> ResponseReturnValue:
    """Delete a rule."""
    with audited_transaction() as trail:
        notification_rules.delete(_matched_or_412(rule_id), None, trail)
    return "", 204


@blueprint.post("/<int:rule_id>/test")
def test(rule_id: int) -> ResponseReturnValue:
    """Send a test message and say whether it arrived."""
    error = notification_rules.test(_get_or_404(rule_id), g.now)
    return jsonify(sent=error is None, error=error)


def _json(rule: NotifyRule) -> dict[str, Any]:
    """Return a rule as the API gives it: of its URL only what may be seen."""
    return {
        "id": rule.id,
        **notification_rules.values(rule),
        "url": rule.shown,
        "version": rule.version,
        "updated_at": iso(rule.updated_at),
        "updated_by": rule.updated_by,
        "last_sent": iso(rule.last_sent) if rule.last_sent else None,
        "error": rule.error,
        "failed_at": iso(rule.failed_at) if rule.failed_at else None,
        "lost": rule.lost,
    }


def _answer(rule: NotifyRule, status: int = 200, **headers: str) -> ResponseReturnValue:
    return jsonify(_json(rule)), status, {**_etag(rule), **headers}


def _etag(rule: NotifyRule) -> dict[str, str]:
    return {"ETag": f'"{rule.id}-{rule.version}"'}


def _get_or_404(rule_id: int) -> NotifyRule:
    rule = notification_rules.get(rule_id)
    if rule is None:
        abort(404, "There is no notify rule of this id.")
    return rule


def _matched_or_412(rule_id: int) -> NotifyRule:
    """Return the rule, if it is still the version that If-Match names or there is no such header.

    :raises Stale: when it is another version.
    """
    rule = _get_or_404(rule_id)
    if "If-Match" in request.headers and not request.if_match.contains(f"{rule.id}-{rule.version}"):
        raise StaleRule(rule)
    return rule

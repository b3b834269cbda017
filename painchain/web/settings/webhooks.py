"""Set up a connector's webhook: its address and secret, in Settings and in the JSON API."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, abort, request, url_for
from flask.typing import ResponseReturnValue

from painchain.configuration import connector_store
from painchain.configuration.connector_store import type_of
from painchain.configuration.errors import ChangeRefused
from painchain.database.models import Connector
from painchain.ingestion import webhooks
from painchain.web.common import responses
from painchain.web.common.links import webhook_address
from painchain.web.common.responses import Toast
from painchain.web.common.transaction import audited_transaction

blueprint = Blueprint("webhooks", __name__, url_prefix="/settings/integrations/<int:connector_id>/webhook")


@blueprint.get("/<any(replace, remove):what>")
def confirm(connector_id: int, what: str) -> ResponseReturnValue:
    """Say what is no longer taken, and ask."""
    one = get_or_404(connector_id)
    webhook = webhooks.of(one)
    if webhook is None:
        abort(404, "This connector has no webhook.")
    return responses.page(
        "pages/settings/webhook_confirm.html", connector=one, what=what, state=webhooks.state(webhook), **values(one)
    )


@blueprint.post("")
def make(connector_id: int) -> ResponseReturnValue:
    """Make a new secret and show it, this once."""
    try:
        with audited_transaction() as trail:
            one = get_or_404(connector_id)
            secret = webhooks.make(one, trail, request.form.get("state", ""))
    except ChangeRefused as refusal:
        return responses.error(409, "Nothing was changed", str(refusal))
    return responses.page("pages/settings/webhook.html", connector=one, secret=secret, **values(one))


@blueprint.post("/remove")
def remove(connector_id: int) -> ResponseReturnValue:
    """Remove the webhook."""
    try:
        with audited_transaction() as trail:
            one = get_or_404(connector_id)
            removed = webhooks.remove(one, trail, request.form.get("state"))
    except ChangeRefused as refusal:
        return responses.error(409, "Nothing was changed", str(refusal))
    words = f"“{one.name}” takes no webhooks any more." if removed else f"“{one.name}” had no webhook."
    return responses.go_to(url_for("settings.connector", connector_id=one.id, _anchor="webhook"), Toast(words))


def values(one: Connector) -> dict[str, Any]:
    """Return what the pages of a webhook need."""
    hook = type_of(one).webhook
    return {"type": type_of(one), "url": webhook_address(one), "instructions": hook.instructions if hook else ""}


def get_or_404(connector_id: int) -> Connector:
    """Return the connector of that id, or answer 404."""
    one = connector_store.get(connector_id) if connector_id < 2**63 else None
    if one is None:
        abort(404, "There is no connector here. What became of it is on the timeline.")
    return one

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
    """Ask for confirmation before replacing or removing a webhook."""
    connector = get_or_404(connector_id)
    webhook = webhooks.webhook_of(connector)
    if webhook is None:
        abort(404, "This connector has no webhook.")
    return responses.page(
        "pages/settings/webhook_confirm.html",
        connector=connector,
        what=what,
        state=webhooks.fingerprint(webhook),
        **values(connector),
    )


@blueprint.post("")
def make(connector_id: int) -> ResponseReturnValue:
    """Create a new secret and show it once."""
    try:
        with audited_transaction(shows_once="the webhook's secret") as trail:
            connector = get_or_404(connector_id)
            secret = webhooks.set_secret(connector, trail, request.form.get("state", ""))
    except ChangeRefused as refusal:
        return responses.error(409, "Not changed", str(refusal))
    return responses.page("pages/settings/webhook.html", connector=connector, secret=secret, **values(connector))


@blueprint.post("/remove")
def remove(connector_id: int) -> ResponseReturnValue:
    """Remove the webhook."""
    try:
        with audited_transaction() as trail:
            connector = get_or_404(connector_id)
            removed = webhooks.remove(connector, trail, request.form.get("state"))
    except ChangeRefused as refusal:
        return responses.error(409, "Not changed", str(refusal))
    message = f"Removed the webhook from “{connector.name}”." if removed else f"“{connector.name}” had no webhook."
    return responses.go_to(url_for("settings.connector", connector_id=connector.id, _anchor="webhook"), Toast(message))


def values(connector: Connector) -> dict[str, Any]:
    """Return the template values of the webhook pages."""
    hook = type_of(connector).webhook
    return {
        "type": type_of(connector),
        "url": webhook_address(connector),
        "instructions": hook.instructions if hook else "",
    }


def get_or_404(connector_id: int) -> Connector:
    """Return the connector of that id, or answer 404."""
    connector = connector_store.get(connector_id) if connector_id < 2**63 else None
    if connector is None:
        abort(404, "No connector with this ID. If it was deleted, the timeline shows when and by whom.")
    return connector

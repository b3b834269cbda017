"""Set up a connector's webhook: its address and secret, in Settings and in the JSON API."""

from __future__ import annotations

from flask import Blueprint, abort, request, url_for
from flask.typing import ResponseReturnValue

from painchain.configuration import connector_store
from painchain.configuration.errors import ChangeRefused
from painchain.database.models import Connector
from painchain.ingestion import webhooks
from painchain.ingestion.webhooks import UnusableSecret
from painchain.web.common import responses
from painchain.web.common.responses import Toast
from painchain.web.common.transaction import audited_transaction
from painchain.web.settings import webhook_guide

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
        **webhook_guide.values(connector),
    )


@blueprint.post("")
def make(connector_id: int) -> ResponseReturnValue:
    """Create a new secret and show it once, or store the one that the source made."""
    own_secret = request.form.get("secret", "").strip()
    try:
        with audited_transaction(shows_once="" if own_secret else "the webhook's secret") as trail:
            connector = get_or_404(connector_id)
            secret = webhooks.set_secret(connector, trail, request.form.get("state", ""), own_secret)
    except UnusableSecret as refusal:
        return responses.error(422, "Not changed", str(refusal))
    except ChangeRefused as refusal:
        return responses.error(409, "Not changed", str(refusal))
    if own_secret:
        toast = Toast(f"Saved the webhook secret of “{connector.name}”.")
        return responses.go_to(url_for("settings.connector", connector_id=connector.id, _anchor="webhook"), toast)
    values = webhook_guide.values(connector, secret)
    return responses.page("pages/settings/webhook.html", connector=connector, secret=secret, **values)


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


def get_or_404(connector_id: int) -> Connector:
    """Return the connector of that id, or answer 404."""
    connector = connector_store.get(connector_id) if connector_id < 2**63 else None
    if connector is None:
        abort(404, "No connector with this ID. If it was deleted, the timeline shows when and by whom.")
    return connector

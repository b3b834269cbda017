"""Set up a connector's webhook through the API."""

from __future__ import annotations

from flask import jsonify
from flask.typing import ResponseReturnValue

from painchain.configuration.errors import ChangeRefused
from painchain.database.types import iso
from painchain.ingestion import webhooks
from painchain.web.api.events import guarded, refused
from painchain.web.common.links import webhook_address
from painchain.web.common.transaction import audited_transaction
from painchain.web.settings.webhooks import get_or_404

blueprint = guarded("webhooks_api", url_prefix="/api/connectors/<int:connector_id>/webhook")
blueprint.register_error_handler(ChangeRefused, refused)


@blueprint.get("")
def read(connector_id: int) -> ResponseReturnValue:
    """Return the webhook of a connector, without its secret."""
    one = get_or_404(connector_id)
    webhook = webhooks.of(one)
    last = webhook.last_delivery if webhook else None
    return jsonify(
        url=webhook_address(one),
        set=webhook is not None,
        made_at=iso(webhook.made_at) if webhook else None,
        made_by=webhook.made_by if webhook else None,
        last_delivery=iso(last) if last else None,
        last_told=webhook.told if webhook and last else None,
    )


@blueprint.post("")
def make_by_script(connector_id: int) -> ResponseReturnValue:
    """Make a new secret and return it, this once; the one before is no longer taken."""
    with audited_transaction() as trail:
        one = get_or_404(connector_id)
        secret = webhooks.make(one, trail)
    return jsonify(url=webhook_address(one), secret=secret), 201


@blueprint.delete("")
def remove_by_script(connector_id: int) -> ResponseReturnValue:
    """Remove the webhook, if there is one."""
    with audited_transaction() as trail:
        webhooks.remove(get_or_404(connector_id), trail)
    return "", 204

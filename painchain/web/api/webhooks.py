"""The JSON API of connectors' webhooks."""

from __future__ import annotations

from flask.typing import ResponseReturnValue

from painchain.configuration.errors import InvalidValues
from painchain.ingestion import webhooks
from painchain.web.api.common import api_blueprint
from painchain.web.api.connectors import RECORDS, handle_invalid_connector
from painchain.web.api.resources.base import answer
from painchain.web.api.resources.connectors import NewWebhook, Webhook
from painchain.web.common.links import webhook_address
from painchain.web.common.transaction import audited_transaction

blueprint = api_blueprint("webhooks_api", url_prefix="/api/connectors/<int:connector_id>/webhook")
blueprint.register_error_handler(InvalidValues, handle_invalid_connector)


@blueprint.get("")
def read(connector_id: int) -> ResponseReturnValue:
    """Return the webhook of a connector, without its secret."""
    connector = RECORDS.get_or_404(connector_id)
    return answer(Webhook.of(connector, webhooks.webhook_of(connector)))


@blueprint.post("")
def make_by_script(connector_id: int) -> ResponseReturnValue:
    """Create a new secret and return it, only this once; the previous one is no longer accepted."""
    with audited_transaction(shows_once="the webhook's secret") as trail:
        connector = RECORDS.get_or_404(connector_id)
        secret = webhooks.set_secret(connector, trail)
    return answer(NewWebhook(url=webhook_address(connector), secret=secret), 201)


@blueprint.delete("")
def remove_by_script(connector_id: int) -> ResponseReturnValue:
    """Remove the webhook, if there is one."""
    with audited_transaction() as trail:
        webhooks.remove(RECORDS.get_or_404(connector_id), trail)
    return "", 204

"""The JSON API of connectors' webhooks, and of trying a mapping."""

from __future__ import annotations

import json

from flask import g, request
from flask.typing import ResponseReturnValue

from painchain import connectors
from painchain.configuration.errors import InvalidValues
from painchain.core import validation
from painchain.ingestion import kept_deliveries, mapping_trials, webhooks
from painchain.web.api.common import api_blueprint
from painchain.web.api.connectors import RECORDS, config_values, handle_invalid_connector
from painchain.web.api.resources.base import answer, answer_list
from painchain.web.api.resources.webhooks import Delivery, NewWebhook, TriedDelivery, Webhook
from painchain.web.api.schemas import MappingTrial, NewMappingTrial, WebhookSecret
from painchain.web.common.links import webhook_address
from painchain.web.common.transaction import audited_transaction

blueprint = api_blueprint("webhooks_api", url_prefix="/api/connectors")
blueprint.register_error_handler(InvalidValues, handle_invalid_connector)
WEBHOOK = "/<int:connector_id>/webhook"


@blueprint.get(WEBHOOK)
def read(connector_id: int) -> ResponseReturnValue:
    """Return the webhook of a connector, without its secret."""
    connector = RECORDS.get_or_404(connector_id)
    return answer(Webhook.of(connector, webhooks.webhook_of(connector)))


@blueprint.post(WEBHOOK)
def make_by_script(connector_id: int) -> ResponseReturnValue:
    """Set a new secret and return it, only this once; the previous one is no longer accepted."""
    own_secret = validation.read(WebhookSecret, request.get_data() or b"{}").secret or ""
    with audited_transaction(shows_once="" if own_secret else "the webhook's secret") as trail:
        connector = RECORDS.get_or_404(connector_id)
        secret = webhooks.set_secret(connector, trail, own_secret=own_secret)
    return answer(NewWebhook(url=webhook_address(connector), secret=secret), 201)


@blueprint.delete(WEBHOOK)
def remove_by_script(connector_id: int) -> ResponseReturnValue:
    """Remove the webhook, if there is one."""
    with audited_transaction() as trail:
        webhooks.remove(RECORDS.get_or_404(connector_id), trail)
    return "", 204


@blueprint.get(f"{WEBHOOK}/deliveries")
def deliveries(connector_id: int) -> ResponseReturnValue:
    """List the last deliveries of a connector, newest first."""
    connector = RECORDS.get_or_404(connector_id)
    return answer_list(map(Delivery.of, kept_deliveries.of(connector.id, g.now)))


@blueprint.post(f"{WEBHOOK}/try")
def try_mapping(connector_id: int) -> ResponseReturnValue:
    """Return what a mapping that is not saved makes of a payload and of the last deliveries."""
    body = validation.read(MappingTrial, request.get_data() or b"{}")
    connector = RECORDS.get_or_404(connector_id)
    samples = [mapping_trials.of_kept(kept) for kept in kept_deliveries.of(connector.id, g.now)]
    if body.payload is not None:
        samples.insert(0, mapping_trials.pasted(json.dumps(body.payload), body.headers))
    values = config_values(connector.type, body.config)
    return answer_list(map(TriedDelivery.of, mapping_trials.for_connector(connector, values, samples, g.now)))


@blueprint.post("/try")
def try_new_mapping() -> ResponseReturnValue:
    """Return what the mapping of a connector that does not exist yet makes of a payload."""
    body = validation.read(NewMappingTrial, request.get_data())
    samples = [mapping_trials.pasted(json.dumps(body.payload), body.headers)]
    values, connector_type = config_values(body.type, body.config), connectors.ADDABLE[body.type]
    return answer_list(map(TriedDelivery.of, mapping_trials.for_new(connector_type, values, samples, g.now)))

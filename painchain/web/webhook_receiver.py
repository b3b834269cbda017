"""Receive webhook deliveries from sources. A signature over the raw body replaces the CSRF token."""

from __future__ import annotations

from flask import Blueprint, g, jsonify, request
from flask.typing import ResponseReturnValue

from painchain.connectors.contract import Delivery, InvalidSignature, UnreadableDelivery
from painchain.core import logs, runtime
from painchain.core.redaction import scrub
from painchain.ingestion import webhooks
from painchain.web.common.responses import json_error

blueprint = Blueprint("hooks", __name__)


@blueprint.post("/hooks/<key>/<int:connector_id>")
def deliver(key: str, connector_id: int) -> ResponseReturnValue:
    """Receive one delivery. A genuine one is answered 2xx: sources disable a webhook that answers with errors."""
    request.max_content_length = runtime.current().settings.max_webhook_bytes
    try:
        receiver = webhooks.find_webhook(key, connector_id)  # before reading the body
        # Comparison in constant time accepts ASCII only; no source sends anything else.
        headers = {name.lower(): value for name, value in request.headers if value.isascii()}
        received = webhooks.receive(receiver, Delivery(headers, request.get_data()), g.now)
    except webhooks.WebhookNotFound:
        return json_error(404, "No webhook at this address.")
    except InvalidSignature:
        message = "Webhook received without a valid signature or token."
        logs.security("webhook_refused", message, connector=connector_id)
        return json_error(401, "The signature or token of this delivery is missing or wrong.")
    except UnreadableDelivery as problem:
        return json_error(422, f"Nothing was recorded. {scrub(str(problem))}")
    reason = {"reason": received.reason} if received.reason else {}
    if received.repeated:
        return jsonify(events=0, repeated=True, **reason)
    return jsonify(events=received.events, **reason), 202

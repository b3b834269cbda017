"""The routes of the API about webhooks and their mappings."""

from __future__ import annotations

from painchain.web.api.openapi.route import CONNECTOR_PATH, READ, WRITE, Route
from painchain.web.api.resources.webhooks import Delivery, NewWebhook, TriedDelivery, Webhook
from painchain.web.api.schemas import MappingTrial, NewMappingTrial, WebhookSecret

WEBHOOK_PATH = f"{CONNECTOR_PATH}/webhook"
WEBHOOK_ROUTES = (
    Route("Get a webhook", "read_a_webhook", "GET", WEBHOOK_PATH, Webhook, (*READ, 404)),
    Route(
        "Create a webhook secret",
        "make_a_webhook_secret",
        "POST",
        WEBHOOK_PATH,
        NewWebhook,
        (*WRITE, 404, 409, 413),
        WebhookSecret,
        201,
        optional_body=True,
    ),
    Route("Remove a webhook", "remove_a_webhook", "DELETE", WEBHOOK_PATH, None, (*WRITE, 404), status=204),
    Route(
        "List the last deliveries of a webhook",
        "list_deliveries",
        "GET",
        f"{WEBHOOK_PATH}/deliveries",
        list[Delivery],
        (*READ, 404),
    ),
    Route(
        "Try a mapping",
        "try_a_mapping",
        "POST",
        f"{WEBHOOK_PATH}/try",
        list[TriedDelivery],
        (*WRITE, 404, 409, 413),
        MappingTrial,
        optional_body=True,
    ),
    Route(
        "Try a new mapping",
        "try_a_new_mapping",
        "POST",
        "/api/connectors/try",
        list[TriedDelivery],
        (*WRITE, 409, 413),
        NewMappingTrial,
    ),
)

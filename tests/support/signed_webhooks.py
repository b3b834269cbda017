"""Webhooks of connectors, and deliveries with a signature."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any
from urllib.parse import urlsplit

from flask.testing import FlaskClient
from werkzeug.test import TestResponse


def add_webhook(client: FlaskClient, type: str, **config: str) -> tuple[str, str]:
    """Add an enabled connector with a webhook and return the path and the secret."""
    new = {"name": "Listening", "type": type, "enabled": True, "config": {"token": "made-up", **config}}
    connector_id = client.post("/api/connectors", json=new).get_json()["id"]
    webhook = client.post(f"/api/connectors/{connector_id}/webhook").get_json()
    return urlsplit(webhook["url"]).path, webhook["secret"]


def deliver(client: FlaskClient, path: str, secret: str, event: str, payload: Any, delivery: str) -> TestResponse:
    """Send a signed delivery as GitHub does."""
    body = json.dumps(payload).encode()
    signature = "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-GitHub-Event": event, "X-GitHub-Delivery": delivery, "X-Hub-Signature-256": signature}
    return client.post(path, data=body, content_type="application/json", headers=headers)

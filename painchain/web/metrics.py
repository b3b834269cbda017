"""Serve metrics to Prometheus. They are off unless a token is set."""

from __future__ import annotations

import hmac

from flask import Blueprint, abort, request
from flask.typing import ResponseReturnValue
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from painchain.core import logs, runtime
from painchain.core.config import Settings
from painchain.web.common.responses import json_error

blueprint = Blueprint("metrics", __name__)


@blueprint.get("/metrics")
def scrape() -> ResponseReturnValue:
    """Return every series in Prometheus' text format."""
    settings: Settings = runtime.current().settings
    if not settings.metrics_token:
        abort(404, "Metrics are off. Set PAINCHAIN_METRICS_TOKEN or PAINCHAIN_METRICS_TOKEN_FILE to enable them.")
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    is_valid = hmac.compare_digest(token.strip().encode("utf-8", "replace"), settings.metrics_token.encode())
    if scheme.lower() != "bearer" or not is_valid:
        logs.security("metrics_refused", "Metrics requested without a valid token.")
        return json_error(401, "Send the metrics token.", headers={"WWW-Authenticate": "Bearer"})
    return generate_latest(runtime.current().metrics.registry), {"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}

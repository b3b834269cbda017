"""The door for Prometheus: closed unless a token is set, and open to that token alone."""

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
        abort(404, "Metrics are off. PAINCHAIN_METRICS_TOKEN or PAINCHAIN_METRICS_TOKEN_FILE switches them on.")
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    good = hmac.compare_digest(given.strip().encode("utf-8", "replace"), settings.metrics_token.encode())
    if scheme.lower() != "bearer" or not good:
        logs.security("metrics_refused", "Metrics were asked for without their token.")
        return json_error(401, "Send the token of the metrics.", headers={"WWW-Authenticate": "Bearer"})
    return generate_latest(runtime.current().metrics.registry), {"Content-Type": CONTENT_TYPE_PLAIN_0_0_4}

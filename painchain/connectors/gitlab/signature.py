"""Verify GitLab's webhooks: by secret token, or by signature with a signing token (Standard Webhooks)."""

from __future__ import annotations

import hmac
from datetime import datetime

from painchain.connectors import standard_webhooks
from painchain.connectors.contract import Delivery, InvalidSignature


def verify(delivery: Delivery, secret: str, now: datetime) -> None:
    """Verify that a delivery was sent with the secret, in constant time.

    GitLab sends a secret token as it is, in ``X-Gitlab-Token``. A signing token signs the delivery instead, in
    ``webhook-signature``. The secret can have been entered at GitLab as either. GitLab signs each retry again.

    :raises InvalidSignature: if both are missing or wrong.
    """
    token = delivery.headers.get("x-gitlab-token", "")
    has_token = bool(secret) and hmac.compare_digest(token.encode(), secret.encode())
    if not has_token and not standard_webhooks.is_signed(delivery, secret, now):
        raise InvalidSignature("X-Gitlab-Token and webhook-signature are missing or wrong.")

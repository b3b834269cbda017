"""Read the reason of a change: a field of every form, the header X-Reason in the API."""

from __future__ import annotations

from urllib.parse import unquote

from flask import g, request
from flask.typing import ResponseReturnValue

from painchain.core import reasons
from painchain.web.common import responses

HEADER, FIELD = "X-Reason", "reason"


def guard() -> ResponseReturnValue | None:
    """Read the reason of a change, and refuse a reason that is too long or unreadable."""
    if request.method in ("GET", "HEAD", "OPTIONS"):
        return None
    text = unquote(request.headers.get(HEADER, "")) if responses.wants_json() else request.form.get(FIELD, "")
    try:
        g.reason = reasons.normalize(text) if text else ""
    except reasons.ReasonTooLong as refusal:
        return responses.error(422, "Nothing was saved", str(refusal))
    return None

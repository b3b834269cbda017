"""How much of a request is read: a longer address, or more fields than any form of ours has, is refused in words."""

from __future__ import annotations

from flask import abort, request

MOST_PATH_BYTES = 4_096
MOST_QUERY_BYTES = 16_384
MOST_FIELDS = 1_000
FORM = "application/x-www-form-urlencoded"


def guard() -> None:
    """Refuse what is more than any page of ours sends, before it is taken apart."""
    query = request.query_string
    if len(request.path) > MOST_PATH_BYTES or len(query) > MOST_QUERY_BYTES or query.count(b"&") >= MOST_FIELDS:
        abort(414)
    # A webhook has bounds of its own, and one field at most.
    is_form = request.mimetype == FORM and request.endpoint != "hooks.deliver"
    if is_form and request.get_data(parse_form_data=False).count(b"&") >= MOST_FIELDS:
        abort(413)

"""Set and read the cookie of a browser that has signed in to an account before."""

from __future__ import annotations

from datetime import timedelta

from itsdangerous import BadData, URLSafeSerializer
from werkzeug.wrappers import Response

from painchain.core import runtime
from painchain.web.common import cookies

COOKIE, REMEMBERED = "painchain_known", timedelta(days=365)


def person_id() -> int | None:
    """Return the account that this browser signed in to before; None if there is none."""
    try:
        person_id = _signer().loads(cookies.read(COOKIE))
    except BadData:
        return None
    return person_id if isinstance(person_id, int) else None


def remember(response: Response, person_id: int) -> None:
    """Set the cookie: this browser has signed in to an account."""
    cookies.set_cookie(response, COOKIE, str(_signer().dumps(person_id)), int(REMEMBERED.total_seconds()))


def _signer() -> URLSafeSerializer:
    return URLSafeSerializer(runtime.current().keys.derive("known browsers"), salt="known browsers")

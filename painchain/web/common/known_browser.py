"""Set and read the cookie of a browser that has signed in to an account before."""

from __future__ import annotations

from datetime import timedelta

from itsdangerous import BadData, URLSafeSerializer
from werkzeug.wrappers import Response

from painchain.core import runtime
from painchain.web.common import cookies

COOKIE, REMEMBERED = "painchain_known", timedelta(days=365)


class BrowserSigner:
    """Signs the account ID in the cookie of a known browser."""

    def __init__(self, key: bytes):
        self._serializer = URLSafeSerializer(key, salt="known browsers")

    def sign(self, person_id: int) -> str:
        """Return the cookie text for an account."""
        return str(self._serializer.dumps(person_id))

    def person_id(self, text: str) -> int | None:
        """Return the account ID in a cookie text; None if the signature is not ours."""
        try:
            person_id = self._serializer.loads(text)
        except BadData:
            return None
        return person_id if isinstance(person_id, int) else None


def person_id() -> int | None:
    """Return the account that this browser signed in to before; None if there is none."""
    return runtime.current().browser_signer.person_id(cookies.read(COOKIE))


def remember(response: Response, person_id: int) -> None:
    """Set the cookie: this browser has signed in to an account."""
    text = runtime.current().browser_signer.sign(person_id)
    cookies.set_cookie(response, COOKIE, text, int(REMEMBERED.total_seconds()))

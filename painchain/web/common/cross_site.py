"""Refuse writes that another site's page sends, by the headers that browsers add and no page can set."""

from __future__ import annotations

from flask import request
from flask.typing import ResponseReturnValue

from painchain.core import logs, runtime
from painchain.web.common import cookies, responses
from painchain.web.common.permissions import SAFE_METHODS

SIGNED = "hooks.deliver"  # the signature replaces this check
MESSAGE = (
    "Nothing was changed: cross-site requests are not allowed. Use PainChain's own pages or a script. "
    "If you used its own page, set PAINCHAIN_PUBLIC_URL to the address that your browser shows."
)


def guard() -> ResponseReturnValue | None:
    """Refuse a form or an API request that a page of another site sends. A script sends none of the headers."""
    if request.method in SAFE_METHODS or request.endpoint in (None, SIGNED) or not is_cross_site():
        return None
    logs.security("origin_refused", "Cross-site write request blocked.")
    return responses.error(403, "This request is from another site", MESSAGE)


def is_cross_site() -> bool:
    """Return whether a page of another origin sent this request: another scheme, host or port.

    Behind a proxy that no setting names, the scheme of a page is unknown here. Then the browser's own comparison counts
    (Sec-Fetch-Site), and the host.
    """
    fetch_site, page = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if fetch_site not in (None, "same-origin", "none"):
        return True
    if page is None:
        return False
    schemes = ("http", "https") if fetch_site == "same-origin" else ("https" if cookies.is_https_request() else "http",)
    own_origins = [f"{scheme}://{request.host}" for scheme in schemes] + [runtime.current().settings.public_url]
    return not page or page not in own_origins

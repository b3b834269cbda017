"""Build responses: pages, fragments, redirects and errors."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import (
    Flask,
    current_app,
    flash,
    g,
    get_flashed_messages,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
)
from flask.typing import ResponseReturnValue
from markupsafe import Markup
from werkzeug.wrappers import Response

from painchain import __version__, connectors
from painchain.audit import trail as audit_trail
from painchain.indexes import search_query
from painchain.presentation import formatting
from painchain.web.common import cookies
from painchain.web.common.links import webhook_address

UTC_ZONE = ZoneInfo("UTC")
THEMES = ("light", "dark")


@dataclass(frozen=True)
class Toast:
    """A short message about what just happened. `tone` is good, info or bad."""

    text: str
    tone: str = "good"


def is_htmx() -> bool:
    """Return whether htmx requests a fragment (to restore its history it requests whole pages)."""
    environ = request.environ  # `headers` raises and catches an error of HTTP for each that is missing
    return "HTTP_HX_REQUEST" in environ and "HTTP_HX_HISTORY_RESTORE_REQUEST" not in environ


def zone() -> ZoneInfo:
    """Return the viewer's time zone from the browser's cookie; UTC without one."""
    return _zone(cookies.read_script_cookie("zone") or "UTC")


@lru_cache(64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC_ZONE


def opened() -> frozenset[str]:
    """Return the parts of the page that are loaded when they are opened, and are open while htmx asks."""
    return frozenset(request.headers.get("Painchain-Open", "").split()[:20])


def page(template: str, status: int = 200, **values: Any) -> Response:
    """Return a whole page. It reads `auditing` itself unless the view has read it."""
    theme = cookies.read_script_cookie("theme")
    html = render_template(
        template,
        auditing=values.pop("auditing", None) or audit_trail.auditing(),
        theme=theme if theme in THEMES else "",
        zone=zone(),
        now=g.now,
        **values,
    )
    return make_response(html, status)


def fragment(template: str, status: int = 200, **values: Any) -> str:
    """Return one partial as HTML."""
    return render_template(f"partials/{template}.html", zone=zone(), now=g.now, **values)


def go_to(address: str, *toasts: Toast) -> ResponseReturnValue:
    """Redirect the browser to `address`, where the messages are shown."""
    for toast in toasts:
        flash(toast.text, toast.tone)
    if is_htmx():
        return "", 204, {"HX-Redirect": address}
    return redirect(address, 303)


def flashed() -> list[Toast]:
    """Return the messages that the previous page left for this one."""
    if not cookies.read(current_app.config["SESSION_COOKIE_NAME"]):
        return []
    return [Toast(message[1], message[0]) for message in get_flashed_messages(with_categories=True)]


def install(app: Flask) -> None:
    """Give the templates their filters and globals."""
    formatting.install(app)
    app.jinja_env.globals.update(
        types=connectors.TYPES,
        builtin=connectors.BUILTIN,
        configurable_types=connectors.configurable_types,
        flashed=flashed,
        opened=opened,
        qualifiers=search_query.QUALIFIERS,
        webhook_address=webhook_address,
        version=__version__,
    )


def wants_json() -> bool:
    """Return whether the address belongs to the JSON API."""
    return request.path.startswith(("/api/", "/hooks/", "/health", "/openapi.json", "/metrics"))


def json_error(
    status: int,
    message: str,
    errors: list[dict[str, str]] | None = None,
    headers: dict[str, str] | None = None,
    **members: str,
) -> Response:
    """Return an error in the shape of all JSON errors: ``{success, message, errors: [{field, message}]}``."""
    response = jsonify(success=False, message=message, errors=errors or [], **members)
    response.status_code = status
    response.headers.extend(headers or {})
    return response


def error(status: int, title: str, message: str, sign_in: str = "", document: str = "") -> Response:
    """Return an error as JSON, as a fragment for the notice area or as a page, whichever was requested.

    The page links to the address `sign_in` or to a `document` that says what to do, if it is given.
    """
    if wants_json():
        return json_error(status, message)
    if is_htmx():
        html = fragment("shared/toast", toasts=[Toast(f"{title}. {message}", "bad")])
        return make_response(html, status, {"HX-Retarget": "#toast", "HX-Reswap": "outerHTML"})
    values = {"title": title, "message": message, "sign_in": sign_in, "document": document}
    try:
        return page("pages/shared/error.html", status, **values)
    except Exception:  # the error may lie in what every page shows
        current_app.log_exception(sys.exc_info())
        html = render_template("pages/shared/error.html", auditing=None, zone=UTC_ZONE, **values)
        return make_response(html, status)


def join(*parts: str) -> Markup:
    """Concatenate fragments."""
    return Markup("\n").join(Markup(part) for part in parts)  # noqa: S704  rendered by our own templates

"""Authenticate each request and check that its role allows the route (see `permissions`)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode, urlsplit
from wsgiref.types import WSGIEnvironment

from flask import g, make_response, request, url_for
from flask.typing import ResponseReturnValue
from sqlalchemy.engine import Connection
from werkzeug.http import parse_cookie

from painchain.accounts import sessions as login_sessions
from painchain.accounts import users
from painchain.accounts.sessions import Limits, SignInOrigin
from painchain.core import logs, runtime
from painchain.core.config import Settings
from painchain.core.roles import LOCAL, NOBODY, Actor
from painchain.database.session import autocommit_connection
from painchain.eventlog import writer
from painchain.web.common import access_log, cookies, known_browser, responses
from painchain.web.common.client_address import UNKNOWN
from painchain.web.common.permissions import (
    POLLED,
    SAFE_METHODS,
    WITHOUT_DATABASE,
    is_public,
    required_role,
)

COOKIE = "painchain_session"


def begin() -> None:
    """Note the time and the ID of this request; its actor is not known yet."""
    _begin()
    access_log.begin(g.request_id)
    set_actor(NOBODY)


def begin_without_request(address: str | None, method: str, path: str) -> None:
    """Do what `begin` does, for middleware that answers a request before Flask knows it."""
    _begin()
    access_log.set_context(g.request_id, address, method, path)


def _begin() -> None:
    values, now = g._get_current_object(), datetime.now(UTC)  # access through the proxy is slow
    values.now, values.request_id, values.reason = now, writer.new_request_id(now), ""


def guard() -> ResponseReturnValue | None:
    """Authenticate this request, and refuse it if the role of its actor does not allow the route."""
    endpoint = request.endpoint or ""
    if endpoint in WITHOUT_DATABASE:
        return None
    with autocommit_connection() as connection:  # a session would cost several times as much
        is_open_to_all = is_open(connection)
        actor = LOCAL if is_open_to_all else _authenticate(connection)
    if actor and not is_open_to_all and endpoint not in POLLED:
        login_sessions.record_use(actor, g.now)
    set_actor(actor or NOBODY)
    if is_open_to_all or is_public(endpoint):
        return None
    if actor is None:
        if not _is_open_again():
            return _ask_to_sign_in()
        set_actor(LOCAL)
        return None
    role = required_role(endpoint, request.method)
    return None if actor.may(role) else _forbidden(actor, role)


def can_read(settings: Settings, connection: Connection, environ: WSGIEnvironment) -> bool:
    """Return whether the sender of a request may read. It needs no request context."""
    if settings.is_loopback_only and not users.any_exist(connection):
        return True
    name = cookies.prefixed_name(COOKIE, cookies.is_https(environ, settings))
    secret = parse_cookie(environ.get("HTTP_COOKIE", "")).get(name, "")
    if not secret:
        return False
    return login_sessions.find_session_actor(secret, limits_of(settings), datetime.now(UTC), connection) is not None


def set_actor(actor: Actor) -> None:
    """Set the actor of this request."""
    g.who, g.actor = actor, actor.name
    if actor.name:
        logs.add_context(actor=actor.name)


def is_open(connection: Connection | None = None) -> bool:
    """Return whether every request may do everything: on loopback, before the first account.

    One admin always remains, so the result is cached once it is false. Only the restore of a backup without accounts
    can make it true again (`_is_open_again`).
    """
    closed = not may_be_open()
    if not closed and users.any_exist(connection):
        closed = runtime.current().sign_in_required = True
    return not closed


def may_be_open() -> bool:
    """Return whether `is_open` has to read the database."""
    return not runtime.current().sign_in_required and settings().is_loopback_only


def _is_open_again() -> bool:
    """Return whether the accounts were replaced with none, by the restore of a backup, while this server ran."""
    if not settings().is_loopback_only or users.any_exist():
        return False
    runtime.current().sign_in_required = False
    return True


def settings() -> Settings:
    """Return the settings of this server."""
    return runtime.current().settings


def limits() -> Limits:
    """Return the limits of a session: how long it may be idle, and how long it lasts."""
    return limits_of(settings())


def limits_of(settings: Settings) -> Limits:
    """Return the limits of a session under these settings."""
    return Limits(timedelta(minutes=settings.session_idle_minutes), timedelta(days=settings.session_days))


def sign_in_origin() -> SignInOrigin:
    """Return the address and browser of this request, and the account that the browser is known for."""
    return SignInOrigin(request.remote_addr or UNKNOWN, request.user_agent.string, known_browser.person_id())


def next_address(text: str) -> str:
    """Return a path on this server to continue to; "/" for any other address.

    >>> next_address("/?q=a"), next_address("https://elsewhere.example/"), next_address("//elsewhere.example")
    ('/?q=a', '/', '/')
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        return "/"
    is_local = text.startswith("/") and text[1:2] not in ("/", "\\") and not parts.scheme and not parts.netloc
    return text if is_local and text.isprintable() else "/"


def not_set_up() -> ResponseReturnValue:
    """Return the response that the first account is missing."""
    message = "There are no accounts yet. Open the setup link that PainChain printed when it started."
    return responses.error(403, "Not set up yet", message)


def signed_out_reason() -> str:
    """Return why a session of this browser ended; an empty text for a browser that had none."""
    if not cookies.read(COOKIE):
        return ""
    person_id = known_browser.person_id()
    person = users.get(person_id) if person_id else None
    if person_id and person is None:
        return "Your account was removed. Your events stay on the timeline."
    if person and person.disabled_at:
        return "Your account is disabled. Ask an admin to enable it."
    return "Your session has expired or was ended, or your role or password changed."


def find_token_actor(authorization: str, connection: Connection) -> Actor | None:
    """Return the actor of the token in an Authorization header, or None."""
    is_token = authorization[:7].lower() == "bearer "
    return login_sessions.find_token_actor(authorization[7:].strip(), g.now, connection) if is_token else None


def _authenticate(connection: Connection) -> Actor | None:
    header = request.environ.get("HTTP_AUTHORIZATION", "")  # `headers` raises and catches an error if it is missing
    if header[:7].lower() == "bearer ":
        return find_token_actor(header, connection)
    cookie = cookies.read(COOKIE)
    return login_sessions.find_session_actor(cookie, limits(), g.now, connection) if cookie else None


def _ask_to_sign_in() -> ResponseReturnValue:
    """Redirect to the sign-in page, which leads back to this address; 401 for the API and for forms."""
    if request.headers.get("Authorization"):
        logs.security("token_refused", "Request with an invalid token.")
    if responses.wants_json():
        message = "Sign in, or send a valid token: Authorization: Bearer pct_…"
        return responses.json_error(401, message, headers={"WWW-Authenticate": "Bearer"})
    if not users.any_exist():
        return not_set_up()
    if request.method not in SAFE_METHODS:  # a redirect would lose what was entered in the form
        message = f"Nothing was saved. {signed_out_reason() or 'Sign in first.'}"
        return responses.error(401, "You are not signed in", message, url_for("sign_in.form"))
    destination = request.full_path.rstrip("?")
    if responses.is_htmx():
        current_page = urlsplit(request.headers.get("HX-Current-URL", ""))
        destination = current_page.path + (f"?{current_page.query}" if current_page.query else "")
    query = f"?{urlencode({'next': destination})}" if destination not in ("", "/") else ""
    address = url_for("sign_in.form") + query
    if responses.is_htmx():
        return make_response("", 401, {"HX-Redirect": address})
    return "", 303, {"Location": address}


def _forbidden(actor: Actor, role: str) -> ResponseReturnValue:
    logs.security("role_refused", f"Permission denied: requires {role}.", role=actor.role)
    return responses.error(
        403,
        "You don't have permission",
        f"Nothing was changed. Your role is {actor.role}; this requires the {role} role. "
        "An admin can change your role.",
    )

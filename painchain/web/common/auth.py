"""The guard of every request: who is it, and may they? What a request needs is in one table."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode, urlsplit
from wsgiref.types import WSGIEnvironment

from flask import g, make_response, request, url_for
from flask.typing import ResponseReturnValue
from itsdangerous import BadData, URLSafeSerializer
from sqlalchemy.engine import Connection
from werkzeug.http import parse_cookie

from painchain.accounts import sessions as login_sessions
from painchain.accounts import users
from painchain.accounts.sessions import Limits, SignInOrigin
from painchain.core import logs, runtime
from painchain.core.config import Settings
from painchain.core.roles import ADMIN, EDITOR, LOCAL, NOBODY, VIEWER, Actor
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.web.common import access_log, cookies, responses

COOKIE, KNOWN_COOKIE = "painchain_session", "painchain_known"
SAFE = ("GET", "HEAD", "OPTIONS")

# What anybody may ask for: to sign in, to see that the server is there, and what proves itself by a signature.
PUBLIC = frozenset(("static", "api.health", "hooks.deliver", "metrics.scrape"))
# What needs no look at the accounts, and goes on while the database does not answer.
WITHOUT_DATABASE = frozenset(("static", "metrics.scrape"))
# Blueprints that are for those who are not signed in yet.
DOORS = frozenset(("sign_in", "oidc"))
# What needs another role than reading (viewer) or writing (editor).
NEEDS: dict[str, str] = {
    **dict.fromkeys(("exports.download", "exports_api.exported", "report.table"), VIEWER),
    "audit_log.compare": VIEWER,
    **dict.fromkeys(("audit_log.check", "audit_log.make", "integrity_api.make"), ADMIN),
    **dict.fromkeys(("account.set_password", "account.end", "account.end_all"), VIEWER),  # everybody's own
    # Pages that lead to a change and nowhere else.
    **dict.fromkeys(("settings.choose", "settings.new", "settings.confirm_disable", "settings.confirm_delete"), EDITOR),
    **dict.fromkeys(("webhooks.confirm", "teams.new", "teams.confirm_delete", "history.preview"), EDITOR),
}
# Blueprints that are an admin's altogether.
ADMINS = frozenset(("people", "people_api", "tokens", "tokens_api", "retention", "notify", "notify_api"))
# What open pages ask for by themselves: it keeps no session in use.
POLLED = frozenset(("news.news", "health.watch", "retention.progress", "audit_log.progress"))


def needed(endpoint: str, method: str) -> str:
    """Return the role that a route needs."""
    if endpoint in NEEDS:
        return NEEDS[endpoint]
    if endpoint.partition(".")[0] in ADMINS:
        return ADMIN
    return VIEWER if method in SAFE else EDITOR


def begin() -> None:
    """Say when a request is made, and under which id it goes on the record; who makes it is not known yet."""
    g.now = datetime.now(UTC)
    g.request_id = writer.new_request_id(g.now)
    g.reason = ""
    access_log.begin(g.request_id)
    set_actor(NOBODY)


def guard() -> ResponseReturnValue | None:
    """Find out who makes this request, and stop whoever may not."""
    endpoint = request.endpoint or ""
    if endpoint in WITHOUT_DATABASE:
        return None
    with db.engine.connect() as connection:  # a session would cost several times as much
        open_to_all = is_open(connection)
        actor = LOCAL if open_to_all else _recognised(connection)
    if actor and not open_to_all and endpoint not in POLLED:
        login_sessions.used(actor, g.now)
    set_actor(actor or NOBODY)
    if open_to_all or endpoint in PUBLIC or endpoint.partition(".")[0] in DOORS:
        return None
    if actor is None:
        return _sign_in_first()
    role = needed(endpoint, request.method)
    return None if actor.may(role) else _forbidden(actor, role)


def can_read(own: Settings, connection: Connection, environ: WSGIEnvironment) -> bool:
    """Say whether whoever asks may read: for the answer that is given before the app is asked."""
    if own.only_here and not users.any_exist(connection):
        return True
    name = cookies.bound(COOKIE, cookies.came_by_https(environ, own))
    secret = parse_cookie(environ.get("HTTP_COOKIE", "")).get(name, "")
    return bool(secret) and login_sessions.signed_in(secret, limits_of(own), datetime.now(UTC), connection) is not None


def set_actor(actor: Actor) -> None:
    """Let this one be who acts in this request."""
    g.who, g.actor = actor, actor.name
    if actor.name:
        logs.note(actor=actor.name)


def is_open(connection: Connection | None = None) -> bool:
    """Say whether everybody who reaches the server may do everything: on loopback, before the first account.

    Somebody always stays an admin, so that what is closed once is not asked about again.
    """
    closed = runtime.current().sign_in_required or not settings().only_here
    if not closed and users.any_exist(connection):
        closed = runtime.current().sign_in_required = True
    return not closed


def settings() -> Settings:
    """Return the settings of this server."""
    found: Settings = runtime.current().settings
    return found


def limits() -> Limits:
    """Return after how long a session ends."""
    return limits_of(settings())


def limits_of(own: Settings) -> Limits:
    """Return after how long a session ends by these settings."""
    return Limits(timedelta(minutes=own.session_idle_minutes), timedelta(days=own.session_days))


def place() -> SignInOrigin:
    """Return where this request comes from."""
    return SignInOrigin(request.remote_addr or "unknown", request.user_agent.string, known_for_browser())


def known_for_browser() -> int | None:
    """Return the account that has signed in with this browser before, if one has."""
    return signer().number(cookies.read(KNOWN_COOKIE))


class BrowserSigner:
    """Signs the cookie by which a browser is known again as one that has signed in to an account."""

    def __init__(self, key: bytes):
        self._signer = URLSafeSerializer(key, salt="known browsers")

    def signed(self, number: int) -> str:
        """Return the text of a cookie for the account of this number."""
        return str(self._signer.dumps(number))

    def number(self, text: str) -> int | None:
        """Return the number of the account that a cookie names; None if it is not ours."""
        try:
            found = self._signer.loads(text)
        except BadData:
            return None
        return found if isinstance(found, int) else None


def signer() -> BrowserSigner:
    """Return what signs those cookies."""
    found: BrowserSigner = runtime.current().browser_signer
    return found


def next_address(text: str) -> str:
    """Return an address of ours to go on to; "/" for any other.

    >>> next_address("/?q=a"), next_address("https://elsewhere.example/"), next_address("//elsewhere.example")
    ('/?q=a', '/', '/')
    """
    try:
        parts = urlsplit(text)
    except ValueError:
        return "/"
    ours = text.startswith("/") and text[1:2] not in ("/", "\\") and not parts.scheme and not parts.netloc
    return text if ours and text.isprintable() else "/"


def not_set_up() -> ResponseReturnValue:
    """Say what comes before everything else where nobody can sign in yet."""
    message = "There is no account yet. Open the link that PainChain printed when it started."
    return responses.error(403, "Not set up yet", message)


def signed_out_reason() -> str:
    """Say why somebody who was signed in with this browser is not any more; nothing to anybody else."""
    if not cookies.read(COOKIE):
        return ""
    number = known_for_browser()
    person = users.get(number) if number else None
    if number and person is None:
        return "Your account was removed. What you changed stays on the timeline."
    if person and person.disabled_at:
        return "Your account is disabled. An admin can enable it again."
    return "You are not signed in any more: the session has ended, or your role or your password was changed."


def _recognised(connection: Connection) -> Actor | None:
    header = request.headers.get("Authorization", "")
    if header[:7].lower() == "bearer ":
        return login_sessions.by_token(header[7:].strip(), g.now, connection)
    cookie = cookies.read(COOKIE)
    return login_sessions.signed_in(cookie, limits(), g.now, connection) if cookie else None


def _sign_in_first() -> ResponseReturnValue:
    """Lead to the sign-in page, and from there to where the person wanted to go."""
    if request.headers.get("Authorization"):
        logs.security("token_refused", "A request came with a token that is not valid.")
    if responses.wants_json():
        headers = {"WWW-Authenticate": "Bearer"}
        return responses.json_error(401, "Sign in, or send a valid token: Authorization: Bearer pct_…", headers=headers)
    if not users.any_exist():
        return not_set_up()
    if request.method not in SAFE:  # whoever is led away from a form loses what is in it
        return responses.error(
            401, "You are not signed in", f"Nothing was saved. {signed_out_reason() or 'Sign in first.'}"
        )
    wanted = request.full_path.rstrip("?")
    if responses.is_htmx():
        shown = urlsplit(request.headers.get("HX-Current-URL", ""))
        wanted = shown.path + (f"?{shown.query}" if shown.query else "")
    address = url_for("sign_in.form") + (f"?{urlencode({'next': wanted})}" if wanted not in ("", "/") else "")
    if responses.is_htmx():
        return make_response("", 401, {"HX-Redirect": address})
    return "", 303, {"Location": address}


def _forbidden(actor: Actor, role: str) -> ResponseReturnValue:
    logs.security("role_refused", f"Refused to a role: this needs {role}.", role=actor.role)
    return responses.error(
        403,
        "This is not for your role",
        f"Nothing was changed. {actor.name} is {actor.role}; this needs {role}. An admin can change that.",
    )

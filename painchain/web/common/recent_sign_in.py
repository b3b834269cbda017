"""Require a recent sign-in for changes of who has access, and keep what was entered until then."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

from flask import after_this_request, current_app, g, request, url_for
from flask.typing import ResponseReturnValue
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from painchain.core import logs, runtime
from painchain.core.redaction import holds_credentials
from painchain.core.roles import Actor
from painchain.web.common import cookies, responses
from painchain.web.common.permissions import SAFE_METHODS, needs_recent_sign_in

RECENT = timedelta(hours=1)
COOKIE, KEPT_SECONDS = "painchain_form", 900
KEPT_FIELDS = ("name", "role", "email", "days", "reason")  # a password is never kept
MAX_KEPT_LENGTH = 3_000  # browsers keep no larger cookies than 4,096 bytes


def guard() -> ResponseReturnValue | None:
    """Ask a session to sign in again before it changes who has access.

    It runs after the guards against other sites, so that they cannot have a form of theirs kept.
    """
    if not needs_recent_sign_in(request.endpoint or ""):
        return None
    if has_signed_in_recently(g.who):
        _restore()
        return None
    logs.security("recent_sign_in_required", "Refused: it needs a sign-in within the last hour.")
    if responses.wants_json():
        return responses.json_error(403, f"Nothing was changed. {reason()} Or use an API token.")
    page = request.path if _has_page(request.path) else request.path.rpartition("/")[0]
    address = request.full_path.rstrip("?") if request.method in SAFE_METHODS else page
    address = f"{url_for('sign_in.form')}?{urlencode({'again': 1, 'next': address})}"
    if request.method in SAFE_METHODS:
        return "", 303, {"Location": address}
    return _refuse(page, address)


def has_signed_in_recently(actor: Actor) -> bool:
    """Return whether a session began with a recent sign-in, however the clock was set since. A token is no session."""
    if actor.began is None:
        return True
    return not actor.is_remembered and abs(g.now - actor.began) <= RECENT


def reason() -> str:
    """Return why the person must sign in again."""
    if g.who.is_remembered:
        provider = runtime.current().settings.oidc_name
        why = f"{provider} remembered you, and did not ask you to sign in there."
    else:
        why = "your sign-in was more than an hour ago."
    return f"To change who has access, sign in again: {why}"


def kept_values() -> dict[str, str]:
    """Return what the person entered in the form of this page before they had to sign in again."""
    return dict(g.get("kept_values", {}))


def _restore() -> None:
    """Read what was entered in the form of this page, once."""
    text = cookies.read(COOKIE)
    if not text or request.method != "GET":
        return
    try:
        person_id, page, values = _signer().loads(text, max_age=KEPT_SECONDS)
    except (BadData, ValueError, TypeError):
        person_id, page, values = None, request.path, {}
    if page == request.path:
        after_this_request(_forget)
        if person_id == g.who.person_id:
            g.kept_values, g.reason = values, values.get("reason", "")


def _refuse(page: str, sign_in_address: str) -> Response:
    """Refuse a change, and store what was entered in the browser."""
    entered = {name: request.form[name] for name in KEPT_FIELDS if request.form.get(name)}
    values = {name: value for name, value in entered.items() if not holds_credentials(value)}
    if page == request.path and "version" in request.form:
        values["version"] = request.form["version"]
    text = str(_signer().dumps([g.who.person_id, page, values]))
    is_kept = len(text) <= MAX_KEPT_LENGTH
    title, message = "Sign in again", f"Nothing was changed. {reason()}"
    if is_kept and entered:
        message += " What you entered is kept, except passwords: you return to the form."
    response = responses.error(403, title, message, sign_in_address)
    if is_kept:
        cookies.set_cookie(response, COOKIE, text, KEPT_SECONDS)
    return response


def _has_page(path: str) -> bool:
    """Return whether an address has a page, not only actions."""
    adapter = current_app.create_url_adapter(request)
    try:
        return adapter is not None and bool(adapter.match(path, method="GET"))
    except HTTPException:
        return False


def _forget(response: Response) -> Response:
    cookies.delete_cookie(response, COOKIE)
    return response


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.secret_key or "", salt="a form kept for a sign-in")

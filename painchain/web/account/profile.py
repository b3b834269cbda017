"""The signed-in person's own account: active sessions, sign-out, password change and linked identity."""

from __future__ import annotations

from flask import Blueprint, abort, flash, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from painchain.accounts import login_throttle, oidc_provisioning, users
from painchain.accounts import sessions as login_sessions
from painchain.accounts.login_throttle import TooManyAttempts
from painchain.accounts.users import AccountRefused, InvalidAccount
from painchain.core import runtime
from painchain.database.models import Person
from painchain.web.common import auth, cookies, responses
from painchain.web.common.auth import COOKIE
from painchain.web.common.responses import Toast
from painchain.web.common.transaction import audited_transaction

blueprint = Blueprint("account", __name__, url_prefix="/account")


@blueprint.get("")
def index() -> ResponseReturnValue:
    """Show the signed-in person's account."""
    return _page(200)


@blueprint.post("/password")
def set_password() -> ResponseReturnValue:
    """Change the password, after checking the current one."""
    name = _own().name
    if request.form.get("password") != request.form.get("again"):
        return _page(422, {"again": "The passwords do not match."})
    try:
        with audited_transaction() as trail:
            attempts = login_throttle.register_attempt(name, auth.sign_in_origin(), trail.now)
    except TooManyAttempts as refusal:
        return _page(429, problem=str(refusal))
    _, failure = login_sessions.verify_credentials(name, request.form.get("old", ""))
    try:
        with audited_transaction() as trail:
            person = _own()
            if failure:
                login_sessions.record_failure(person, auth.sign_in_origin(), f"{failure} in a password change", trail)
            else:
                login_throttle.clear_attempts(attempts)
                users.set_password(person, request.form.get("password", ""), trail, except_session=g.who.sign_in)
    except InvalidAccount as wrong:
        return _page(422, wrong.errors)
    if failure:
        return _page(422, {"old": "Wrong password."})
    return responses.go_to(url_for(".index"), Toast("Password changed. Your other sessions have ended."))


@blueprint.post("/sign-ins/<number>/end")
def end(number: str) -> ResponseReturnValue:
    """End one session."""
    with audited_transaction() as trail:
        ended = login_sessions.end_session(_own(), number, trail)
    if ended and number == g.who.sign_in:
        return _out("You have been signed out.")
    toast = Toast("Session ended.") if ended else Toast("The session had already ended.", "info")
    return responses.go_to(url_for(".index"), toast)


@blueprint.post("/sign-ins/end")
def end_all() -> ResponseReturnValue:
    """End all sessions, including this one."""
    with audited_transaction() as trail:
        login_sessions.end_all(_own(), trail)
    return _out("You have been signed out of all sessions.")


@blueprint.get("/unlink")
def confirm_unlink() -> ResponseReturnValue:
    """Say what changes when the identity is unlinked, and ask for confirmation."""
    person = _own()
    try:
        oidc_provisioning.refuse_unlinking(person, is_own=True, has_provider=runtime.current().oidc is not None)
    except AccountRefused as refusal:
        return responses.error(409, "Not unlinked", str(refusal))
    return responses.page("pages/account/unlink.html", person=person)


@blueprint.post("/unlink")
def unlink() -> ResponseReturnValue:
    """Unlink the person's account from its identity at the provider."""
    try:
        with audited_transaction() as trail:
            person = _own()
            oidc_provisioning.refuse_unlinking(person, is_own=True, has_provider=runtime.current().oidc is not None)
            oidc_provisioning.unlink(person, trail, None, g.who.sign_in)
    except AccountRefused as refusal:
        return responses.error(409, "Not unlinked", str(refusal))
    return responses.go_to(url_for(".index"), Toast("Unlinked. Sign in with your password from now on."))


def _out(message: str) -> Response:
    session.clear()
    flash(message, "good")
    answer = redirect(url_for("sign_in.form"), 303)
    cookies.delete_cookie(answer, COOKIE)
    return answer


def _own() -> Person:
    """Return the account of this browser's session, or answer 409 (a token has no session)."""
    person = users.get(g.who.person_id) if g.who.sign_in and g.who.person_id else None
    if person is None:
        abort(409, "You are not signed in.")
    return person


def _page(status: int, errors: dict[str, str] | None = None, problem: str = "") -> Response:
    person = users.get(g.who.person_id) if g.who.sign_in and g.who.person_id else None
    sign_ins = login_sessions.list_active(person.id, auth.limits(), g.now) if person else ()
    values = {"person": person, "sign_ins": sign_ins, "errors": errors or {}, "problem": problem}
    return responses.page("pages/account/account.html", status, **values)

"""Sign in, sign out, and one-time links: create the first account, set a new password."""

from __future__ import annotations

from flask import Blueprint, abort, flash, g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue
from werkzeug.wrappers import Response

from painchain.accounts import login_throttle, password_links, users
from painchain.accounts import sessions as login_sessions
from painchain.accounts.login_throttle import TooManyAttempts
from painchain.accounts.users import InvalidAccount
from painchain.audit import trail as audit_trail
from painchain.core import logs
from painchain.core.roles import ADMIN, Actor
from painchain.database.models import OneTimeLink, Person
from painchain.web.common import auth, cookies, known_browser, recent_sign_in, responses
from painchain.web.common.auth import COOKIE
from painchain.web.common.transaction import audited_transaction

blueprint = Blueprint("sign_in", __name__)

WRONG = "Wrong name or password, or the account is disabled."
USED = (
    "This link has been used or replaced, or has expired. "
    "Ask an admin for a new one, or run painchain user reset on the server."
)


@blueprint.get("/sign-in")
def form() -> ResponseReturnValue:
    """Show the sign-in form, or redirect a person who is already signed in and need not sign in again."""
    next_address = auth.next_address(request.args.get("next", "/"))
    is_again = bool(g.who.sign_in and request.args.get("again"))
    if auth.is_open() or (g.who.role and not is_again):
        return redirect(next_address, 303)
    if is_again:
        return _form(200, next_address, g.who.name, recent_sign_in.reason())
    if not users.any_exist():
        return auth.not_set_up()
    return _form(200, next_address, problem=auth.signed_out_reason())


@blueprint.post("/sign-in")
def send() -> ResponseReturnValue:
    """Sign in with a name and a password."""
    next_address = auth.next_address(request.form.get("next", "/"))
    name, password = request.form.get("name", ""), request.form.get("password", "")
    if auth.is_open():
        return redirect(next_address, 303)
    if not users.any_exist():
        return auth.not_set_up()
    try:
        with audited_transaction() as trail:
            counted = login_throttle.register_attempt(name[:1000], auth.sign_in_origin(), trail.now)
    except TooManyAttempts as refusal:
        return _form(429, next_address, name, str(refusal))
    number, wrong = login_sessions.verify_credentials(name[:1000], password)
    with audited_transaction() as trail:
        trail.author = audit_trail.SYSTEM  # a failed sign-in does not prove who tried it
        person = users.get(number) if number else None
        if wrong or person is None:
            login_sessions.record_failure(person, auth.sign_in_origin(), wrong, trail)
            return _form(422, next_address, name, WRONG)
        login_throttle.clear_attempts(counted)
        secret = begin(person, "password", by(person.name, trail))
    return signed_in(person, secret, next_address)


@blueprint.post("/sign-out")
def leave() -> ResponseReturnValue:
    """Sign out of this browser."""
    if g.who.sign_in:
        with audited_transaction() as trail:
            login_sessions.end(g.who, trail)
    session.clear()
    flash("You have been signed out.", "good")
    answer = redirect(url_for(".form"), 303)
    cookies.delete_cookie(answer, COOKIE)
    return answer


@blueprint.get("/link/<secret>")
def link(secret: str) -> ResponseReturnValue:
    """Show the form of a one-time link."""
    one_time_link = _link_or_gone(secret)
    return _link_form(200, secret, one_time_link)


@blueprint.post("/link/<secret>")
def use_link(secret: str) -> ResponseReturnValue:
    """Create the first account or set a new password, then sign in."""
    person: Person | None
    try:
        with audited_transaction() as trail:
            one_time_link = _link_or_gone(secret)
            if request.form.get("password") != request.form.get("again"):
                raise InvalidAccount({"again": "The passwords do not match."})
            person = _use(one_time_link, trail)
            secret_of_cookie = begin(person, "link", by(person.name, trail))
    except InvalidAccount as wrong:
        return _link_form(422, secret, _link_or_gone(secret), wrong.errors)
    return signed_in(person, secret_of_cookie, "/")


def by(name: str, trail: audit_trail.Trail) -> audit_trail.Trail:
    """Set the trail's author to the account with that name, or to the system if there is none, and return the trail."""
    person = users.find_by_name(name)
    trail.author, trail.cause = (person.name, "") if person else (audit_trail.SYSTEM, "sign-in page")
    return trail


def begin(person: Person, way: str, trail: audit_trail.Trail, is_remembered: bool = False) -> str:
    """Start a session, replacing this browser's current one; return the secret for its cookie."""
    if g.who.sign_in:
        login_sessions.end(g.who, trail)
    return login_sessions.start(person, way, auth.sign_in_origin(), trail, is_remembered)


def signed_in(person: Person, secret: str, next_address: str) -> Response:
    """Set the session cookies and redirect to `next_address`."""
    session.clear()  # invalidates CSRF tokens issued before the sign-in
    auth.set_actor(Actor(person.name, person.role, person.id))
    answer = redirect(next_address, 303)
    cookies.set_cookie(answer, COOKIE, secret, int(auth.limits().absolute.total_seconds()))
    known_browser.remember(answer, person.id)
    return answer


def _form(status: int, next_address: str, name: str = "", problem: str = "") -> Response:
    return responses.page("pages/account/sign_in.html", status, next_address=next_address, name=name, problem=problem)


def _link_form(status: int, secret: str, one_time_link: OneTimeLink, errors: dict[str, str] | None = None) -> Response:
    person = users.get(one_time_link.person_id) if one_time_link.person_id else None
    name = request.form.get("name", "")
    return responses.page(
        "pages/account/link.html", status, secret=secret, person=person, name=name, errors=errors or {}
    )


def _link_or_gone(secret: str) -> OneTimeLink:
    one_time_link = password_links.find_link(secret, g.now)
    if one_time_link is None or (one_time_link.person_id is None and users.any_exist()):
        logs.security("link_refused", "Invalid one-time link requested.")
        abort(410, USED)
    return one_time_link


def _use(one_time_link: OneTimeLink, trail: audit_trail.Trail) -> Person:
    password = request.form.get("password", "")
    if one_time_link.person_id is None:
        trail.author, trail.cause = audit_trail.SYSTEM, "setup link"
        person = users.add(request.form.get("name", ""), ADMIN, trail, password=password)
        password_links.use_up(one_time_link)
        return person
    owner = users.get(one_time_link.person_id)
    assert owner is not None  # noqa: S101  links are deleted with their account
    trail.author = owner.name
    users.set_password(owner, password, trail)
    return owner

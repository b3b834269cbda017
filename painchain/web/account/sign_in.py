"""Sign in and out, and the links that work once: the first account, a new password."""

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
from painchain.database.account_models import OneTimeLink, Person
from painchain.web.common import auth, cookies, known_browser, responses
from painchain.web.common.auth import COOKIE
from painchain.web.common.transaction import audited_transaction

blueprint = Blueprint("sign_in", __name__)

WRONG = "Name and password do not belong together, or the account is disabled."
USED = "This link does not work any more: it was used, replaced or has expired. painchain user reset makes a new one."


@blueprint.get("/sign-in")
def form() -> ResponseReturnValue:
    """Show the form to sign in; whoever is signed in goes on."""
    wanted = auth.next_address(request.args.get("next", "/"))
    if auth.is_open() or g.who.role:
        return redirect(wanted, 303)
    if not users.any_exist():
        return auth.not_set_up()
    return _form(200, wanted, problem=auth.signed_out_reason())


@blueprint.post("/sign-in")
def send() -> ResponseReturnValue:
    """Sign in with a name and a password."""
    wanted = auth.next_address(request.form.get("next", "/"))
    name, password = request.form.get("name", ""), request.form.get("password", "")
    if auth.is_open():
        return redirect(wanted, 303)
    if not users.any_exist():
        return auth.not_set_up()
    try:
        with audited_transaction() as trail:
            counted = login_throttle.register_attempt(name[:1000], auth.sign_in_origin(), trail.now)
    except TooManyAttempts as refusal:
        return _form(429, wanted, name, str(refusal))
    number, wrong = login_sessions.verify_credentials(name[:1000], password)
    with audited_transaction() as trail:
        trail.author = audit_trail.SYSTEM  # whoever fails to sign in as somebody is not that one
        person = users.get(number) if number else None
        if wrong or person is None:
            login_sessions.record_failure(person, auth.sign_in_origin(), wrong, trail)
            return _form(422, wanted, name, WRONG)
        login_throttle.clear_attempts(counted)
        secret = begin(person, "password", by(person.name, trail))
    return signed_in(person, secret, wanted)


@blueprint.post("/sign-out")
def leave() -> ResponseReturnValue:
    """Sign out of this browser."""
    if g.who.sign_in:
        with audited_transaction() as trail:
            login_sessions.end(g.who, trail)
    session.clear()
    flash("You are signed out.", "good")
    answer = redirect(url_for(".form"), 303)
    cookies.drop(answer, COOKIE)
    return answer


@blueprint.get("/link/<secret>")
def link(secret: str) -> ResponseReturnValue:
    """Show the form behind a link that works once."""
    found = _link_or_gone(secret)
    return _link_form(200, secret, found)


@blueprint.post("/link/<secret>")
def use_link(secret: str) -> ResponseReturnValue:
    """Make the first account, or set a new password, and sign in."""
    person: Person | None
    try:
        with audited_transaction() as trail:
            found = _link_or_gone(secret)
            if request.form.get("password") != request.form.get("again"):
                raise InvalidAccount({"again": "The two passwords are not the same."})
            person = _use(found, trail)
            secret_of_cookie = begin(person, "link", by(person.name, trail))
    except InvalidAccount as wrong:
        return _link_form(422, secret, _link_or_gone(secret), wrong.errors)
    return signed_in(person, secret_of_cookie, "/")


def by(name: str, trail: audit_trail.Trail) -> audit_trail.Trail:
    """Return the trail with the author that a sign-in has: the account of that name, or PainChain itself."""
    person = users.find_by_name(name)
    trail.author, trail.cause = (person.name, "") if person else (audit_trail.SYSTEM, "sign-in page")
    return trail


def begin(person: Person, way: str, trail: audit_trail.Trail) -> str:
    """Begin a session in place of the one that this browser has, if it has one; return what its cookie is to hold."""
    if g.who.sign_in:
        login_sessions.end(g.who, trail)
    return login_sessions.start(person, way, auth.sign_in_origin(), trail)


def signed_in(person: Person, secret: str, wanted: str) -> Response:
    """Answer somebody who has just signed in: with the cookies, and on to where they wanted to go."""
    session.clear()  # the form's token of before is worth nothing from here on
    auth.set_actor(Actor(person.name, person.role, person.id))
    answer = redirect(wanted, 303)
    cookies.keep(answer, COOKIE, secret, int(auth.limits().absolute.total_seconds()))
    known_browser.remember(answer, person.id)
    return answer


def _form(status: int, wanted: str, name: str = "", problem: str = "") -> Response:
    return responses.page("pages/account/sign_in.html", status, wanted=wanted, name=name, problem=problem)


def _link_form(status: int, secret: str, found: OneTimeLink, errors: dict[str, str] | None = None) -> Response:
    person = users.get(found.person_id) if found.person_id else None
    given = request.form.get("name", "")
    return responses.page(
        "pages/account/link.html", status, secret=secret, person=person, name=given, errors=errors or {}
    )


def _link_or_gone(secret: str) -> OneTimeLink:
    found = password_links.find_link(secret, g.now)
    if found is None or (found.person_id is None and users.any_exist()):
        logs.security("link_refused", "A one-time link was asked for that does not work.")
        abort(410, USED)
    return found


def _use(found: OneTimeLink, trail: audit_trail.Trail) -> Person:
    password = request.form.get("password", "")
    if found.person_id is None:
        trail.author, trail.cause = audit_trail.SYSTEM, "setup link"
        person = users.add(request.form.get("name", ""), ADMIN, trail, password=password)
        password_links.use_up(found)
        return person
    owner = users.get(found.person_id)
    assert owner is not None  # noqa: S101  its links go with it
    trail.author = owner.name
    users.set_password(owner, password, trail)
    return owner

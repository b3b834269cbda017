"""Sign in through the OpenID Connect provider: redirect to it and handle its callback."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from flask import Blueprint, abort, current_app, g, redirect, request
from flask.typing import ResponseReturnValue
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.wrappers import Response

from painchain.accounts import login_throttle, oidc_provisioning, users
from painchain.accounts import sessions as login_sessions
from painchain.accounts.login_throttle import TooManyAttempts
from painchain.accounts.oidc import CALLBACK, OidcSignInFailed, PendingSignIn, Provider
from painchain.accounts.oidc_provisioning import Refusal, Rules
from painchain.audit import trail as audit_trail
from painchain.core import runtime
from painchain.database.models import Person
from painchain.web.account import sign_in
from painchain.web.common import auth, cookies, responses
from painchain.web.common.transaction import audited_transaction

blueprint = Blueprint("oidc", __name__)

AWAY_COOKIE, AWAY_SECONDS = "painchain_away", 600
MOST_WANTED = 2_000  # longer addresses would exceed the cookie size that browsers keep
WAY = "oidc"


@dataclass(frozen=True)
class Away:
    """A sign-in in progress at the provider, and the address to return to."""

    started: PendingSignIn
    wanted: str


@blueprint.get("/sign-in/oidc")
def begin() -> ResponseReturnValue:
    """Redirect to the provider. A link leads here, because the security policy forbids forms to other sites."""
    provider = _provider_or_404()
    wanted = auth.next_address(request.args.get("next", "/"))
    if auth.is_open() or g.who.role:
        return redirect(wanted, 303)
    if not users.any_exist():
        message = "There are no accounts yet. Open the setup link that PainChain printed when it started."
        return responses.error(403, "Not set up yet", message)
    try:
        address, started = provider.begin()
    except OidcSignInFailed as failure:
        return _form(failure.status, wanted, str(failure))
    answer = redirect(address, 303)
    cookie = _signer().dumps([*astuple(started), wanted if len(wanted) <= MOST_WANTED else "/"])
    cookies.keep(answer, AWAY_COOKIE, str(cookie), AWAY_SECONDS)
    return answer


@blueprint.get(CALLBACK)
def back() -> ResponseReturnValue:
    """Handle the provider's answer. The state parameter, known only to this browser, replaces the CSRF token."""
    provider = _provider_or_404()
    away = _away()
    wanted = away.wanted if away else "/"
    try:
        login_throttle.refuse_if_throttled(auth.sign_in_origin(), g.now)
        identity = provider.finish(away.started if away else None, request.args, g.now)
    except TooManyAttempts as refusal:
        return _form(429, wanted, str(refusal))
    except OidcSignInFailed as failure:
        return _failed(failure.status, wanted, str(failure), failure.why)
    secret = ""
    with audited_transaction() as trail:
        account = (
            oidc_provisioning.find_or_create_account(identity, _rules(provider), trail)
            if users.any_exist()
            else _not_set_up()
        )
        if isinstance(account, Person):
            trail.author = account.name
            secret = sign_in.begin(account, WAY, trail)
    if isinstance(account, Refusal):
        return _failed(403, wanted, account.message, account.why, account.person)
    return _done(sign_in.signed_in(account, secret, wanted))


def _failed(status: int, wanted: str, message: str, why: str, person: Person | None = None) -> Response:
    """Record the failed sign-in and show the reason."""
    with audited_transaction() as trail:
        trail.author = audit_trail.SYSTEM
        login_throttle.count_failure_of(auth.sign_in_origin(), trail.now)
        login_sessions.record_failure(person, auth.sign_in_origin(), why, trail, WAY)
    return _done(_form(status, wanted, message))


def _done(answer: Response) -> Response:
    """Delete the cookie of the sign-in in progress."""
    cookies.drop(answer, AWAY_COOKIE)
    return answer


def _form(status: int, wanted: str, problem: str) -> Response:
    return responses.page("pages/account/sign_in.html", status, wanted=wanted, name="", problem=problem)


def _not_set_up() -> Refusal:
    return Refusal("There are no accounts yet. An admin must create the first one.", "no account was made yet")


def _rules(provider: Provider) -> Rules:
    return Rules(provider.name, auth.settings().oidc_role, auth.settings().oidc_domains)


def _provider_or_404() -> Provider:
    provider: Provider | None = runtime.current().oidc
    if provider is None:
        abort(404, "No OpenID Connect provider is configured. Set PAINCHAIN_OIDC_ISSUER to use one.")
    return provider


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.secret_key or "", salt="at the provider")


def _away() -> Away | None:
    """Return the sign-in in progress from this browser's cookie, if its signature is valid and it has not expired."""
    try:
        state, nonce, verifier, wanted = _signer().loads(cookies.read(AWAY_COOKIE), max_age=AWAY_SECONDS)
    except (BadData, ValueError):
        return None
    return Away(PendingSignIn(state, nonce, verifier), wanted)

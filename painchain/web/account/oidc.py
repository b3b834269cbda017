"""Sign in through the OpenID Connect provider: lead there, and take what it sends back."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from flask import Blueprint, abort, current_app, g, redirect, request
from flask.typing import ResponseReturnValue
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.wrappers import Response

from painchain.accounts import login_throttle, oidc_provisioning, users
from painchain.accounts import sessions as login_sessions
from painchain.accounts.login_throttle import TooManyAttempts
from painchain.accounts.oidc import CALLBACK, Failed, Provider, Started
from painchain.accounts.oidc_provisioning import Refusal, Rules
from painchain.audit import trail as audit_trail
from painchain.core import runtime
from painchain.database.account_models import Person
from painchain.web.account import sign_in
from painchain.web.common import auth, cookies, responses
from painchain.web.common.transaction import audited_transaction

blueprint = Blueprint("oidc", __name__)

AWAY_COOKIE, AWAY_SECONDS = "painchain_away", 600
MOST_WANTED = 2_000  # of a longer address the cookie would be larger than a browser keeps
WAY = "oidc"


@dataclass(frozen=True)
class Away:
    """Somebody who is at the provider: what was started, and where they wanted to go."""

    started: Started
    wanted: str


@blueprint.get("/sign-in/oidc")
def begin() -> ResponseReturnValue:
    """Lead to the provider. It is a link and no form: a form must not lead to another site."""
    provider = _provider_or_404()
    wanted = auth.next_address(request.args.get("next", "/"))
    if auth.is_open() or g.who.role:
        return redirect(wanted, 303)
    if not users.any_exist():
        message = "There are no accounts yet. Open the link that PainChain printed when it started."
        return responses.error(403, "Not set up yet", message)
    try:
        address, started = provider.begin()
    except Failed as failure:
        return _form(failure.status, wanted, str(failure))
    answer = redirect(address, 303)
    kept = _signer().dumps([*astuple(started), wanted if len(wanted) <= MOST_WANTED else "/"])
    cookies.keep(answer, AWAY_COOKIE, str(kept), AWAY_SECONDS)
    return answer


@blueprint.get(CALLBACK)
def back() -> ResponseReturnValue:
    """Sign in whoever the provider sends back; its state, which only this browser has, stands for a form's token."""
    provider = _provider_or_404()
    away = _away()
    wanted = away.wanted if away else "/"
    try:
        login_throttle.refuse_if_throttled(auth.sign_in_origin(), g.now)
        identity = provider.finish(away.started if away else None, request.args, g.now)
    except TooManyAttempts as refusal:
        return _form(429, wanted, str(refusal))
    except Failed as failure:
        return _failed(failure.status, wanted, str(failure), failure.why)
    secret = ""
    with audited_transaction() as trail:
        found = (
            oidc_provisioning.find_or_create_account(identity, _rules(provider), trail)
            if users.any_exist()
            else _not_set_up()
        )
        if isinstance(found, Person):
            trail.author = found.name
            secret = sign_in.begin(found, WAY, trail)
    if isinstance(found, Refusal):
        return _failed(403, wanted, found.message, found.why, found.person)
    return _done(sign_in.signed_in(found, secret, wanted))


def _failed(status: int, wanted: str, message: str, why: str, person: Person | None = None) -> Response:
    """Say why nobody was signed in, and put it on the record."""
    with audited_transaction() as trail:
        trail.author = audit_trail.SYSTEM
        login_throttle.count_failure_of(auth.sign_in_origin(), trail.now)
        login_sessions.record_failure(person, auth.sign_in_origin(), why, trail, WAY)
    return _done(_form(status, wanted, message))


def _done(answer: Response) -> Response:
    """Let nobody be at the provider any more."""
    cookies.drop(answer, AWAY_COOKIE)
    return answer


def _form(status: int, wanted: str, problem: str) -> Response:
    return responses.page("pages/account/sign_in.html", status, wanted=wanted, name="", problem=problem)


def _not_set_up() -> Refusal:
    return Refusal("There is no account yet. An admin makes the first one.", "no account was made yet")


def _rules(provider: Provider) -> Rules:
    return Rules(provider.name, auth.settings().oidc_role, auth.settings().oidc_domains)


def _provider_or_404() -> Provider:
    provider: Provider | None = runtime.current().oidc
    if provider is None:
        abort(404, "No OpenID Connect provider is set up here; PAINCHAIN_OIDC_ISSUER names one.")
    return provider


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.secret_key or "", salt="at the provider")


def _away() -> Away | None:
    """Return what this browser kept while somebody was at the provider, if it is ours and not too old."""
    try:
        state, nonce, verifier, wanted = _signer().loads(cookies.read(AWAY_COOKIE), max_age=AWAY_SECONDS)
    except (BadData, ValueError):
        return None
    return Away(Started(state, nonce, verifier), wanted)

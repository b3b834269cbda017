"""Sign in through the OpenID Connect provider: redirect to it and handle its callback."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING

from flask import Blueprint, abort, current_app, g, redirect, request
from flask.typing import ResponseReturnValue
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.wrappers import Response

from painchain.accounts import login_throttle, oidc_provisioning, users
from painchain.accounts import sessions as login_sessions
from painchain.accounts.login_throttle import TooManyAttempts
from painchain.accounts.oidc_provisioning import Refusal, Rules
from painchain.accounts.oidc_sign_in import CALLBACK, OidcSignInFailed, PendingSignIn
from painchain.audit import trail as audit_trail
from painchain.core import runtime
from painchain.database.models import Person
from painchain.web.account import sign_in
from painchain.web.common import auth, cookies, responses
from painchain.web.common.transaction import audited_transaction

if TYPE_CHECKING:
    from painchain.accounts.oidc import Provider

blueprint = Blueprint("oidc", __name__)

PENDING_COOKIE, PENDING_SECONDS = "painchain_away", 600
MAX_NEXT_LENGTH = 2_000  # longer addresses would exceed the cookie size that browsers keep


@dataclass(frozen=True)
class PendingRedirect:
    """A sign-in in progress at the provider, and the address to return to."""

    sign_in: PendingSignIn
    next_address: str


@blueprint.get("/sign-in/oidc")
def begin() -> ResponseReturnValue:
    """Redirect to the provider. A link leads here, because the security policy forbids forms to other sites."""
    provider = _provider_or_404()
    next_address = auth.next_address(request.args.get("next", "/"))
    is_again = bool(g.who.sign_in and request.args.get("again"))
    if auth.is_open() or (g.who.role and not is_again):
        return redirect(next_address, 303)
    if not users.any_exist():
        message = "There are no accounts yet. Open the setup link that PainChain printed when it started."
        return responses.error(403, "Not set up yet", message)
    try:
        address, pending = provider.begin(g.now, is_again)
    except OidcSignInFailed as failure:
        return _form(failure.status, next_address, str(failure))
    answer = redirect(address, 303)
    cookie = _signer().dumps([*astuple(pending), next_address if len(next_address) <= MAX_NEXT_LENGTH else "/"])
    cookies.set_cookie(answer, PENDING_COOKIE, str(cookie), PENDING_SECONDS)
    return answer


@blueprint.get(CALLBACK)
def back() -> ResponseReturnValue:
    """Handle the provider's answer. The state parameter, known only to this browser, replaces the CSRF token."""
    provider = _provider_or_404()
    pending = _pending_redirect()
    next_address = pending.next_address if pending else "/"
    try:
        login_throttle.refuse_if_throttled(auth.sign_in_origin(), g.now)
        identity = provider.finish(pending.sign_in if pending else None, request.args, g.now)
    except TooManyAttempts as refusal:
        return _form(429, next_address, str(refusal))
    except OidcSignInFailed as failure:
        return _failed(failure.status, next_address, str(failure), failure.reason)
    secret = ""
    with audited_transaction() as trail:
        account = (
            oidc_provisioning.find_or_create_account(identity, _rules(provider), trail)
            if users.any_exist()
            else _not_set_up()
        )
        if isinstance(account, Person):
            trail.author = account.name
            secret = sign_in.begin(account, oidc_provisioning.METHOD, trail, identity.is_remembered)
    if isinstance(account, Refusal):
        return _failed(403, next_address, account.message, account.reason, account.person)
    return _clear_pending(sign_in.signed_in(account, secret, next_address))


def _failed(status: int, next_address: str, message: str, reason: str, person: Person | None = None) -> Response:
    """Record the failed sign-in and show the reason."""
    with audited_transaction() as trail:
        trail.author = audit_trail.SYSTEM
        login_throttle.count_failure_of(auth.sign_in_origin(), trail.now)
        login_sessions.record_failure(person, auth.sign_in_origin(), reason, trail, oidc_provisioning.METHOD)
    return _clear_pending(_form(status, next_address, message))


def _clear_pending(answer: Response) -> Response:
    """Delete the cookie of the sign-in in progress."""
    cookies.delete_cookie(answer, PENDING_COOKIE)
    return answer


def _form(status: int, next_address: str, problem: str) -> Response:
    return responses.page("pages/account/sign_in.html", status, next_address=next_address, name="", problem=problem)


def _not_set_up() -> Refusal:
    return Refusal("There are no accounts yet. An admin must create the first one.", "no accounts exist yet")


def _rules(provider: Provider) -> Rules:
    return Rules(provider.name, auth.settings().oidc_role, auth.settings().oidc_domains)


def _provider_or_404() -> Provider:
    provider: Provider | None = runtime.current().oidc
    if provider is None:
        abort(404, "No OpenID Connect provider is configured. Set PAINCHAIN_OIDC_ISSUER to use one.")
    return provider


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(current_app.secret_key or "", salt="at the provider")


def _pending_redirect() -> PendingRedirect | None:
    """Return the sign-in in progress from this browser's cookie, if its signature is valid and it has not expired."""
    try:
        *pending, next_address = _signer().loads(cookies.read(PENDING_COOKIE), max_age=PENDING_SECONDS)
        return PendingRedirect(PendingSignIn(*pending), next_address)
    except (BadData, ValueError, TypeError):  # a cookie of an older version has other members
        return None

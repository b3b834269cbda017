"""Create the app: settings, keys, database, doors."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from flask import Flask, abort, current_app, g, request
from flask.sessions import SecureCookieSessionInterface
from flask_wtf import CSRFProtect
from itsdangerous import URLSafeTimedSerializer
from werkzeug.wrappers import Response

from painchain import audit, inventory, ledger, migrations
from painchain.chain import Chain
from painchain.config import Settings
from painchain.connectors import BUILTIN
from painchain.db import db, engine_options, prepare
from painchain.oidc import Provider
from painchain.secrets import Keyring, load_key
from painchain.web import (
    account,
    api,
    audit_log,
    auth,
    checks,
    dashboard,
    exports,
    health,
    history,
    history_api,
    hooks,
    integrity_api,
    news,
    notify,
    notify_api,
    oidc,
    past,
    people_api,
    person,
    polling_api,
    reasons,
    report,
    responses,
    searching,
    sign_in,
    teams_api,
    tokens,
    tokens_api,
    webhooks,
)
from painchain.web import people as people_door
from painchain.web import retention as retention_door
from painchain.web import settings as settings_door
from painchain.web import teams as teams_door
from painchain.web.kept import Shelf

ROOT = Path(__file__).parent.parent
csrf = CSRFProtect()
log = logging.getLogger(__name__)

PAGES = (
    *(
        sign_in.door,
        oidc.door,
        dashboard.door,
        news.door,
        searching.door,
        exports.door,
        health.door,
        checks.door,
        settings_door.door,
    ),
    *(teams_door.door, retention_door.door, notify.door, webhooks.door, history.door, report.door, past.door),
    *(people_door.door, person.door, account.door, tokens.door, audit_log.door),
)
# What scripts use: another site's pages are kept out without a form's token (api.refuse_other_sites).
APIS = (
    api.door,
    history_api.door,
    polling_api.door,
    teams_api.door,
    webhooks.api_door,
    notify_api.door,
    people_api.door,
    tokens_api.door,
    integrity_api.door,
)

SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
}


class Sessions(SecureCookieSessionInterface):
    """Flask's signed cookies; what signs them is made once, not for every request."""

    signing: URLSafeTimedSerializer | None = None

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Return what signs the cookies."""
        self.signing = self.signing or super().get_signing_serializer(app)
        return self.signing


def create_app(settings: Settings) -> Flask:
    """Return the app, its database migrated and the built-in connector in place.

    :raises KeyUnusable: when the key cannot be used, or does not open what is stored.
    :raises sqlalchemy.exc.SQLAlchemyError: when the database cannot be used.
    """
    settings.instance.mkdir(parents=True, exist_ok=True)
    app = Flask(
        __name__,
        instance_path=str(settings.instance),
        template_folder=str(ROOT / "templates"),
        static_folder=str(ROOT / "static"),
    )
    app.config.update(
        SETTINGS=settings,
        SESSION_COOKIE_NAME="painchain",
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=settings.max_request_bytes,
        MAX_FORM_MEMORY_SIZE=settings.max_request_bytes,
        SEND_FILE_MAX_AGE_DEFAULT=31_536_000,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings.database_url, settings.threads),
        WTF_CSRF_TIME_LIMIT=None,
    )
    use_keys(app, load_key(settings.secret_key, settings.instance / "secret.key"))
    app.extensions["painchain.shelf"] = Shelf()
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.jinja_options["trim_blocks"] = app.jinja_options["lstrip_blocks"] = True
    app.session_interface = Sessions()
    db.init_app(app)
    provider = Provider(settings) if settings.oidc_issuer else None
    app.extensions["painchain.oidc"] = provider
    app.jinja_env.globals["single_sign_on"] = provider.name if provider else ""
    app.before_request(auth.begin)  # before the guards, whose refusals name the request
    app.before_request(refuse_other_hosts)
    app.before_request(auth.guard)
    csrf.init_app(app)
    app.before_request(reasons.guard)
    for door in (*APIS, hooks.door):  # whose deliveries are signed
        csrf.exempt(door)
    for door in (*PAGES, *APIS, hooks.door):
        app.register_blueprint(door)
    responses.install(app)
    app.after_request(protect)
    with app.app_context():
        admits = partial(is_known, settings.trusted_hosts)
        lets_in = partial(auth.lets_in, settings)
        app.wsgi_app = news.Unchanged(app.wsgi_app, db.engine, admits, lets_in, SECURITY_HEADERS)  # type: ignore[method-assign]
        prepare(db.engine)
        migrations.upgrade()
        use_keys(app, app.extensions["painchain.keys"].led_by(ledger.key_id()))
        begin()
    return app


def use_keys(app: Flask, keys: Keyring) -> None:
    """Let the app seal, sign and chain with the first of these keys."""
    app.config["SECRET_KEY"] = keys.derive("sessions")
    app.extensions["painchain.keys"] = keys
    app.extensions["painchain.box"] = keys.box()
    app.extensions["painchain.chain"] = Chain(keys)
    app.extensions["painchain.known"] = auth.Known(keys.derive("known browsers"))


def begin() -> None:
    """Put the built-in connector in place, on the record, and make sure that the key is the right one."""
    if not inventory.has_builtin():
        now = datetime.now(UTC)
        with ledger.writing() as book:
            trail = audit.Trail(book, audit.SYSTEM, ledger.new_request_id(now), now, cause="first start")
            if inventory.ensure_builtin(trail):
                log.info("First start: created the %s connector.", BUILTIN.label)
    inventory.check_key()


def refuse_other_hosts() -> None:
    """Refuse host names that are not ours: another site can let its own name lead to this address (DNS rebinding).

    Flask's TRUSTED_HOSTS cannot hold an IPv6 address.
    """
    if not is_known(current_app.config["SETTINGS"].trusted_hosts, request.host):
        name = host_name(request.host)
        abort(400, f"This server is not known as {name!r}. Add the name to PAINCHAIN_TRUSTED_HOSTS if it should be.")


def is_known(trusted: Sequence[str], host: str) -> bool:
    """Say whether `host`, with or without a port, is a name of ours; any is if none is `trusted`."""
    name = host_name(host) if trusted else ""
    return not trusted or name in trusted or any(f".{name}".endswith(one) for one in trusted if one[0] == ".")


def host_name(host: str) -> str:
    """Return the name in a Host header; none if it is not well formed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def protect(response: Response) -> Response:
    """Add the security headers, and tell caches that fragments and pages differ."""
    headers = response.headers
    headers.extend(SECURITY_HEADERS)
    headers.add("X-Request-Id", g.get("request_id", ""))
    if request.endpoint != "static":
        headers.setdefault("Cache-Control", "no-store")
        if response.mimetype == "text/html":
            headers.add("Vary", "HX-Request, Cookie")
    return response

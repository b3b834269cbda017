"""Create the app: settings, keys, database, doors."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from flask import Flask, abort, current_app, g, request
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response

from painchain import addresses, audit, gauges, inventory, keyfile, ledger, logs, migrations
from painchain.chain import Chain
from painchain.config import Settings
from painchain.connectors import BUILTIN
from painchain.db import db, engine_options, prepare
from painchain.metrics import Meters
from painchain.oidc import Provider
from painchain.secrets import Keyring, KeyUnusable
from painchain.web import (
    access,
    account,
    api,
    audit_log,
    auth,
    checks,
    cookies,
    dashboard,
    exports,
    health,
    history,
    history_api,
    hooks,
    integrity_api,
    limits,
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
from painchain.web import metrics as metrics_door
from painchain.web import people as people_door
from painchain.web import retention as retention_door
from painchain.web import settings as settings_door
from painchain.web import teams as teams_door
from painchain.web.headers import headers_for
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


class App(Flask):
    """Flask, with a log that says nothing of an address or of what an exception says."""

    def log_exception(self, exc_info: Any) -> None:
        """Log what not even an error page could be made of."""
        logs.failed(log, "An error page", exc_info[1])

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return `func`: none of ours is a coroutine, and Flask would ask each of them in every request."""
        return func


def create_app(settings: Settings) -> Flask:
    """Return the app, its database migrated and the built-in connector in place.

    :raises KeyUnusable: when the key is missing, cannot be used, or does not open what is stored.
    :raises sqlalchemy.exc.SQLAlchemyError: when the database cannot be used.
    """
    app = assembled(settings)
    with starting(app):
        where = app.extensions["painchain.key_place"]
        keys = keyfile.obtain(where, migrations.is_new)
        use_keys(app, keys)
        unchained = migrations.is_unchained() and not migrations.is_new()
        if unchained:
            inventory.check_key()  # before the log is chained with it
        migrations.upgrade()
        app.extensions["painchain.key_order"] = keys.ids
        use_keys(app, keys.led_by(ledger.key_id()))
        if keys.id != app.extensions["painchain.keys"].id:
            log.warning(
                "The first key in %s is not in use: painchain rotate-key puts it to use. If it was in use before, "
                "somebody has put an older state of the log in its place.",
                where.name,
            )
        begin()
        if unchained:
            tell_of_the_chain()
    return app


def without_its_key(settings: Settings) -> Flask:
    """Return the app of a log whose key is lost, with the key that takes its place: in a key file made for it, perhaps.

    :raises KeyUnusable: when nothing is lost, or the key that is there cannot be used.
    :raises sqlalchemy.exc.SQLAlchemyError: when the database cannot be used.
    """
    app = assembled(settings)
    with starting(app):
        where = app.extensions["painchain.key_place"]
        if migrations.is_new():
            raise KeyUnusable("There is no log yet, so no key is lost. Start PainChain: painchain serve.")
        keys = keyfile.read(where)
        if keys and opens_everything(app, keys):
            raise KeyUnusable(
                f"The key is not lost: {where.name} opens everything. Replace it by: painchain rotate-key."
            )
        keys = keys or keyfile.make(where)
        assert keys is not None  # noqa: S101  it was made
        use_keys(app, keys)
        migrations.upgrade()
    return app


@contextmanager
def starting(app: Flask) -> Iterator[None]:
    """Work in the context of an app that starts, and let go of the database if it does not."""
    with app.app_context():
        try:
            yield
        except BaseException:
            db.session.remove()
            db.engine.dispose()
            raise


def opens_everything(app: Flask, keys: Keyring) -> bool:
    """Say whether these keys belong to the log and open the stored secrets."""
    with suppress(KeyUnusable):
        use_keys(app, keys if migrations.is_unchained() else keys.led_by(ledger.key_id()))
        inventory.check_key()
        return True
    return False


def assembled(settings: Settings) -> Flask:
    """Return the app, which has neither looked at its keys nor at what is in its database."""
    addresses.permit(settings.allow_private_addresses)
    settings.instance.mkdir(parents=True, exist_ok=True)
    app = App(
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
        MAX_FORM_PARTS=limits.MOST_FIELDS,
        SEND_FILE_MAX_AGE_DEFAULT=31_536_000,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings.database_url, settings.threads),
        WTF_CSRF_TIME_LIMIT=None,
    )
    app.extensions["painchain.key_place"] = keyfile.place(settings)
    app.extensions["painchain.shelf"] = Shelf()
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.jinja_options["trim_blocks"] = app.jinja_options["lstrip_blocks"] = True
    app.session_interface = cookies.Sessions()
    db.init_app(app)
    provider = Provider(settings) if settings.oidc_issuer else None
    app.extensions["painchain.oidc"] = provider
    app.jinja_env.globals["single_sign_on"] = provider.name if provider else ""
    app.extensions["painchain.metrics"] = meters = Meters()
    meters.registry.register(gauges.State())
    app.after_request(access.answered)  # what is registered first comes last
    app.teardown_request(access.ended)
    app.before_request(auth.begin)  # before the guards, whose refusals name the request
    app.before_request(refuse_other_hosts)
    app.before_request(limits.guard)
    app.before_request(auth.guard)
    csrf.init_app(app)
    app.before_request(reasons.guard)
    for door in (*APIS, hooks.door):  # whose deliveries are signed
        csrf.exempt(door)
    for door in (*PAGES, *APIS, hooks.door, metrics_door.door):
        app.register_blueprint(door)
    responses.install(app)
    app.after_request(protect)
    with app.app_context():
        admits = partial(is_known, settings.trusted_hosts)
        lets_in = partial(auth.lets_in, settings)
        headers = headers_for(settings)
        app.wsgi_app = news.Unchanged(app.wsgi_app, db.engine, admits, lets_in, headers, meters.answered)  # type: ignore[method-assign]
        if proxies := settings.trusted_proxies:
            app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies)  # type: ignore[method-assign]
        prepare(db.engine)
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


def tell_of_the_chain() -> None:
    """Put on the record that the events so far are chained as they were found, by an update or by whose hand?"""
    now = datetime.now(UTC)
    with ledger.writing() as book:
        trail = audit.Trail(book, audit.SYSTEM, ledger.new_request_id(now), now, cause="update")
        trail.log_chain_begun(book.last_event)


def refuse_other_hosts() -> None:
    """Refuse host names that are not ours: another site can let its own name lead to this address (DNS rebinding).

    Flask's TRUSTED_HOSTS cannot hold an IPv6 address.
    """
    if not is_known(current_app.config["SETTINGS"].trusted_hosts, request.host):
        name = host_name(request.host)
        logs.security("host_refused", "A request came for a host name that is not ours.", host=name[:100])
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
    headers.extend(headers_for(current_app.config["SETTINGS"])(request.environ))
    headers.add("X-Request-Id", g.get("request_id", ""))
    if request.endpoint != "static" or response.status_code >= 400:
        headers.setdefault("Cache-Control", "no-store")
        if response.mimetype == "text/html":
            headers.add("Vary", "HX-Request, Cookie")
    return response

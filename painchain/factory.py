"""Build the Flask app: configuration, guards and blueprints. `painchain.startup` loads the key and the database."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from flask import Flask, Request
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import MapAdapter

from painchain.core import address_policy, key_file, logs, resources
from painchain.core.config import Settings
from painchain.core.metrics import Metrics
from painchain.core.runtime import EXTENSION, Runtime
from painchain.database.errors import classify
from painchain.database.session import configure_sqlite, db, engine_options
from painchain.eventlog.group_commit import GroupCommit
from painchain.exports.slots import ExportSlots
from painchain.web import blueprints, metrics_collector
from painchain.web.api.log_middleware import LogMiddleware, report_failure
from painchain.web.common import (
    access_log,
    auth,
    change_reason,
    compression,
    cookies,
    cross_site,
    errors,
    event_rows,
    recent_sign_in,
    request_limits,
    responses,
)
from painchain.web.common.client_address import ClientAddressMiddleware
from painchain.web.common.csrf import MaskedCSRFProtect
from painchain.web.common.deadline_middleware import DeadlineMiddleware
from painchain.web.common.hosts import host_of, is_known, refuse_other_hosts
from painchain.web.common.live_update_middleware import LiveUpdateMiddleware
from painchain.web.common.security_headers import headers_for, protect

if TYPE_CHECKING:
    from painchain.accounts.oidc import Provider

YEAR_SECONDS = 31_536_000
csrf = MaskedCSRFProtect()
log = logging.getLogger(__name__)


class App(Flask):
    """Flask, with a log that contains no request addresses and no exception messages, and hosts with an underscore."""

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return the routes as this request reaches them. Its host is read here, because Flask reads it here too."""
        adapter = super().create_url_adapter(request)
        if request is not None and adapter is not None:
            request.host = adapter.server_name = host_of(request.environ)
        return adapter

    def log_exception(self, exc_info: Any) -> None:
        """Log an exception of an error handler or of a hook after the view; `errors` logs those of the database."""
        if not isinstance(exc_info[1], SQLAlchemyError):
            logs.log_failure(log, "An error page", exc_info[1])

    def do_teardown_appcontext(self, *arguments: Any, **more: Any) -> None:
        """Close the session. The response is complete: a connection that breaks here does not change it."""
        try:
            super().do_teardown_appcontext(*arguments, **more)
        except SQLAlchemyError as error:
            db.session.registry.clear()
            log.warning("The database connection of a finished request broke: %s", classify(error).message)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return `func`: no view is a coroutine, and Flask would check each one in every request."""
        return func


def build_app(settings: Settings) -> Flask:
    """Return the app, before its key is loaded and its database opened (see `painchain.startup`)."""
    address_policy.allow_networks(settings.allow_private_addresses)
    settings.instance.mkdir(parents=True, exist_ok=True)
    app = App(
        __name__,
        instance_path=str(settings.instance),
        template_folder=str(resources.folder("templates")),
        static_folder=str(resources.folder("static")),
    )
    configure(app, settings)
    shared = Runtime(
        settings,
        key_file.key_source(settings),
        Metrics(),
        GroupCommit(),
        ExportSlots(),
        _provider(settings),
    )
    app.extensions[EXTENSION] = shared
    app.jinja_env.globals["single_sign_on"] = shared.oidc.name if shared.oidc else ""
    shared.metrics.registry.register(metrics_collector.State())
    db.init_app(app)
    install_guards(app)
    blueprints.register(app, csrf)
    responses.install(app)
    event_rows.install(app)
    errors.install(app)
    compression.install(app)
    app.after_request(protect)
    with app.app_context():
        install_middleware(app, shared)
        configure_sqlite(db.engine)
    return app


def _provider(settings: Settings) -> Provider | None:
    """Return the provider of single sign-on. Its libraries take 6 MB, which other servers do without."""
    if not settings.oidc_issuer:
        return None
    from painchain.accounts.oidc import Provider

    return Provider(settings)


def configure(app: Flask, settings: Settings) -> None:
    """Set the configuration of Flask and its extensions."""
    app.config.update(
        SESSION_COOKIE_NAME="painchain",
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=settings.max_request_bytes,
        MAX_FORM_MEMORY_SIZE=settings.max_request_bytes,
        MAX_FORM_PARTS=request_limits.MAX_FIELDS,
        SEND_FILE_MAX_AGE_DEFAULT=YEAR_SECONDS,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings.database_url, settings.threads),
        WTF_CSRF_TIME_LIMIT=None,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.jinja_options["trim_blocks"] = app.jinja_options["lstrip_blocks"] = True
    app.session_interface = cookies.Sessions()


def install_guards(app: Flask) -> None:
    """Install the guards that every request passes, in this order."""
    app.after_request(access_log.finish)  # what is registered first runs last
    app.teardown_request(access_log.clear)
    app.before_request(auth.begin)  # before the guards, whose refusals contain the request ID
    app.before_request(report_failure)
    app.before_request(refuse_other_hosts)
    app.before_request(request_limits.guard)
    app.before_request(auth.guard)
    app.before_request(cross_site.guard)
    csrf.init_app(app)
    app.before_request(change_reason.guard)
    app.before_request(recent_sign_in.guard)


def install_middleware(app: Flask, shared: Runtime) -> None:
    """Wrap the WSGI app: headers of trusted proxies are used, and requests for an unchanged feed skip Flask."""
    settings = shared.settings
    app.wsgi_app = LogMiddleware(app, settings)  # type: ignore[method-assign]
    app.wsgi_app = LiveUpdateMiddleware(  # type: ignore[method-assign]
        app.wsgi_app,
        db.engine,
        partial(is_known, settings.trusted_hosts),
        partial(auth.can_read, settings),
        headers_for(settings),
        shared.metrics.count_request,
    )
    app.wsgi_app = ClientAddressMiddleware(app.wsgi_app)  # type: ignore[method-assign]
    app.wsgi_app = DeadlineMiddleware(app.wsgi_app)  # type: ignore[method-assign]
    if proxies := settings.trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies, x_host=proxies)  # type: ignore[method-assign]

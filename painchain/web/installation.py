"""Install in an app what serves requests: guards, blueprints (pages, JSON API, webhooks, metrics) and middleware."""

from __future__ import annotations

from functools import partial

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from painchain.core.runtime import Runtime
from painchain.database.session import db
from painchain.web import metrics, metrics_collector, palette, webhook_receiver
from painchain.web.account import oidc, person, profile, sign_in
from painchain.web.api import annotations as annotations_api
from painchain.web.api import change_events as change_events_api
from painchain.web.api import connection_tests as connection_tests_api
from painchain.web.api import connectors as connectors_api
from painchain.web.api import events as events_api
from painchain.web.api import exports as exports_api
from painchain.web.api import integrity as integrity_api
from painchain.web.api import meta as meta_api
from painchain.web.api import notify_rules as notify_rules_api
from painchain.web.api import people as people_api
from painchain.web.api import snapshots as snapshots_api
from painchain.web.api import teams as teams_api
from painchain.web.api import tokens as tokens_api
from painchain.web.api import undo as undo_api
from painchain.web.api import views as views_api
from painchain.web.api import webhooks as webhooks_api
from painchain.web.api.log_middleware import LogMiddleware, report_failure
from painchain.web.common import (
    access_log,
    auth,
    change_reason,
    compression,
    connector_health,
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
from painchain.web.common.hosts import is_known, refuse_other_hosts
from painchain.web.common.live_update_middleware import LiveUpdateMiddleware
from painchain.web.common.security_headers import headers_for, protect
from painchain.web.dashboard import context, exports, live, notes, onboarding, report, snapshots, suggestions, views
from painchain.web.help import pages as help_pages
from painchain.web.settings import (
    api_tokens,
    audit_log,
    bulk,
    connection_test,
    connectors,
    duplicate,
    mapping_trial,
    notifications,
    people,
    retention,
    saved_views,
    teams,
    webhooks,
)

YEAR_SECONDS = 31_536_000
PAGES = (
    *(sign_in, oidc, profile, person),
    *(views, live, notes, onboarding, suggestions, exports, context, report, snapshots),
    *(
        connector_health,
        connection_test,
        mapping_trial,
        connectors,
        bulk,
        duplicate,
        teams,
        saved_views,
        retention,
        notifications,
        webhooks,
        people,
        api_tokens,
    ),
    *(audit_log, metrics, help_pages, palette),
)
# Exempt from CSRF tokens: the API takes only JSON, which other sites cannot send, and webhook deliveries are signed.
CSRF_EXEMPT = (
    *(
        meta_api,
        connectors_api,
        events_api,
        change_events_api,
        annotations_api,
        undo_api,
        connection_tests_api,
        teams_api,
        views_api,
        webhooks_api,
        notify_rules_api,
        people_api,
        tokens_api,
    ),
    *(integrity_api, snapshots_api, exports_api, webhook_receiver),
)


csrf = MaskedCSRFProtect()


def install(app: Flask, shared: Runtime) -> None:
    """Make the app, whose database is set up, serve requests."""
    app.config.update(
        SESSION_COOKIE_NAME="painchain",
        SESSION_COOKIE_SAMESITE="Lax",
        MAX_CONTENT_LENGTH=shared.settings.max_request_bytes,
        MAX_FORM_MEMORY_SIZE=shared.settings.max_request_bytes,
        MAX_FORM_PARTS=request_limits.MAX_FIELDS,
        SEND_FILE_MAX_AGE_DEFAULT=YEAR_SECONDS,
        WTF_CSRF_TIME_LIMIT=None,
    )
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.jinja_options["trim_blocks"] = app.jinja_options["lstrip_blocks"] = True
    app.jinja_env.globals["single_sign_on"] = shared.oidc.name if shared.oidc else ""
    app.session_interface = cookies.Sessions()
    shared.metrics.registry.register(metrics_collector.State())
    _install_guards(app)
    _register_blueprints(app)
    responses.install(app)
    event_rows.install(app)
    errors.install(app)
    compression.install(app)
    app.after_request(protect)
    with app.app_context():
        _install_middleware(app, shared)


def _install_guards(app: Flask) -> None:
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


def _register_blueprints(app: Flask) -> None:
    for module in CSRF_EXEMPT:
        csrf.exempt(module.blueprint)
    for module in (*PAGES, *CSRF_EXEMPT):
        app.register_blueprint(module.blueprint)


def _install_middleware(app: Flask, shared: Runtime) -> None:
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

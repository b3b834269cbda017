"""Register every blueprint: pages, the JSON API, webhooks and metrics."""

from __future__ import annotations

from flask import Flask
from flask_wtf import CSRFProtect

from painchain.web import metrics, palette, webhook_receiver
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
from painchain.web.common import connector_health
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


def register(app: Flask, csrf: CSRFProtect) -> None:
    """Register every blueprint with the app."""
    for module in CSRF_EXEMPT:
        csrf.exempt(module.blueprint)
    for module in (*PAGES, *CSRF_EXEMPT):
        app.register_blueprint(module.blueprint)

"""Define which role each route needs, for pages and API alike."""

from __future__ import annotations

from painchain.core.roles import ADMIN, EDITOR, VIEWER

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

# Open to all: static files, the health check, and routes that check a token or a signature of their own.
PUBLIC = frozenset(("static", "meta_api.health", "hooks.deliver", "metrics.scrape"))
# Answered without reading the accounts, also while the database is down.
WITHOUT_DATABASE = frozenset(("static", "metrics.scrape"))
# Blueprints for people who have not signed in yet.
SIGN_IN_BLUEPRINTS = frozenset(("sign_in", "oidc"))
# Routes that need another role than the default: viewer to read, editor to write.
ROLES_BY_ENDPOINT: dict[str, str] = {
    **dict.fromkeys(("exports.download", "exports_api.exported", "report.table"), VIEWER),
    "audit_log.compare": VIEWER,
    **dict.fromkeys(("audit_log.check", "audit_log.make", "onboarding.confirm", "integrity_api.make"), ADMIN),
    # Their own account.
    **dict.fromkeys(("account.set_password", "account.end", "account.end_all", "account.unlink"), VIEWER),
    # Their own views. Those of everybody need an editor: `configuration.saved_views` refuses others.
    **dict.fromkeys(("saved_views.create", "saved_views.update", "saved_views.star", "saved_views.delete"), VIEWER),
    **dict.fromkeys(("views_api.create", "views_api.patch", "views_api.delete"), VIEWER),
    # Pages whose only purpose is a change.
    **dict.fromkeys(("settings.choose", "settings.new", "settings.confirm_disable", "settings.confirm_delete"), EDITOR),
    **dict.fromkeys(("duplicate.show", "onboarding.confirm_hiding"), EDITOR),
    "webhooks_api.deliveries": EDITOR,  # what a source sends can be more than its events show
    **dict.fromkeys(("webhooks.confirm", "teams.new", "teams.confirm_delete", "history.preview"), EDITOR),
}
# Blueprints in which every route needs an admin.
ADMIN_BLUEPRINTS = frozenset(("people", "people_api", "tokens", "tokens_api", "retention", "notify", "notify_api"))
# Blueprints that give access to PainChain. In a session, they need a recent sign-in, except to read.
SENSITIVE_BLUEPRINTS = frozenset(("people", "people_api", "tokens", "tokens_api"))
READABLE = frozenset(
    (
        "people.index",
        "people_api.everybody",
        "people_api.person",
        "tokens.index",
        "tokens_api.tokens",
        "tokens_api.token",
    )
)
# Requests that open pages repeat on their own: they do not count as activity of a session.
POLLED = frozenset(("news.news", "health.watch", "retention.progress", "audit_log.progress"))


def is_public(endpoint: str) -> bool:
    """Return whether a route is open to people who are not signed in."""
    return endpoint in PUBLIC or endpoint.partition(".")[0] in SIGN_IN_BLUEPRINTS


def needs_recent_sign_in(endpoint: str) -> bool:
    """Return whether a session may use a route only for some time after its sign-in."""
    is_sensitive = endpoint.partition(".")[0] in SENSITIVE_BLUEPRINTS and endpoint not in READABLE
    return is_sensitive or endpoint in ("account.confirm_unlink", "account.unlink")


def required_role(endpoint: str, method: str) -> str:
    """Return the lowest role that may use a route."""
    if endpoint in ROLES_BY_ENDPOINT:
        return ROLES_BY_ENDPOINT[endpoint]
    if endpoint.partition(".")[0] in ADMIN_BLUEPRINTS:
        return ADMIN
    return VIEWER if method in SAFE_METHODS else EDITOR

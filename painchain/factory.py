"""Build the Flask app of a server or of a command. `painchain.startup` loads the key and the database."""

from __future__ import annotations

import logging
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from flask import Flask, Request, templating
from sqlalchemy.exc import SQLAlchemyError
from werkzeug.routing import MapAdapter

from painchain.core import address_policy, key_file, logs, resources
from painchain.core.config import Settings
from painchain.core.metrics import Metrics
from painchain.core.runtime import EXTENSION, Runtime
from painchain.database.changes import Changes
from painchain.database.errors import classify
from painchain.database.session import db, engine_options
from painchain.database.sqlite import configure_sqlite
from painchain.eventlog.group_commit import GroupCommit
from painchain.exports.slots import ExportSlots
from painchain.web.common.hosts import host_of

if TYPE_CHECKING:
    from painchain.accounts.oidc import Provider

log = logging.getLogger(__name__)


class Environment(templating.Environment):
    """Flask's environment of templates, whose global names are complete before the first template is loaded."""

    def make_globals(self, d: MutableMapping[str, Any] | None) -> MutableMapping[str, Any]:
        """Return the global names of a template in one dict. Jinja's chain of dicts is slow to read."""
        return {**self.globals, **(d or {})}


class App(Flask):
    """Flask, with a log that contains no request addresses and no exception messages, and hosts with an underscore."""

    jinja_environment = Environment

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


def build_app(settings: Settings, serves: bool = True) -> Flask:
    """Return the app, before its key is loaded and its database opened (see `painchain.startup`).

    If it `serves` no requests, it has no pages and no API, whose import takes half a second and 10 MB.
    """
    address_policy.allow_networks(settings.allow_private_addresses)
    settings.instance.mkdir(parents=True, exist_ok=True)
    app = App(
        __name__,
        instance_path=str(settings.instance),
        template_folder=str(resources.folder("templates")),
        static_folder=str(resources.folder("static")),
    )
    app.config.update(
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings.database_url, settings.threads),
    )
    shared = Runtime(
        settings,
        key_file.key_source(settings),
        Metrics(),
        GroupCommit(),
        Changes(),
        ExportSlots(),
        _provider(settings),
    )
    app.extensions[EXTENSION] = shared
    db.init_app(app)
    if serves:
        from painchain.web import installation

        installation.install(app, shared)
    with app.app_context():
        configure_sqlite(db.engine)
    return app


def _provider(settings: Settings) -> Provider | None:
    """Return the provider of single sign-on. Its libraries take 6 MB, which other servers do without."""
    if not settings.oidc_issuer:
        return None
    from painchain.accounts.oidc import Provider

    return Provider(settings)

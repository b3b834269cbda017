"""Record the events that scripts report before Flask runs, in less than half of the time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from http import HTTPStatus
from io import BytesIO
from time import perf_counter
from typing import NamedTuple
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask, g, request

from painchain.accounts import sessions as login_sessions
from painchain.core import logs
from painchain.core.config import Settings
from painchain.core.roles import LOCAL
from painchain.core.validation import BadBody
from painchain.database.session import autocommit_connection
from painchain.ingestion import cloud_events
from painchain.ingestion.change_events import ConflictingEvent
from painchain.web.api import change_events, events
from painchain.web.api.resources.base import Answer, json_of
from painchain.web.common import access_log, auth, permissions
from painchain.web.common.hosts import is_known
from painchain.web.common.security_headers import headers_for
from painchain.web.common.transaction import NoLongerAllowed


class Route(NamedTuple):
    """A route that records events. `record` takes the body, and returns None if there is nothing to answer.

    `checks_again` says that it does so only while ``g.only_while`` holds.
    """

    endpoint: str
    record: Callable[[bytes], Answer | None]
    checks_again: bool = False


ROUTES = {
    events.LOG_PATH: Route(events.LOG_ENDPOINT, events.record, checks_again=True),
    change_events.PATH: Route(change_events.ENDPOINT, change_events.record_body),
}
# Headers that only the app understands, and whose requests it answers.
FOR_THE_APP = (
    *("HTTP_COOKIE", "HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE", "HTTP_TRANSFER_ENCODING", "HTTP_X_REASON"),
    *(
        "HTTP_IDEMPOTENCY_KEY",
        *(f"HTTP_{cloud_events.PREFIX}{name}".replace("-", "_").upper() for name in cloud_events.REQUIRED),
    ),
)
FAILURE = "painchain.failure"  # in the WSGI environment: the error of `LogMiddleware`, and its request ID


def report_failure() -> None:
    """Raise the error with which the middleware failed, before the guards read the database again."""
    if failure := request.environ.get(FAILURE):
        error, g.request_id = failure
        logs.add_context(request_id=g.request_id)
        raise error


class LogMiddleware:
    """WSGI middleware that records the event of a simple, valid request, and passes all others to the app.

    The app answers whatever is refused, unusual or failing, as if it had received the request itself.
    """

    def __init__(self, app: Flask, settings: Settings):
        self._app, self._next, self._settings = app, app.wsgi_app, settings
        self._headers = headers_for(settings)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        route = ROUTES.get(environ["PATH_INFO"])
        if route and self._is_simple(environ):
            with self._app.app_context():
                if answer := self._record(environ, route):
                    body, status = json_of(answer.resources), answer.status
                    start_response(f"{status} {HTTPStatus(status).phrase.upper()}", self._headers_of(environ, body))
                    return [body]
        return self._next(environ, start_response)

    def _is_simple(self, environ: WSGIEnvironment) -> bool:
        """Return whether the app does nothing with this request that is not done here."""
        length = environ.get("CONTENT_LENGTH", "")
        return (
            environ["REQUEST_METHOD"] == "POST"
            and environ.get("CONTENT_TYPE") == "application/json"
            and not environ["QUERY_STRING"]
            and environ.keys().isdisjoint(FOR_THE_APP)
            and length.isdecimal()
            and int(length) <= self._settings.max_request_bytes
            and is_known(self._settings.trusted_hosts, environ.get("HTTP_HOST", ""))
        )

    def _record(self, environ: WSGIEnvironment, route: Route) -> Answer | None:
        """Record the events and return the response; None if the app is to answer the request."""
        started, path = perf_counter(), environ["PATH_INFO"]
        raw = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = BytesIO(raw)
        auth.begin_without_request(environ.get("REMOTE_ADDR"), "POST", path)
        try:
            answer = route.record(raw) if self._may_record(environ, route) else None
            if answer:
                access_log.record(path, "POST", path, answer.status, perf_counter() - started)
            return answer
        except (BadBody, ConflictingEvent, NoLongerAllowed):
            return None
        except Exception as error:
            environ[FAILURE] = (error, g.request_id)  # the app reports it, and does not try again
            return None
        finally:
            access_log.clear()

    def _may_record(self, environ: WSGIEnvironment, route: Route) -> bool:
        """Set the actor of the request, and return whether it may record events."""
        if route.checks_again and auth.may_be_open():
            g.only_while = auth.is_open  # reading this before the transaction would take a twentieth of the request
            auth.set_actor(LOCAL)
            return True
        with autocommit_connection() as connection:
            token = environ.get("HTTP_AUTHORIZATION", "")
            actor = LOCAL if auth.is_open(connection) else auth.find_token_actor(token, connection)
        if actor is None or not actor.may(permissions.required_role(route.endpoint, "POST")):
            return False
        if actor is not LOCAL:
            login_sessions.record_use(actor, g.now)
        auth.set_actor(actor)
        return True

    def _headers_of(self, environ: WSGIEnvironment, body: bytes) -> list[tuple[str, str]]:
        """Return the headers of the response."""
        return [
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Vary", "Accept-Encoding"),
            *self._headers(environ).items(),
            ("X-Request-Id", g.request_id),
            ("Cache-Control", "no-store"),
        ]

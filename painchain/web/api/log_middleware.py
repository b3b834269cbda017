"""Record the events that scripts report before Flask runs, in less than half of the time."""

from __future__ import annotations

from collections.abc import Iterable
from io import BytesIO
from time import perf_counter
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask, g, request
from pydantic import ValidationError

from painchain.accounts import sessions as login_sessions
from painchain.audit import external_events
from painchain.audit.external_events import LogBody
from painchain.core import logs
from painchain.core.config import Settings
from painchain.core.roles import LOCAL
from painchain.database.session import autocommit_connection
from painchain.web.api import events
from painchain.web.common import access_log, auth, permissions
from painchain.web.common.hosts import is_known
from painchain.web.common.security_headers import headers_for
from painchain.web.common.transaction import append_audited

# Headers that only the app understands, and whose requests it answers.
FOR_THE_APP = ("HTTP_COOKIE", "HTTP_ORIGIN", "HTTP_SEC_FETCH_SITE", "HTTP_TRANSFER_ENCODING", "HTTP_X_REASON")
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
        if environ["PATH_INFO"] == events.LOG_PATH and self._is_simple(environ):
            with self._app.app_context():
                if body := self._record(environ):
                    start_response(*self._head(environ, body))
                    return [body]
        return self._next(environ, start_response)

    def _is_simple(self, environ: WSGIEnvironment) -> bool:
        """Return whether the app does nothing with this request that is not done here."""
        length = environ.get("CONTENT_LENGTH", "")
        return (
            environ["REQUEST_METHOD"] == "POST"
            and environ.get("CONTENT_TYPE") == "application/json"
            and not environ["QUERY_STRING"]
            and not any(name in environ for name in FOR_THE_APP)
            and length.isdecimal()
            and int(length) <= self._settings.max_request_bytes
            and is_known(self._settings.trusted_hosts, environ.get("HTTP_HOST", ""))
        )

    def _record(self, environ: WSGIEnvironment) -> bytes | None:
        """Record the event and return the body of the response; None if the app is to answer the request."""
        started = perf_counter()
        raw = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        environ["wsgi.input"] = BytesIO(raw)
        auth.begin_without_request(environ.get("REMOTE_ADDR"), "POST", events.LOG_PATH)
        try:
            if not self._authenticate(environ.get("HTTP_AUTHORIZATION", "")):
                return None
            body = LogBody.model_validate_json(raw)
            event_id = append_audited(lambda trail: external_events.record(body, trail))
            if event_id is None:
                return None
            access_log.record(events.LOG_PATH, "POST", events.LOG_PATH, 201, perf_counter() - started)
            return f"{events.logged(body, event_id).model_dump_json()}\n".encode()
        except ValidationError:
            return None
        except Exception as error:
            environ[FAILURE] = (error, g.request_id)  # the app reports it, and does not try again
            return None
        finally:
            access_log.clear()

    def _authenticate(self, authorization: str) -> bool:
        """Set the actor of the request, and return whether it may report events."""
        with autocommit_connection() as connection:
            actor = LOCAL if auth.is_open(connection) else auth.find_token_actor(authorization, connection)
        if actor is None or not actor.may(permissions.required_role(events.LOG_ENDPOINT, "POST")):
            return False
        if actor is not LOCAL:
            login_sessions.record_use(actor, g.now)
        auth.set_actor(actor)
        return True

    def _head(self, environ: WSGIEnvironment, body: bytes) -> tuple[str, list[tuple[str, str]]]:
        """Return the status and the headers of the response."""
        headers = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Vary": "Accept-Encoding",
            **self._headers(environ),
            "X-Request-Id": g.request_id,
            "Cache-Control": "no-store",
        }
        return "201 CREATED", list(headers.items())

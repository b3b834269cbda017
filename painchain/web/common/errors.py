"""Turn every unhandled exception into a response: what happened, and what to do."""

from __future__ import annotations

import logging

from flask import Flask, current_app, g, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from werkzeug.exceptions import HTTPException, InternalServerError, NotFound
from werkzeug.wrappers import Response

from painchain.core import logs, metrics, runtime
from painchain.core.crypto import KeyUnusable
from painchain.core.redaction import scrub
from painchain.database import edited_json
from painchain.database import errors as database_errors
from painchain.database.commit import OutcomeUnknown
from painchain.database.session import WriteBusy, db
from painchain.web.common import responses
from painchain.web.common.responses import error, json_error

log = logging.getLogger(__name__)

EDITED_VALUES = "admin/troubleshooting.md#a-stored-value-cannot-be-read"

MESSAGES = {
    404: ("Not found", "This page does not exist. If something was deleted, the timeline shows when and by whom."),
    405: ("Method not allowed", "This URL does not support this method."),
    413: ("Too large", "Nothing was saved: the request is larger than the server accepts."),
    414: ("Too long", "The URL is too long. Use fewer filters."),
    415: ("Not JSON", "Send the body as application/json."),
}


def install(app: Flask) -> None:
    """Register the error handlers of pages, fragments and API."""
    app.register_error_handler(CSRFError, handle_csrf_error)
    app.register_error_handler(HTTPException, handle_http_error)
    app.register_error_handler(SQLAlchemyError, handle_database_error)
    app.register_error_handler(WriteBusy, handle_database_error)
    app.register_error_handler(KeyUnusable, handle_key_error)
    app.register_error_handler(Exception, handle_unexpected_error)


def handle_csrf_error(problem: CSRFError) -> Response:
    """Return the error response for a form without a valid CSRF token."""
    logs.security("csrf_refused", "Form submitted without a valid CSRF token.")
    if "referrer" in str(problem.description).lower():  # over https the Referer header names the page of the form
        message = (
            f"Nothing was saved: the origin of this form (https://{request.host}) could not be verified. "
            "The browser must send the Referer header. A proxy in front of PainChain must pass on its host name."
        )
        return error(400, "This form is from another site", message)
    return error(400, "This form has expired", "Nothing was saved. Reload the page and send the form again.")


def handle_http_error(problem: HTTPException) -> ResponseReturnValue:
    """Return the response for an HTTP error; a 404 raised by a view keeps its own message."""
    if isinstance(problem, InternalServerError) and (cause := problem.original_exception):
        # An error handler or a hook after the view failed, which is logged.
        return handle_database_error(cause) if isinstance(cause, SQLAlchemyError) else _edited_or_bug()
    status = problem.code or 500
    if status < 400:
        return problem.get_response()
    title, message = MESSAGES.get(status, (problem.name, problem.description or problem.name))
    if isinstance(problem, NotFound) and problem.description != NotFound.description:
        message = problem.description or message
    response = error(status, title, scrub(message))
    if status == 405 and (allowed := problem.get_response().headers.get("Allow")):
        response.headers["Allow"] = allowed
    return response


def handle_database_error(problem: Exception) -> Response:
    """Return the response for a database error, and remember a fault that needs a restart."""
    _roll_back()
    if isinstance(problem, OutcomeUnknown) and request.endpoint != "meta_api.health":
        return unknown_outcome(problem)
    fault = database_errors.classify((isinstance(problem, OutcomeUnknown) and problem.__cause__) or problem)
    log.error("Database error: %s (%s)", fault.message, _driver_message(problem))
    if fault.needs_restart:
        runtime.current().database_fault = fault
    if request.endpoint == "meta_api.health":
        return unhealthy(fault)
    if request.method in ("GET", "HEAD"):
        advice = fault.advice or "Try again shortly; /health shows when it is available again"
        message = f"The database cannot be read: {fault.message}. {advice}."
    else:
        runtime.current().metrics.count_refused_write(
            metrics.BUSY if isinstance(problem, WriteBusy) else metrics.DATABASE
        )
        advice = fault.advice or "Try again"
        message = f"Not saved: {fault.message}. Nothing was lost. {advice}."
    return error(503, "Database unavailable", message)


def unknown_outcome(problem: OutcomeUnknown) -> Response:
    """Return the response for a change that may be saved: the answer of the database to its COMMIT was lost."""
    words = str(problem)
    message = (
        f"{words[0].upper()}{words[1:]}. The connection to the database was lost before it confirmed the change. "
        "Check the timeline before you try again."
    )
    message = f"{message} {problem.advice}".rstrip()
    if responses.wants_json():
        return json_error(503, message, outcome="unknown")
    return error(503, "Possibly saved", message)


def unhealthy(fault: database_errors.Fault) -> Response:
    """Return the response of /health with the reason why the database cannot be read or written."""
    response = json_error(503, f"{fault}.")
    response.set_data(current_app.json.dumps({**response.get_json(), "status": "failing", "database": fault.message}))
    return response


def handle_key_error(problem: KeyUnusable) -> Response:
    """Return the response for a request that needs a secret which the key cannot decrypt."""
    _roll_back()
    log.error("Request %s needs a stored secret. %s", g.get("request_id"), problem)
    return error(503, "A stored secret cannot be decrypted", str(problem))


def handle_unexpected_error(problem: Exception) -> Response:
    """Return the response for a value that was edited by hand, or for a bug, with the request ID of the log."""
    _roll_back()
    logs.log_failure(log, "The request", problem)
    return _edited_or_bug()


def _edited_or_bug() -> Response:
    if edited := edited_json.first():
        log.error("%s", edited)
        return error(503, "A stored value cannot be read", str(edited), document=EDITED_VALUES)
    message = f"This is a bug in PainChain. See the server log for request {g.get('request_id')}."
    return error(500, "Something went wrong", message)


def _roll_back() -> None:
    """Roll back the session, or leave it to its broken connection and begin a new one."""
    try:
        db.session.rollback()
    except SQLAlchemyError:
        db.session.registry.clear()


def _driver_message(problem: Exception) -> str:
    """Return the database driver's message in one line, without statement or parameters."""
    cause = problem.orig if isinstance(problem, DBAPIError) and problem.orig else None
    return database_errors.driver_message(cause) if cause else type(problem).__name__

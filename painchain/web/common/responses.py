"""Answer: pages and fragments, writes on the record, and errors that say what to do."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flask import (
    Flask,
    current_app,
    flash,
    g,
    get_flashed_messages,
    jsonify,
    make_response,
    redirect,
    render_template,
    request,
)
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from markupsafe import Markup
from pydantic_core import ErrorDetails
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.wrappers import Response

from painchain import connectors
from painchain.audit import trail as audit_trail
from painchain.core import logs, metrics, runtime
from painchain.core.crypto import KeyUnusable
from painchain.core.redaction import scrub
from painchain.core.roles import LOCAL
from painchain.database import errors as database_errors
from painchain.database.session import WriteBusy, db
from painchain.eventlog import writer
from painchain.presentation import formatting
from painchain.web.common import cookies

log = logging.getLogger(__name__)

UTC_ZONE = ZoneInfo("UTC")
THEMES = ("light", "dark")
OPEN = "no accounts yet"  # why PainChain is the author of what anybody does who reaches it


@dataclass(frozen=True)
class Toast:
    """A short message about what just happened. `tone` is good, info or bad."""

    text: str
    tone: str = "good"


@contextmanager
def audited_transaction() -> Iterator[audit_trail.Trail]:
    """Open the write transaction of this request; what it changes and what is recorded stand or fall together."""
    with writer.writing() as event_log:
        cause = OPEN if g.who is LOCAL else ""
        yield audit_trail.Trail(event_log, g.actor, g.request_id, g.now, reason=g.reason, cause=cause)
    g.reason = ""  # what is saved next on the same page has a reason of its own


def is_htmx() -> bool:
    """Say whether htmx asks for a fragment (going back through the history it asks for whole pages)."""
    return "HX-Request" in request.headers and "HX-History-Restore-Request" not in request.headers


def zone() -> ZoneInfo:
    """Return the viewer's time zone, which the browser tells by a cookie; UTC otherwise."""
    return _zone(cookies.of_script("zone") or "UTC")


@lru_cache(64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC_ZONE


def page(template: str, status: int = 200, **values: Any) -> Response:
    """Return a whole page."""
    theme = cookies.of_script("theme")
    html = render_template(
        template,
        auditing=audit_trail.auditing(),
        theme=theme if theme in THEMES else "",
        zone=zone(),
        now=g.now,
        **values,
    )
    return make_response(html, status)


def fragment(template: str, status: int = 200, **values: Any) -> str:
    """Return one partial as HTML."""
    return render_template(f"partials/{template}.html", zone=zone(), now=g.now, **values)


def whole_address(path: str) -> str:
    """Return the address of a page as others reach it: by the public address, or the name that was asked for."""
    public: str = runtime.current().settings.public_url
    return (public or request.host_url.rstrip("/")) + path


def go_to(address: str, toast: Toast) -> ResponseReturnValue:
    """Send the browser on to `address`, where the message is shown."""
    flash(toast.text, toast.tone)
    if is_htmx():
        return "", 204, {"HX-Redirect": address}
    return redirect(address, 303)


def flashed() -> list[Toast]:
    """Return the messages that the page before has left for this one."""
    if not cookies.read(current_app.config["SESSION_COOKIE_NAME"]):
        return []
    return [Toast(one[1], one[0]) for one in get_flashed_messages(with_categories=True)]


def install(app: Flask) -> None:
    """Give the app its template filters and its error answers."""
    formatting.install(app)
    app.register_error_handler(CSRFError, _csrf_error)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(SQLAlchemyError, _database_error)
    app.register_error_handler(WriteBusy, _database_error)
    app.register_error_handler(KeyUnusable, _key_error)
    app.register_error_handler(Exception, _unexpected_error)
    app.jinja_env.globals.update(
        types=connectors.TYPES, builtin=connectors.BUILTIN, flashed=flashed, whole_address=whole_address
    )


def wants_json() -> bool:
    """Say whether the address belongs to the JSON API."""
    return request.path.startswith(("/api/", "/hooks/", "/health", "/openapi.json", "/metrics"))


def json_error(
    status: int, message: str, errors: list[dict[str, str]] | None = None, headers: dict[str, str] | None = None
) -> Response:
    """Return the one shape of every JSON error: ``{success, message, errors: [{field, message}]}``."""
    response = jsonify(success=False, message=message, errors=errors or [])
    response.status_code = status
    response.headers.extend(headers or {})
    return response


def field_errors(details: list[ErrorDetails]) -> list[dict[str, str]]:
    """Return Pydantic's errors in our shape, without repeating the input."""
    return [{"field": ".".join(map(str, one["loc"])), "message": one["msg"]} for one in details]


def error(status: int, title: str, message: str) -> Response:
    """Return an error as the caller can use it: JSON, a fragment for the notice area or a page."""
    if wants_json():
        return json_error(status, message)
    if is_htmx():
        html = fragment("shared/toast", toasts=[Toast(f"{title}. {message}", "bad")])
        return make_response(html, status, {"HX-Retarget": "#toast", "HX-Reswap": "outerHTML"})
    try:
        return page("pages/shared/error.html", status, title=title, message=message, sign_in=status == 401)
    except SQLAlchemyError:
        html = render_template("pages/shared/error.html", auditing=None, zone=UTC_ZONE, title=title, message=message)
        return make_response(html, status)


def _csrf_error(problem: CSRFError) -> Response:
    logs.security("csrf_refused", "A form came without a valid CSRF token.")
    if "referrer" in str(problem.description).lower():  # by https the browser says which page the form was on
        message = f"Nothing was saved: the browser does not say that this form is from https://{request.host}. "
        hint = "It has to send the Referer header, and a proxy in front of PainChain has to pass on its host name."
        return error(400, "This form is from elsewhere", message + hint)
    return error(400, "This form has expired", "Nothing was saved. Reload the page and send the form again.")


MESSAGES = {
    404: (
        "Not found",
        "There is nothing at this address. What was deleted is still on the timeline.",
    ),
    405: ("Not possible here", "This address does not take such a request."),
    413: ("Too large", "Nothing was saved: this is more than the server accepts in one request."),
    414: ("Too long", "This address is longer than the server reads. Choose less to filter by."),
    415: ("Not JSON", "Send the body as application/json."),
}


def _http_error(problem: HTTPException) -> ResponseReturnValue:
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


def _database_error(problem: Exception) -> Response:
    with suppress(SQLAlchemyError):
        db.session.rollback()
    fault = database_errors.Fault(str(problem)) if isinstance(problem, WriteBusy) else database_errors.classify(problem)
    log.error("Database error: %s (%s)", fault.words, _own_words(problem))
    if fault.lasting:
        runtime.current().database_fault = fault
    if request.endpoint == "api.health":
        return failing(fault)
    if request.method in ("GET", "HEAD"):
        advice = fault.advice or "Try again shortly; /health tells when it is back"
        message = f"The database cannot be read now ({fault.words}). {advice}."
    else:
        runtime.current().metrics.refused(metrics.BUSY if isinstance(problem, WriteBusy) else metrics.DATABASE)
        advice = f" {fault.advice}." if fault.advice else ""
        message = f"Nothing was saved: the database did not take it ({fault.words}). What is recorded is safe.{advice}"
    return error(503, "The database does not answer", message)


def failing(fault: database_errors.Fault) -> Response:
    """Answer for /health that the database does not read and write, and why."""
    response = json_error(503, f"{fault}.")
    response.set_data(current_app.json.dumps({**response.get_json(), "status": "failing", "database": fault.words}))
    return response


def _key_error(problem: KeyUnusable) -> Response:
    db.session.rollback()
    log.error("Request %s needs a stored secret. %s", g.get("request_id"), problem)
    return error(503, "A stored secret cannot be opened", str(problem))


def _own_words(problem: Exception) -> str:
    """Return the database's own words in one line; never statements or parameters."""
    cause = problem.orig if isinstance(problem, DBAPIError) and problem.orig else None
    return database_errors.own_words(cause) if cause else type(problem).__name__


def _unexpected_error(problem: Exception) -> Response:
    db.session.rollback()
    logs.failed(log, "The request", problem)
    return error(
        500, "Something went wrong", f"This is a defect in PainChain. Its log has details under {g.get('request_id')}."
    )


def join(*parts: str) -> Markup:
    """Return fragments one behind the other."""
    return Markup("\n").join(Markup(part) for part in parts)  # noqa: S704  rendered by our own templates

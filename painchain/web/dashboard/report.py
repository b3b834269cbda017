"""The report: what changed in a month, as a page to print and as CSV."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from flask import Blueprint, g, make_response, request
from flask.typing import ResponseReturnValue

from painchain.audit import event_kinds
from painchain.audit import trail as audit_trail
from painchain.audit.records import Export
from painchain.core import csv_file
from painchain.exports.export import ExportNeedsAuditing
from painchain.history import snapshots
from painchain.history.monthly_report import COLUMNS, NAMELESS, Month, Report, kind_label, monthly, rows
from painchain.timeline.filter import BadFilter
from painchain.web.common import responses
from painchain.web.common.transaction import audited_transaction
from painchain.web.dashboard.filter_view import View

blueprint = Blueprint("report", __name__)

# How many rows of a table the page shows; the CSV has all of them.
SHOWN_ROWS = 200


@blueprint.get("/report")
def index() -> ResponseReturnValue:
    """Show the report of a month; by default of the current one."""
    try:
        month, problem = _month(), ""
    except BadFilter as error:
        month, problem = Month.of(g.now, responses.zone()), str(error)
    values = {
        "report": monthly(month, responses.zone()),
        "present": Month.of(g.now, responses.zone()),
        "begins": snapshots.oldest(),
        "problem": problem,
    }
    labels = {"columns": COLUMNS, "nameless": NAMELESS, "kind_label": kind_label}
    helpers = {**labels, "shown_lines": SHOWN_ROWS, "on_dashboard": _on_dashboard}
    return responses.page("pages/dashboard/report.html", 422 if problem else 200, **values, **helpers)


@blueprint.post("/report.csv")
def table() -> ResponseReturnValue:
    """Return the same figures as CSV; like every export, this is audited."""
    try:
        month = _month()
    except BadFilter as error:
        return responses.error(422, "Invalid month", str(error))
    report = monthly(month, responses.zone())
    with audited_transaction() as trail:
        recorded = trail.log(event_kinds.events_exported(Export("report (CSV)", {"month": str(month)}, report.events)))
    if recorded is None:
        return responses.error(409, "Nothing was exported", str(ExportNeedsAuditing()))
    start = "" if "without_byte_order_mark" in request.form else csv_file.BYTE_ORDER_MARK
    response = make_response(start + csv_file.rows_as_csv(rows(report, responses.zone())))
    response.headers["Content-Type"] = "text/csv; charset=utf-8; header=present"
    response.headers["Content-Disposition"] = f'attachment; filename="painchain-report-{month}.csv"'
    response.headers["Vary"] = "HX-Request, Cookie"
    return response


def _month() -> Month:
    text = request.values.get("month", "").strip()
    return Month.parse(text) if text else Month.of(g.now, responses.zone())


def _on_dashboard(report: Report, day: str = "", **parameters: Any) -> str:
    """Return the address of the dashboard with the events that are counted in a figure."""
    start, end = report.start, report.end
    if day:
        zone = responses.zone()
        first_day = date.fromisoformat(day)
        days = (first_day, first_day + timedelta(days=1))
        start, end = (datetime(day.year, day.month, day.day, tzinfo=zone) for day in days)
    return View({}).address("/", source=audit_trail.SOURCE, start_date=start, end_date=end, **parameters)

"""The range of a view: the ranges to choose from, addresses with times in UTC, and links to earlier and later times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any

from flask import make_response, redirect, request
from flask.typing import ResponseReturnValue

from painchain.indexes import search_query
from painchain.timeline.filter import EARLIEST, RANGES, BadFilter, Filter, parse_time
from painchain.web.common import responses
from painchain.web.dashboard.filter_view import DATES, TIMES, View, filter_of, utc_text, view_of

ROW = ("30m", "1h", "6h", "24h", "7d")  # the ranges beside the menu of the others


@dataclass(frozen=True)
class TimeLinks:
    """Addresses with fixed times in UTC: of the view itself, and of half a window earlier and later, if possible."""

    fixed: str
    earlier: str = ""
    later: str = ""


def canonical(view: Callable[[], ResponseReturnValue]) -> Callable[[], ResponseReturnValue]:
    """Redirect from an address with local times, or with a range beside dates, to the same one in UTC.

    A form sends local times. In an address, they would mean another time to a viewer in another zone. htmx gets the
    response at once, and the address to show.
    """

    @wraps(view)
    def canonical_view() -> ResponseReturnValue:
        address = _canonical_address()
        if address and not responses.is_htmx():
            return redirect(address, 302)
        response = make_response(view())
        if address and response.status_code == 200:
            response.headers["HX-Push-Url"] = address
        return response

    return canonical_view


def _canonical_address() -> str:
    """Return the address to use instead of the requested one; an empty text if the requested one is canonical."""
    view = view_of(request.args, request.path)
    names = (*TIMES, "range") if any(request.args.get(name) for name in DATES) else TIMES
    is_canonical = all(request.args.get(name, "") == view.value(name) for name in names)
    return "" if is_canonical or not _is_valid(view) else view.address(cursor=request.args.get("cursor", ""))


def _is_valid(view: View) -> bool:
    """Return whether the filter of a view can be parsed; a page with the error has the address as it was typed."""
    try:
        filter_of(view)
    except BadFilter:
        return False
    return True


def address_in_utc(*names: str) -> str:
    """Return the requested address with the local times of some parameters in UTC; an empty text if there are none.

    Times that cannot be parsed stay as they are.
    """
    parameters = request.args.to_dict()
    for name in names:
        try:
            value = datetime.fromisoformat(parameters.get(name, "").strip())
            local = value.replace(tzinfo=responses.zone()) if value.tzinfo is None else None
            parameters[name] = utc_text(local) if local else parameters[name]
        except (ValueError, OverflowError):
            continue
    if parameters == request.args.to_dict():
        return ""
    return View({name: [value] for name, value in parameters.items()}, request.path).address()


def range_choices(view: View) -> dict[str, Any]:
    """Return the ranges that the filter offers, and the start and the end of the custom one for its inputs."""
    return {
        "ranges": ROW,
        "more_ranges": [name for name in RANGES if name not in ROW],
        "custom": {name: _input(view, name) for name in DATES},
    }


def _input(view: View, name: str) -> str:
    """Return a time of a view in the format of date-time inputs, in the viewer's zone."""
    try:
        value = parse_time(view.value(name), name, responses.zone()) if view.value(name) else None
    except BadFilter:
        return ""
    pattern = "%Y-%m-%dT%H:%M:%S" if value and value.second else "%Y-%m-%dT%H:%M"
    return value.astimezone(responses.zone()).strftime(pattern) if value else ""


def time_links(view: View, event_filter: Filter, now: datetime) -> TimeLinks:
    """Return the links from a view to fixed times. A view without a start has no earlier or later one."""
    start, end = event_filter.start, event_filter.end or _whole_millisecond(now)
    search = search_query.without_relative_times(view.value("q"), now, responses.zone())
    fixed = view.address("/", start_date=start or "", end_date=end, range="", q=search)
    if not start:
        return TimeLinks(fixed)
    if not event_filter.end:  # whole seconds are enough where the clock is one of the limits
        start, end = start.replace(microsecond=0), now.replace(microsecond=0)
    half = (end - start) / 2
    end_later = min(end + half, now.replace(microsecond=0))
    periods = [(start - half, end - half), (end_later - (end - start), end_later)]
    earlier, later = (
        view.address("/", start_date=first, end_date=last, range="", q=search) if EARLIEST <= first < last else ""
        for first, last in periods
    )
    return TimeLinks(fixed, earlier, later if event_filter.end and event_filter.end < now else "")


def _whole_millisecond(value: datetime) -> datetime:
    """Return a time rounded up, so that an address with it is short and includes what is on the page."""
    return value + timedelta(microseconds=-value.microsecond % 1000)

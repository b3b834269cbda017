"""The template filters: format times, values and differences for people."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from difflib import SequenceMatcher
from functools import lru_cache, partial
from itertools import takewhile
from pathlib import Path
from typing import Any
from urllib.parse import quote

from flask import Flask
from markupsafe import Markup, escape

from painchain.connectors.base import Kind
from painchain.core.text import clipped, fingerprint, format_value
from painchain.core.text import printable as printable
from painchain.timeline.coverage import KINDS

SHOWN_ITEMS = 20
SHARED_PATH = 12  # characters from which a path that two values share is left out of a row
_NUMBER = re.compile(r"-?[0-9][0-9.,eE+-]{0,40}")


def install(app: Flask) -> None:
    """Register the filters for the templates."""
    app.jinja_env.globals["static"] = lru_cache(None)(partial(static, app))
    app.jinja_env.globals["gap_kinds"] = KINDS
    times = (clock, day_name, exact, moment, since, span, relative_span, ago, ahead, hour)
    values = (printable, format_html, format_value, mark_difference, without_shared_path, pretty)
    for template_filter in (*times, page_of, browser, *values):
        app.jinja_env.filters[template_filter.__name__] = template_filter


def static(app: Flask, filename: str) -> str:
    """Return the address of a static file. It changes with the content, so that browsers can cache the file forever."""
    content = (Path(app.static_folder or "") / filename).read_bytes()
    return f"{app.static_url_path}/{filename}?v={hashlib.sha256(content).hexdigest()[:12]}"


def page_of(name: str) -> str:
    """Return the address of the page of an author.

    >>> page_of("Zoë/ops")
    '/people/Zo%C3%AB%2Fops'
    """
    return f"/people/{quote(name, safe='', errors='replace')}"


_BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrome/", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = ("Android", "iPhone", "iPad", "Windows", "Mac OS", "CrOS", "Linux")


def browser(agent: str) -> str:
    """Return the name and the system of a browser from its User-Agent.

    >>> browser("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"), browser("curl/8.0")
    ('Firefox on Linux', 'curl/8.0')
    """
    name = next((label for mark, label in _BROWSERS if mark in agent), "")
    system = next((label for label in _SYSTEMS if label in agent), "")
    return " on ".join(part for part in (name, system) if part) if name else agent[:60] or "an unknown browser"


def exact(value: datetime) -> str:
    """Return a time to the microsecond, in UTC."""
    return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f} UTC"


def clock(value: datetime, pattern: str = "%H:%M") -> Markup:
    """Return a local time of day with its exact UTC on hover."""
    return _time(value.astimezone(UTC), value.strftime(pattern))


def _time(value: datetime, text: str) -> Markup:
    """Return a UTC time as HTML. A page has hundreds of them, and `Markup.format` would take ten times as long."""
    html = f'<time datetime="{value.isoformat()}" title="{value:%Y-%m-%d %H:%M:%S.%f} UTC">{text}</time>'
    return Markup(html)  # noqa: S704  times contain no text of others


def moment(value: datetime, zone: Any) -> Markup:
    """Return a full local date and time with its exact UTC on hover."""
    return clock(value.astimezone(zone), "%-d %b %Y, %H:%M:%S")


def since(value: datetime, now: datetime, zone: Any) -> Markup:
    """Return a local time of day, with the date if it is more than 24 hours ago."""
    return clock(value.astimezone(zone), "%H:%M" if now - value < timedelta(days=1) else "%-d %b %Y, %H:%M")


def span(value: timedelta) -> str:
    """Return a duration as text, in its two largest units.

    >>> span(timedelta(minutes=12)), span(timedelta(days=1, hours=3, minutes=5)), span(timedelta(seconds=0.4))
    ('12 min', '1 d 3 h', 'less than a second')
    """
    seconds, parts = int(value.total_seconds()), []
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, seconds = divmod(seconds, size)
        parts += [f"{count} {unit}"] if count else []
    return " ".join(parts[:2]) or "less than a second"


def relative_span(value: datetime, zero: datetime) -> str:
    """Return how long before or after `zero` a time is, in at most two units.

    >>> zero = datetime(2026, 1, 31, 14)
    >>> [relative_span(time, zero) for time in (datetime(2026, 1, 31, 13, 47, 30), datetime(2026, 1, 31, 14, 0, 9))]
    ['−12 min', '+9 s']
    >>> relative_span(datetime(2026, 1, 31, 11, 55), zero)
    '−2 h 5 min'
    """
    seconds = int(abs((value - zero).total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        text = f"{days} d {hours % 24} h"
    elif hours:
        text = f"{hours} h {minutes % 60} min"
    else:
        text = f"{minutes} min" if minutes else f"{seconds} s"
    return ("−" if value < zero else "+") + text


def ago(value: datetime, now: datetime, zone: Any) -> Markup:
    """Return "3 min ago" for times of the last hour, and a local date and time for earlier ones."""
    seconds = (now - value).total_seconds()
    if 0 <= seconds < 3600:
        text = f"{int(seconds // 60)} min ago" if seconds >= 60 else "just now"
        return _time(value.astimezone(UTC), text)
    local = value.astimezone(zone)
    return clock(local, "%H:%M today" if local.date() == now.astimezone(zone).date() else "%-d %b %Y, %H:%M")


def ahead(value: datetime, now: datetime, zone: Any) -> Markup:
    """Return "in 3 min" for times of the next hour, and a local date and time for later ones."""
    seconds = (value - now).total_seconds()
    if seconds >= 3600:
        return hour(value, now, zone)
    text = "now" if seconds <= 0 else "within a minute" if seconds <= 60 else f"in {round(seconds / 60)} min"
    return _time(value.astimezone(UTC), text)


def hour(value: datetime, now: datetime, zone: Any) -> Markup:
    """Return a local time of day, with the date unless it is today, and the year unless it is this year."""
    local, today = value.astimezone(zone), now.astimezone(zone).date()
    date_format = "%-d %b" if local.year == today.year else "%-d %b %Y"
    return clock(local, "%H:%M" if local.date() == today else f"{date_format}, %H:%M")


def day_name(day: date, now: datetime, zone: Any) -> str:
    """Return "Today", "Yesterday" or the weekday and date."""
    distance = (now.astimezone(zone).date() - day).days
    date_text = f"{day:%A, %-d %B %Y}"
    return {0: f"Today, {day:%-d %B}", 1: f"Yesterday, {day:%-d %B}"}.get(distance, date_text)


def format_html(value: Any, kind: str = "") -> Markup:
    """Return a recorded value as HTML; an empty value becomes the word “empty”."""
    if value is None or value == "" or value == [] or value == {}:
        return Markup('<span class="empty">empty</span>')
    if isinstance(value, bool):
        state_names = ("shown", "hidden") if kind == "visible" else ("on", "off")
        return escape(state_names[0] if value else state_names[1])
    if isinstance(value, list):
        first_items = Markup(", ").join(format_html(item) for item in value[:SHOWN_ITEMS])
        hidden_items = len(value) - SHOWN_ITEMS
        if hidden_items <= 0:
            return first_items
        return first_items + f" and {hidden_items:,} more (sha256 {fingerprint(json.dumps(value))})"
    return escape(clipped(printable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))))


def mark_difference(old: Any, new: Any, kind: str = "") -> tuple[Markup, Markup]:
    """Return the old and the new value as HTML, with the difference between two texts marked."""
    if isinstance(old, str) != isinstance(new, str) and kind != Kind.SECRET:
        return _quoted_if_number(old, kind), _quoted_if_number(new, kind)
    if not (isinstance(old, str) and isinstance(new, str)) or kind == Kind.SECRET or len(old) + len(new) > 240:
        return format_html(old, kind), format_html(new, kind)
    matcher = SequenceMatcher(None, old, new, autojunk=False)
    if matcher.ratio() < 0.5:
        return format_html(old, kind), format_html(new, kind)
    sides: tuple[list[Markup], list[Markup]] = ([], [])
    for operation, a, b, c, d in matcher.get_opcodes():
        wrap: Callable[[str], Markup] = escape if operation == "equal" else Markup("<mark>{}</mark>").format
        for side, part in zip(sides, (old[a:b], new[c:d]), strict=True):
            if part:
                side.append(wrap(printable(part)))
    return Markup("").join(sides[0]), Markup("").join(sides[1])


def without_shared_path(old: Any, new: Any) -> tuple[Any, Any]:
    """Return two texts without the long path with which both begin, such as the registry of an image.

    >>> without_shared_path("registry.example/shop/web:1.2", "registry.example/shop/web:1.3")
    ('…/web:1.2', '…/web:1.3')
    >>> without_shared_path("shop/web:1.2", "shop/web:1.3"), without_shared_path(None, "shop/web:1.3")
    (('shop/web:1.2', 'shop/web:1.3'), (None, 'shop/web:1.3'))
    """
    if not (isinstance(old, str) and isinstance(new, str)):
        return old, new
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
    path = old[:same].rpartition("/")[0]
    return (f"…{old[len(path) :]}", f"…{new[len(path) :]}") if len(path) >= SHARED_PATH else (old, new)


def _quoted_if_number(value: Any, kind: str) -> Markup:
    """Return a value as HTML, in quotes if it is a text that looks like a number: 300 and "300" differ."""
    is_number = isinstance(value, str) and _NUMBER.fullmatch(value)
    return Markup("“{}”").format(format_html(value, kind)) if is_number else format_html(value, kind)


def pretty(value: Any) -> str:
    """Return a JSON value as indented text."""
    return json.dumps(value, ensure_ascii=False, indent=2)

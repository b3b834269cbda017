"""Render the bars of the chart. Each is a link that zooms into its bin; its parts are stacked by source.

A template would take ten times as long, and the chart of an open dashboard changes with every event.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote_plus
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from painchain import connectors
from painchain.core import runtime
from painchain.presentation.formatting import printable
from painchain.timeline.histogram import Bin, Histogram
from painchain.web.dashboard.comparison import Comparison
from painchain.web.dashboard.filter_view import View, utc_text

STEP = 10  # the width of a bin in the picture, which is 100 high
TALLEST, LOWEST = 96, 2  # the height of the tallest bar, and of a single event
KEY_BYTES = 300  # of a cached bar, roughly
_START, _END = "\ue000", "\ue001"  # stand for the times of a bin in the address of a view


@dataclass(frozen=True)
class _Style:
    """What all bars of a chart have in common: the patterns of their times, and their addresses.

    A pattern for the end of a bin is missing if bins are whole days. `earlier` says when the compared events happened.
    """

    pattern: str
    end_pattern: str
    zone: ZoneInfo
    address: Callable[[Bin], str]
    earlier: str


def draw(histogram: Histogram, view: View, zone: ZoneInfo, compared: Comparison | None = None) -> Markup:
    """Return the bars as SVG: the tallest one, or the highest number it is compared with, has the full height.

    A bar whose numbers are as before is not made again, except for its parts if another number is the highest now.
    """
    past = compared.counts if compared else [0] * len(histogram.bins)
    tallest = max(*(bin.total for bin in histogram.bins), *past)
    words = compared.words if compared else ""
    style = _Style(*_patterns(histogram.width), zone, _addresses(view), words)
    of_all = ("bars", *_patterns(histogram.width), zone.key, _pattern(view), words)
    cache = runtime.current().cache
    tallest_before, before = cache.get(of_all) or (0, dict[Hashable, tuple[str, str]]())
    drawn: dict[Hashable, tuple[str, str]] = {}
    for position, bin in enumerate(histogram.bins):
        is_uncounted = bool(histogram.since and bin.start < histogram.since)
        key = (position, bin.start, bin.end, *bin.counts.items(), bin.failures, is_uncounted, past[position])
        link, parts = before.get(key, ("", ""))
        if not link or tallest != tallest_before:
            parts = f"{_parts(bin, position * STEP + 1, tallest)}</a>"
        drawn[key] = (link or _link(position * STEP, bin, is_uncounted, past[position], style), parts)
    cache.put(of_all, (tallest, drawn), sum(len(link) + len(parts) + KEY_BYTES for link, parts in drawn.values()))
    return Markup("\n".join(map("".join, drawn.values())))  # noqa: S704  every text in it is escaped


def _patterns(width: timedelta) -> tuple[str, str]:
    if width.days >= 1:
        return "%a %-d %b", ""
    return ("%a %-d %b, %H:%M", "%H:%M") if width.seconds >= 60 else ("%-d %b, %H:%M:%S", "%H:%M:%S")


def _pattern(view: View) -> str:
    """Return the address of any bin of a view. It stands for all that their addresses depend on."""
    return view.address("/", start_date=_START, end_date=_END, range="")


def _addresses(view: View) -> Callable[[Bin], str]:
    """Return a function for the address of a bin. The other parameters of a view are encoded only once."""
    pattern = _pattern(view)
    encoded_start, encoded_end = quote_plus(_START), quote_plus(_END)
    if pattern.count(encoded_start) != 1 or pattern.count(encoded_end) != 1:  # the search has the same characters
        return lambda bin: view.address("/", start_date=bin.start, end_date=bin.end, range="")
    return lambda bin: pattern.replace(encoded_start, quote_plus(utc_text(bin.start))).replace(
        encoded_end, quote_plus(utc_text(bin.end))
    )


def _link(x: int, bin: Bin, is_uncounted: bool, past: int, style: _Style) -> str:
    """Return a bar without the parts, whose heights depend on the tallest bar, and without its end."""
    start, end = bin.start.astimezone(style.zone), bin.end.astimezone(style.zone)
    first = start.strftime(style.pattern)
    last = (end if style.end_pattern else (bin.end - datetime.resolution).astimezone(style.zone)).strftime(
        style.pattern
    )
    if style.end_pattern:
        times = f"{first}–{end.strftime(style.end_pattern)}"
    else:
        times = first if first == last else f"{first} – {last}"
    name = escape(f"{times}: {_words(bin, is_uncounted, past, style)}")
    data = f' data-from="{first}" data-to="{last}"'
    data += f' data-failures="{bin.failures}"' if bin.failures else ""
    data += f' data-earlier="{past}"' if past else ""
    data += ' data-uncounted="true"' if is_uncounted else ""
    label = f'aria-label="{name}"' if bin.total or past else 'tabindex="-1" aria-hidden="true"'
    areas = ("uncounted", "hit") if is_uncounted else ("hit",)
    rectangles = "".join(f'<rect class="{area}" x="{x}" y="0" width="{STEP}" height="100"/>' for area in areas)
    return (
        f'<a id="bin-{int(bin.start.timestamp())}" href="{escape(style.address(bin))}"{data} {label}>'
        f"<title>{name}</title>{rectangles}"
    )


def _words(bin: Bin, is_uncounted: bool, past: int, style: _Style) -> str:
    words = _count(bin.total, "event") + (" or more" if is_uncounted else "")
    if is_uncounted and not bin.total:
        words = "not counted"
    if bin.total:
        words += f" ({', '.join(f'{_label(key)} {count:,}' for key, count in sorted(bin.counts.items()))})"
    if bin.failures:
        words += f", {_count(bin.failures, 'failure')}"
    return words + (f", {style.earlier} {_count(past, 'event')}" if style.earlier else "")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _parts(bin: Bin, x: int, tallest: int) -> str:
    """Return the parts of a bar from the lowest to the highest, and the mark of failures above them."""
    y: float = 100
    parts = ""
    for key, count in sorted(bin.counts.items()):
        height = max(round(TALLEST * count / tallest, 2), LOWEST)
        y -= height
        colour = connectors.TYPES[key].colour if key in connectors.TYPES else "grey"
        parts += (
            f'<rect class="{colour}" data-label="{escape(_label(key))}" data-count="{count}" x="{x}" '
            f'y="{round(y, 2)}" width="{STEP - 2}" height="{height}"/>'
        )
    if bin.failures:
        parts += f'<rect class="failed" x="{x}" y="{round(max(y - 4, 0), 2)}" width="{STEP - 2}" height="4"/>'
    return parts


def _label(key: str) -> str:
    return connectors.TYPES[key].label if key in connectors.TYPES else printable(key)

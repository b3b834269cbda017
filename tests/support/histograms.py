"""Time zones, and what the bins of a histogram have in common."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

from painchain.timeline import histogram
from painchain.timeline.time_bins import MAX_BINS

UTC_ZONE = ZoneInfo("UTC")
KOLKATA = ZoneInfo("Asia/Kolkata")
BERLIN = ZoneInfo("Europe/Berlin")


def at(*times: datetime) -> list[dict[str, Any]]:
    """Return the members of events at these times."""
    return [{"timestamp": time} for time in times]


def assert_contiguous(chart: histogram.Histogram, zone: ZoneInfo = UTC_ZONE) -> None:
    """Assert that the bins are contiguous, fill the histogram, and have equal widths in the zone's local time."""
    assert 1 <= len(chart.bins) <= MAX_BINS + 1
    assert all(bin.end == following.start for bin, following in itertools.pairwise(chart.bins))
    assert (chart.start, chart.end) == (chart.bins[0].start, chart.bins[-1].end)
    for bin in chart.bins:
        by_the_clock = bin.end.astimezone(zone).replace(tzinfo=None) - bin.start.astimezone(zone).replace(tzinfo=None)
        assert chart.width in (bin.end - bin.start, by_the_clock)


def in_bins(chart: histogram.Histogram, events: Sequence[Any]) -> list[Counter[str]]:
    """Count events by source and bin without rollups."""
    return [Counter(event.source for event in events if bin.start <= event.timestamp < bin.end) for bin in chart.bins]


ZONES = ["UTC", "Asia/Kolkata", "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kathmandu"]
spans = st.one_of(
    st.timedeltas(timedelta(microseconds=1), timedelta(seconds=2)),
    st.timedeltas(timedelta(seconds=1), timedelta(days=2)),
    st.timedeltas(timedelta(days=1), timedelta(days=800)),
)

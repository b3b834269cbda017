"""The same occurrence always gets the same event id, and different occurrences get different ids."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given, settings
from hypothesis import strategies as st

from painchain.connectors.code_hosts import event_id

PART = st.text(st.sampled_from("ab:%3A2510"), max_size=4)
PARTS = st.lists(PART, min_size=2, max_size=4)


@settings(max_examples=200, deadline=None)
@given(PARTS, PARTS)
def test_different_occurrences_have_different_ids(first: list[str], second: list[str]) -> None:
    assert (event_id("github", 3, *first) == event_id("github", 3, *second)) == (first == second)


def test_the_same_time_in_any_notation_gives_the_same_id() -> None:
    time = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    forms = (
        time,
        time.replace(microsecond=999_999),
        time.replace(tzinfo=None),
        time.astimezone(timezone(timedelta(hours=5, minutes=30))),
    )
    ids = {event_id("gitlab", 3, 4711, "mr", 12, "closed", form) for form in forms}
    assert ids == {"gitlab:3:4711:mr:12:closed:2026-03-04T05:06:07Z"}

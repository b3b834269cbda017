"""The parameters of the API: in the path, in the query and in headers."""

from __future__ import annotations

from painchain.exports.export import FORMATS
from painchain.indexes.search_query import MAX_TERMS, MAX_TEXT, QUALIFIERS
from painchain.web.api.events import DEFAULT_LIMIT, MAX_LIMIT
from painchain.web.api.openapi.schema import ANY_TEXT, INTEGER, STRING, TIME, Schema, any_of, list_of

Parameters = dict[str, tuple[Schema, str]]
PATH: Parameters = {
    "event": (STRING, "Its number or its event id."),
    "id": ({**INTEGER, "examples": [1]}, "The connector's id."),
    "team": ({**INTEGER, "examples": [1]}, "The team's id."),
    "person": ({**INTEGER, "examples": [2]}, "The account's id."),
    "rule": ({**INTEGER, "examples": [1]}, "The rule's id."),
    "token": ({**INTEGER, "examples": [2]}, "The token's id."),
    "event_type": ({**STRING, "examples": ["ConfigChanged"]}, "One that connectors of this type report."),
    "field": ({**STRING, "examples": ["old_value"]}, "One that events of this type have."),
}
IF_MATCH: Parameters = {
    "If-Match": ({**STRING, "examples": ["*"]}, "The ETag of what is written to, as it was read; * stands for any."),
}
REASON: Parameters = {
    "X-Reason": (STRING, "Why, percent-encoded UTF-8 (500 characters at most); it is kept with what is recorded."),
}
SOME = list_of({**ANY_TEXT, "maxLength": MAX_TEXT})
DAY = any_of({"type": "string", "format": "date"}, TIME, {"const": ""})
_EXAMPLES = ", ".join(f"`{example}`" for _, example in QUALIFIERS.values())
SEARCH = (
    "A search as in the box of the dashboard: words that all occur in the event (the beginning of each will do, quotes "
    f"keep words together and whole) and qualifiers: {_EXAMPLES} or a range `2026-01-01..2026-01-31`. A minus before a "
    "word or qualifier excludes it; values with commas between them, or the same qualifier twice, mean either. "
    f"{MAX_TERMS} words and qualifiers at most; times are in UTC unless they have an offset. Anything else with a "
    "colon is refused and `errors` says what is allowed; in quotes it is text."
)
FILTER: Parameters = {
    "source": (SOME, "Connector types, repeated or comma-separated: any of them."),
    "event_type": (SOME, "Such as ConnectorUpdated, repeated or comma-separated: any of them."),
    "connector": (SOME, "Names or ids, repeated: any of them."),
    "tag": (SOME, "Repeated or comma-separated: any of them."),
    "team": (SOME, "Names of teams, repeated: with any tag of any of them. A name that no team has is refused."),
    "author": (SOME, "Repeated: any of them."),
    "status": (SOME, "Such as updated, repeated or comma-separated: any of them."),
    "start_date": (DAY, "From then on: between 1970 and 9000, in UTC unless it has an offset."),
    "end_date": (DAY, "Before then; later than start_date."),
    "q": ({**ANY_TEXT, "maxLength": MAX_TEXT}, SEARCH),
}
PAGE: Parameters = {
    "limit": ({"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}, "How many events."),
    "cursor": ({"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}, "Where an older page begins: Link has it."),
}
AS_OF: Parameters = {"at": (DAY, "The moment, in UTC unless it has an offset; now if it is left out.")}
EXPORT: Parameters = {"format": ({"enum": list(FORMATS), "default": "ndjson"}, "How the events are written.")}

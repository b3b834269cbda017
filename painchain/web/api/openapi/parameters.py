"""The parameters of the API: in the path, in the query and in headers."""

from __future__ import annotations

from painchain.exports.export import FORMATS
from painchain.indexes.search_query import MAX_TERMS, MAX_TEXT, QUALIFIERS
from painchain.timeline.filter import OUTCOMES
from painchain.web.api.annotations import EARLIEST, LATEST
from painchain.web.api.events import DEFAULT_LIMIT, MAX_LIMIT
from painchain.web.api.openapi.schema import ANY_TEXT, INTEGER, STRING, TIME, Schema, any_of, list_of

Parameters = dict[str, tuple[Schema, str]]
PATH: Parameters = {
    "event": ({**STRING, "examples": ["1"]}, "Event number or event ID."),
    "id": ({**INTEGER, "examples": [1]}, "The connector's ID."),
    "team": ({**INTEGER, "examples": [1]}, "The team's ID."),
    "view": ({**INTEGER, "examples": [1]}, "The view's ID."),
    "person": ({**INTEGER, "examples": [2]}, "The account's ID."),
    "rule": ({**INTEGER, "examples": [1]}, "The rule's ID."),
    "token": ({**INTEGER, "examples": [2]}, "The token's ID."),
    "event_type": ({**STRING, "examples": ["ConfigChanged"]}, "An event type of this connector type."),
    "field": ({**STRING, "examples": ["old_value"]}, "A field of this event type."),
}
IF_MATCH: Parameters = {
    "If-Match": ({**STRING, "examples": ["*"]}, "The ETag of the last GET; * matches any version."),
}
REASON: Parameters = {
    "X-Reason": (
        STRING,
        "Reason for the change, recorded in the audit log: percent-encoded UTF-8, at most 500 characters.",
    ),
}
TEXT_LIST = list_of({**ANY_TEXT, "maxLength": MAX_TEXT})
DAY = any_of({"type": "string", "format": "date"}, TIME, {"const": ""})
_EXAMPLES = ", ".join(f"`{example}`" for _, example in QUALIFIERS.values())
SEARCH = (
    "A search as on the dashboard. An event matches if it contains every word. Prefixes match. Quotes match a "
    f"phrase exactly. Qualifiers: {_EXAMPLES} or a range `2026-01-01..2026-01-31`. A minus before a word or "
    "qualifier excludes it. Values separated by commas, or a repeated qualifier, match either. "
    f"At most {MAX_TERMS} words and qualifiers. Times are in UTC unless they have an offset. Any other text "
    "with a colon is rejected unless it is in quotes; `errors` lists what is allowed."
)
_OUTCOME = "|".join(OUTCOMES)
FILTER: Parameters = {
    "source": (TEXT_LIST, "Connector types, repeated or comma-separated; matches any of them."),
    "event_type": (
        TEXT_LIST,
        "Event types such as ConnectorUpdated, repeated or comma-separated; matches any of them.",
    ),
    "connector": (TEXT_LIST, "Names or IDs of connectors, repeated; matches any of them."),
    "tag": (TEXT_LIST, "Tags, repeated or comma-separated; matches any of them."),
    "team": (TEXT_LIST, "Names of teams, repeated; matches events with any of their tags. Unknown names are rejected."),
    "author": (TEXT_LIST, "Authors, repeated; matches any of them."),
    "service": (TEXT_LIST, "Services, in any case, repeated; matches events of any of them."),
    "environment": (TEXT_LIST, "Environments, in any case, repeated; matches events of any of them."),
    "status": (TEXT_LIST, "Statuses such as updated, repeated or comma-separated; matches any of them."),
    "outcome": (
        list_of({"type": "string", "pattern": rf"^({_OUTCOME})?(,({_OUTCOME})?)*$", "maxLength": MAX_TEXT}),
        "Outcomes: good, bad, running or neutral, repeated or comma-separated; matches any of them. A table for each "
        "source says which statuses are good, bad or running; all others are neutral.",
    ),
    "start_date": (DAY, "Start (inclusive): between 1970 and 9000, in UTC unless it has an offset."),
    "end_date": (DAY, "End (exclusive); later than start_date."),
    "q": ({**ANY_TEXT, "maxLength": MAX_TEXT}, SEARCH),
}
PAGE: Parameters = {
    "limit": (
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        "Maximum number of events.",
    ),
    "cursor": ({"type": "string", "pattern": "^[A-Za-z0-9_-]+$"}, "Pagination cursor from the Link header."),
}
MILLISECONDS: Schema = {"type": "integer", "minimum": EARLIEST, "maximum": LATEST, "examples": [1_767_225_600_000]}
ANNOTATIONS: Parameters = {
    "from": (MILLISECONDS, "Start (inclusive), in milliseconds since 1970; instead of start_date."),
    "to": (MILLISECONDS, "End (exclusive), in milliseconds since 1970; instead of end_date."),
    "limit": (
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": MAX_LIMIT},
        "Maximum number of events.",
    ),
}
AS_OF: Parameters = {"at": (DAY, "Point in time, in UTC unless it has an offset (default: now).")}
EXPORT: Parameters = {
    "format": ({"enum": list(FORMATS), "default": "ndjson"}, "The file format."),
    "bom": (
        {"enum": ["true", "false"], "default": "false"},
        "Whether CSV begins with a byte order mark (U+FEFF), so that spreadsheets read it as UTF-8.",
    ),
}

"""Read CloudEvents 1.0 over HTTP in all content modes, as change events."""

from __future__ import annotations

import json
import re
from base64 import b64decode
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Annotated, Any, Literal, Self
from urllib.parse import unquote_to_bytes

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, model_validator
from pydantic_core import PydanticCustomError

from painchain.connectors.change_event import VISIBLE, ChangeEvent, Time, visible
from painchain.core.validation import TEXT, BadBody, Json, Value, read_as
from painchain.ingestion import cdevents
from painchain.ingestion.change_events import refuse_late, refuse_size

STRUCTURED, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
PREFIX = "ce-"  # of headers
CHANGE = "com.painchain.change"  # the type of CloudEvents whose data must be a change event
MAX_TITLE, MAX_ATTRIBUTE, MAX_SOURCE = 300, 500, 1_000
MAX_EXTERNAL_ID = MAX_SOURCE + 2 * MAX_ATTRIBUTE + 2
REQUIRED = ("specversion", "id", "source", "type")
_IN_HEADERS = (*REQUIRED, "subject", "time")
_JSON_TYPE = re.compile(r"[^/;]+/([^/;]+\+)?json\s*(;.*)?", re.IGNORECASE)
_ENCODED = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_MUST_BE_ENCODED = re.compile(r"[^!#$&-~]")  # what is not printable ASCII, space, double quote and percent


Attribute = Annotated[
    str, Field(min_length=1, max_length=MAX_ATTRIBUTE, pattern=TEXT), VISIBLE, AfterValidator(visible)
]


class CloudEvent(BaseModel):
    """A CloudEvent in the JSON format. Extension attributes are ignored.

    In binary mode, the attributes are the headers `ce-specversion`, `ce-id`, `ce-source`, `ce-type`, `ce-subject` and
    `ce-time`, the media type is any JSON type, and the body is the data.
    """

    model_config = ConfigDict(strict=True, json_schema_extra={"not": {"required": ["data", "data_base64"]}})

    specversion: Literal["1.0"]
    id: Attribute
    source: Annotated[str, Field(max_length=MAX_SOURCE, pattern=r"^[^\s\x00]+$")] = Field(
        description="A URI reference. Source, type and ID identify the event: sent again, it is the same event."
    )
    type: Attribute = Field(
        description=f"dev.cdevents.… is read as a CDEvent. The data of {CHANGE} must be a change event."
    )
    subject: Attribute | None = None
    time: Time | None = Field(
        None, description="When it happened. Default: now. Not before 1990, and at most five minutes in the future."
    )
    datacontenttype: str | None = None
    data: Json = Field(None, description="A change event, or anything else: then the kind is other.")
    data_base64: (
        Annotated[str, Field(pattern=r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$")] | None
    ) = None

    @model_validator(mode="after")
    def has_one_kind_of_data(self) -> Self:
        """Refuse data that is given twice."""
        if {"data", "data_base64"} <= self.model_fields_set:
            raise PydanticCustomError("data", "Only one of data and data_base64 is possible")
        return self


class ReadCloudEvent(ChangeEvent):
    """The change event that a CloudEvent is, with the attributes that are kept as facts."""

    external_id: Annotated[str, Field(min_length=1, max_length=MAX_EXTERNAL_ID, pattern=TEXT)]
    cloudevent_type: str
    cloudevent_source: str
    cloudevent_subject: str | None

    def more_facts(self) -> dict[str, Any]:
        """Return the attributes of the CloudEvent."""
        names = ("cloudevent_type", "cloudevent_source", "cloudevent_subject")
        return {name: getattr(self, name) for name in names}


_ONE, _BATCH = TypeAdapter(CloudEvent), TypeAdapter(list[CloudEvent])
_READ: TypeAdapter[ChangeEvent] = TypeAdapter(ReadCloudEvent)
_JSON: TypeAdapter[Any] = TypeAdapter(Json)
Header = Callable[[str], str | None]  # the value of a header


def is_cloud_event(media_type: str, header: Header) -> bool:
    """Return whether a request is a CloudEvent or a batch of them."""
    return media_type in (STRUCTURED, BATCH) or any(header(PREFIX + name) is not None for name in REQUIRED)


def parse(media_type: str, header: Header, raw: bytes, now: datetime) -> tuple[Sequence[ChangeEvent], bool]:
    """Return the change events of the CloudEvents in a request, and whether it is a batch.

    :raises BadBody: when one of them is invalid; the field names its index in the batch.
    """
    is_batch = media_type == BATCH
    if is_batch:
        events = read_as(_BATCH, raw)
        refuse_size(events)
        changes = _each(events)
    else:
        changes = [_change(read_as(_ONE, raw) if media_type == STRUCTURED else _binary(header, raw))]
    refuse_late(changes, now, is_batch)
    return changes, is_batch


def _each(events: Sequence[CloudEvent]) -> list[ChangeEvent]:
    changes, errors = [], list[dict[str, str]]()
    for index, event in enumerate(events):
        try:
            changes.append(_change(event))
        except BadBody as bad:
            errors += _below(str(index), bad.errors)
    if errors:
        raise BadBody(errors[:20])
    return changes


def _binary(header: Header, raw: bytes) -> CloudEvent:
    """Return the CloudEvent of a request in binary mode: attributes in headers, data as the body."""
    attributes, errors = dict[str, str](), list[dict[str, str]]()
    for name in _IN_HEADERS:
        if (value := header(PREFIX + name)) is not None:
            try:
                attributes[name] = header_value(value, is_uri=name == "source")
            except UnicodeDecodeError:
                errors.append({"field": name, "message": "Its percent-encoding is not UTF-8"})
    if errors:
        raise BadBody(errors)
    event = read_as(_ONE, json.dumps(attributes).encode())
    return event.model_copy(update={"data": _below_data(lambda: _body(raw)) if raw else None})


def _body(raw: bytes) -> Any:
    """Return the data that a body has. SDKs send text without quotes, so what is not JSON is text.

    :raises BadBody: when it begins like an object, an array or a text in quotes, and is none.
    """
    try:
        return read_as(_JSON, raw)
    except BadBody:
        if raw.lstrip()[:1] in b'{["':
            raise
        with suppress(UnicodeDecodeError):
            return read_as(_JSON, json.dumps(raw.decode()).encode())
        raise


def header_value(value: str, is_uri: bool = False) -> str:
    """Return the attribute that a header has. Senders that follow the HTTP binding percent-encode it, others do not.

    An encoder encodes whatever has to be, and writes a character in one way only. In a URI it finds only percent signs.
    A value that is otherwise is taken as it is.

    >>> header_value("api%20100%25%20out"), header_value("api 100% out"), header_value("pkg:oci/app@sha256%3A0b")
    ('api 100% out', 'api 100% out', 'pkg:oci/app@sha256%3A0b')
    >>> header_value("/job/My%2520Job", is_uri=True), header_value("/job/My%20Job", is_uri=True)
    ('/job/My%20Job', '/job/My%20Job')

    :raises UnicodeDecodeError: when the encoded bytes are not UTF-8.
    """
    text, is_quoted = _text(value), False
    if len(text) > 1 and text[0] == text[-1] == '"':  # of senders that follow an older version
        text, is_quoted = re.sub(r"\\(.)", r"\1", text[1:-1]), True
    plain = _ENCODED.sub("", text)
    if plain == text or "%" in plain or (_MUST_BE_ENCODED.search(plain) and not is_quoted):
        return text
    decoded = _ENCODED.sub(lambda encoded: unquote_to_bytes(encoded[0]).decode(), text)
    was_encoded = {char for run in _ENCODED.findall(text) for char in unquote_to_bytes(run).decode()}
    is_mixed = not was_encoded.isdisjoint(plain)
    return text if is_mixed or (is_uri and _MUST_BE_ENCODED.search(decoded.replace("%", ""))) else decoded


def _text(value: str) -> str:
    """Return a header, whose bytes WSGI gives as Latin-1, as text: UTF-8 if it is that."""
    try:
        return value.encode("latin-1").decode()
    except UnicodeError:
        return value


def _change(event: CloudEvent) -> ChangeEvent:
    """Return the change event that a CloudEvent is.

    :raises BadBody: when its data must be a change event and is not, or is too large.
    """
    data = _data(event)
    if event.type == CHANGE and not isinstance(data, dict):
        raise BadBody([{"field": "data", "message": "Must be a change event"}])
    if event.type == CHANGE:
        return _below_data(lambda: _read(event, data))
    members = cdevents.members(event.type, data)
    if members is None and isinstance(data, dict) and "title" in data:
        with suppress(BadBody):  # something else can have a title, too
            return _read(event, data)
    if members is None:
        members = {"title": f"{event.type}: {event.subject}" if event.subject else event.type, "data": data}
    title = members["title"]
    return _read(event, members | {"title": title if len(title) <= MAX_TITLE else f"{title[: MAX_TITLE - 1]}…"})


def _read(event: CloudEvent, members: dict[str, Any]) -> ChangeEvent:
    """Return the change event with these members. Time and external ID are those of the CloudEvent if it has none."""
    of_event = {
        "time": event.time and event.time.isoformat(),
        "external_id": f"{event.source} {event.type} {event.id}",  # some senders use one id for all events of a run
    }
    attributes = {
        "cloudevent_type": event.type,
        "cloudevent_source": event.source,
        "cloudevent_subject": event.subject,
    }
    given = {name: value for name, value in members.items() if value is not None}
    return read_as(_READ, json.dumps(of_event | given | attributes).encode())


def _data(event: CloudEvent) -> Any:
    """Return the data of an event. Binary data that is not JSON stays in Base64."""
    if event.data_base64 is None:
        return event.data
    if event.datacontenttype and _JSON_TYPE.fullmatch(event.datacontenttype):
        try:
            return read_as(_JSON, b64decode(event.data_base64))
        except BadBody:
            pass
    return event.data_base64


def _below_data(read: Callable[[], Value]) -> Value:
    try:
        return read()
    except BadBody as bad:
        raise BadBody(_below("data", bad.errors)) from None


def _below(place: str, errors: Sequence[dict[str, str]]) -> list[dict[str, str]]:
    return [{**error, "field": f"{place}.{error['field']}".rstrip(".")} for error in errors]

"""The change event: what every change has, from whatever source, with its limits and facts."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any, Self

from pydantic import AfterValidator, AwareDatetime, Field, model_validator
from pydantic_core import PydanticCustomError

from painchain.connectors.change_types import CLAIMED_TIME, MAX_DATA
from painchain.connectors.contract import EARLIEST
from painchain.connectors.http_client import link
from painchain.core.redaction import holds_credentials, scrub_value
from painchain.core.text import is_blank
from painchain.core.validation import TEXT, Body, Json


def visible(text: str) -> str:
    """Refuse a text of which nothing can be seen."""
    if is_blank(text):
        raise PydanticCustomError("blank", "Must have a character that can be seen")
    return text


def _web_address(text: str) -> str:
    if link(text) is None or holds_credentials(text):
        raise PydanticCustomError("url", "Must be an http or https URL without a password or token")
    return text


def _small(value: Any) -> Any:
    if len(json.dumps(value).encode()) > MAX_DATA:
        raise PydanticCustomError("too_long", "Must have at most 64 KiB of JSON")
    return value


def _in_utc(time: datetime) -> datetime:
    if time < EARLIEST:
        raise PydanticCustomError("too_early", "Must not be before 1990")
    try:
        return time.astimezone(UTC)
    except OverflowError:  # 9999-12-31T23:00:00-02:00
        raise PydanticCustomError("too_late", "Must not be after the year 9999") from None


# What the API's description says of a text that `visible` accepts.
VISIBLE = Field(json_schema_extra={"allOf": [{"pattern": r"[^\s\x00-\x1f\x7f-\x9f]"}]})
Line = Annotated[str, Field(min_length=1, max_length=200, pattern=TEXT), VISIBLE, AfterValidator(visible)]
Time = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class ChangeEvent(Body):
    """A change to record on the timeline."""

    title: Annotated[str, Field(min_length=1, max_length=300, pattern=TEXT), VISIBLE, AfterValidator(visible)]
    kind: Annotated[str, Field(pattern=r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$", max_length=50)] = Field(
        "other",
        description="deployment, release, configuration, feature_flag, migration, infrastructure, dns, incident, "
        "other, or any lower-case word. The event's type is the same in PascalCase.",
    )
    time: Time | None = Field(
        None, description="When it happened. Default: now. Not before 1990, and at most five minutes in the future."
    )
    end_time: Time | None = Field(None, description="When it ended. Needs `time`.")
    service: Line | None = None
    environment: Line | None = None
    version: Line | None = None
    sha: Annotated[str, Field(pattern=r"^[0-9a-fA-F]{7,64}$")] | None = Field(None, description="Hash of a commit.")
    digest: Line | None = Field(None, description="Digest of an image, such as sha256:….")
    repository: Line | None = Field(None, description="Full name, such as acme/api.")
    status: (
        Annotated[str, Field(min_length=1, max_length=60, pattern=TEXT), VISIBLE, AfterValidator(visible)] | None
    ) = None
    actor: Line | None = Field(
        None, description="Who made the change, according to the sender. The event's author is the sender itself."
    )
    url: Annotated[str, Field(max_length=2_000, pattern=TEXT), AfterValidator(_web_address)] | None = None
    description: Annotated[str, Field(max_length=20_000, pattern=TEXT)] = ""
    tags: list[Annotated[str, Field(min_length=1, max_length=50, pattern=TEXT), VISIBLE, AfterValidator(visible)]] = (
        Field(
            default_factory=list,  # Pydantic makes a deep copy of a default, which takes longer
            max_length=50,
            json_schema_extra={"default": []},
        )
    )
    data: Annotated[Json, AfterValidator(_small)] = None
    external_id: Line | None = Field(
        None, description="The sender's own ID of the change. Sent again, it is the same event."
    )

    @model_validator(mode="after")
    def ends_after_it_begins(self) -> Self:
        """Refuse an end before the beginning."""
        if self.end_time and (self.time is None or self.end_time < self.time):
            raise PydanticCustomError("end_time", "end_time needs a time that is not after it")
        return self

    def more_facts(self) -> dict[str, Any]:
        """Return facts that the event has beside its members."""
        return {}


def facts(event: ChangeEvent, time: datetime) -> dict[str, Any]:
    """Return the facts that an event has, in the order in which they are shown."""
    end, claimed = event.end_time, event.time if event.time != time else None
    facts = {
        "repository": event.repository,
        "service": event.service,
        "environment": event.environment,
        "version": event.version,
        "status": event.status,
        "sha": event.sha and event.sha.lower(),
        "digest": event.digest,
        CLAIMED_TIME: claimed and _text_of(claimed),
        "end_time": end and _text_of(end),
        "duration": (end - event.time).total_seconds() if end and event.time else None,
        "actor": event.actor,
        "data": event.data and scrub_value(event.data),
        "external_id": event.external_id,
        **event.more_facts(),
    }
    return {key: value for key, value in facts.items() if value is not None}


def _text_of(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")

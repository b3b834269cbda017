"""Read change events from a payload, by a set of JMESPath expressions: a mapping."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any

from jmespath.parser import ParsedResult

from painchain.connectors.contract import NothingToRecord
from painchain.connectors.webhook import values
from painchain.connectors.webhook.expressions import MAX_STEPS, Budget, ExpressionError, Interpreter, is_true, parse

# What a mapping can have an expression for, with what the expression gives.
MEMBERS: Mapping[str, str] = MappingProxyType(
    {
        "news": "Whether the payload is news. If it gives false, null or nothing, no event is recorded.",
        "split": "An array with one item for each event. Without it, the payload is one event.",
        "title": "What happened, in one line.",
        "kind": "deployment, release, configuration, feature_flag, migration, infrastructure, dns, incident or other.",
        "time": "When it happened.",
        "end_time": "When it ended.",
        "service": "The service that changed.",
        "environment": "Where it changed, such as production.",
        "version": "The version.",
        "sha": "The hash of the commit.",
        "digest": "The digest of the image.",
        "repository": "The full name of the repository.",
        "status": "How it went, such as success or failure.",
        "actor": "Who did it, as the source says.",
        "url": "A link to it.",
        "description": "More about it, as text.",
        "tags": "An array of tags.",
        "data": "Any value to keep with the event, up to 64 KiB.",
        "external_id": "The source's ID of the change. Sent again, it is the same event.",
        "group": "What events have in common that belong together, such as an alert that fires and is resolved.",
    }
)
MAX_EVENTS = 1_000  # of one delivery
NOT_NEWS = "The mapping does not take this payload for news."
_WHOLE = ("news", "split")  # the members whose expressions see the payload before it is split


class MappingError(Exception):
    """A mapping that is not valid, or cannot read a payload. The message is a sentence and repeats no secret."""

    def __init__(self, member: str, message: str):
        super().__init__(f"{member}: {message}")
        self.member = member
        self.message = message


@dataclass(frozen=True)
class CompiledMapping:
    """A mapping that is ready to read payloads. `not_news` is the reason why a payload that is no news is none."""

    expressions: Mapping[str, ParsedResult]
    not_news: str = NOT_NEWS

    def events(
        self, payload: Any, headers: Mapping[str, str], steps: int = MAX_STEPS
    ) -> list[dict[str, Any] | MappingError]:
        """Return the change events of a payload, as `POST /api/events` takes them, and `group` beside their members.

        There is one for each item. In place of one that cannot be read, there is the error: an expression cannot be
        evaluated for it, or gives a value that the member does not take.

        The expressions see an object with `payload`, `item` (of the array that `split` gives; without `split` the
        payload) and `headers` (in lower case, only those that ``signing.public_headers`` gives). Times are in UTC.
        `steps` limits the work of all expressions together.

        :raises NothingToRecord: if the payload is no news.
        :raises MappingError: if `news` or `split` cannot be evaluated, or does not give an array of items.
        """
        budget = Budget(steps)
        interpreter = Interpreter(budget)
        whole = {"payload": payload, "item": payload, "headers": headers}
        if "news" in self.expressions and not is_true(self._value("news", interpreter, whole)):
            raise NothingToRecord(self.not_news)
        items = self._items(interpreter, whole) if "split" in self.expressions else [payload]
        return [self._event_or_error(interpreter, budget, {**whole, "item": item}) for item in items]

    def _items(self, interpreter: Interpreter, whole: Mapping[str, Any]) -> list[Any]:
        items = self._value("split", interpreter, whole)
        if items is None or items == []:
            raise NothingToRecord(self.not_news)
        if not isinstance(items, list):
            raise MappingError("split", f"The expression gave {values.type_name(items)}, but an array is needed.")
        if len(items) > MAX_EVENTS:
            raise MappingError("split", f"The array has {len(items):,} items. A delivery has at most {MAX_EVENTS:,}.")
        return items

    def _event_or_error(
        self, interpreter: Interpreter, budget: Budget, seen: Mapping[str, Any]
    ) -> dict[str, Any] | MappingError:
        try:
            return self._event(interpreter, budget, seen)
        except MappingError as problem:
            return problem

    def _event(self, interpreter: Interpreter, budget: Budget, seen: Mapping[str, Any]) -> dict[str, Any]:
        event = {}
        for member in self.expressions:
            if member in _WHOLE:
                continue
            value = self._value(member, interpreter, seen)
            try:
                value = values.member(member, value, budget)
            except ExpressionError as problem:
                raise MappingError(member, f"The expression {problem}.") from None
            if value is not None:
                event[member] = value
        if "title" not in event:
            raise MappingError("title", "The expression gave no text for this payload, but an event needs a title.")
        return _in_order(event)

    def _value(self, member: str, interpreter: Interpreter, seen: Mapping[str, Any]) -> Any:
        try:
            return interpreter.evaluate(self.expressions[member], seen)
        except ExpressionError as problem:
            raise MappingError(member, f"The expression {problem}.") from None


def compile(expressions: Mapping[str, str], not_news: str = NOT_NEWS) -> CompiledMapping:
    """Return a mapping that is ready to use. Members without an expression, or with an empty one, are left out.

    :raises MappingError: for the first expression that is not valid, and for a name that is no member.
    """
    parsed = {}
    for member in (*MEMBERS, *(name for name in expressions if name not in MEMBERS)):
        text = expressions.get(member, "").strip()
        if not text:
            continue
        if member not in MEMBERS:
            raise MappingError(member, "An event has no such member.")
        try:
            parsed[member] = parse(text)
        except ExpressionError as problem:
            raise MappingError(member, f"The expression {problem}.") from None
    if "title" not in parsed:
        raise MappingError("title", "Enter an expression: an event needs a title.")
    return CompiledMapping(parsed, not_news)


def _in_order(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event whose end does not come before its beginning; an end alone is its time."""
    end = event.get("end_time")
    if end and "time" not in event:
        return {**{key: value for key, value in event.items() if key != "end_time"}, "time": end}
    if end and _instant(end) < _instant(event["time"]):
        return {key: value for key, value in event.items() if key != "end_time"}
    return event


def _instant(time: str) -> datetime:
    return datetime.fromisoformat(time)

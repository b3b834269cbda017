"""Change several connectors at once: all of them or none, each change recorded as for a single one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from painchain.audit.trail import Trail
from painchain.configuration import connector_store
from painchain.configuration.connector_edit import ConnectorEdit
from painchain.configuration.connector_store import type_of
from painchain.configuration.errors import ChangeRefused, InvalidValues
from painchain.connectors.base import TAGS, FieldError
from painchain.database.models import Connector
from painchain.timeline import context


@dataclass(frozen=True)
class Chosen:
    """A connector that a person chose, at the version that they read."""

    id: int
    version: int


class BulkRefused(ChangeRefused):
    """Connectors were deleted or changed in the meantime, or cannot be changed like this; `problems` says which."""

    def __init__(self, problems: Sequence[str]):
        super().__init__(f"Nothing was changed. {' '.join(problems)}")
        self.problems = problems


def read(chosen: Sequence[Chosen]) -> list[Connector]:
    """Return the chosen connectors in order of ID.

    :raises BulkRefused: when one of them was deleted or changed in the meantime, or is the built-in connector.
    """
    stored = {connector.id: connector for connector in connector_store.get_many([each.id for each in chosen])}
    problems = []
    for each in chosen:
        connector = stored.get(each.id)
        if connector is None:
            last = context.last_change(each.id)
            problems.append(f"“{last.connector_name}” was deleted." if last else f"There is no connector {each.id}.")
        elif type_of(connector).builtin:
            problems.append(f"“{connector.name}” records the audit log; change it on its own page.")
        elif connector.version != each.version:
            problems.append(f"“{connector.name}” was changed by {connector.updated_by}.")
    if problems:
        raise BulkRefused(problems)
    return list(stored.values())


def set_enabled(chosen: Sequence[Chosen], enabled: bool, trail: Trail) -> int:
    """Enable or disable the connectors. Return how many of them that changed.

    :raises BulkRefused: when one of them was deleted or changed in the meantime; then none is changed.
    """
    return sum([connector_store.set_enabled(connector, enabled, trail) for connector in read(chosen)])


def add_tags(chosen: Sequence[Chosen], text: str, trail: Trail) -> int:
    """Add tags to the connectors. Return how many of them that changed.

    :raises BulkRefused: when one of them was deleted or changed in the meantime; then none is changed.
    :raises InvalidValues: when a tag is invalid, or a connector would have too many.
    """
    tags = clean_tags(text)
    return sum([_set_tags(connector, [*connector.tags, *tags], trail) for connector in read(chosen)])


def remove_tags(chosen: Sequence[Chosen], text: str, trail: Trail) -> int:
    """Remove tags from the connectors. Return how many of them that changed.

    :raises BulkRefused: when one of them was deleted or changed in the meantime; then none is changed.
    :raises InvalidValues: when a tag is invalid.
    """
    tags = clean_tags(text)
    return sum([_set_tags(each, [tag for tag in each.tags if tag not in tags], trail) for each in read(chosen)])


def clean_tags(text: str) -> list[str]:
    """Return the tags in a text, separated by commas.

    :raises InvalidValues: when there are none, or one is invalid.
    """
    try:
        tags: list[str] = TAGS.clean(text)
    except FieldError as error:
        raise InvalidValues({TAGS.key: str(error)}) from None
    if not tags:
        raise InvalidValues({TAGS.key: "Enter a tag."})
    return tags


def _set_tags(connector: Connector, tags: Sequence[str], trail: Trail) -> bool:
    """Save the tags of a connector; a message of a refusal names it.

    :raises InvalidValues: when there are too many.
    """
    try:
        return bool(connector_store.update(connector, ConnectorEdit({TAGS.key: list(tags)}), trail))
    except InvalidValues as invalid:
        raise InvalidValues({key: f"“{connector.name}”: {text}" for key, text in invalid.errors.items()}) from None

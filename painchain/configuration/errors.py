"""The exceptions for refused changes of the configuration."""

from __future__ import annotations

from typing import Protocol

from painchain.core.redaction import scrub


class NamedRow(Protocol):
    """A row of the configuration, whose version grows with each change."""

    @property
    def id(self) -> int:
        """Its ID."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def version(self) -> int:
        """Its version."""

    @property
    def updated_by(self) -> str:
        """Who changed it last."""


class ChangeRefused(Exception):
    """A change was refused; the message says why and what to do."""


class InvalidValues(ChangeRefused):
    """Submitted values are invalid; `errors` has a message for each field key."""

    def __init__(self, errors: dict[str, str]):
        self.errors = {key: scrub(message) for key, message in errors.items()}
        super().__init__("Nothing was saved. " + " ".join(self.errors.values()))


class ProtectedConnector(ChangeRefused):
    """The built-in connector cannot be deleted."""


class StaleRow(ChangeRefused):
    """Someone else changed a row after this person read it. `row` is as it is now."""

    def __init__(self, row: NamedRow):
        super().__init__(
            f"“{row.name}” was changed by {row.updated_by} in the meantime. Nothing was saved. Reload it and try again."
        )
        self.row = row

"""The exceptions for refused changes of the configuration."""

from __future__ import annotations

from painchain.core.redaction import scrub
from painchain.database.models import Connector


class ChangeRefused(Exception):
    """A change was refused; the message says why and what to do."""


class InvalidValues(ChangeRefused):
    """Submitted values are invalid; `errors` has a message for each field key."""

    def __init__(self, errors: dict[str, str]):
        self.errors = {key: scrub(message) for key, message in errors.items()}
        super().__init__("Nothing was saved. " + " ".join(self.errors.values()))


class ProtectedConnector(ChangeRefused):
    """The built-in connector cannot be deleted."""


class StaleConnector(ChangeRefused):
    """Someone else changed the connector after this person read it. `connector` is its current row."""

    def __init__(self, connector: Connector):
        super().__init__(
            f"“{connector.name}” was changed by {connector.updated_by} in the meantime. Nothing was saved. "
            "Reload it and try again."
        )
        self.connector = connector

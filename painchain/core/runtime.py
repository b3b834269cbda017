"""Hold what one running app shares: its settings, keys, counters and caches."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flask import Flask, current_app

from painchain.core.config import Settings
from painchain.core.crypto import Box, Keyring
from painchain.core.key_file import KeySource
from painchain.core.metrics import Metrics
from painchain.core.sized_cache import SizedCache

if TYPE_CHECKING:
    from painchain.accounts.oidc import Provider
    from painchain.database.changes import Changes
    from painchain.database.errors import Fault
    from painchain.eventlog.chain import Chain
    from painchain.eventlog.group_commit import GroupCommit
    from painchain.exports.slots import ExportSlots

EXTENSION = "painchain"


@dataclass
class Runtime:
    """The parts of one app. `startup.use_keys` sets those that depend on the key."""

    settings: Settings
    key_source: KeySource
    metrics: Metrics
    group_commit: GroupCommit
    changes: Changes
    exports: ExportSlots
    oidc: Provider | None = None
    cache: SizedCache = field(default_factory=SizedCache)
    keys: Keyring = field(init=False)
    box: Box = field(init=False)
    chain: Chain = field(init=False)
    # The ids of the keys in the order of the key file.
    key_order: Sequence[str] = ()
    # Set once the first account exists: from then on everybody must sign in.
    sign_in_required: bool = False
    # Whether the last attempt to write events failed. /health then tries it again (`eventlog.write_check`).
    write_failed: bool = False
    # A database error that needs a restart or an operator.
    database_fault: Fault | None = None
    # When the events were searched for JSON that was edited by hand, and what was found (`database.edited_json`).
    edited_event: tuple[float, Any] | None = None


def current() -> Runtime:
    """Return the runtime of the current app."""
    return of(current_app._get_current_object())  # type: ignore[attr-defined]  # access through the proxy is slow


def of(app: Flask) -> Runtime:
    """Return the runtime of an app."""
    runtime: Runtime = app.extensions[EXTENSION]
    return runtime

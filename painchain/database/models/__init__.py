"""The tables of the database, in a module for each subject."""

from painchain.database.models.accounts import ApiToken, Attempt, OneTimeLink, Person, SignIn
from painchain.database.models.connectors import (
    Connector,
    HiddenField,
    KeptDelivery,
    Lapse,
    PendingEvent,
    PollState,
    Webhook,
    WebhookDelivery,
)
from painchain.database.models.events import (
    IS_AUDIT,
    IS_FOUND,
    ChangeEvent,
    EventCount,
    EventNote,
    EventSet,
    LogHead,
    PrunedRun,
)
from painchain.database.models.integrity import LastCheckpoint, LogCheck, UsedKey
from painchain.database.models.notifications import Notice, NotifyRule
from painchain.database.models.onboarding import Onboarding
from painchain.database.models.retention import PruneTurn, Pruning, Retention
from painchain.database.models.saved_views import SavedView, StartPage
from painchain.database.models.teams import Team

__all__ = [
    "IS_AUDIT",
    "IS_FOUND",
    "ApiToken",
    "Attempt",
    "ChangeEvent",
    "Connector",
    "EventCount",
    "EventNote",
    "EventSet",
    "HiddenField",
    "KeptDelivery",
    "Lapse",
    "LastCheckpoint",
    "LogCheck",
    "LogHead",
    "Notice",
    "NotifyRule",
    "Onboarding",
    "OneTimeLink",
    "PendingEvent",
    "Person",
    "PollState",
    "PruneTurn",
    "PrunedRun",
    "Pruning",
    "Retention",
    "SavedView",
    "SignIn",
    "StartPage",
    "Team",
    "UsedKey",
    "Webhook",
    "WebhookDelivery",
]

"""PainChain itself: the built-in connector under which every configuration change is recorded."""

from dataclasses import replace

from painchain.connectors.base import ConnectorType, EventType, Shape, fields
from painchain.connectors.event_group import EventGroup, GroupRole
from painchain.connectors.outcomes import Outcome

SYSTEM_NAME = "PainChain System"
SYSTEM_TAGS = ["system", "audit"]

_CONNECTOR = {"connector_name": "Connector name", "connector_type": "Connector type"}
_TEAM = {"team": "Team"}
_TOKEN = {"token": "Token"}
_VIEW = {"view": "View"}
_VIEW_FACTS = {**_VIEW, "filter": "Filter", "audience": "For", "action": "Action"}
_SAVE = EventGroup("setting", GroupRole.HEAD, by_request=True)
_SETTING = EventGroup("setting", GroupRole.PART, by_request=True)


def _people(name: str, label: str, icon: str, **labels: str) -> EventType:
    return EventType(name, label, fields(**{"person": "Person", **labels, "action": "Action"}), icon)


def _access(event_type: EventType, outcome: Outcome = Outcome.NEUTRAL) -> EventType:
    return replace(event_type, outcome=outcome, is_access=True)


# Events of accounts, sign-ins and tokens. They belong to no connector.
PEOPLE = (
    _people("PersonAdded", "Person Added", "plus", role="Role"),
    _people("PersonChanged", "Person Changed", "pencil", changes="Changes"),
    _people("PersonDisabled", "Person Disabled", "off"),
    _people("PersonEnabled", "Person Enabled", "on"),
    _people("PersonRemoved", "Person Removed", "minus", role="Role", tokens="Tokens", views="Views"),
    _people("PasswordSet", "Password Set", "key"),
    _people("PasswordLinkMade", "Password Link Made", "link"),
    _access(_people("SignedIn", "Signed In", "check", way="Method", address="Address", browser="Browser")),
    _access(_people("SignedOut", "Signed Out", "power")),
    _access(
        _people("SignInFailed", "Sign In Failed", "alert", why="Error", way="Method", address="Address"), Outcome.BAD
    ),
    EventType(
        "TokenCreated",
        "Token Created",
        fields(**_TOKEN, role="Role", person="Person", days="Days", action="Action"),
        "key",
    ),
    EventType("TokenRevoked", "Token Revoked", fields(**_TOKEN, person="Person", action="Action"), "trash"),
)

TYPE = ConnectorType(
    key="painchain",
    label="PainChain",
    summary="Every configuration change made in PainChain itself.",
    icon="painchain",
    colour="teal",
    builtin=True,
    fields=(),
    event_types=(
        EventType("ConnectorCreated", "Connector Created", fields(**_CONNECTOR, action="Action"), "plus"),
        EventType(
            "ConnectorUpdated",
            "Connector Updated",
            fields(**_CONNECTOR, changes="Changes", action="Action"),
            "pencil",
            group=_SAVE,
        ),
        EventType("ConnectorDeleted", "Connector Deleted", fields(**_CONNECTOR, action="Action"), "minus"),
        EventType("ConnectorEnabled", "Connector Enabled", fields(**_CONNECTOR, action="Action"), "on"),
        EventType("ConnectorDisabled", "Connector Disabled", fields(**_CONNECTOR, action="Action"), "off"),
        EventType(
            "ConnectorFailing",
            "Connector Failing",
            fields(**_CONNECTOR, error="Error", action="Action"),
            "alert",
            Outcome.BAD,
        ),
        EventType(
            "ConnectorRecovered",
            "Connector Recovered",
            fields(**_CONNECTOR, failures="Failures", since="Failing since", action="Action"),
            "on",
        ),
        EventType(
            "ConfigChanged",
            "Config Changed",
            fields(
                connector_name="Connector name",
                field="Field",
                old_value="Old value",
                new_value="New value",
                action="Action",
            ),
            "pencil",
            group=_SETTING,
        ),
        EventType(
            "FieldVisibilityChanged",
            "Field Visibility Changed",
            fields(event_type="Event type", field="Field", visible="Visible", action="Action"),
            "eye",
            group=_SETTING,
        ),
        EventType("TeamCreated", "Team Created", fields(**_TEAM, tags=("Tags", Shape.LIST), action="Action"), "plus"),
        EventType("TeamUpdated", "Team Updated", fields(**_TEAM, changes="Changes", action="Action"), "pencil"),
        EventType("TeamDeleted", "Team Deleted", fields(**_TEAM, tags=("Tags", Shape.LIST), action="Action"), "minus"),
        EventType("ViewSaved", "View Saved", fields(**_VIEW_FACTS), "plus"),
        EventType("ViewChanged", "View Changed", fields(**_VIEW, changes="Changes", action="Action"), "pencil"),
        EventType("ViewDeleted", "View Deleted", fields(**_VIEW_FACTS), "minus"),
        EventType(
            "NoteAdded",
            "Note Added",
            fields(connector_name="Connector name", text="Note", event="Event", event_id="Event ID", action="Action"),
            "note",
        ),
        EventType(
            "WebhookChanged",
            "Webhook Changed",
            fields(connector_name="Connector name", field="Field", new_value="Change", action="Action"),
            "link",
        ),
        EventType(
            "NotifyRuleCreated",
            "Notify Rule Created",
            fields(rule="Rule", configuration="Settings", action="Action"),
            "plus",
        ),
        EventType(
            "NotifyRuleChanged",
            "Notify Rule Changed",
            fields(rule="Rule", changes="Changes", action="Action"),
            "pencil",
        ),
        EventType(
            "NotifyRuleDeleted",
            "Notify Rule Deleted",
            fields(rule="Rule", configuration="Settings", action="Action"),
            "minus",
        ),
        EventType(
            "EventsExported",
            "Events Exported",
            fields(format="Format", events="Events", filter="Filter", action="Action"),
            "external",
            is_access=True,
        ),
        EventType(
            "RetentionChanged",
            "Retention Changed",
            fields(field="Source", old_value="Old retention", new_value="New retention", action="Action"),
            "clock",
        ),
        EventType(
            "EventsPruned",
            "Events Pruned",
            fields(
                of_source="Source",
                events="Events",
                before="Older than",
                oldest="From",
                newest="To",
                rule="Rule",
                cause="Cause",
                action="Action",
            ),
            "trash",
        ),
        EventType(
            "BackupRestored",
            "Backup Restored",
            fields(
                backup_time="Backup time",
                events="Events",
                backup_size="Last event in the backup",
                abandoned_size="Last event of the replaced log",
                abandoned_head="Hash of the replaced log",
                old_key="Signed with the old key",
                action="Action",
            ),
            "clock",
        ),
        EventType(
            "KeyRotated",
            "Key Rotated",
            fields(old_key="Old key", new_key="New key", sealed="Secrets re-encrypted", action="Action"),
            "key",
        ),
        EventType(
            "KeyReplaced",
            "Key Replaced",
            fields(
                old_key="Lost key",
                new_key="New key",
                unverified="Events no longer verifiable",
                dropped=("Deleted secrets", Shape.LIST),
                action="Action",
            ),
            "alert",
        ),
        EventType("KeyCopyConfirmed", "Key Copy Confirmed", fields(key="Key", action="Action"), "key"),
        EventType(
            "SetupListHidden",
            "Setup List Hidden",
            fields(remaining=("Not done", Shape.LIST), action="Action"),
            "check",
        ),
        *PEOPLE,
        EventType(
            "CheckpointMade",
            "Checkpoint Made",
            fields(events="Events", head="Latest hash", action="Action"),
            "shield",
            is_access=True,
        ),
        EventType("ChainBegun", "Chain Begun", fields(events="Events", action="Action"), "link", is_access=True),
        EventType(
            "ChainBroken",
            "Chain Broken",
            fields(why="Problem", of_event="Event", how="Kind of damage", action="Action"),
            "alert",
            Outcome.BAD,
        ),
        EventType("ChainMended", "Chain Mended", fields(was="Previous problem", action="Action"), "check"),
    ),
)

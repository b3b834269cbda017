"""A successful request to each route of the API that writes."""

from __future__ import annotations

from tests.support.accounts import link_identity
from tests.web.common.recipe_steps import (
    REPORT,
    patch,
    patch_team,
    revert_by_api,
    sync_by_api,
)
from tests.web.common.route_addresses import (
    API_CONNECTOR,
    API_PERSON,
    API_RULE,
    API_TEAM,
    API_VIEW,
    SYSTEM,
    Recipe,
    Route,
)

# A successful request to each writing route, and the types of the events that it writes. The connector is a disabled
# Kubernetes connector that was changed before; there are also a team and a view.
API_RECIPES: dict[Route, tuple[list[str], Recipe]] = {
    ("POST", "/api/changes/<path:number>/restore"): (["ConfigChanged", "ConnectorUpdated"], revert_by_api),
    ("POST", "/api/changes/<path:number>/notes"): (
        ["NoteAdded"],
        lambda client, number: client.post("/api/changes/1/notes", json={"text": "Rolled back"}),
    ),
    ("POST", "/api/painchain/log"): (
        ["ConnectorDeleted"],
        lambda client, number: client.post("/api/painchain/log", json=REPORT),
    ),
    ("POST", "/api/events"): (
        ["Deployment"],
        lambda client, number: client.post("/api/events", json={"title": "Deployed shop 1.4.2", "kind": "deployment"}),
    ),
    ("POST", "/api/connectors"): (
        ["ConnectorCreated"],
        lambda client, number: client.post("/api/connectors", json={"name": "New", "type": "kubernetes"}),
    ),
    ("PATCH", API_CONNECTOR): (["ConfigChanged", "ConnectorUpdated"], patch),
    ("DELETE", API_CONNECTOR): (
        ["ConnectorDeleted"],
        lambda client, number: client.delete(f"/api/connectors/{number}"),
    ),
    ("POST", f"{API_CONNECTOR}/enable"): (
        ["ConnectorEnabled"],
        lambda client, number: client.post(f"/api/connectors/{number}/enable"),
    ),
    ("POST", f"{API_CONNECTOR}/disable"): (
        ["ConnectorDisabled"],
        lambda client, number: client.post(f"/api/connectors/{SYSTEM}/disable"),
    ),
    ("PUT", f"{API_CONNECTOR}/visibility/<event_type>/<field>"): (
        ["FieldVisibilityChanged"],
        lambda client, number: client.put(
            f"/api/connectors/{number}/visibility/K8sPod/reason", json={"visible": False}
        ),
    ),
    ("POST", f"{API_CONNECTOR}/webhook"): (
        ["WebhookChanged"],
        lambda client, number: client.post(f"/api/connectors/{number}/webhook"),
    ),
    ("DELETE", f"{API_CONNECTOR}/webhook"): (
        ["WebhookChanged"],
        lambda client, number: client.delete(f"/api/connectors/{number}/webhook"),
    ),
    ("POST", "/api/notify-rules"): (
        ["NotifyRuleCreated"],
        lambda client, number: client.post(
            "/api/notify-rules", json={"name": "Chat", "url": "json://127.0.0.1:9/", "kinds": ["connector_failing"]}
        ),
    ),
    ("PATCH", API_RULE): (
        ["NotifyRuleChanged"],
        lambda client, number: client.patch(
            "/api/notify-rules/1", json={"name": "Chat"}, headers={"If-Match": '"1-1"'}
        ),
    ),
    ("DELETE", API_RULE): (["NotifyRuleDeleted"], lambda client, number: client.delete("/api/notify-rules/1")),
    ("POST", f"{API_RULE}/test"): ([], lambda client, number: client.post("/api/notify-rules/1/test")),
    ("POST", "/api/export"): (["EventsExported"], lambda client, number: client.post("/api/export")),
    ("POST", "/api/checkpoints"): (["CheckpointMade"], lambda client, number: client.post("/api/checkpoints")),
    ("POST", f"{API_CONNECTOR}/sync"): ([], sync_by_api),
    ("POST", f"{API_CONNECTOR}/test"): ([], lambda client, number: client.post(f"/api/connectors/{number}/test")),
    ("POST", "/api/connectors/test"): (
        [],
        lambda client, number: client.post("/api/connectors/test", json={"type": "kubernetes"}),
    ),
    ("POST", f"{API_CONNECTOR}/webhook/try"): (
        [],
        lambda client, number: client.post(
            f"/api/connectors/{number + 1}/webhook/try", json={"payload": {"title": "A"}}
        ),
    ),
    ("POST", "/api/connectors/try"): (
        [],
        lambda client, number: client.post("/api/connectors/try", json={"type": "webhook", "payload": {"title": "A"}}),
    ),
    ("POST", "/api/teams"): (
        ["TeamCreated"],
        lambda client, number: client.post("/api/teams", json={"name": "Search", "tags": ["search"]}),
    ),
    ("PATCH", API_TEAM): (["TeamUpdated"], patch_team),
    ("POST", "/api/views"): (
        ["ViewSaved", "ViewChanged"],
        lambda client, number: client.post("/api/views", json={"name": "New", "filter": "q=a", "start": True}),
    ),
    ("PATCH", API_VIEW): (
        ["ViewChanged"],
        lambda client, number: client.patch("/api/views/1", json={"filter": "q=b"}, headers={"If-Match": "*"}),
    ),
    ("DELETE", API_VIEW): (["ViewDeleted"], lambda client, number: client.delete("/api/views/1")),
    ("DELETE", API_TEAM): (["TeamDeleted"], lambda client, number: client.delete("/api/teams/1")),
    ("POST", "/api/tokens"): (
        ["TokenCreated"],
        lambda client, number: client.post("/api/tokens", json={"name": "ci", "role": "viewer"}),
    ),
    ("DELETE", "/api/tokens/<int:token_id>"): (
        ["TokenRevoked"],
        lambda client, number: client.delete("/api/tokens/1"),
    ),
    ("POST", "/api/people"): (
        ["PersonAdded", "PasswordLinkMade"],
        lambda client, number: client.post("/api/people", json={"name": "carol", "role": "viewer"}),
    ),
    ("PATCH", API_PERSON): (
        ["PersonChanged"],
        lambda client, number: client.patch("/api/people/2", json={"role": "editor"}, headers={"If-Match": "*"}),
    ),
    ("DELETE", API_PERSON): (["PersonRemoved"], lambda client, number: client.delete("/api/people/2")),
    ("POST", f"{API_PERSON}/link"): (["PasswordLinkMade"], lambda client, number: client.post("/api/people/2/link")),
    ("POST", f"{API_PERSON}/disable"): (
        ["PersonDisabled"],
        lambda client, number: client.post("/api/people/2/disable"),
    ),
    ("POST", f"{API_PERSON}/enable"): (["PersonEnabled"], lambda client, number: client.post("/api/people/3/enable")),
    ("POST", f"{API_PERSON}/unlink"): (
        ["PersonChanged"],
        lambda client, number: client.post(f"/api/people/{link_identity(client.application, 2)}/unlink"),
    ),
}

"""A successful request to each route of a page that writes."""

from __future__ import annotations

from tests.support.accounts import PASSWORD, link_identity, sign_in, sign_out
from tests.support.html import form_of
from tests.support.webhook_source import deliver
from tests.web.common.recipe_steps import (
    SECRETS,
    compare_checkpoint,
    confirm_key_copy,
    first_account,
    hide_all,
    mark_seen,
    prune,
    revert,
    submit,
    sync,
    tag_several,
    try_mapping,
)
from tests.web.common.route_addresses import (
    CONNECTOR,
    LIST,
    LOG,
    PEOPLE,
    PERSON,
    RETENTION,
    RULE,
    RULES,
    SYSTEM,
    TEAM,
    TEAMS,
    TOKENS,
    VIEW,
    VIEWS,
    WEBHOOK,
    Recipe,
    Route,
)

# A successful request to each writing route, and the types of the events that it writes. The connector is a disabled
# Kubernetes connector that was changed before; there are also a team and a view.
PAGE_RECIPES: dict[Route, tuple[list[str], Recipe]] = {
    ("POST", f"{LIST}/new/<key>"): (
        ["ConnectorCreated", "ConnectorEnabled"],
        lambda client, number: submit(client, f"{LIST}/new/gitlab", "#new", name="New", token="made-up", enabled=True),
    ),
    ("POST", CONNECTOR): (
        ["ConfigChanged", "ConnectorUpdated"],
        lambda client, number: submit(client, f"{LIST}/{number}", "#connector-form", poll_interval="600"),
    ),
    ("POST", f"{CONNECTOR}/visibility"): (["FieldVisibilityChanged"] * 9, hide_all),
    ("POST", f"{CONNECTOR}/enable"): (
        ["ConnectorEnabled"],
        lambda client, number: submit(client, f"{LIST}/{number}", "#connector_header form"),
    ),
    ("POST", f"{CONNECTOR}/disable"): (
        ["ConnectorDisabled"],
        lambda client, number: submit(client, f"{LIST}/{SYSTEM}/disable", "main form"),
    ),
    ("POST", f"{LIST}/bulk"): (["ConfigChanged", "ConnectorUpdated"], tag_several),
    ("POST", f"{CONNECTOR}/delete"): (
        ["ConnectorDeleted"],
        lambda client, number: submit(client, f"{LIST}/{number}/delete", "main form"),
    ),
    ("POST", "/events/<int:number>/restore"): (["ConfigChanged", "ConnectorUpdated"], revert),
    ("POST", "/events/<int:number>/notes"): (
        ["NoteAdded"],
        lambda client, number: submit(client, "/events/1", "#add-note", text="Rolled back"),
    ),
    ("POST", WEBHOOK): (
        ["WebhookChanged"],
        lambda client, number: submit(client, f"{LIST}/{number}", "#webhook form"),
    ),
    ("POST", f"{WEBHOOK}/remove"): (
        ["WebhookChanged"],
        lambda client, number: submit(client, f"{LIST}/{number}/webhook/remove", "main form"),
    ),
    ("POST", "/hooks/<key>/<int:connector_id>"): (
        ["Cast"],
        lambda client, number: deliver(client, f"/hooks/kubernetes/{number}", SECRETS[number], ["bell"]),
    ),
    ("POST", f"{RULES}/new"): (
        ["NotifyRuleCreated"],
        lambda client, number: submit(
            client, f"{RULES}/new", "#rule", name="Chat", url="json://127.0.0.1:9/", kinds=["connector_failing"]
        ),
    ),
    ("POST", RULE): (
        ["NotifyRuleChanged"],
        lambda client, number: submit(client, f"{RULES}/1", "#rule", enabled=False),
    ),
    ("POST", f"{RULE}/test"): ([], lambda client, number: submit(client, f"{RULES}/1", "#test")),
    ("POST", f"{RULE}/seen"): ([], mark_seen),
    ("POST", f"{RULE}/delete"): (
        ["NotifyRuleDeleted"],
        lambda client, number: submit(client, f"{RULES}/1/delete", "main form"),
    ),
    ("POST", "/export"): (
        ["EventsExported"],
        lambda client, number: submit(client, "/export", "#export", format="csv"),
    ),
    ("POST", "/report.csv"): (["EventsExported"], lambda client, number: submit(client, "/report", "#csv")),
    ("POST", RETENTION): (
        ["RetentionChanged"] * 2,
        lambda client, number: submit(client, RETENTION, "#retention", **{"days.gitlab": "30", "days.github": "7"}),
    ),
    ("POST", f"{RETENTION}/prune"): ([], prune),
    ("POST", f"{LOG}/check"): ([], lambda client, number: submit(client, LOG, "#check-now")),
    ("POST", f"{LOG}/checkpoint"): (["CheckpointMade"], lambda client, number: submit(client, LOG, "#make-checkpoint")),
    ("POST", f"{LOG}/compare"): ([], compare_checkpoint),
    ("POST", f"{CONNECTOR}/sync"): ([], sync),
    ("POST", f"{CONNECTOR}/test"): (
        [],
        lambda client, number: client.post(
            f"{LIST}/{number}/test", data=form_of(client.get(f"{LIST}/{number}"), "#connector-form")
        ),
    ),
    ("POST", f"{LIST}/new/<key>/test"): (
        [],
        lambda client, number: client.post(
            f"{LIST}/new/kubernetes/test", data=form_of(client.get(f"{LIST}/new/kubernetes"), "#new")
        ),
    ),
    ("POST", f"{CONNECTOR}/try"): ([], try_mapping),
    ("POST", f"{LIST}/new/<key>/try"): (
        [],
        lambda client, number: client.post(
            f"{LIST}/new/webhook/try", data=form_of(client.get(f"{LIST}/new/webhook"), "#new")
        ),
    ),
    ("POST", f"{TEAMS}/new"): (
        ["TeamCreated"],
        lambda client, number: submit(client, f"{TEAMS}/new", "#team-form", name="Search", tags="search"),
    ),
    ("POST", TEAM): (["TeamUpdated"], lambda client, number: submit(client, f"{TEAMS}/1", "#team-form", tags="c")),
    ("POST", f"{TEAM}/delete"): (
        ["TeamDeleted"],
        lambda client, number: submit(client, f"{TEAMS}/1/delete", "main form"),
    ),
    ("POST", f"{VIEWS}/new"): (
        ["ViewSaved"],
        lambda client, number: submit(client, f"{VIEWS}/new?q=a", "#view-form", name="New"),
    ),
    ("POST", VIEW): (["ViewChanged"], lambda client, number: submit(client, f"{VIEWS}/1", "#view-form", name="Old")),
    ("POST", f"{VIEW}/start"): (["ViewChanged"], lambda client, number: submit(client, VIEWS, "#view-1 form")),
    ("POST", f"{VIEW}/delete"): (
        ["ViewDeleted"],
        lambda client, number: submit(client, f"{VIEWS}/1/delete", "main form"),
    ),
    ("POST", f"{TOKENS}/new"): (
        ["TokenCreated"],
        lambda client, number: submit(client, f"{TOKENS}/new", "#token", name="ci"),
    ),
    ("POST", f"{TOKENS}/<int:token_id>/revoke"): (
        ["TokenRevoked"],
        lambda client, number: submit(client, f"{TOKENS}/1/revoke", "main form"),
    ),
    ("POST", "/setup/hide"): (
        ["SetupListHidden"],
        lambda client, number: submit(client, "/setup/hide", "main form"),
    ),
    ("POST", "/setup/key-copy"): (["KeyCopyConfirmed"], confirm_key_copy),
    ("POST", "/sign-in"): (["SignedIn"], lambda client, number: sign_in(client)),
    ("POST", "/sign-out"): (["SignedOut"], lambda client, number: sign_out(client)),
    ("POST", "/link/<secret>"): (["PersonAdded", "SignedIn"], first_account),
    ("POST", f"{PEOPLE}/new"): (
        ["PersonAdded", "PasswordLinkMade"],
        lambda client, number: submit(client, f"{PEOPLE}/new", "#person", name="carol"),
    ),
    ("POST", PERSON): (
        ["PersonChanged"],
        lambda client, number: submit(client, f"{PEOPLE}/2", "#person", role="editor", email="bob@example.org"),
    ),
    ("POST", f"{PERSON}/link"): (
        ["PasswordLinkMade"],
        lambda client, number: submit(client, f"{PEOPLE}/2", "#make-link"),
    ),
    ("POST", f"{PERSON}/disable"): (
        ["PersonDisabled"],
        lambda client, number: submit(client, f"{PEOPLE}/2", "#switch"),
    ),
    ("POST", f"{PERSON}/enable"): (["PersonEnabled"], lambda client, number: submit(client, f"{PEOPLE}/3", "#switch")),
    ("POST", f"{PERSON}/remove"): (
        ["PersonRemoved"],
        lambda client, number: submit(client, f"{PEOPLE}/2/remove", "main form"),
    ),
    ("POST", f"{PERSON}/unlink"): (
        ["PersonChanged"],
        lambda client, number: submit(client, f"{PEOPLE}/{link_identity(client.application, 2)}/unlink", "main form"),
    ),
    ("POST", "/account/unlink"): (
        ["PersonChanged"],
        lambda client, number: link_identity(client.application, 1) and submit(client, "/account/unlink", "main form"),
    ),
    ("POST", "/account/password"): (
        ["PasswordSet"],
        lambda client, number: submit(
            client, "/account", "#own-password", old=PASSWORD, password=f"{PASSWORD} 2", again=f"{PASSWORD} 2"
        ),
    ),
    ("POST", "/account/sign-ins/<number>/end"): (
        ["SignedOut"],
        lambda client, number: submit(client, "/account", "#sign-ins form"),
    ),
    ("POST", "/account/sign-ins/end"): (
        ["SignedOut"],
        lambda client, number: submit(client, "/account", "#everywhere"),
    ),
}

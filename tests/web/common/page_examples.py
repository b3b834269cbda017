"""The example addresses of each page, and of errors."""

from __future__ import annotations

from flask.testing import FlaskClient

from tests.conftest import add_connector
from tests.support.accounts import link_identity, make_link
from tests.web.common.recipe_steps import make_mapped, make_people, make_rule, make_webhook, submit
from tests.web.common.recipes import RECIPES
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
)

# Reading

# The example addresses of each page, by route. The placeholders are those of `create_examples`.
PAGES: dict[str, list[str]] = {
    "/": [
        "/",
        "/?range=7d&source=painchain&tag=audit&author=system&q=a",
        "/?start_date=2001-01-01&end_date=2001-01-02",
        "/?team=Payments",
    ],
    "/feed": ["/feed?cursor={cursor}"],
    "/news": ["/news?after=0", "/news?after=0&keep=yes", "/news?after=999999"],
    "/timeline": ["/timeline", "/timeline?range=90d"],
    "/search/help": ["/search/help"],
    "/timeline/table": ["/timeline/table", "/timeline/table?start_date=2001-01-01&end_date=2001-01-02"],
    "/feed/other-views": [
        "/feed/other-views?author=nobody&range=1h",
        "/feed/other-views?q=nothing&start_date=2001-01-01",
    ],
    "/filter/<name>": ["/filter/event_type", "/filter/author?source=painchain&range=7d"],
    "/search/suggestions": ["/search/suggestions", "/search/suggestions?q=type:", "/search/suggestions?q=nothing%20so"],
    "/events/<int:number>": ["/events/{event}"],
    "/events/<path:event_id>": ["/events/{event_id}"],
    "/events/<int:number>/around": [
        "/events/{event}/around",
        "/events/{event}/around?within=24h&earlier={cursor}",
        "/events/{event}/around?later={cursor}",
    ],
    "/events/<int:number>/details": ["/events/{event}/details"],
    "/events/<int:number>/restore": ["/events/{event}/restore"],
    "/report": ["/report", "/report?month=2001-01", "/report?month=2101-01"],
    "/as-of": ["/as-of", "/as-of?at=2001-01-01", "/as-of?compare=2001-01-01T00:00", "/as-of?at=2101-01-01"],
    "/help": ["/help"],
    "/help/<path:document>": ["/help/README.md", "/help/admin/configuration.md"],
    "/settings": ["/settings"],
    LIST: [LIST, f"{LIST}?q=cluster&type=kubernetes", f"{LIST}?q=nowhere"],
    f"{LIST}/new": [f"{LIST}/new"],
    f"{LIST}/new/<key>": [f"{LIST}/new/{key}" for key in ("github", "gitlab", "kubernetes", "webhook")],
    CONNECTOR: [f"{LIST}/{{connector}}", f"{LIST}/{{mapped}}", f"{LIST}/{SYSTEM}"],
    f"{LIST}/<int:number>/history": [
        f"{LIST}/{{connector}}/history",
        f"{LIST}/{{connector}}/history?cursor={{cursor}}",
    ],
    f"{CONNECTOR}/disable": [f"{LIST}/{{connector}}/disable", f"{LIST}/{SYSTEM}/disable"],
    f"{CONNECTOR}/duplicate": [f"{LIST}/{{connector}}/duplicate"],
    f"{CONNECTOR}/delete": [f"{LIST}/{{connector}}/delete"],
    f"{WEBHOOK}/<any(replace, remove):what>": [
        f"{LIST}/{{{which}}}/webhook/{what}" for which in ("connector", "mapped") for what in ("replace", "remove")
    ],
    RULES: [RULES],
    f"{RULES}/new": [f"{RULES}/new"],
    RULE: [f"{RULES}/1"],
    f"{RULE}/delete": [f"{RULES}/1/delete"],
    "/export": ["/export", "/export?range=90d&connector={connector}&q=a"],
    RETENTION: [RETENTION],
    LOG: [LOG],
    f"{LOG}/progress": [f"{LOG}/progress"],
    f"{LOG}/checkpoints.ndjson": [],  # a file, not a page
    f"{LIST}/health": [f"{LIST}/health", f"{LIST}/health?ids=1,{{connector}},nonsense&seen=nonsense"],
    f"{RETENTION}/prune": [f"{RETENTION}/prune"],
    f"{RETENTION}/progress": [f"{RETENTION}/progress"],
    TOKENS: [TOKENS],
    f"{TOKENS}/new": [f"{TOKENS}/new"],
    f"{TOKENS}/<int:token_id>/revoke": [f"{TOKENS}/1/revoke"],
    "/sign-in": ["/sign-in?next=/report"],
    "/link/<secret>": ["{link}"],
    "/sign-in/oidc": [],  # needs a provider: see tests/web/account/oidc
    "/sign-in/oidc/back": [],
    TEAMS: [TEAMS],
    f"{TEAMS}/new": [f"{TEAMS}/new"],
    PEOPLE: [PEOPLE],
    f"{PEOPLE}/new": [f"{PEOPLE}/new"],
    PERSON: [f"{PEOPLE}/{{person}}"],
    f"{PERSON}/remove": [f"{PEOPLE}/{{person}}/remove"],
    f"{PERSON}/unlink": [f"{PEOPLE}/{{person}}/unlink"],
    "/account/unlink": ["/account/unlink"],
    "/people/<path:name>": ["/people/system", "/people/system?cursor={cursor}", "/people/alice"],
    "/account": ["/account"],
    TEAM: [f"{TEAMS}/1"],
    f"{TEAM}/delete": [f"{TEAMS}/1/delete"],
    "/setup/hide": ["/setup/hide"],
    "/palette": ["/palette", "/palette?q=cluster", "/palette?q=nothing%20so"],
    VIEWS: [VIEWS],
    f"{VIEWS}/new": [f"{VIEWS}/new", f"{VIEWS}/new?q=a&start_date=2026-01-01&tag=b"],
    VIEW: [f"{VIEWS}/1", f"{VIEWS}/1?q=a"],
    f"{VIEW}/delete": [f"{VIEWS}/1/delete"],
}
ERRORS = {
    "/nowhere": 404,
    "/?range=nonsense": 422,
    "/?q=nonsense:1": 422,
    "/?team=nonsense": 422,
    f"{TEAMS}/999999": 404,
    f"{VIEWS}/999999": 404,
    f"{PEOPLE}/999999": 404,
    "/people/nobody": 404,
    "/people/system?cursor=nonsense": 422,
    "/feed?after=0&q=source:nonsense": 422,
    "/export?range=nonsense": 422,
    "/feed": 422,
    "/news": 422,
    "/timeline?range=nonsense": 422,
    "/events/999999": 404,
    "/events/999999/around": 404,
    "/events/999999/details": 404,
    "/events/1/around?within=nonsense": 422,
    "/events/1/restore": 404,
    f"{LIST}/999999/history": 404,
    "/report?month=nonsense": 422,
    "/as-of?at=nonsense": 422,
    f"{LIST}/999999": 404,
    f"{LIST}/new/nonsense": 404,
    f"{LIST}/{SYSTEM}/delete": 409,
    f"{LIST}/{SYSTEM}/enable": 405,
    f"{LIST}/{SYSTEM}/webhook/replace": 404,
    f"{RULES}/999999": 404,
    **dict.fromkeys(("/sign-in/oidc", "/sign-in/oidc/back"), 404),
    f"{TOKENS}/9/revoke": 404,
}


def create_examples(client: FlaskClient) -> dict[str, int]:
    """Create objects and events of every kind, and return the expected status of every example address."""
    number = add_connector(client, "kubernetes", "Cluster", tags="a, b", verify_ssl=False)
    assert client.post("/api/teams", json={"name": "Payments", "tags": ["a"]}).status_code == 201
    assert client.post("/api/views", json={"name": "Ours", "filter": "tag=a&range=7d"}).status_code == 201
    make_webhook(client, number)
    mapped = make_mapped(client, number)
    make_rule(client, number)
    for kinds, recipe in (RECIPES["POST", CONNECTOR], RECIPES["POST", f"{CONNECTOR}/visibility"]):
        assert recipe(client, number).status_code == 303, kinds
    newest = client.get("/api/changes?limit=1")
    link = newest.headers["Link"]
    make_people(client, number)
    for person in (1, 2):
        link_identity(client.application, person)
    submit(client, f"{TOKENS}/new", "#token", name="ci")
    placeholders = {
        "person": 2,
        "connector": number,
        "mapped": mapped,
        "event": newest.get_json()[0]["id"],
        "event_id": newest.get_json()[0]["event_id"],
        "cursor": link.partition("cursor=")[2].partition(">")[0],
        "link": make_link(client.application, 2),
    }
    examples = {address.format(**placeholders) for addresses in PAGES.values() for address in addresses}
    return {**dict.fromkeys(sorted(examples), 200), **ERRORS}

"""Each preset reads the payloads that its source documents: the files of `payloads` say what comes of each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from painchain.connectors.change_event import ChangeEvent
from painchain.connectors.contract import NothingToRecord
from painchain.connectors.webhook.mapping import MEMBERS, NOT_NEWS
from painchain.connectors.webhook.presets import FOLDER, PRESETS
from painchain.connectors.webhook.signing import Method

PAYLOADS = Path(__file__).parent / "payloads"
KEYS = [
    "generic", "alertmanager", "argo_cd", "azure_devops", "bitbucket", "circleci", "docker_registry", "flux", "gitea",
    "grafana", "harbor", "jenkins", "launchdarkly", "pagerduty", "sentry", "statuspage", "terraform_cloud", "unleash",
]  # fmt: skip
# What fires or begins, and what resolves or ends it: one row of the timeline.
PAIRS = {
    "alertmanager": ("firing", "resolved"),
    "argo_cd": ("synced", "degraded"),
    "azure_devops": ("run_started", "run_succeeded"),
    "flux": ("progressing", "succeeded"),
    "grafana": ("firing", "resolved"),
    "jenkins": ("started", "finalized"),
    "pagerduty": ("triggered", "resolved"),
    "sentry": ("issue_created", "issue_resolved"),
    "statuspage": ("incident", "incident_resolved"),
    "terraform_cloud": ("applying", "completed"),
}


def example(preset, name):
    """Return an example payload of a preset: source, version, headers, payload, and events or the reason for none."""
    return json.loads((PAYLOADS / preset / f"{name}.json").read_text(encoding="utf-8"))


def made(preset, payload, headers):
    """Return the events that a preset makes of a payload, or the reason for none."""
    try:
        return {"events": PRESETS[preset].compiled().events(payload, headers)}
    except NothingToRecord as nothing:
        return {"reason": str(nothing)}


def members(value, depth):
    """Yield each member of a payload, down to a depth: the object that has it, and its key."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items if depth else ():
        if isinstance(value, dict):
            yield value, key
        yield from members(item, depth - 1)


def test_presets_are_listed_the_generic_one_first():
    assert list(PRESETS) == KEYS
    assert {folder.name for folder in PAYLOADS.iterdir()} == set(KEYS)
    assert {file.name for file in FOLDER.iterdir()} == {f"{key}.toml" for key in KEYS}


@pytest.mark.parametrize("preset", KEYS)
def test_a_preset_reads_the_payloads_of_its_source(preset):
    results = set()
    for file in sorted((PAYLOADS / preset).glob("*.json")):
        payload = example(preset, file.stem)
        assert payload["source"].startswith("https://"), file
        assert payload["version"], file
        assert all(name == name.lower() for name in payload["headers"]), file
        found = made(preset, payload["payload"], payload["headers"])
        assert found == {key: payload[key] for key in ("events", "reason") if key in payload}, file
        for event in found.get("events", []):
            members = {key: value for key, value in event.items() if key != "group"}
            ChangeEvent.model_validate_json(json.dumps(members))
        results |= found.keys()
    assert results == {"events", "reason"}, "a preset has a payload that is news and one that is not"


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.key)
def test_a_preset_says_how_it_is_set_up(preset):
    assert set(preset.mapping) <= set(MEMBERS)
    # A delivery that is sent again has new headers.
    assert "headers" not in preset.mapping["external_id"]
    assert preset.source.startswith("https://")
    assert preset.summary.endswith(".")
    assert preset.not_news.endswith(".")
    assert preset.version
    steps = preset.instructions("https://painchain.example.com/hooks/webhook/1", "s3cret")
    assert "https://painchain.example.com/hooks/webhook/1" in steps
    assert ("s3cret" in steps) is not preset.gives_secret
    assert preset.signing.method is Method.STANDARD or preset.signing.header.lower() in preset.setup.lower()


@pytest.mark.parametrize("preset", PAIRS)
def test_what_fires_and_what_resolves_it_belong_together(preset):
    first, second = (example(preset, name)["events"][0] for name in PAIRS[preset])
    assert first["group"] == second["group"]
    assert first["external_id"] != second["external_id"]


def test_the_deliveries_of_one_push_to_a_registry_make_one_event():
    names = ("push_of_a_layer", "push_of_a_configuration", "push_of_a_tag")
    deliveries = [example("docker_registry", name) for name in names]
    found = [made("docker_registry", each["payload"], each["headers"]).get("events", []) for each in deliveries]
    assert [len(events) for events in found] == [0, 0, 1]


@pytest.mark.parametrize("preset", [key for key in KEYS if key != "generic"])
def test_a_payload_of_something_else_is_no_news(preset):
    for payload in ({}, [], [{}], None, True, 1, "text", {"payload": 1}):
        assert set(made(preset, payload, {})) == {"reason"}, payload


def test_no_event_is_lost_because_a_member_of_the_payload_is_missing():
    needs_title = {("pagerduty", "title"), ("generic", "title"), ("generic", "message"), ("generic", "summary")}
    for file in PAYLOADS.glob("*/*.json"):
        preset, payload = file.parent.name, example(file.parent.name, file.stem)
        for holder, key in [*members(payload["payload"], 3)] if "events" in payload else ():
            value = holder.pop(key)
            if (preset, key) not in needs_title:
                made(preset, payload["payload"], payload["headers"])
            holder[key] = value


def test_an_expression_of_a_connector_replaces_that_of_the_preset():
    preset, payload = PRESETS["alertmanager"], example("alertmanager", "firing")["payload"]
    own = preset.compiled({"title": "item.labels.alertname", "kind": " ", "service": "`null`"})
    event = own.events(payload, {})[0]
    assert (event["title"], event["kind"], "service" in event) == ("HighLatency", "incident", False)
    with pytest.raises(NothingToRecord, match=NOT_NEWS):
        preset.compiled({"news": "`false`"}).events(payload, {})

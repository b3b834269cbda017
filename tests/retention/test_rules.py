"""Retention rules are audited, and a preview shows what they remove."""

from __future__ import annotations

from datetime import timedelta

import pytest
from flask import Flask

from painchain.audit.trail import Trail
from painchain.eventlog import writer
from painchain.retention import rules as retention_rules
from painchain.retention.rules import PrunableEvents, StaleRetention
from tests.support.retention import NOW, Events, schedule_prunes, set_rules


def test_all_events_are_kept_forever_by_default(app_with_events: Flask) -> None:
    all_sources = ("painchain", "github", "gitlab", "kubernetes", "webhook", "api")
    assert retention_rules.rules() == dict.fromkeys(all_sources)
    assert retention_rules.prunable(retention_rules.rules(), NOW) == []
    assert schedule_prunes() == []


def test_a_change_of_the_rules_is_audited_and_an_unchanged_save_is_not(app_with_events: Flask, events: Events) -> None:
    set_rules(github=30, gitlab=None)
    set_rules(github=30)
    set_rules(github=None)
    set_rules(gitlab=1)
    rule_changes = [event for event in events() if event["event_type"] == "RetentionChanged"]
    assert [event["title"] for event in rule_changes] == [
        f"[Retention Changed] {source}" for source in ("GitHub", "GitHub", "GitLab")
    ]
    assert [(event["metadata"]["old"], event["metadata"]["new"]) for event in rule_changes] == [
        (None, 30),
        (30, None),
        (None, 1),
    ]
    assert [event["description"]["text"] for event in rule_changes] == [
        "Events of GitHub are kept 30 days, no longer for ever",
        "Events of GitHub are kept for ever, no longer 30 days",
        "Events of GitLab are kept 1 day, no longer for ever",
    ]


def test_rules_changed_by_another_person_are_not_overwritten(app_with_events: Flask) -> None:
    set_rules(github=30)
    with pytest.raises(StaleRetention), writer.writing() as event_log:
        retention_rules.change({"github": 90}, {"github": None}, Trail(event_log, "ann", "x", NOW))
    assert retention_rules.rules()["github"] == 30


def test_the_preview_shows_number_and_period_of_expired_events(app_with_events: Flask) -> None:
    [pruned] = retention_rules.prunable({"github": 30, "gitlab": None}, NOW)
    forty = NOW - timedelta(days=40)
    assert pruned == PrunableEvents("github", 30, NOW - timedelta(days=30), 10, forty, forty)

"""Events of many kinds for the rollups."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from flask import Flask
from sqlalchemy import select

from painchain.database.models import ChangeEvent
from painchain.database.session import db
from painchain.eventlog import writer
from tests.support.sample_events import NOW, new

DAY = timedelta(days=1)
SOURCES, TYPES = ("github", "gitlab", "painchain"), ("Commit", "Release", "Image")
AUTHORS, STATUSES = ("ann", "ben", "Doe, J"), (None, "failed", "")
CONNECTORS = ((None, None), (7, "Work"), (8, "7"), (7, "a/b"), (None, "Work"), (9, None))
TAGS: tuple[list[str], ...] = ([], ["ci"], ["ci", "night"], ["größe"], [f"very-long-tag-{n:030}" for n in range(20)])
METADATA: tuple[dict[str, Any], ...] = (
    *({}, {"service": "shop"}, {"environment": "größe", "data": {"service": "other"}}, {"service": 5}),
    *({"note": 'a "service"'}, {"service": "s" * 201, "environment": ""}, {"service": "api", "environment": "prod"}),
)


def some_event(number: int, chance: random.Random, short: bool = True) -> dict[str, Any]:
    """Return the members of a random event."""
    connector_id, connector_name = chance.choice(CONNECTORS)
    return {
        "event_id": f"chance-{number}",
        "timestamp": NOW - chance.random() * chance.choice([DAY / 24, DAY, 30 * DAY]),
        "source": chance.choice(SOURCES),
        "event_type": chance.choice(TYPES),
        "author": chance.choice(AUTHORS),
        "status": chance.choice(STATUSES),
        "connector_id": connector_id,
        "connector_name": connector_name,
        "tags": chance.choice(TAGS[:-1] if short else TAGS),
        "metadata": chance.choice(METADATA),
    }


def numbers() -> list[int]:
    """Return the numbers of all events."""
    return list(db.session.scalars(select(ChangeEvent.id)))


def fill_log(app: Flask, number: int, seed: int = 1, short: bool = True) -> None:
    """Write random events to an empty log."""
    chance = random.Random(seed)
    with app.app_context(), writer.writing() as event_log:
        event_log.remove(numbers())
        event_log.append(
            *(new(event_number, **some_event(event_number, chance, short)) for event_number in range(number))
        )

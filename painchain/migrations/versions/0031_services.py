"""Which services and environments events have, for the menus of the filter: in the table of counts."""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0031"
down_revision = "0030"
branch_labels = None
depends_on = None

FACTS = ("service", "environment")
BATCH = 5000
MAX_LENGTH = 200
EVENTS = sa.table("change_events", sa.column("id"), sa.column("source"), sa.column("metadata", sa.JSON))
COUNTS = sa.table("event_counts", *map(sa.column, ("facet", "grain", "value", "slot", "source", "events")))
HEAD = sa.table("log_head", sa.column("counted"))


def upgrade() -> None:
    connection = op.get_bind()
    counts = Counter(_values(connection))
    names = ("facet", "value", "source")
    rows = [{**dict(zip(names, key, strict=True)), "grain": 0, "slot": 0, "events": counts[key]} for key in counts]
    op.execute(sa.delete(COUNTS).where(COUNTS.c.facet.in_(FACTS)))
    if rows:
        connection.execute(sa.insert(COUNTS), rows)


def _values(connection: sa.Connection) -> Iterator[tuple[str, str, str]]:
    """Yield fact, value and source of each event that is counted, once for each fact."""
    text = sa.cast(EVENTS.c.metadata, sa.Text)
    can_have_fact = sa.or_(*(text.like(f'%"{fact}"%') for fact in FACTS))
    query = sa.select(EVENTS.c.id, EVENTS.c.source, text.label("text")).where(
        can_have_fact, EVENTS.c.id <= sa.select(HEAD.c.counted).scalar_subquery()
    )
    last = 0
    while rows := connection.execute(query.where(EVENTS.c.id > last).order_by(EVENTS.c.id).limit(BATCH)).all():
        for number, source, metadata in rows:
            facts: Any = json.loads(metadata)
            for fact in FACTS if isinstance(facts, dict) else ():
                value = facts.get(fact)
                if isinstance(value, str) and 0 < len(value) <= MAX_LENGTH:
                    yield fact, value, source
            last = number


def downgrade() -> None:
    op.execute(sa.delete(COUNTS).where(COUNTS.c.facet.in_(FACTS)))

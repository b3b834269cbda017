"""The IDs of replaced root keys, so that they are known after retention has deleted the events that name them."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

TYPES = ("KeyRotated", "KeyReplaced", "BackupRestored")
EVENTS = sa.table("change_events", sa.column("source"), sa.column("event_type"), sa.column("metadata"))


def upgrade() -> None:
    table = op.create_table("used_keys", sa.Column("id", sa.Text(), nullable=False), sa.PrimaryKeyConstraint("id"))
    assert table is not None  # noqa: S101  it was created
    connection = op.get_bind()
    is_named = (EVENTS.c.source == "painchain", EVENTS.c.event_type.in_(TYPES))
    stored = connection.scalars(sa.select(sa.cast(EVENTS.c.metadata, sa.Text)).where(*is_named))
    ids = {key for key in map(_old_key, stored) if key}
    if ids:
        connection.execute(table.insert(), [{"id": key} for key in sorted(ids)])


def _old_key(metadata: str) -> str | None:
    """Return the key that an event names. Someone may have edited the event."""
    try:
        facts = json.loads(metadata)
    except ValueError:
        return None
    key = facts.get("old_key") if isinstance(facts, dict) else None
    return key if isinstance(key, str) else None


def downgrade() -> None:
    op.drop_table("used_keys")

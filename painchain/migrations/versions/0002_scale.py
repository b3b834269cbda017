"""One covering index for the feed, and rollups of what there is by facet and time."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

FEED = ["timestamp", "id", "source", "event_type", "connector_id", "connector_name", "author", "status"]
CONNECTOR_HISTORY = ["connector_id", "source", "timestamp", "id"]
CONNECTOR = "coalesce(cast(connector_id AS text), '') || coalesce('/' || connector_name, '')"
TAGS = "CASE WHEN length(cast(tags AS text)) > 500 THEN '' ELSE cast(tags AS text) END"
# The value of each facet, and which events have one.
FACETS = {
    "all": ("''", ""),
    "event_type": ("event_type", ""),
    "connector": (CONNECTOR, "WHERE connector_id IS NOT NULL OR connector_name IS NOT NULL"),
    "tag": (TAGS, "WHERE cast(tags AS text) <> '[]'"),
    "author": ("author", ""),
    "status": ("status", "WHERE status IS NOT NULL"),
}
GRAINS = (0, 900, 3600, 86400)


def upgrade() -> None:
    op.create_table(
        "event_counts",
        sa.Column("facet", sa.Text(), nullable=False),
        sa.Column("grain", sa.Integer(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("slot", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("events", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("facet", "grain", "value", "slot", "source", name="pk_event_counts"),
        sqlite_with_rowid=False,
    )
    op.add_column("log_head", sa.Column("counted", sa.BigInteger(), nullable=False, server_default="0"))
    with op.batch_alter_table("log_head") as log_head:
        log_head.alter_column("counted", server_default=None)
    op.create_index("ix_change_events_feed", "change_events", FEED)
    op.drop_index("ix_change_events_timestamp_id", "change_events")
    op.drop_index("ix_change_events_connector_id_timestamp", "change_events")
    op.create_index(
        "ix_change_events_connector_id_source_timestamp_id",
        "change_events",
        ["connector_id", "source", "timestamp", "id"],
    )
    for facet, (value, those) in FACETS.items():
        for grain in GRAINS:
            slot = f"timestamp / {grain * 1_000_000}" if grain else "0"
            each = f"SELECT {value} AS value, {slot} AS slot, source FROM change_events {those}"  # noqa: S608  constants
            op.execute(
                "INSERT INTO event_counts (facet, grain, value, slot, source, events) "  # noqa: S608
                f"SELECT '{facet}', {grain}, value, slot, source, count(*) FROM ({each}) AS each "
                "GROUP BY value, slot, source ORDER BY value, slot, source"
            )
    op.execute("UPDATE log_head SET counted = last_event")


def downgrade() -> None:
    op.drop_index("ix_change_events_connector_id_source_timestamp_id", "change_events")
    op.create_index("ix_change_events_connector_id_timestamp", "change_events", ["connector_id", "timestamp"])
    op.create_index("ix_change_events_timestamp_id", "change_events", ["timestamp", "id"])
    op.drop_index("ix_change_events_feed", "change_events")
    op.drop_column("log_head", "counted")
    op.drop_table("event_counts")

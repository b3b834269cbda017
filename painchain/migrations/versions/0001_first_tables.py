"""Connectors, what they hide, the events and their tags, and the head of the log."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "connectors",
        sa.Column("id", ROW_ID, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("config", sa.JSON(), nullable=False),
        sa.Column("secrets", sa.JSON(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_by", sa.Text(), nullable=False),
        sa.Column("switched_at", sa.BigInteger(), nullable=False),
        sa.Column("switched_by", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_connectors"),
        sa.UniqueConstraint("name", name="uq_connectors_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "hidden_fields",
        sa.Column("connector_id", ROW_ID, nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("field", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("connector_id", "event_type", "field", name="pk_hidden_fields"),
        sa.ForeignKeyConstraint(
            ["connector_id"],
            ["connectors.id"],
            name="fk_hidden_fields_connector_id_connectors",
            ondelete="CASCADE",
        ),
    )
    op.create_table(
        "change_events",
        sa.Column("id", ROW_ID, nullable=False, autoincrement=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=False),
        sa.Column("connector_id", ROW_ID, nullable=True),
        sa.Column("connector_name", sa.Text(), nullable=True),
        sa.Column("connector_type", sa.Text(), nullable=True),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.JSON(), nullable=False),
        sa.Column("metadata", sa.JSON(), nullable=False),
        sa.Column("author", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("url", sa.Text(), nullable=True),
        sa.Column("tags", sa.JSON(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column("timestamp", sa.BigInteger(), nullable=False),
        sa.Column("recorded_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_change_events"),
        sa.UniqueConstraint("event_id", name="uq_change_events_event_id"),
    )
    op.create_index("ix_change_events_timestamp_id", "change_events", ["timestamp", "id"])
    op.create_index("ix_change_events_connector_id_timestamp", "change_events", ["connector_id", "timestamp"])
    op.create_index("ix_change_events_request_id", "change_events", ["request_id"])
    op.create_table(
        "event_tags",
        sa.Column("tag", sa.Text(), nullable=False),
        sa.Column("event", ROW_ID, nullable=False),
        sa.PrimaryKeyConstraint("tag", "event", name="pk_event_tags"),
        sa.ForeignKeyConstraint(
            ["event"], ["change_events.id"], name="fk_event_tags_event_change_events", ondelete="CASCADE"
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_event_tags_event", "event_tags", ["event"])
    head = op.create_table(
        "log_head",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("last_event", sa.BigInteger(), nullable=False),
        sa.Column("last_stamp", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_log_head"),
        sa.CheckConstraint("id = 1", name="one_row"),
    )
    op.bulk_insert(head, [{"id": 1, "revision": 0, "last_event": 0, "last_stamp": 0}])


def downgrade() -> None:
    for table in ("event_tags", "change_events", "hidden_fields", "connectors", "log_head"):
        op.drop_table(table)

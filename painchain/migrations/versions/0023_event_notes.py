"""Notes on events: which events are notes, and on which event, to show them beneath it."""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "event_notes",
        sa.Column("event", ROW_ID, nullable=False),
        sa.Column("note", ROW_ID, nullable=False),
        sa.PrimaryKeyConstraint("event", "note", name="pk_event_notes"),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_event_notes_note", "event_notes", ["note"])


def downgrade() -> None:
    op.drop_table("event_notes")

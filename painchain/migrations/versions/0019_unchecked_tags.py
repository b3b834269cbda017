"""Tags of events no longer have a foreign key, which the database checks for each of them."""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

FOREIGN_KEY = (
    "CONSTRAINT fk_event_tags_event_change_events FOREIGN KEY (event) REFERENCES change_events (id) ON DELETE CASCADE"
)
# Kilobytes of words that wait outside of the index's tree. Adding them together takes less time than one after another.
PENDING_LIMIT, FORMER_LIMIT = 512, 256


def upgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE event_tags DROP CONSTRAINT fk_event_tags_event_change_events")
        op.execute(f"ALTER INDEX ix_change_events_words SET (gin_pending_list_limit = {PENDING_LIMIT})")
    else:
        _rebuild("")


def downgrade() -> None:
    op.execute("DELETE FROM event_tags WHERE event NOT IN (SELECT id FROM change_events)")
    if op.get_bind().dialect.name == "postgresql":
        op.execute(f"ALTER TABLE event_tags ADD {FOREIGN_KEY}")
        op.execute(f"ALTER INDEX ix_change_events_words SET (gin_pending_list_limit = {FORMER_LIMIT})")
    else:
        _rebuild(f", {FOREIGN_KEY}")


def _rebuild(foreign_key: str) -> None:
    """Copy the tags into a new table, because SQLite cannot change the constraints of a table."""
    op.execute("ALTER TABLE event_tags RENAME TO former_tags")
    op.execute("DROP INDEX ix_event_tags_event")
    op.execute(
        "CREATE TABLE event_tags (tag TEXT NOT NULL, event INTEGER NOT NULL, "
        f"CONSTRAINT pk_event_tags PRIMARY KEY (tag, event){foreign_key}) WITHOUT ROWID"
    )
    op.execute("INSERT INTO event_tags (tag, event) SELECT tag, event FROM former_tags ORDER BY tag, event")
    op.execute("DROP TABLE former_tags")
    op.execute("CREATE INDEX ix_event_tags_event ON event_tags (event)")

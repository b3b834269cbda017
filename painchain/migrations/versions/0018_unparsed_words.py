"""PostgreSQL indexes the search terms as they are, without parsing them as text first."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# Terms hold ASCII letters and digits only, so the parser finds the same words, in four times the time.
TERMS = "array_to_tsvector(array_remove(string_to_array(words, ' '), ''))"
PARSED = "to_tsvector('simple', words)"


def upgrade() -> None:
    _index(TERMS)


def downgrade() -> None:
    _index(PARSED)


def _index(expression: str) -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP INDEX ix_change_events_words")
        op.execute(
            f"CREATE INDEX ix_change_events_words ON change_events USING gin ({expression}) "
            "WITH (fastupdate = on, gin_pending_list_limit = 256)"
        )

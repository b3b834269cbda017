"""The words of every event, and the index in which a search finds them."""

import sqlalchemy as sa
from alembic import op

from painchain.migrations.frozen import words_0003 as words

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BATCH = 1000
EVENTS = sa.table(
    "change_events",
    *(sa.column(name) for name in ("id", "source", "event_type", "connector_id", "connector_name", "title")),
    *(sa.column(name, sa.JSON) for name in ("description", "metadata", "tags")),
    *(sa.column(name) for name in ("author", "status", "words")),
)


def upgrade() -> None:
    op.add_column("change_events", sa.Column("words", sa.Text(), server_default="", nullable=False))
    connection = op.get_bind()
    statement = sa.update(EVENTS).where(EVENTS.c.id == sa.bindparam("number")).values(words=sa.bindparam("new_words"))
    last = 0
    while rows := connection.execute(
        sa.select(EVENTS).where(EVENTS.c.id > last).order_by(EVENTS.c.id).limit(BATCH)
    ).all():
        connection.execute(
            statement, [{"number": row.id, "new_words": words.words_of(dict(row._mapping))} for row in rows]
        )
        last = rows[-1].id
    words.create_index(connection)


def downgrade() -> None:
    words.drop_index(op.get_bind())
    op.drop_column("change_events", "words")

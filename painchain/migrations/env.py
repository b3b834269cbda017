"""How Alembic reaches the database and the schema: through the app that is running."""

from alembic import context
from flask import current_app
from sqlalchemy import text

from painchain import models  # noqa: F401  the tables, for autogeneration

db = current_app.extensions["migrate"].db

with db.engine.connect() as connection:
    if connection.dialect.name == "postgresql":
        # Servers that start together take turns; the second finds nothing left to do.
        connection.execute(text("SELECT pg_advisory_lock(7240917)"))
        connection.commit()
    context.configure(connection=connection, target_metadata=db.metadata, render_as_batch=True, compare_type=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()

"""Start PainChain: load the key, migrate the database, create the built-in connector."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from flask import Flask
from sqlalchemy.engine import Connection

from painchain import migrations
from painchain.audit import event_kinds
from painchain.audit.trail import SYSTEM, Trail
from painchain.configuration import connector_store, secrets
from painchain.connectors import BUILTIN
from painchain.core import key_file, runtime
from painchain.core.config import Settings
from painchain.core.crypto import Keyring, KeyUnusable
from painchain.database.session import db
from painchain.eventlog import writer
from painchain.eventlog.chain import Chain
from painchain.factory import build_app
from painchain.integrity import checkpoints

log = logging.getLogger(__name__)


def create_app(settings: Settings, serves: bool = True) -> Flask:
    """Return the app, its database migrated and the built-in connector in place. Those of commands serve no requests.

    :raises KeyUnusable: when the key is missing, cannot be used, or does not open what is stored.
    :raises painchain.database.encrypted_columns.UnreadableSecret: when a stored secret was edited by hand.
    :raises sqlalchemy.exc.SQLAlchemyError: when the database cannot be used.
    """
    app = build_app(settings, serves)
    with starting(app):
        shared = runtime.of(app)
        keys = key_file.load_keys(shared.key_source, migrations.is_new)
        use_keys(app, keys)
        if not migrations.is_current():
            if migrations.is_unchained():
                secrets.check_key()  # before the log is chained with it
            migrate()
        shared.key_order = keys.ids
        use_keys(app, keys.led_by(writer.key_id()))
        if keys.id != shared.keys.id:
            log.warning(
                "The first key in %s is not in use: run painchain rotate-key to use it. If it was in use before, "
                "someone replaced the log with an older state.",
                shared.key_source.name,
            )
        begin_log()
    return app


def create_app_for_key_recovery(settings: Settings) -> Flask:
    """Return the app of a log whose key is lost, with a replacement key. Create a key file if there is none.

    :raises KeyUnusable: when the key is not lost, or the replacement key cannot be used.
    :raises sqlalchemy.exc.SQLAlchemyError: when the database cannot be used.
    """
    app = build_app(settings, serves=False)
    with starting(app):
        source = runtime.of(app).key_source
        if migrations.is_new():
            raise KeyUnusable("There is no log yet, so no key is lost. Start PainChain with: painchain serve.")
        keys = key_file.read_keys(source)
        if keys and opens_everything(app, keys):
            raise KeyUnusable(
                f"The key is not lost: {source.name} matches the log and decrypts every stored secret. "
                "To replace it, run: painchain rotate-key."
            )
        keys = keys or key_file.create_key(source)
        assert keys is not None  # noqa: S101  it was created
        use_keys(app, keys)
        migrate()
    return app


def migrate() -> None:
    """Migrate the database to the current schema.

    :raises painchain.integrity.checkpoints.MissingChain: when the log has no chain, but checkpoints of one exist.
    """
    if migrations.is_unchained():
        checkpoints.refuse_without_chain(runtime.current().settings.checkpoint_file)
    migrations.upgrade(record_chain_begun)


@contextmanager
def starting(app: Flask) -> Iterator[None]:
    """Work in the context of a starting app. Close the database connections if the start fails."""
    with app.app_context():
        try:
            yield
        except BaseException:
            db.session.remove()
            db.engine.dispose()
            raise


def opens_everything(app: Flask, keys: Keyring) -> bool:
    """Return whether these keys belong to the log and decrypt the stored secrets."""
    with suppress(KeyUnusable):
        use_keys(app, keys if migrations.is_unchained() else keys.led_by(writer.key_id()))
        secrets.check_key()
        return True
    return False


def use_keys(app: Flask, keys: Keyring) -> None:
    """Make the app encrypt, sign and chain with the first of these keys."""
    app.config["SECRET_KEY"] = keys.derive("sessions")
    shared = runtime.of(app)
    shared.keys = keys
    shared.box = keys.box()
    shared.chain = Chain(keys)


def begin_log() -> None:
    """Create the built-in connector if it is missing, record that, and check the key."""
    if not connector_store.has_builtin():
        now = datetime.now(UTC)
        with writer.writing() as event_log:
            trail = Trail(event_log, SYSTEM, writer.new_request_id(now), now, cause="first start")
            if connector_store.ensure_builtin(trail):
                log.info("First start: created the %s connector.", BUILTIN.label)
    secrets.check_key()


def record_chain_begun(connection: Connection) -> None:
    """Record that an update has chained the existing events, which were not protected until then.

    `connection` is in the transaction that has chained them.
    """
    now = datetime.now(UTC)
    with writer.writing_in(connection) as event_log:
        trail = Trail(event_log, SYSTEM, writer.new_request_id(now), now, cause="update")
        trail.log(event_kinds.chain_begun(event_log.last_event))


def listen(app: Flask) -> Any:
    """Return the HTTP server of the app, listening; `run()` serves until a signal stops the process.

    :raises OSError: when it cannot listen at the address.
    :raises ValueError: when the address is invalid.
    """
    from painchain.web.serving.server import server_for

    return server_for(app, runtime.of(app).settings)

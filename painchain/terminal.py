"""What every command shares: the settings, the database, and how it ends when it cannot go on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from painchain import config
from painchain.db import WriteBusy, db
from painchain.factory import create_app
from painchain.migrations import NewerDatabase
from painchain.secrets import KeyUnusable, scrub


def settings() -> config.Settings:
    """Read the settings, or stop with a line that says which one is wrong."""
    try:
        loaded = config.load(os.environ)
    except config.ConfigError as error:
        stop(scrub(str(error)))
    for name in config.unknown(os.environ):
        click.echo(f"painchain: {name} is not a setting and is ignored; see the README's table.", err=True)
    config.set_up_logging(loaded)
    return loaded


def app(database_fails: int = 2) -> Flask:
    """Create the app, or stop with a line that says what is in the way.

    `database_fails` is the exit code for a database that cannot be used.
    """
    loaded = settings()
    try:
        return create_app(loaded)
    except (KeyUnusable, NewerDatabase) as error:
        stop(str(error))
    except OSError as error:
        stop(f"The instance folder {loaded.instance} cannot be used: {error.strerror or error}.")
    except (SQLAlchemyError, WriteBusy) as error:
        stop(f"The database cannot be used: {reason(error)}.", database_fails)


@contextmanager
def opened(failure: str) -> Iterator[None]:
    """Open the database for one command. Where it fails, stop with `failure`, the reason and exit code 1."""
    with app(database_fails=1).app_context():
        try:
            yield
        except (SQLAlchemyError, WriteBusy) as error:
            stop(f"{failure} ({reason(error)}).", 1)
        finally:
            db.session.remove()
            db.engine.dispose()


def reason(error: Exception) -> str:
    """Return why the database refuses, in its own words and in one line."""
    if isinstance(error, WriteBusy):
        return "it is busy with other changes"
    lines = str(getattr(error, "orig", None) or error).strip().splitlines()
    return scrub(lines[0]).rstrip(".") if lines else type(error).__name__


def stop(message: str, code: int = 2) -> NoReturn:
    """End with a message and an exit code: 2 for what was asked, 1 for what could not be done."""
    click.echo(f"painchain: {message}", err=True)
    raise SystemExit(code)

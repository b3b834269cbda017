"""``painchain serve``: start the server and the background workers."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime
from typing import Any, NoReturn

import click
from flask import Flask
from sqlalchemy.exc import SQLAlchemyError

from painchain import startup
from painchain.accounts import password_links, users
from painchain.cli.common import app, reachable, reason, stop
from painchain.core import memory, runtime, server_address
from painchain.database import deadlines
from painchain.database.session import WriteBusy, db
from painchain.eventlog import writer
from painchain.workers.completion import CompletionWorker
from painchain.workers.integrity import IntegrityWorker
from painchain.workers.notifications import NotificationWorker
from painchain.workers.scheduler import Scheduler
from painchain.workers.watch import WatchWorker

STOP_SECONDS = 4


@click.command()
def serve() -> None:
    """Start the server; stop it with Ctrl-C or SIGTERM.

    The server serves the dashboard and the API, polls connectors, and sends notifications. Configure it with
    PAINCHAIN_* environment variables. Exit code 2: it could not start.
    """
    run()


def run() -> None:
    """Serve until Ctrl-C or SIGTERM, or stop with one line that says why the server cannot start."""
    application = app(serving=True)
    deadlines.limit_statements()
    settings = runtime.of(application).settings
    try:
        server = startup.listen(application)
    except (OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or str(error)
        stop(f"Cannot listen on {settings.host}:{settings.port}: {words.rstrip('.')}.")
    signal.signal(signal.SIGTERM, on_signal)
    signal.signal(signal.SIGINT, on_signal)
    workers = (
        Scheduler(application),
        NotificationWorker(application),
        WatchWorker(application),
        CompletionWorker(application),
        IntegrityWorker(application),
    )
    memory.leave_out_of_collections()
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{reachable(settings)}:{port_of(server)}"
    try:
        with server_address.stored(settings.instance, address):
            click.echo(f"PainChain is running at http://{host}:{port_of(server)}")
            if not settings.is_loopback_only:
                offer_setup(application, settings.public_url or address)
            for worker in workers:
                worker.start()
            server.run()
        for worker in workers:
            worker.stop()
        click.echo("PainChain stopped.")
    finally:
        signal.alarm(0)  # no request hangs, so closing the database may take as long as it needs
        with application.app_context():
            db.engine.dispose()


def offer_setup(application: Flask, address: str) -> None:
    """Print the link that creates the first account. Beyond loopback nothing else is served until it is used."""
    try:
        with application.app_context():
            if users.any_exist():
                return
            with writer.writing():
                secret = password_links.make_link(None, datetime.now(UTC))
    except (SQLAlchemyError, WriteBusy) as error:
        stop(f"Cannot make the setup link: {reason(error)}. Start PainChain again.")
    click.echo(f"No accounts yet. Create the first one here (the link works once): {address}/link/{secret}")


def port_of(server: Any) -> int:
    """Return the port that a server listens on. A name such as localhost can resolve to several addresses."""
    addresses = getattr(server, "effective_listen", None)
    return int(addresses[0][1] if addresses else server.effective_port)


def on_signal(number: int, frame: object) -> NoReturn:
    """Stop the server; end the process after `STOP_SECONDS` even if a request hangs."""
    signal.signal(signal.SIGALRM, lambda number, frame: os._exit(0))
    signal.alarm(STOP_SECONDS)
    raise SystemExit(0)

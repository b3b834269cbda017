"""What a server and the commands import and compile, once for all processes of the tests."""

import gc
import tempfile
from pathlib import Path

import flask_migrate  # noqa: F401

import painchain.cli.demo
import painchain.cli.events
import painchain.cli.export
import painchain.cli.serve
import painchain.cli.user
import painchain.cli.verify
import painchain.web.serving.server  # noqa: F401
from painchain.core import config
from painchain.database.session import db
from painchain.startup import create_app
from painchain.workers.completion import CompletionWorker
from painchain.workers.integrity import IntegrityWorker
from painchain.workers.notifications import NotificationWorker
from painchain.workers.scheduler import Scheduler
from tests.support.caching import reuse_compiled_code

# Pages that between them use most templates and statements of a first visit.
PAGES = ("/", "/settings/integrations", "/settings/integrations/1", "/settings/integrations/new/github", "/events/1")


REUSE = reuse_compiled_code()  # for as long as this process and its forks live


def warm_up() -> None:
    """Start an app, visit its pages and do its work once: otherwise each process would compile the same code again."""
    REUSE.__enter__()
    with tempfile.TemporaryDirectory() as folder:
        app = create_app(config.load({"PAINCHAIN_INSTANCE": str(Path(folder) / "instance")}))
        client = app.test_client()
        for page in PAGES:
            assert client.get(page).status_code == 200, page
        for worker in (Scheduler(app), NotificationWorker(app), CompletionWorker(app), IntegrityWorker(app)):
            worker.run_once()
        with app.app_context():
            db.session.remove()
            db.engine.dispose()


warm_up()
gc.freeze()  # otherwise the first collection of each forked process copies all of it

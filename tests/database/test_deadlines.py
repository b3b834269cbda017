"""A late request is answered if the database server answers; it waits no longer once the server is silent."""

import pytest
from flask import Flask
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from painchain.database import deadlines
from painchain.database.session import db
from tests.conftest import WITH_POSTGRES


@WITH_POSTGRES
@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_late_request_asks_a_server_that_answers_and_waits_once_for_a_silent_one(app: Flask) -> None:
    with app.app_context(), deadlines.within(0):
        assert db.session.execute(text("SELECT 1")).scalar() == 1
        db.session.rollback()
        with pytest.raises(OperationalError, match="did not answer in time"):
            db.session.execute(text("SELECT pg_sleep(60)"))
        db.session.rollback()
        with pytest.raises(OperationalError, match=r"in time|no time is left|does not answer"):
            db.session.execute(text("SELECT 1"))
        db.session.remove()
    with app.app_context():
        assert db.session.execute(text("SELECT 1")).scalar() == 1

"""Each log message is one line with its context, without control characters and without secrets."""

from __future__ import annotations

import io
import json
import logging
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest

from painchain.core import logs
from tests.support.log_lines import CANARY, HOSTILE, Logged


@pytest.mark.usefixtures("own_logging")
def test_the_log_level_setting_applies(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning", "text")
    logging.getLogger("painchain").info("a quiet word")
    logging.getLogger("painchain").warning("a loud word")
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.endswith("Z WARNING painchain: a loud word\n")
    assert "a quiet word" not in printed.err


@pytest.mark.usefixtures("own_logging")
def test_no_text_can_forge_a_log_line(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "text")
    with logs.context(actor=HOSTILE, connector=7):
        logging.getLogger("painchain").error("name %s", "a\r\n2026-01-31 INFO forged\x1b[2J\u2028\u202eend")
    [line, end] = capsys.readouterr().err.split("\n")
    assert end == ""
    assert r"ERROR painchain: name a\r\n2026-01-31 INFO forged\x1b[2J\u2028\u202eend actor=" in line
    assert line.endswith(" connector=7")
    assert line.isprintable()


def test_every_log_line_is_one_json_object(log_text: Callable[[], str]) -> None:
    with logs.context(actor=HOSTILE, request_id="1"):
        logging.getLogger("painchain").error("%s", HOSTILE, extra={"members": {"host": HOSTILE, "odd": {1}}})
    text = log_text()
    assert text.count("\n") == 1
    assert text[:-1].isprintable()
    line = json.loads(text)
    assert (line["message"], line["actor"], line["host"]) == (HOSTILE,) * 3
    assert (line["level"], line["logger"], line["request_id"], line["odd"]) == ("error", "painchain", "1", "{1}")
    assert abs(datetime.fromisoformat(line["time"]).timestamp() - time.time()) < 60
    assert line["time"].endswith("Z")


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.usefixtures("own_logging")
def test_a_line_with_members_is_the_same_whether_or_not_another_handler_listens(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("info", form)
    log = logging.getLogger("painchain.web.access")
    members = {"status": 201, "ms": 1.5, "host": f"https://me:{CANARY}@git.example/", "long": "x" * 3_000}

    def lines() -> list[str]:
        with logs.context(actor="Ada\r\nforged", path="/a"):
            logs.log_members(log, logging.DEBUG, "too quiet", members)
            logs.log_members(log, logging.INFO, f"GET a\r\nforged 100% https://me:{CANARY}@git.example/", members)
        return [line[:9] + line[line.index("Z") :] for line in capsys.readouterr().err.splitlines()]  # not the time

    direct = lines()
    records: list[logging.LogRecord] = []
    other = logging.Handler()
    other.emit = records.append  # type: ignore[method-assign]
    logging.root.addHandler(other)
    assert (lines(), len(direct), len(records)) == (direct, 1, 1)
    assert CANARY not in direct[0]
    assert "x" * 2_001 not in direct[0]


@pytest.mark.usefixtures("own_logging")
def test_requests_are_answered_although_nobody_reads_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info", "json")
    [handler] = logging.root.handlers
    assert isinstance(handler, logs.Handler)
    stream = io.StringIO()
    handler.setStream(stream)
    stream.close()
    logs.log_members(logging.getLogger("painchain"), logging.INFO, "unread", {})
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("form", ["json", "text"])
@pytest.mark.usefixtures("own_logging")
def test_an_exception_is_logged_with_type_and_place_but_without_its_message(
    form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure("info", form)
    try:
        try:
            raise KeyError(CANARY)
        except KeyError as problem:
            raise RuntimeError(f"no {CANARY}\n2026 forged") from problem
    except RuntimeError:
        logging.getLogger("waitress").exception("Exception while serving /link/%s" % CANARY)  # noqa: UP031  as it does
    text = capsys.readouterr().err
    assert CANARY not in text
    assert "Exception while serving a request" in text
    assert text.index("KeyError") < text.index("RuntimeError")
    assert "in test_an_exception_is_logged" in text
    if form == "json":
        assert text.count("\n") == 1
        assert "\n" in json.loads(text)["exception"]
    else:
        assert all(line.startswith("    ") for line in text.splitlines()[1:])


def test_credentials_in_addresses_are_removed_from_messages_and_members(logged: Logged) -> None:
    address = f"https://me:{CANARY}@git.example/?private_token={CANARY}"
    logging.getLogger("painchain").warning("no answer from %s", address, extra={"members": {"host": address}})
    [line] = logged()
    assert line["message"] == "no answer from https://***@git.example/?private_token=***"
    assert CANARY not in str(line)


def test_warnings_of_libraries_are_logged_in_the_same_format(logged: Logged) -> None:
    for name in ("waitress.queue", "alembic.runtime.migration", "httpx2", "authlib.jose", "sqlalchemy.engine"):
        logging.getLogger(name).info("quiet %s", CANARY)
        logging.getLogger(name).warning("loud")
    assert [(line["logger"], line["message"]) for line in logged()] == [
        (name, "loud")
        for name in ("waitress.queue", "alembic.runtime.migration", "httpx2", "authlib.jose", "sqlalchemy.engine")
    ]


@pytest.fixture
def restored_hooks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Restore Python's own hooks after the test."""
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    yield
    logging.captureWarnings(False)


@pytest.mark.usefixtures("restored_hooks")
def test_an_uncaught_exception_is_one_log_line(logged: Logged) -> None:
    def fail() -> None:
        raise RuntimeError(CANARY)

    logs.log_uncaught()
    thread = threading.Thread(target=fail, name="odd-job")
    thread.start()
    thread.join()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old\nhabit", stacklevel=1)
    [stray, habit] = logged()
    assert stray["message"] == "The thread odd-job failed: RuntimeError"
    assert "in fail" in stray["exception"]
    assert CANARY not in str(stray)
    assert (habit["logger"], habit["level"]) == ("py.warnings", "warning")


def test_a_terminal_gets_text_and_a_log_collector_gets_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert (logs.choose_format(""), logs.choose_format("json")) == ("text", "json")
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    assert (logs.choose_format(""), logs.choose_format("text")) == ("json", "text")

"""The daemon's own log: one line an event, for people or for programs."""

import json
import logging
import re
from collections.abc import Iterator
from typing import Literal

import pytest

from chatd import logging_setup
from chatd.config import LoggingConfig
from tests.support.fakes import EPOCH_NS

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")

logger = logging.getLogger("chatd.test")


@pytest.fixture(autouse=True)
def _leave_the_root_logger_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    root.handlers.clear()
    yield
    root.setLevel(level)
    root.handlers[:] = handlers


def fail() -> None:
    try:
        raise RuntimeError("oops")
    except RuntimeError:
        logger.exception("%s: failed", "ann")


def test_a_line_of_text_has_time_level_and_message(capsys: pytest.CaptureFixture[str]) -> None:
    logging_setup.configure(LoggingConfig())
    logger.warning("%s: disconnected: %s", "ann", "quit")
    written = capsys.readouterr()
    assert written.out == ""
    time, rest = written.err.split(" ", 1)
    assert TIME.fullmatch(time)
    assert rest == "WARNING ann: disconnected: quit\n"


def test_the_time_is_when_it_happened_in_utc(capsys: pytest.CaptureFixture[str]) -> None:
    logging_setup.configure(LoggingConfig())
    event = {
        "created": EPOCH_NS / 1e9 + 0.5,
        "levelname": "INFO",
        "levelno": logging.INFO,
        "msg": "hello",
    }
    logger.handle(logging.makeLogRecord(event))
    assert re.match("2026-11-21T07:11:00.(5|4999)", capsys.readouterr().err)


def test_a_failure_in_text_is_followed_by_its_traceback(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logging_setup.configure(LoggingConfig())
    fail()
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].endswith(" ERROR   ann: failed")
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == "RuntimeError: oops"


def test_in_json_an_event_is_one_object_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    logging_setup.configure(LoggingConfig(format="json"))
    logger.info("%s: „grüße“\n", "ann")
    (line,) = capsys.readouterr().err.splitlines()
    event = json.loads(line)
    assert TIME.fullmatch(event.pop("time"))
    assert event == {"level": "info", "logger": "chatd.test", "message": "ann: „grüße“\n"}


def test_in_json_the_traceback_is_a_field(capsys: pytest.CaptureFixture[str]) -> None:
    logging_setup.configure(LoggingConfig(format="json"))
    fail()
    (line,) = capsys.readouterr().err.splitlines()
    event = json.loads(line)
    assert (event["level"], event["message"]) == ("error", "ann: failed")
    assert event["traceback"].startswith("Traceback")
    assert event["traceback"].endswith("RuntimeError: oops")


@pytest.mark.parametrize(("level", "count"), [("debug", 4), ("info", 3), ("error", 1)])
def test_what_is_below_the_level_is_not_logged(
    level: Literal["debug", "info", "error"], count: int, capsys: pytest.CaptureFixture[str]
) -> None:
    logging_setup.configure(LoggingConfig(level=level))
    for severity in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        logger.log(severity, "event")
    assert len(capsys.readouterr().err.splitlines()) == count

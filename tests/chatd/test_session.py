"""What a session promises the services."""

from collections.abc import Callable

import pytest

from chatd.outbox import BUSY_REPLIES
from chatd.session import MAX_INFLIGHT, Session
from common.messages.base import Error
from common.messages.basic import Ping
from tests.chatd.lone import lone_session
from tests.chatd.stage import Stage


async def test_a_session_says_who_it_is_and_from_where(stage: Stage) -> None:
    ann = stage.enter()
    assert str(ann.session) == "192.0.2.1:40000"
    await ann.hello(name="ann")
    assert str(ann.session) == "ann (192.0.2.1:40000)"


def test_closing_sends_the_error_last_and_nothing_after_it() -> None:
    session = lone_session(1)
    session.send(Ping())
    session.close("idle", Error("idle_timeout", "…"))
    session.send(Ping())
    codes = session.outbox.take(1_000).split(b"\n")
    assert codes[0] == b'{"code":"ping"}'
    assert b"idle_timeout" in codes[1]
    assert codes[2:] == [b""]


async def test_only_the_first_end_counts(stage: Stage) -> None:
    ann = await stage.hello("ann")
    ann.session.close("quit")
    ann.session.close("connection lost", Error("shutting_down", "…"))
    assert ann.session.how_it_ended == "quit"
    assert ann.lines() == []


def test_a_session_is_welcome_once_it_has_an_identity() -> None:
    assert not lone_session(0).is_welcome
    assert lone_session(1).is_welcome
    assert isinstance(lone_session(1), Session)


@pytest.mark.parametrize(
    ("fill", "limit"),
    [
        (lambda session: session.send(Ping()), BUSY_REPLIES + 1),
        (lambda session: session.inflight.add(), MAX_INFLIGHT),
    ],
    ids=["to be written", "for the log"],
)
def test_a_session_is_full_while_too_much_waits(
    fill: Callable[[Session], None], limit: int
) -> None:
    session = lone_session(1)
    was_full = []
    for _ in range(limit):
        was_full.append(session.is_full)
        fill(session)
    assert not any(was_full)
    assert session.is_full

"""What a session promises the services.

A count that can be waited for.
"""

import asyncio
from collections.abc import Callable

import pytest

from chatd.core.send_queue import HIGH_WATER_REPLIES
from chatd.core.session import MAX_INFLIGHT, InFlight, Session
from common.messages.base import Error
from common.messages.basic import Ping
from tests.support.fake_time import quiet
from tests.support.fakes import detached_session
from tests.support.service_harness import ServiceHarness


async def test_a_session_says_who_it_is_and_from_where(harness: ServiceHarness) -> None:
    ann = harness.connect()
    assert str(ann.session) == "192.0.2.1:40000"
    await ann.hello(name="ann")
    assert str(ann.session) == "ann (192.0.2.1:40000)"


def test_closing_sends_the_error_last_and_nothing_after_it() -> None:
    session = detached_session(1)
    session.send(Ping())
    session.close("idle", Error("idle_timeout", "…"))
    session.send(Ping())
    codes = session.send_queue.take(1_000).split(b"\n")
    assert codes[0] == b'{"code":"ping"}'
    assert b"idle_timeout" in codes[1]
    assert codes[2:] == [b""]


async def test_only_the_first_end_counts(harness: ServiceHarness) -> None:
    ann = await harness.register("ann")
    ann.session.close("quit")
    ann.session.close("connection lost", Error("shutting_down", "…"))
    assert ann.session.close_reason == "quit"
    assert ann.lines() == []


def test_a_session_is_registered_once_it_has_an_identity() -> None:
    assert not detached_session(0).is_registered
    assert detached_session(1).is_registered
    assert isinstance(detached_session(1), Session)


@pytest.mark.parametrize(
    ("fill", "limit"),
    [
        (lambda session: session.send(Ping()), HIGH_WATER_REPLIES + 1),
        (lambda session: session.inflight.add(), MAX_INFLIGHT),
    ],
    ids=["to be written", "for the log"],
)
def test_a_session_is_backpressured_while_too_much_waits(
    fill: Callable[[Session], None], limit: int
) -> None:
    session = detached_session(1)
    was_full = []
    for _ in range(limit):
        was_full.append(session.is_backpressured)
        fill(session)
    assert not any(was_full)
    assert session.is_backpressured


async def test_waiting_ends_when_the_count_is_low_enough() -> None:
    in_flight = InFlight()
    for _ in range(3):
        in_flight.add()
    below_3 = asyncio.create_task(in_flight.wait_below(3))
    none_left = asyncio.create_task(in_flight.wait_below(1))
    await quiet()
    assert not below_3.done()
    for wait in (below_3, none_left):
        assert not wait.done()
        while not wait.done():
            in_flight.done()
            await quiet()
    assert in_flight.count == 0


async def test_several_may_be_added_at_once() -> None:
    in_flight = InFlight()
    in_flight.add(3)
    none_left = asyncio.create_task(in_flight.wait_below(1))
    for _ in range(3):
        await quiet()
        assert not none_left.done()
        in_flight.done()
    await none_left


async def test_there_is_nothing_to_wait_for_at_0() -> None:
    await InFlight().wait_below(1)

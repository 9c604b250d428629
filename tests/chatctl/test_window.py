"""How many requests may be unanswered at once, against a server that takes only so many."""

import asyncio
from collections import deque

import pytest

from chatctl.errors import RefusedError
from chatctl.window import ConcurrencyLimit
from common.messages.base import Error


def too_many() -> RefusedError:
    return RefusedError(Error("too_many_requests", "wait for answers before you send more"))


class LimitedServer:
    """Takes `capacity` requests; it answers, and refuses, in the order in which they come."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.requests = self.refused = 0
        self.pending: deque[asyncio.Future[int]] = deque()

    async def request(self) -> int:
        self.requests += 1
        # As over a wire, what the server thinks of it is known only after others were sent too.
        has_capacity = len(self.pending) < self.capacity
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if has_capacity:
            self.pending.append(answer)
        else:
            self.refused += 1
            answer.get_loop().call_soon(answer.set_exception, too_many())
        return await answer

    def answer(self, count: int = 1) -> None:
        for _ in range(min(count, len(self.pending))):
            self.pending.popleft().set_result(self.requests)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_no_more_than_the_limit_are_asked_at_once() -> None:
    limit, server = ConcurrencyLimit(3), LimitedServer(100)
    calls = [asyncio.create_task(limit.run(server.request)) for _ in range(5)]
    await settle()
    assert server.requests == 3
    server.answer()
    await settle()
    assert server.requests == 4
    while server.pending:
        server.answer()
        await settle()
    assert len(await asyncio.gather(*calls)) == 5


async def test_what_the_server_has_no_room_for_is_asked_again_when_there_is() -> None:
    limit, server = ConcurrencyLimit(100), LimitedServer(7)
    calls = [asyncio.create_task(limit.run(server.request)) for _ in range(100)]
    await settle()
    assert (server.requests, len(server.pending)) == (100, 7)
    rounds = 0
    while server.pending:
        server.answer(7)
        await settle()
        rounds += 1
        assert len(server.pending) == max(0, min(7, 100 - 7 * rounds))
    assert len(await asyncio.gather(*calls)) == 100
    assert server.refused <= 93 + 100 // 16, "few are sent in vain once the room is known"


async def test_room_that_comes_back_is_used() -> None:
    limit, server = ConcurrencyLimit(20), LimitedServer(2)
    calls = [asyncio.create_task(limit.run(server.request)) for _ in range(600)]
    await settle()
    assert len(server.pending) == 2
    server.capacity = 1_000
    while len(server.pending) < 20:
        assert server.pending
        server.answer()
        await settle()
    while server.pending:
        server.answer(20)
        await settle()
    await asyncio.gather(*calls)


async def test_a_request_that_is_too_much_by_itself_is_refused() -> None:
    with pytest.raises(RefusedError) as error:
        await ConcurrencyLimit(10).run(LimitedServer(0).request)
    assert error.value.reason == "too_many_requests"


async def test_a_request_that_is_too_much_by_itself_is_refused_when_the_others_are_answered() -> (
    None
):
    limit, server = ConcurrencyLimit(10), LimitedServer(1)
    small = asyncio.create_task(limit.run(server.request))
    await settle()
    server.capacity = 0
    large = asyncio.create_task(limit.run(server.request))
    await settle()
    assert not large.done()
    server.answer()
    await small
    with pytest.raises(RefusedError):
        await large


async def test_what_fails_or_is_cancelled_gives_its_permit_back() -> None:
    limit, server = ConcurrencyLimit(1), LimitedServer(10)

    async def fail() -> int:
        raise RefusedError(Error("line_too_long", "too long"))

    with pytest.raises(RefusedError, match="too long"):
        await limit.run(fail)
    cancelled = asyncio.create_task(limit.run(server.request))
    await settle()
    cancelled.cancel()
    await asyncio.wait([cancelled])
    server.pending.clear()

    last = asyncio.create_task(limit.run(server.request))
    await settle()
    server.answer()
    await last

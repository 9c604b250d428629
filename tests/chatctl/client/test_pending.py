"""Pending requests: a limit on their number, and answers over a real socket."""

import asyncio
from collections import deque
from typing import Any

import pytest

from chatctl.client import Answer, AnswerTimeoutError, Client, ProtocolError, RefusedError
from chatctl.client.pending import ConcurrencyLimit
from common.messages.base import Error
from tests.support.scripted_server import TIMEOUT, ScriptedServer, ServerConnection


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


def respond(connection: ServerConnection, request: dict[str, Any], **data: Any) -> None:
    connection.send("response", request_id=request["request_id"], data=data)


def refuse(connection: ServerConnection, request: dict[str, Any], reason: str) -> None:
    connection.send(
        "error", reason=reason, detail=f"no: {reason}", request_id=request["request_id"]
    )


async def receive_requests(connection: ServerConnection, count: int) -> list[dict[str, Any]]:
    return [await connection.expect("request") for _ in range(count)]


def request_all(client: Client, *texts: str) -> list["asyncio.Task[Answer]"]:
    return [asyncio.create_task(client.request(text)) for text in texts]


async def test_a_request_needs_no_hello_and_returns_the_entities_and_the_wait(
    server: ScriptedServer,
) -> None:
    async with server.client() as client:
        connection = await server.accept()
        (call,) = request_all(client, "Hub&&id&&1&&")
        (request,) = await receive_requests(connection, 1)
        assert request["data"] == "Hub&&id&&1&&"
        respond(connection, request, Hub={"id": "1"})
        answer = await call
        assert answer.data == {"Hub": {"id": "1"}}
        assert 0 < answer.wait < TIMEOUT


async def test_answers_find_their_requests_in_whatever_order_they_come(
    server: ScriptedServer,
) -> None:
    async with server.client() as client:
        connection = await server.accept()
        calls = request_all(client, *map(str, range(100)))
        requests = await receive_requests(connection, 100)
        assert len({request["request_id"] for request in requests}) == 100
        for request in reversed(requests):
            respond(connection, request, entity={"data": request["data"]})
        answers = await asyncio.gather(*calls)
        assert [answer.data for answer in answers] == [
            {"entity": {"data": str(number)}} for number in range(100)
        ]


async def test_a_cancelled_request_is_forgotten_and_its_late_answer_dropped(
    server: ScriptedServer,
) -> None:
    async with server.client() as client:
        connection = await server.accept()
        cancelled, kept = request_all(client, "cancelled", "kept")
        first, second = await receive_requests(connection, 2)
        cancelled.cancel()
        await asyncio.wait([cancelled])
        respond(connection, first, late={"a": "b"})
        refuse(connection, first, "duplicate_request")
        respond(connection, second, kept={"a": "b"})
        assert (await kept).data == {"kept": {"a": "b"}}
        await client.quit()
        assert [event async for event in client] == []


async def test_a_refused_request_raises_and_leaves_the_others_alone(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection = await server.accept()
        refused, kept = request_all(client, "refused", "kept")
        first, second = await receive_requests(connection, 2)
        refuse(connection, first, "duplicate_request")
        respond(connection, second)
        with pytest.raises(RefusedError, match="no: duplicate_request"):
            await refused
        assert (await kept).data == {}


async def test_an_answer_of_the_wrong_shape_fails_its_request_alone(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection = await server.accept()
        broken, kept = request_all(client, "broken", "kept")
        first, second = await receive_requests(connection, 2)
        connection.send("response", request_id=first["request_id"], data=[1, 2])
        respond(connection, second)
        with pytest.raises(ProtocolError):
            await broken
        assert (await kept).data == {}


async def test_a_request_that_is_too_long_is_never_sent(server: ScriptedServer) -> None:
    async with server.client() as client:
        connection = await server.accept()
        with pytest.raises(RefusedError) as error:
            await client.request("x" * 70_000)
        assert error.value.reason == "line_too_long"
        (call,) = request_all(client, "short")
        (request,) = await receive_requests(connection, 1)
        assert request["data"] == "short"
        respond(connection, request)
        await call


async def test_no_answer_in_time_is_a_timeout(server: ScriptedServer) -> None:
    async with server.client(answer_timeout=0.05) as client:
        await server.accept()
        with pytest.raises(AnswerTimeoutError, match=r"0\.05 s"):
            await client.request("a&&b&&c")


async def test_what_was_unanswered_when_the_connection_was_lost_is_asked_again(
    server: ScriptedServer,
) -> None:
    async with server.client() as client:
        connection = await server.accept()
        answered, cancelled, lost, also_lost = request_all(client, *"acbd")
        requests = await receive_requests(connection, 4)
        respond(connection, requests[0])
        await answered
        cancelled.cancel()
        await asyncio.wait([cancelled])
        connection.close()

        connection = await server.accept()
        again = await receive_requests(connection, 2)
        assert again == requests[2:]
        for request in again:
            respond(connection, request, entity={"data": request["data"]})
        assert (await lost).data == {"entity": {"data": "b"}}
        assert (await also_lost).data == {"entity": {"data": "d"}}


async def test_what_the_server_has_no_room_for_is_asked_again_after_an_answer(
    server: ScriptedServer,
) -> None:
    async with server.client() as client:
        connection = await server.accept()
        calls = request_all(client, *"abc")
        first, second, third = await receive_requests(connection, 3)
        refuse(connection, second, "too_many_requests")
        refuse(connection, third, "too_many_requests")
        respond(connection, first)
        for _ in range(2):
            (again,) = await receive_requests(connection, 1)
            assert again["request_id"] not in {second["request_id"], third["request_id"]}
            respond(connection, again)
        assert len(await asyncio.gather(*calls)) == 3


async def test_only_so_many_are_sent_at_once(server: ScriptedServer) -> None:
    async with server.client(max_requests=2) as client:
        connection = await server.accept()
        calls = request_all(client, *"abc")
        first, second = await receive_requests(connection, 2)
        respond(connection, second)
        (third,) = await receive_requests(connection, 1)
        assert third["data"] == "c"
        respond(connection, first)
        respond(connection, third)
        await asyncio.gather(*calls)

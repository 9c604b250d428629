"""From a message to its handler, and from an exception to its answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import TypeAlias

import pytest

from chatd.core.router import (
    BatchHandler,
    Route,
    Router,
    batch_route,
    route,
)
from chatd.core.send_queue import HIGH_WATER_REPLIES
from chatd.core.session import Access, Session
from chatd.messagelog.base import StorageError
from common.messages import ClientMessage, Error, Message, RejectedError
from common.messages.basic import Echo, Ping
from common.messages.chat import Who
from common.protocol.codec import InvalidLine
from common.protocol.registry import FROM_CLIENT
from tests.support.fakes import detached_send_queue, detached_session, received_by
from tests.support.service_harness import Json

Handler: TypeAlias = Callable[[Session, ClientMessage], Awaitable[None] | None]


def ignore(_session: Session, _message: ClientMessage) -> None:
    pass


class CatchAllService:
    """A service that routes every kind of message, some of them to handlers of a test's own."""

    def __init__(
        self,
        handlers: dict[type[ClientMessage], Handler],
        batch_handlers: dict[type[ClientMessage], BatchHandler] | None = None,
        *,
        requires: Access = Access.ANYONE,
    ) -> None:
        batch_handlers = batch_handlers or {}
        self.routes: Sequence[Route] = [
            batch_route(kind, batch_handlers[kind], requires=requires)
            if kind in batch_handlers
            else route(kind, handlers.get(kind, ignore), requires=requires)
            for kind in FROM_CLIENT.kinds
        ]
        self.closed_sessions: list[Session] = []

    def closed(self, session: Session) -> None:
        self.closed_sessions.append(session)


class FailingService:
    """A service that cannot let go."""

    routes: Sequence[Route] = ()

    def closed(self, _session: Session) -> None:
        raise RuntimeError("cannot let go")


async def serve(
    handlers: dict[type[ClientMessage], Handler],
    *messages: ClientMessage | InvalidLine,
    batch_handlers: dict[type[ClientMessage], BatchHandler] | None = None,
    requires: Access = Access.ANYONE,
) -> list[Json]:
    """Have `messages` served that come in one chunk, and return what came of it."""
    router = Router([CatchAllService(handlers, batch_handlers, requires=requires)])
    session = detached_session(0)
    rest = router.serve(session, list(messages))
    if rest is not None:
        await rest
    return received_by(session)


def failing(error: Exception) -> Handler:
    def fail(_session: Session, _message: ClientMessage) -> None:
        raise error

    return fail


def failing_later(error: Exception) -> Handler:
    async def fail(_session: Session, _message: ClientMessage) -> None:
        await asyncio.sleep(1)
        raise error

    return fail


def answering(session: Session, message: ClientMessage) -> None:
    assert isinstance(message, Message)
    session.send(message)


def test_a_message_that_no_service_routes_fails_at_start_up() -> None:
    service = CatchAllService({})
    service.routes = [row for row in service.routes if row.kind not in (Ping, Who)]
    with pytest.raises(LookupError, match="no service routes Ping, Who"):
        Router([service])


def test_a_message_that_two_services_route_fails_at_start_up() -> None:
    service = CatchAllService({})
    with pytest.raises(LookupError, match="two services route the same kind"):
        Router([service, service])


async def test_each_message_goes_to_its_handler() -> None:
    served: list[ClientMessage] = []
    handlers: dict[type[ClientMessage], Handler] = {
        Ping: lambda _session, message: served.append(message),
        Who: lambda _session, message: served.append(message),
    }
    await serve(handlers, Who(), Echo(), Ping("1"))
    assert served == [Who(), Ping("1")]


@pytest.mark.parametrize("fail", [failing, failing_later])
@pytest.mark.parametrize("raised", [RuntimeError("oops"), ConnectionError("no log")], ids=repr)
async def test_a_failing_handler_costs_its_message_an_error_and_nothing_else(
    fail: Callable[[Exception], Handler], raised: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    received = await serve({Ping: fail(raised), Who: answering}, Who("a"), Ping("b"), Who("c"))
    assert [message["ref"] for message in received] == ["a", "b", "c"]
    error = received[1]
    assert (error["code"], error["reason"]) == ("error", "internal_error")
    assert "ping" in error["detail"]
    assert str(raised) not in error["detail"]
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "(192.0.2.1:40000): the handler of ping failed" in caplog.text
    assert "Traceback" in caplog.text
    assert str(raised) in caplog.text


@pytest.mark.parametrize("fail", [failing, failing_later])
async def test_a_refusal_is_the_answer_and_not_logged(
    fail: Callable[[Exception], Handler], caplog: pytest.LogCaptureFixture
) -> None:
    refusal = RejectedError(Error("unsupported", "not here", ref="1"))
    assert await serve({Ping: fail(refusal)}, Ping("1")) == [
        {"code": "error", "reason": "unsupported", "detail": "not here", "ref": "1"}
    ]
    assert caplog.records == []


@pytest.mark.parametrize("fail", [failing, failing_later])
async def test_a_log_that_cannot_be_read_or_written_is_reported_and_not_taken_for_an_internal_error(
    fail: Callable[[Exception], Handler], caplog: pytest.LogCaptureFixture
) -> None:
    (error,) = await serve({Ping: fail(StorageError("the disk is full"))}, Ping("1"))
    assert (error["reason"], error["ref"]) == ("storage_failed", "1")
    assert error["detail"] == (
        "the server cannot read or write its log now: the disk is full; try again later"
    )
    assert "cannot serve ping: the disk is full" in caplog.text
    assert "Traceback" not in caplog.text


async def test_what_requires_hello_is_refused_without_one() -> None:
    (error,) = await serve({Ping: answering}, Ping("1"), requires=Access.MEMBER)
    assert (error["reason"], error["ref"]) == ("hello_required", "1")
    assert "before ping" in error["detail"]


async def test_what_requires_an_operator_is_refused_to_a_member() -> None:
    router = Router([CatchAllService({}, requires=Access.OPERATOR)])
    member = detached_session(1)
    assert router.serve(member, [Ping("1")]) is None
    (error,) = received_by(member)
    assert (error["reason"], error["ref"]) == ("unauthorized", "1")
    assert "ping" in error["detail"]
    member.access = Access.OPERATOR
    router.serve(member, [Ping("2")])
    assert received_by(member) == []


async def test_a_bad_line_is_answered_with_its_error() -> None:
    bad = InvalidLine(Error("bad_json", "not JSON"))
    assert await serve({}, bad) == [{"code": "error", "reason": "bad_json", "detail": "not JSON"}]


class EchoHandler:
    """A stream that answers each message with the same; some it fails at, for some it waits."""

    def __init__(self, *, fails_at: Sequence[str] = (), waits_for: Sequence[str] = ()) -> None:
        self.calls = 0
        self._fails_at = fails_at
        self._waits_for = waits_for

    def __call__(self, session: Session, pings: Iterator[Ping]) -> Awaitable[None] | None:
        self.calls += 1
        for ping in pings:
            if ping.ref in self._fails_at:
                raise RuntimeError("oops")
            if ping.ref in self._waits_for:
                return self._answer_later(session, ping)
            session.send(ping)
        return None

    async def _answer_later(self, session: Session, ping: Ping) -> None:
        await asyncio.sleep(1)
        if ping.ref in self._waits_for[1:]:
            raise RuntimeError("oops")
        session.send(ping)


def pings(count: int) -> list[Ping]:
    return [Ping(str(number)) for number in range(count)]


async def test_a_batch_route_takes_many_messages_with_one_call() -> None:
    answering = EchoHandler()
    received = await serve({}, *pings(50), batch_handlers={Ping: answering})
    assert [message["ref"] for message in received] == [str(number) for number in range(50)]
    assert answering.calls == 1


@pytest.mark.parametrize("others", [[Who("w")], [InvalidLine(Error("bad_json", "…", ref="w"))]])
async def test_a_batch_route_takes_what_is_of_its_kind_and_leaves_the_others_their_place(
    others: list[ClientMessage | InvalidLine],
) -> None:
    batch_route = EchoHandler()
    logged = [Ping("1"), Ping("2"), *others, Ping("3"), *others, *others]
    received = await serve({Who: answering}, *logged, batch_handlers={Ping: batch_route})
    assert [message["ref"] for message in received] == ["1", "2", "w", "3", "w", "w"]
    assert batch_route.calls == 2


@pytest.mark.parametrize("kind", ["fails_at", "waits_for"])
async def test_a_message_at_which_a_batch_route_stops_does_not_stop_those_behind_it(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    answering = EchoHandler(**{kind: ["2", "3"]})
    received = await serve({}, *pings(5), Who("w"), batch_handlers={Ping: answering})
    codes = [(message["code"], message["ref"]) for message in received]
    failed = ["3"] if kind == "waits_for" else ["2", "3"]
    assert codes == [("error" if ref in failed else "ping", ref) for ref in "01234"]
    assert len(caplog.records) == len(failed)


class ReadingTransport:
    """The transport of a client that takes what is queued whenever it is waited for."""

    local_host = "192.0.2.254"

    def __init__(self) -> None:
        self.session = Session("192.0.2.1:40000", 0.0, detached_send_queue(), self)
        self.received: list[list[Json]] = []

    def close_transport(self) -> None:
        raise AssertionError("no session ends here")

    async def drain(self) -> None:
        self.received.append(received_by(self.session))


async def test_a_batch_route_stops_soon_after_there_is_much_to_write_and_goes_on_from_there() -> (
    None
):
    router = Router([CatchAllService({}, {Ping: EchoHandler()})])
    transport, logged = ReadingTransport(), pings(2 * HIGH_WATER_REPLIES)
    rest = router.serve(transport.session, logged)
    assert rest is not None
    await rest
    received = [*transport.received, received_by(transport.session)]
    assert HIGH_WATER_REPLIES < len(received[0]) < HIGH_WATER_REPLIES + 100
    assert [message["ref"] for some in received for message in some] == [
        ping.ref for ping in logged
    ]


async def test_nothing_is_served_any_more_once_the_session_is_closed() -> None:
    def close(session: Session, messages: Iterator[Ping]) -> None:
        session.send(next(messages))
        session.close("quit")

    received = await serve({Who: answering}, *pings(3), Who("w"), batch_handlers={Ping: close})
    assert [message["ref"] for message in received] == ["0"]


async def test_a_batch_route_that_requires_hello_is_refused_without_one_message_by_message() -> (
    None
):
    received = await serve(
        {}, *pings(3), batch_handlers={Ping: EchoHandler()}, requires=Access.MEMBER
    )
    assert [(error["reason"], error["ref"]) for error in received] == [
        ("hello_required", ref) for ref in "012"
    ]


def test_every_service_hears_of_an_end_even_if_another_fails(
    caplog: pytest.LogCaptureFixture,
) -> None:
    one, other = [CatchAllService({}) for _ in range(2)]
    other.routes = ()
    session = detached_session(1)
    Router([one, FailingService(), other]).closed(session)
    assert one.closed_sessions == other.closed_sessions == [session]
    assert "user 1 (192.0.2.1:40000): a service failed to forget the session" in caplog.text
    assert "cannot let go" in caplog.text

"""The Python API of chatd.

An example; a test runs it against a real daemon:

    import asyncio
    from chatctl.client import Client, Incoming

    async def main(host: str, port: int) -> None:
        async with Client(host, port) as ann, Client(host, port) as bob:
            await ann.hello("ann")
            await bob.hello("bob")
            print(await ann.who())
            receipt = await ann.send("bob", "hi")
            print(f"in the log as number {receipt.id}")
            async for event in bob:
                if isinstance(event, Incoming):
                    print(f"{event.author}: {event.content}")
                    break

    asyncio.run(main("127.0.0.1", 5555))

A client survives a lost connection: it comes back with exponential backoff, says the same hello
with its token, gets what it missed, and sends again what was not acknowledged; nothing is delivered
twice. It does not come back after `replaced` (the same token signed in elsewhere).

**Reading.** Events wait in a bounded inbox until `async for` takes them. When it is full the
connection is not read, so TCP slows the server down; if it lasts the server hangs up
(`slow_consumer`), and the client comes back for the rest when there is room. While a call waits
for its answer reading never pauses, so a program may send from inside its own `async for`, or
never iterate at all: what does not fit is left to the server's log and fetched from there once the
program has caught up. Only what has no place in the log (`Joined`, `Left`) is lost then.
"""

import asyncio
import itertools
import math
import secrets
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any, Final, Self

import msgspec
from msgspec import UNSET

from chatctl import window
from chatctl.backoff import Backoff
from chatctl.errors import (
    AnswerTimeoutError,
    CannotConnectError,
    ClientError,
    ProtocolError,
    RefusedError,
)
from chatctl.events import Answer, Event, Probe, Receipt, Reconnected, Reconnecting
from chatctl.feed import Feed
from chatctl.inbox import LIMIT, Inbox
from chatctl.introductions import Introductions, News
from chatctl.link import Link
from chatctl.session import Session
from common.addresses import HOST, PORT
from common.messages.base import Error
from common.messages.basic import Echo, Ping, Pong
from common.messages.chat import (
    VERSION,
    Ack,
    Hello,
    History,
    HistoryPage,
    Incoming,
    IncomingBroadcast,
    Joined,
    Left,
    Outgoing,
    OutgoingBroadcast,
    Resumed,
    Users,
    Welcome,
    Who,
)
from common.messages.feed import TOPICS, Array, Block, Subscribe, Topic, User
from common.messages.peers import Peer, PeerJoined, PeerLeft, PeerList, Peers, Share
from common.messages.request import Request, Response
from common.timestamps import parse_time

__all__ = [
    "Answer",
    "AnswerTimeoutError",
    "Array",
    "CannotConnectError",
    "Client",
    "ClientError",
    "Error",
    "Event",
    "HistoryPage",
    "Incoming",
    "IncomingBroadcast",
    "Joined",
    "Left",
    "Peer",
    "PeerJoined",
    "PeerLeft",
    "PeerList",
    "Probe",
    "ProtocolError",
    "Receipt",
    "Reconnected",
    "Reconnecting",
    "RefusedError",
    "Resumed",
    "User",
    "Welcome",
]

MAX_REQUESTS: Final = window.LIMIT

_DEFAULT_INFLIGHT: Final = 64
_FAREWELL: Final = 2.0


class Client:
    """One person's connection to a chatd; use it with `async with`.

    Every call may raise RefusedError (the server's `error`, with its `reason`), AnswerTimeoutError,
    ProtocolError, and CannotConnectError once the connection is lost for good.

    - `connect_timeout`: how long (s) one try to connect may take.
    - `answer_timeout`: how long (s) a call waits for its answer, lost connections included;
      None waits for as long as it takes.
    - `reconnect_for`: how long (s) to try to get a lost connection back; 0 never tries.
    - `silence`: after how long (s) without a byte the server is asked whether it is there; after
      as long again the connection counts as lost.
    - `inbox_limit`: events kept for `async for` before reading pauses.
    - `max_requests`: requests unanswered at once; more wait, and so do those that the server has
      no room for.
    """

    def __init__(
        self,
        host: str = HOST,
        port: int = PORT,
        *,
        connect_timeout: float = 5.0,
        answer_timeout: float | None = 10.0,
        reconnect_for: float = math.inf,
        silence: float = 20.0,
        inbox_limit: int = LIMIT,
        max_requests: int = MAX_REQUESTS,
        backoff: Backoff | None = None,
    ) -> None:
        async def dial() -> Link:
            return await Link.open(host, port, connect_timeout, silence)

        self.host = host
        self.port = port
        self._timeout = answer_timeout
        self._session = Session(dial, Inbox(inbox_limit), backoff or Backoff(), reconnect_for)
        self._inflight = asyncio.Semaphore(_DEFAULT_INFLIGHT)
        self._window = window.Window(max_requests)
        self._feed = Feed(self._session)
        self._introductions = Introductions(self._session)
        # A ref counts for ever, and for all clients with the same token: never the same twice.
        self._refs = map((secrets.token_urlsafe(8) + ".{:x}").format, itertools.count(1))

    @property
    def name(self) -> str:
        """Our name as the server writes it; empty before the hello."""
        return self._session.place.name

    @property
    def token(self) -> str:
        """What proves that the name is ours; give it to `hello` to come back later."""
        return self._session.place.token

    @property
    def last_id(self) -> int:
        """The newest message id seen; give it to `hello` as `after` to go on from there."""
        return self._session.place.last

    @property
    def local_host(self) -> str:
        """The address by which this machine reaches the server."""
        return self._session.local_host

    async def __aenter__(self) -> Self:
        await self._session.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if failure is None:
            await self.quit()
        else:
            await self._session.abort()

    async def hello(
        self,
        name: str,
        *,
        token: str | None = None,
        after: int | None = None,
        presence: bool = False,
    ) -> Welcome:
        """Take `name`; without a `token` a new one is made, which `token` then shows.

        `after` asks for all messages since that id, `presence` for `Joined` and `Left`.
        Raises RefusedError with the reasons `name_taken` (see `suggestion`), `unauthorized`,
        `bad_name`; the connection stays and another hello may be tried.
        """
        hello = Hello(
            name,
            VERSION,
            # Made here, not by the server, so that a hello whose welcome got lost can be repeated.
            token=token or secrets.token_urlsafe(24),
            after=UNSET if after is None else after,
            presence=presence,
        )
        welcome, _ = await self._session.ask(hello, Hello, Welcome, self._timeout)
        self._inflight = asyncio.Semaphore(welcome.max_inflight or _DEFAULT_INFLIGHT)
        return welcome

    async def who(self) -> list[str]:
        """Return the names of those present, in the order in which they came."""
        ref = next(self._refs)
        users, _ = await self._session.ask(Who(ref), ref, Users, self._timeout)
        return users.users

    async def send(self, to: str, text: str) -> Receipt:
        """Send `text` to one person; returns when it is in the log.

        Raises RefusedError: `no_such_user`; `line_too_long`, before anything is sent. After an
        AnswerTimeoutError, or when cancelled, it may or may not have been sent.
        """
        ref = next(self._refs)
        return await self._deliver(Outgoing(to, text, ref), ref)

    async def broadcast(self, text: str) -> Receipt:
        """Send `text` to everyone else; returns when it is in the log. Raises like `send`."""
        ref = next(self._refs)
        return await self._deliver(OutgoingBroadcast(text, ref), ref)

    async def _deliver(self, message: Outgoing | OutgoingBroadcast, ref: str) -> Receipt:
        async with self._inflight:
            ack, question = await self._session.ask(message, ref, Ack, self._timeout)
        return Receipt(ack.id, _seconds(question.asked, question.answered), bool(ack.duplicate))

    async def ping(self) -> Probe:
        """Measure the round trip and the clocks; needs no hello."""
        ref = next(self._refs)
        pong, question = await self._session.ask(Ping(ref), ref, Pong, self._timeout)
        try:
            server_received, server_sent = parse_time(pong.received), parse_time(pong.sent)
        except ValueError as fault:
            raise ProtocolError(f"in pong: {fault}") from None
        return Probe(
            sent=question.written_wall,
            server_received=server_received,
            server_sent=server_sent,
            received=question.answered_wall,
            round_trip=_seconds(question.written, question.answered),
        )

    async def echo(self, content: Any) -> Any:
        """Return `content`, any JSON value, as it came back; needs no hello."""
        ref = next(self._refs)
        message = Echo(msgspec.Raw(msgspec.json.encode(content)), ref)
        echo, _ = await self._session.ask(message, ref, Echo, self._timeout)
        return msgspec.json.decode(echo.content or b"null")

    async def request(self, data: str) -> Answer:
        """Have the server read the entities in `data` (`common.entities`); needs no hello.

        The answer comes after a delay that the server draws, so ask many at once. When cancelled
        the answer is dropped. Raises RefusedError: `line_too_long`, before anything is sent.
        """
        return await self._window.send(lambda: self._request(data))

    async def _request(self, data: str) -> Answer:
        ref = next(self._refs)
        response, question = await self._session.ask(
            Request(ref, data), ref, Response, self._timeout
        )
        return Answer(response.data, _seconds(question.asked, question.answered))

    def subscribe(
        self,
        *topics: Topic,
        interval: float = 1.0,
        size: int = 10,
        low: int = 0,
        high: int = 100,
    ) -> AsyncGenerator[User | Array, None]:
        """Yield random users and arrays without end; needs no hello, and `break` ends it.

        The `topics` (both, where none is named) take turns every `interval` s, from 1 ms to 1 h; 0
        is as fast as the program takes them. An array has `size` numbers from `low` to `high`.
        After a lost connection the feed begins anew, with `n` at 1. While another call waits for
        its answer, what a slow program has no room for is lost: a gap in `n`. A newer feed ends
        this one. Raises ValueError, and RefusedError: `unsupported`, `bad_field`.
        """
        if 0 < interval < 0.001:
            raise ValueError(f"interval is {interval} s; it is 0 or 0.001 to 3600")
        milliseconds = round(interval * 1_000)
        order = Subscribe(topics or TOPICS, milliseconds, size, low, high, next(self._refs))
        return self._feed.items(order, self._timeout)

    def report_block(self, count: int, seconds: float, *, interrupted: bool = False) -> None:
        """Tell the server that the last `count` messages of the feed took `seconds` (s)."""
        self._feed.report(Block(count, seconds, interrupted))

    def share(
        self, group: str, identity: str, *, port: int, size: int, digest: str
    ) -> AsyncGenerator[News, None]:
        """Enter a group of peers, and yield the whole of it, then who comes and goes.

        The others are told that something of `size` bytes and with `digest` is had at `port`, as
        long as this client lasts. After a lost connection the whole group comes again, maybe with
        another ticket. Needs no hello. Raises RefusedError: `name_taken` (see `suggestion`),
        `bad_field`, `too_many_requests`.
        """
        wish = Share(group, identity, port, size, digest, presence=True, ref=next(self._refs))
        return self._introductions.news(wish, self._timeout)

    async def peers(self, group: str) -> list[Peer]:
        """Return who is in a group, in the order in which they came; needs no hello."""
        ref = next(self._refs)
        answer, _ = await self._session.ask(Peers(group, ref), ref, PeerList, self._timeout)
        return answer.peers

    async def history(self, before: int | None = None, limit: int = 50) -> HistoryPage:
        """Return up to `limit` (1 to 1000) messages older than the id `before`, oldest first.

        Without `before` the newest; one's own are among them. `more` says whether to go on.
        """
        ref = next(self._refs)
        message = History(UNSET if before is None else before, limit, ref)
        page, _ = await self._session.ask(message, ref, HistoryPage, self._timeout)
        return page

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Return the next event; stops after `quit`, raises what ended the connection for good."""
        event = await self._session.next_event()
        if event is None:
            raise StopAsyncIteration
        return event

    async def quit(self) -> None:
        """Say goodbye, take what is still on its way, and close; never raises."""
        await self._session.leave(_FAREWELL)


def _seconds(began: int, ended: int) -> float:
    return (ended - began) / 1e9

"""What anyone may ask of a chatd, without a name, over a connection that reconnects."""

import itertools
import math
import secrets
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any, Final, Self, TypedDict

import msgspec
from msgspec import UNSET, UnsetType

from chatctl.client.connection import ClientConnection
from chatctl.client.event_queue import MAX_QUEUED_EVENTS, EventQueue
from chatctl.client.events import Answer, Event, Probe
from chatctl.client.pending import MAX_CONCURRENT, ConcurrencyLimit
from chatctl.client.reconnect import Backoff
from chatctl.client.session import ClientSession
from chatctl.client.subscriptions import FeedSubscription, GroupSubscription, GroupUpdate
from chatctl.errors import ProtocolError
from common.messages.basic import Echo, Ping, Pong
from common.messages.chat import History, HistoryPage
from common.messages.feed import TOPICS, Array, Block, Subscribe, Topic, User
from common.messages.groups import PeerEntry, PeerList, Peers, Share
from common.messages.request import Request, Response
from common.protocol.timestamps import parse_time
from common.values import HOST, PORT

MAX_REQUESTS: Final = MAX_CONCURRENT

_QUIT_TIMEOUT: Final = 2.0


class ClientOptions(TypedDict, total=False):
    """What a client takes besides its server, which tells what each means."""

    connect_timeout: float
    answer_timeout: float | None
    reconnect_for: float
    keepalive: float
    max_queue: int
    max_requests: int
    backoff: Backoff | None


class AnonymousClient:
    """A connection to a chatd; use it with `async with`.

    Every call may raise RefusedError (the server's `error`, with its `reason`), AnswerTimeoutError,
    ProtocolError, and CannotConnectError once the connection is lost for good.

    - `connect_timeout`: how long (s) one try to connect may take.
    - `answer_timeout`: how long (s) a call waits for its answer, lost connections included;
      None waits for as long as it takes.
    - `reconnect_for`: how long (s) to try to get a lost connection back; 0 never tries.
    - `keepalive`: after how long (s) without a byte the server is asked whether it is there; after
      as long again the connection counts as lost.
    - `max_queue`: events kept for `async for` before reading pauses.
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
        keepalive: float = 20.0,
        max_queue: int = MAX_QUEUED_EVENTS,
        max_requests: int = MAX_REQUESTS,
        backoff: Backoff | None = None,
    ) -> None:
        async def open_connection() -> ClientConnection:
            return await ClientConnection.open(host, port, connect_timeout, keepalive)

        self.host = host
        self.port = port
        self._timeout = answer_timeout
        self._event_queue = EventQueue[Event](max_queue)
        self._session = ClientSession(
            open_connection, self._event_queue, backoff or Backoff(), reconnect_for
        )
        self._concurrency = ConcurrencyLimit(max_requests)
        self._feed = FeedSubscription(self._session)
        self._group_subscription = GroupSubscription(self._session)
        # A ref counts for ever, and for all clients with the same token: never the same twice.
        self._refs = map((secrets.token_urlsafe(8) + ".{:x}").format, itertools.count(1))

    @property
    def local_host(self) -> str:
        """The address by which this machine reaches the server."""
        return self._session.local_host

    async def __aenter__(self) -> Self:
        await self._session.start()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exc is None:
            await self.quit()
        else:
            await self._session.abort()

    async def ping(self) -> Probe:
        """Measure the round trip and the clocks."""
        ref = next(self._refs)
        pong, pending = await self._session.request(Ping(ref), ref, Pong, self._timeout)
        try:
            server_received, server_sent = parse_time(pong.received), parse_time(pong.sent)
        except ValueError as error:
            raise ProtocolError(f"in pong: {error}") from None
        return Probe(
            sent=pending.written_wall,
            server_received=server_received,
            server_sent=server_sent,
            received=pending.answered_wall,
            round_trip=(pending.answered_at - pending.written_at) / 1e9,
        )

    async def echo(self, content: Any) -> Any:
        """Return `content`, any JSON value, as it came back."""
        ref = next(self._refs)
        message = Echo(msgspec.Raw(msgspec.json.encode(content)), ref)
        echo, _ = await self._session.request(message, ref, Echo, self._timeout)
        return msgspec.json.decode(echo.content or b"null")

    async def history_of(
        self, name: str, token: str, before: int | None = None, limit: int = 50
    ) -> HistoryPage:
        """Return a page of what the holder of `name` may see, like `Client.history`.

        The name is not taken: it may be in use elsewhere. Raises RefusedError: `unauthorized`.
        """
        return await self._history_page(before, limit, name, token)

    async def _history_page(
        self,
        before: int | None,
        limit: int,
        name: str | UnsetType = UNSET,
        token: str | UnsetType = UNSET,
    ) -> HistoryPage:
        ref = next(self._refs)
        message = History(UNSET if before is None else before, limit, ref, name, token)
        page, _ = await self._session.request(message, ref, HistoryPage, self._timeout)
        return page

    async def request(self, data: str) -> Answer:
        """Have the server read the entities in `data` (`common.entities`).

        The answer comes after a delay that the server draws, so ask many at once. When cancelled
        the answer is dropped. Raises RefusedError: `line_too_long`, before anything is sent.
        """
        return await self._concurrency.run(lambda: self._request(data))

    async def _request(self, data: str) -> Answer:
        ref = next(self._refs)
        response, pending = await self._session.request(
            Request(ref, data), ref, Response, self._timeout
        )
        return Answer(response.data, pending.wait)

    def subscribe(
        self,
        *topics: Topic,
        interval: float = 1.0,
        size: int = 10,
        low: int = 0,
        high: int = 100,
    ) -> AsyncGenerator[User | Array, None]:
        """Yield random users and arrays without end; `break` ends it.

        The `topics` (both, where none is named) take turns every `interval` s, from 1 ms to 1 h; 0
        is as fast as the program takes them. An array has `size` numbers from `low` to `high`.
        After a lost connection the feed begins anew, with `n` at 1. While another call waits for
        its answer, what a slow program has no room for is lost: a gap in `n`. A newer feed ends
        this one. Raises ValueError, and RefusedError: `unsupported`, `bad_field`.
        """
        if 0 < interval < 0.001:
            raise ValueError(f"interval is {interval} s; it is 0 or 0.001 to 3600")
        milliseconds = round(interval * 1_000)
        request = Subscribe(topics or TOPICS, milliseconds, size, low, high, next(self._refs))
        return self._feed.items(request, self._timeout)

    def report_block(self, count: int, seconds: float, *, interrupted: bool = False) -> None:
        """Tell the server that the last `count` messages of the feed took `seconds` (s)."""
        self._feed.report(Block(count, seconds, interrupted))

    def share(
        self, group: str, identity: str, *, port: int, size: int, digest: str
    ) -> AsyncGenerator[GroupUpdate, None]:
        """Enter a group of peers, and yield the whole of it, then who comes and goes.

        The others are told that something of `size` bytes and with `digest` is had at `port`, as
        long as the connection lasts. After a lost one the whole group comes again, maybe with
        another secret. Raises RefusedError: `name_taken` (see `suggestion`), `bad_field`,
        `too_many_requests`.
        """
        request = Share(group, identity, port, size, digest, presence=True, ref=next(self._refs))
        return self._group_subscription.updates(request, self._timeout)

    async def peers(self, group: str) -> list[PeerEntry]:
        """Return who is in a group, in the order in which they came."""
        ref = next(self._refs)
        answer, _ = await self._session.request(Peers(group, ref), ref, PeerList, self._timeout)
        return answer.peers

    async def quit(self) -> None:
        """Say goodbye, take what is still on its way, and close; never raises."""
        await self._session.quit(_QUIT_TIMEOUT)

"""The part of a client that needs no name: ping, echo, requests, the feed and groups."""

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
from chatctl.client.feed import FeedSubscription
from chatctl.client.groups import GroupSubscription, GroupUpdate
from chatctl.client.pending import MAX_CONCURRENT, ConcurrencyLimit
from chatctl.client.reconnect import Backoff
from chatctl.client.session import ClientSession
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
    """The keyword options of a client; `AnonymousClient` documents each."""

    connect_timeout: float
    answer_timeout: float | None
    reconnect_for: float
    keepalive: float
    max_queue: int
    max_requests: int
    backoff: Backoff | None


class AnonymousClient:
    """A session with a chatd; use it with `async with`.

    Every call may raise RefusedError (the server's `error`, with its `reason`), AnswerTimeoutError,
    ProtocolError, and CannotConnectError when a lost connection could not be restored.

    - `connect_timeout`: how long (s) one attempt to connect may take.
    - `answer_timeout`: how long (s) a call waits for its answer, lost connections included;
      None waits for as long as it takes.
    - `reconnect_for`: how long (s) to try to restore a lost connection; 0 never tries.
    - `keepalive`: after how long (s) without traffic to send a ping; after as long again without an
      answer the connection counts as lost.
    - `max_queue`: events waiting for `async for` before reading pauses.
    - `max_requests`: requests unanswered at once; more wait, as do those that the server refuses
      with `too_many_requests`.
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
        # The server remembers refs for ever, for all clients with the same token: never reuse one.
        self._refs = map((secrets.token_urlsafe(8) + ".{:x}").format, itertools.count(1))

    @property
    def local_host(self) -> str:
        """The address of this machine at our end of the connection."""
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
        """Return a page of what the owner of `name` may read, like `Client.history`.

        This does not log in, so the name may be in use. Raises RefusedError: `unauthorized`.
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
        """Send entity strings to be parsed, and return the entities (see `common.entities`).

        The answer comes after a random delay, so send many at once. Raises RefusedError:
        `line_too_long`, before anything is sent.
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
        """Yield random users and arrays without end; `break` ends the feed.

        The `topics` (both if none is named) alternate every `interval` s, from 1 ms to 1 h; 0 is
        as fast as the program reads. An array has `size` numbers from `low` to `high`. After a
        lost connection the feed starts again with `n` at 1. While another call waits for its
        answer, items that do not fit into the queue are dropped, which leaves a gap in `n`. A newer
        feed ends this one. Raises ValueError, and RefusedError: `unsupported`, `bad_field`.
        """
        if 0 < interval < 0.001:
            raise ValueError(f"interval must be 0, or 0.001 to 3600 s, not {interval}")
        milliseconds = round(interval * 1_000)
        request = Subscribe(topics or TOPICS, milliseconds, size, low, high, next(self._refs))
        return self._feed.items(request, self._timeout)

    def report_block(self, count: int, seconds: float, *, interrupted: bool = False) -> None:
        """Report to the server that the last `count` messages of the feed took `seconds` s."""
        self._feed.report(Block(count, seconds, interrupted))

    def share(
        self, group: str, identity: str, *, port: int, size: int, digest: str
    ) -> AsyncGenerator[GroupUpdate, None]:
        """Join a group of peers; yield the list of its members, then each change.

        While the connection lasts, the server announces to the others that we share `size` bytes
        with `digest` at `port`. After a lost connection the whole list is sent again, perhaps with
        a new secret. Raises RefusedError: `name_taken` (see `suggestion`), `bad_field`,
        `too_many_requests`.
        """
        request = Share(group, identity, port, size, digest, presence=True, ref=next(self._refs))
        return self._group_subscription.updates(request, self._timeout)

    async def peers(self, group: str) -> list[PeerEntry]:
        """Return the members of a group, in the order in which they joined."""
        ref = next(self._refs)
        answer, _ = await self._session.request(Peers(group, ref), ref, PeerList, self._timeout)
        return answer.peers

    async def quit(self) -> None:
        """End the session, receive what is still in flight, and close; never raises."""
        await self._session.quit(_QUIT_TIMEOUT)

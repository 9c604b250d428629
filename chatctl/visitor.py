"""What anyone may ask of a chatd, without a name, over a connection that comes back."""

import itertools
import math
import secrets
from collections.abc import AsyncGenerator
from types import TracebackType
from typing import Any, Final, Self, TypedDict

import msgspec
from msgspec import UNSET, UnsetType

from chatctl import window
from chatctl.backoff import Backoff
from chatctl.errors import ProtocolError
from chatctl.events import Answer, Event, Probe
from chatctl.feed import Feed
from chatctl.inbox import LIMIT, Inbox
from chatctl.introductions import Introductions, News
from chatctl.link import Link
from chatctl.session import Session
from common.addresses import HOST, PORT
from common.messages.basic import Echo, Ping, Pong
from common.messages.chat import History, HistoryPage
from common.messages.feed import TOPICS, Array, Block, Subscribe, Topic, User
from common.messages.peers import PeerEntry, PeerList, Peers, Share
from common.messages.request import Request, Response
from common.timestamps import parse_time

MAX_REQUESTS: Final = window.LIMIT

_FAREWELL: Final = 2.0


class Options(TypedDict, total=False):
    """What a visitor takes besides its server, which tells what each means."""

    connect_timeout: float
    answer_timeout: float | None
    reconnect_for: float
    silence: float
    inbox_limit: int
    max_requests: int
    backoff: Backoff | None


class Visitor:
    """A connection to a chatd; use it with `async with`.

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
        self._inbox = Inbox[Event](inbox_limit)
        self._session = Session(dial, self._inbox, backoff or Backoff(), reconnect_for)
        self._window = window.Window(max_requests)
        self._feed = Feed(self._session)
        self._introductions = Introductions(self._session)
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
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if failure is None:
            await self.quit()
        else:
            await self._session.abort()

    async def ping(self) -> Probe:
        """Measure the round trip and the clocks."""
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
            round_trip=(question.answered - question.written) / 1e9,
        )

    async def echo(self, content: Any) -> Any:
        """Return `content`, any JSON value, as it came back."""
        ref = next(self._refs)
        message = Echo(msgspec.Raw(msgspec.json.encode(content)), ref)
        echo, _ = await self._session.ask(message, ref, Echo, self._timeout)
        return msgspec.json.decode(echo.content or b"null")

    async def history_of(
        self, name: str, token: str, before: int | None = None, limit: int = 50
    ) -> HistoryPage:
        """Return a page of what the holder of `name` may see, like `Client.history`.

        The name is not taken: it may be in use elsewhere. Raises RefusedError: `unauthorized`.
        """
        return await self._page(before, limit, name, token)

    async def _page(
        self,
        before: int | None,
        limit: int,
        name: str | UnsetType = UNSET,
        token: str | UnsetType = UNSET,
    ) -> HistoryPage:
        ref = next(self._refs)
        message = History(UNSET if before is None else before, limit, ref, name, token)
        page, _ = await self._session.ask(message, ref, HistoryPage, self._timeout)
        return page

    async def request(self, data: str) -> Answer:
        """Have the server read the entities in `data` (`common.entities`).

        The answer comes after a delay that the server draws, so ask many at once. When cancelled
        the answer is dropped. Raises RefusedError: `line_too_long`, before anything is sent.
        """
        return await self._window.send(lambda: self._request(data))

    async def _request(self, data: str) -> Answer:
        ref = next(self._refs)
        response, question = await self._session.ask(
            Request(ref, data), ref, Response, self._timeout
        )
        return Answer(response.data, question.wait)

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
        long as the connection lasts. After a lost one the whole group comes again, maybe with
        another secret. Raises RefusedError: `name_taken` (see `suggestion`), `bad_field`,
        `too_many_requests`.
        """
        wish = Share(group, identity, port, size, digest, presence=True, ref=next(self._refs))
        return self._introductions.news(wish, self._timeout)

    async def peers(self, group: str) -> list[PeerEntry]:
        """Return who is in a group, in the order in which they came."""
        ref = next(self._refs)
        answer, _ = await self._session.ask(Peers(group, ref), ref, PeerList, self._timeout)
        return answer.peers

    async def quit(self) -> None:
        """Say goodbye, take what is still on its way, and close; never raises."""
        await self._session.leave(_FAREWELL)

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

**State.** With `Client(..., state=folder)` it survives the end of its process too, even `kill -9`.
The folder keeps, for each server and name, the token, the messages that are not acknowledged, each
before it is sent, and the last event that the program is done with. The next client with the same
folder and name sends those messages again under the same `ref`, reports what became of them
(`Delivered`, `Undelivered`), and goes on with the event after the last one. The program is done
with an event when it asks for the next one, or leaves the client without an exception; where that
is not so, iterate over `events()` and say `seen`. A program that is killed while it is busy with
an event gets that one again. One client at a time may use a name (NameInUseError).

**Reading.** Events wait in a bounded queue until `async for` takes them. When it is full the
connection is not read, so TCP slows the server down; if it lasts the server closes it
(`slow_consumer`), and the client comes back for the rest when there is room. While a call waits
for its answer reading never pauses, so a program may send from inside its own `async for`, or
never iterate at all: what does not fit is left to the server's log and fetched from there once the
program has caught up. Only what has no place in the log (`Joined`, `Left`) is lost then.
"""

from collections.abc import AsyncGenerator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self, Unpack

from msgspec import UNSET

from chatctl.errors import (
    AnswerTimeoutError,
    CannotConnectError,
    ClientError,
    ProtocolError,
    RefusedError,
)
from chatctl.events import (
    Answer,
    Delivered,
    Event,
    LogStartedOver,
    Probe,
    Receipt,
    Reconnected,
    Reconnecting,
    Undelivered,
)
from chatctl.identities import Credential, Credentials, NameInUseError, new_token
from chatctl.ledger import ChatMessage, ClientJournal, JournalError
from chatctl.outbox import Outbox
from chatctl.visitor import MAX_REQUESTS, AnonymousClient, ClientOptions
from common.addresses import HOST, PORT, Address
from common.messages.base import Error
from common.messages.chat import (
    VERSION,
    Gap,
    Hello,
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
from common.messages.feed import Array, User
from common.messages.peers import PeerEntry, PeerJoined, PeerLeft, PeerList

__all__ = [
    "MAX_REQUESTS",
    "Answer",
    "AnswerTimeoutError",
    "Array",
    "CannotConnectError",
    "Client",
    "ClientError",
    "Delivered",
    "Error",
    "Event",
    "Gap",
    "HistoryPage",
    "Incoming",
    "IncomingBroadcast",
    "Joined",
    "JournalError",
    "Left",
    "LogStartedOver",
    "NameInUseError",
    "PeerEntry",
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
    "Undelivered",
    "User",
    "Welcome",
]

_MAX_REF_SIZE: Final = 64


class Client(AnonymousClient):
    """One person's connection to a chatd; use it with `async with`.

    `state` is the folder that keeps what must outlive this program; without one nothing does. The
    `options`, and what every call may raise, are those of `AnonymousClient`. Sending and iterating
    raise JournalError where what must be kept cannot be written.
    """

    def __init__(
        self,
        host: str = HOST,
        port: int = PORT,
        *,
        state: Path | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        super().__init__(host, port, **options)
        self.warning = ""
        """What is wrong with what the state folder holds for the name, for people."""
        self._credentials = None if state is None else Credentials(Address(host, port), state)
        self._acquired = ExitStack()
        self._outbox = Outbox(self._session, self._event_queue.put)
        self._read_journal: ClientJournal | None = None
        self._last_event: Event | None = None

    @property
    def name(self) -> str:
        """Our name as the server writes it; empty before the hello."""
        return self._session.cursor.name

    @property
    def token(self) -> str:
        """What proves that the name is ours; give it to `hello` to come back later."""
        return self._session.cursor.token

    @property
    def last_id(self) -> int:
        """The newest message id seen; give it to `hello` as `after` to go on from there."""
        return self._session.cursor.position

    @property
    def unacknowledged(self) -> int:
        """How many messages are on their way; with `state`, those of earlier runs among them."""
        return len(self._outbox)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if exc is None:
                self._mark_seen()
        finally:
            await super().__aexit__(exc_type, exc, traceback)
            self._acquired.close()

    async def hello(
        self,
        name: str,
        *,
        token: str | None = None,
        after: int | None = None,
        presence: bool = False,
        resume: bool = True,
    ) -> Welcome:
        """Take `name`; without a `token` it is the one that `state` holds, or a new one.

        `after` asks for all messages since that id; without it, and with `state`, they come from
        where the last program stood, unless `resume` is False: for one that does not read them.
        `presence` asks for `Joined` and `Left`.
        Raises RefusedError with the reasons `name_taken` (see `suggestion`), `unauthorized`,
        `bad_name`, and NameInUseError; the connection stays and another hello may be tried.
        """
        with ExitStack() as attempt:
            credential = self._acquire(name, attempt)
            journal = credential.journal
            # The token is made here, not by the server: a hello whose welcome got lost is repeated.
            token = token or credential.token
            after_id = UNSET if after is None else after
            hello = Hello(name, VERSION, token, after_id, presence=presence)
            if journal is not None:
                hello = journal.resume_hello(hello, resume=resume)
            welcome, _ = await self._session.request(hello, Hello, Welcome, self._timeout)
            self._acquired.push(attempt.pop_all())
        self.warning = credential.warning
        self._outbox.start(journal, welcome.max_inflight or None)
        if journal is not None:
            journal.on_welcome(hello, welcome)
            self._read_journal = journal if resume or after is not None else None
        return welcome

    def _acquire(self, name: str, attempt: ExitStack) -> Credential:
        if self._credentials is None:
            return Credential(new_token())
        return attempt.enter_context(self._credentials.acquire(name))

    async def who(self) -> list[str]:
        """Return the names of those present, in the order in which they came."""
        ref = next(self._refs)
        users, _ = await self._session.request(Who(ref), ref, Users, self._timeout)
        return users.users

    async def send(self, to: str, text: str, *, ref: str | None = None) -> Receipt:
        """Send `text` to one person; returns when it is in the log.

        However often it is sent under the same `ref` (1 to 64 bytes), it is delivered once; without
        one it gets a new one. Raises RefusedError: `no_such_user`; `line_too_long`, before anything
        is sent. After an AnswerTimeoutError, or when cancelled, it may or may not have been sent;
        with `state` it will be.
        """
        return await self._send(Outgoing(to, text, self._ref(ref)))

    async def broadcast(self, text: str, *, ref: str | None = None) -> Receipt:
        """Send `text` to everyone else; returns when it is in the log. Raises like `send`."""
        return await self._send(OutgoingBroadcast(text, self._ref(ref)))

    async def _send(self, message: ChatMessage) -> Receipt:
        ack, pending = await self._outbox.send(message, self._timeout)
        return Receipt(ack.id, pending.wait, bool(ack.duplicate))

    def _ref(self, ref: str | None) -> str:
        if ref is None:
            return next(self._refs)
        if not 1 <= len(ref.encode()) <= _MAX_REF_SIZE:
            raise ValueError(f"a ref has 1 to {_MAX_REF_SIZE} bytes: {ref!r}")
        return ref

    async def history(self, before: int | None = None, limit: int = 50) -> HistoryPage:
        """Return up to `limit` (1 to 1000) messages older than the id `before`, oldest first.

        Without `before` the newest; one's own are among them. `more` says whether to go on.
        """
        return await self._history_page(before, limit)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Return the next event; stops after `quit`, raises what ended the connection for good."""
        self._mark_seen()
        self._last_event = await self._session.next_event()
        if self._last_event is None:
            raise StopAsyncIteration
        return self._last_event

    async def events(self) -> AsyncGenerator[Event, None]:
        """Yield what `async for` on the client does, and leave it to `seen` to say what is done."""
        while (event := await self._session.next_event()) is not None:
            yield event

    def seen(self, *events: Event) -> None:
        """Note that the program is done with these events, and with all before them."""
        if self._read_journal is not None and events:
            self._read_journal.mark_seen(*events)

    def _mark_seen(self) -> None:
        event, self._last_event = self._last_event, None
        if event is not None:
            self.seen(event)

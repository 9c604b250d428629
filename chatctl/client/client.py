"""A chat client: a session with a name, an outbox for messages, and a stream of events."""

from collections.abc import AsyncGenerator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self, Unpack

from msgspec import UNSET, structs

from chatctl.client.base import AnonymousClient, ClientOptions
from chatctl.client.credentials import Credential, Credentials, new_token
from chatctl.client.events import ChatMessage, Event, Receipt
from chatctl.client.journal import ClientJournal
from chatctl.client.outbox import Outbox
from common.messages.chat import (
    VERSION,
    Hello,
    HistoryPage,
    Outgoing,
    OutgoingBroadcast,
    Users,
    Welcome,
    Who,
)
from common.values import HOST, PORT, Address

_MAX_REF_SIZE: Final = 64


class Client(AnonymousClient):
    """One person's connection to a chatd; use it with `async with`.

    `state` is the folder for what must survive this program; without one nothing does. The
    `options`, and what every call may raise, are those of `AnonymousClient`. Sending and iterating
    raise JournalError when the state cannot be written.
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
        """What is wrong with the state of the name, in words for a person; usually empty."""
        self._credentials = None if state is None else Credentials(Address(host, port), state)
        self._acquired = ExitStack()
        self._outbox = Outbox(self._session, self._event_queue.put)
        self._read_journal: ClientJournal | None = None
        self._last_event: Event | None = None

    @property
    def name(self) -> str:
        """Our name as the server spells it; empty before the hello."""
        return self._session.cursor.name

    @property
    def token(self) -> str:
        """The token that proves the name is ours; pass it to `hello` to use the name again."""
        return self._session.cursor.token

    @property
    def last_id(self) -> int:
        """The newest message id seen; pass it to `hello` as `after` to resume there."""
        return self._session.cursor.position

    @property
    def unacknowledged(self) -> int:
        """The number of unacknowledged messages, with `state` those of earlier runs too."""
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
        """Log in as `name`, with `token`, else with the token in `state`, else with a new one.

        `after` asks for all messages after that id. Without it, and with `state`, messages resume
        where the last program stopped reading, unless `resume` is False (for a program that reads
        none). `presence` asks for `Joined` and `Left`.
        Raises RefusedError with the reasons `name_taken` (see `suggestion`), `unauthorized`,
        `bad_name`, and NameInUseError; the connection stays, and another hello may be tried.
        """
        with ExitStack() as attempt:
            credential = self._acquire(name, attempt)
            journal = credential.journal
            # The client makes the token: after a lost welcome it can repeat the same hello.
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
        """Return the names of all users present, in the order in which they joined."""
        ref = next(self._refs)
        users, _ = await self._session.request(Who(ref), ref, Users, self._timeout)
        return users.users

    async def send(self, to: str, text: str, *, ref: str | None = None) -> Receipt:
        """Send `text` to one person; returns when it is in the log. Raises like `submit`."""
        return await self.submit(Outgoing(to, text, UNSET if ref is None else ref))

    async def broadcast(self, text: str, *, ref: str | None = None) -> Receipt:
        """Send `text` to everyone else; returns when it is in the log. Raises like `submit`."""
        return await self.submit(OutgoingBroadcast(text, UNSET if ref is None else ref))

    async def submit(self, message: ChatMessage) -> Receipt:
        """Send `message`; returns when it is in the log.

        However often a message is sent under the same `ref` (1 to 64 bytes), it is delivered once;
        a message without a ref gets a new one. Raises RefusedError: `no_such_user`, and
        `line_too_long` before anything is sent. After an AnswerTimeoutError, or when cancelled, the
        message may or may not have been sent; with `state` it will be.
        """
        if message.ref is UNSET:
            message = structs.replace(message, ref=next(self._refs))
        elif not 1 <= len(message.ref.encode()) <= _MAX_REF_SIZE:
            raise ValueError(f"a ref has 1 to {_MAX_REF_SIZE} bytes: {message.ref!r}")
        ack, pending = await self._outbox.send(message, self._timeout)
        return Receipt(ack.id, pending.wait, bool(ack.duplicate))

    async def history(self, before: int | None = None, limit: int = 50) -> HistoryPage:
        """Return up to `limit` (1 to 1000) messages older than the id `before`, oldest first.

        Without `before`, return the newest. Our own messages are included; `more` tells whether
        there are older ones.
        """
        return await self._history_page(before, limit)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        """Return the next event; stops after `quit`, raises what ended the session."""
        self._mark_seen()
        self._last_event = await self._session.next_event()
        if self._last_event is None:
            raise StopAsyncIteration
        return self._last_event

    async def events(self) -> AsyncGenerator[Event, None]:
        """Yield the same events as `async for` on the client, but mark none as seen; see `seen`."""
        while (event := await self._session.next_event()) is not None:
            yield event

    def seen(self, *events: Event) -> None:
        """Note that the program is done with these events and all before them."""
        if self._read_journal is not None and events:
            self._read_journal.mark_seen(*events)

    def _mark_seen(self) -> None:
        event, self._last_event = self._last_event, None
        if event is not None:
            self.seen(event)


class HistoryReader:
    """Reads the history of the owner of `name` through `client`, without logging in."""

    def __init__(self, client: AnonymousClient, name: str, token: str) -> None:
        self.name = name
        self._client = client
        self._token = token

    async def history(self, before: int | None = None, limit: int = 50) -> HistoryPage:
        """Return a page like `Client.history`; raises RefusedError: `unauthorized`."""
        return await self._client.history_of(self.name, self._token, before, limit)

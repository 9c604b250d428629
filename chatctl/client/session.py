"""A session that reconnects: pending requests are sent again, missed messages are replayed.

One task reads. It passes each message to the handler of its type (a table to which each feature
adds rows) or to the request that it answers. When the connection is lost, the same task opens
another, repeats the hello with the last id seen, and writes again, in order, every request without
an answer. The `ref` in a message keeps the server from storing it twice.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from msgspec import UNSET

from chatctl.client.connection import ClientConnection
from chatctl.client.errors import (
    CLOSING_REASONS,
    TRANSIENT_REASONS,
    ConnectionLostError,
    CorrelationId,
    RefusedError,
    correlation_id_of,
)
from chatctl.client.event_queue import EventQueue
from chatctl.client.events import Event, Reconnected
from chatctl.client.pending import (
    PendingRequest,
    PendingRequests,
)
from chatctl.client.reconnect import Backoff, Reconnector
from chatctl.client.resume import ReplayFilter
from chatctl.client.subscriptions import Subscriptions
from chatctl.errors import AnswerTimeoutError, CannotConnectError, ProtocolError
from common.messages.base import Error, Message
from common.messages.chat import Hello, Quit, Welcome
from common.messages.request import Response
from common.protocol.codec import MAX_LINE, InvalidLine
from common.protocol.codec import encode as encode_line

A = TypeVar("A", bound=Message)
E = TypeVar("E")


class ClientSession:
    """One session with a server, over as many connections as it takes.

    `open_connection` opens a connection or raises CannotConnectError; `reconnect_for` is how long
    (s) to try after a loss before the session ends.
    """

    def __init__(
        self,
        open_connection: Callable[[], Awaitable[ClientConnection]],
        event_queue: EventQueue[Event],
        backoff: Backoff,
        reconnect_for: float,
    ) -> None:
        self._reconnector = Reconnector(open_connection, backoff, reconnect_for, event_queue.put)
        self._event_queue = event_queue
        self._replay_filter = ReplayFilter(event_queue)
        self.cursor = self._replay_filter.cursor
        self.handlers: dict[type, Callable[[Any], object]] = {
            Welcome: self._on_welcome,
            Error: self._on_error,
            InvalidLine: self._on_invalid_line,
            Response: self._on_response,
            **self._replay_filter.handlers,
        }
        """The handler of each type of message; all others are answers with a correlation id."""
        self.subscriptions = Subscriptions()
        """The subscriptions to make again on each connection."""
        self.max_line = MAX_LINE
        """The longest line that the server accepts, in bytes."""
        self._pending = PendingRequests()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._is_ready = False
        self._is_closing = False
        self._close_reason = ""
        self._error: Exception | None = None

    @property
    def local_host(self) -> str:
        """The address of our end of the newest connection."""
        return self._connection.local_host

    async def start(self) -> None:
        """Connect for the first time; raises CannotConnectError."""
        self._connection = await self._reconnector.connect()
        self._is_ready = True
        self._reader = asyncio.create_task(self._run(), name="chatctl session")

    async def request(
        self, message: Message, correlation_id: CorrelationId, kind: type[A], within: float | None
    ) -> tuple[A, PendingRequest]:
        """Send `message` and wait for the answer with this `correlation_id`.

        `within` (s) limits the wait. Raises RefusedError, AnswerTimeoutError, ProtocolError (the
        answer is not a `kind`), and the error that ended the session.
        """
        line = self.encode(message)
        if isinstance(message, Hello):
            self.cursor.hello_sent(message)
        pending = self.send(line, correlation_id)
        try:
            return await self.wait(pending, kind, within), pending
        finally:
            self.cancel(correlation_id)

    def encode(self, message: Message) -> bytes:
        """Return `message` as a line; raises if it is too long, or if the session has ended."""
        if self._error is not None:
            raise self._error
        if self._is_closing:
            raise CannotConnectError("this client has quit; make another one")
        line = encode_line(message)
        if len(line) - 1 > self.max_line:
            raise RefusedError(
                Error(
                    reason="line_too_long",
                    detail=f"message too long: {len(line) - 1} bytes encoded, "
                    f"at most {self.max_line} are allowed",
                )
            )
        return line

    def send(self, line: bytes, correlation_id: CorrelationId) -> PendingRequest:
        """Send a line, again on each new connection, until it is answered or cancelled."""
        pending = self._pending.add(correlation_id, line)
        self._control_reading()
        if self._is_ready:
            self._connection.write(pending.write())
        return pending

    async def wait(self, pending: PendingRequest, kind: type[A], within: float | None) -> A:
        """Return the answer; raises like `request`, and leaves the request pending then."""
        try:
            async with asyncio.timeout(within):
                await self._connection.drain()
                await asyncio.wait([pending.answer])
        except TimeoutError:
            reason = f" ({self._reconnector.reason})" if self._reconnector.reason else ""
            raise AnswerTimeoutError(f"no answer came within {within:g} s{reason}") from None
        answer = pending.answer.result()
        if not isinstance(answer, kind):
            raise ProtocolError(f"the server answered with {type(answer).__name__}")
        return answer

    def cancel(self, correlation_id: CorrelationId) -> None:
        """Forget a request; its answer will be ignored."""
        self._pending.remove(correlation_id)
        self._control_reading()

    def send_unanswered(self, message: Message) -> bool:
        """Send a message that has no answer; return False if there is no connection."""
        if self._is_ready:
            self._connection.write(encode_line(message))
        return self._is_ready

    async def next_from(self, event_queue: EventQueue[E]) -> E | None:
        """Return the next event of `event_queue`, None at the end; raises its error."""
        event = await event_queue.get()
        self._control_reading()
        return event

    async def next_event(self) -> Event | None:
        """Return the next event, None at the end; raises what ended the session."""
        event = await self.next_from(self._event_queue)
        if self._replay_filter.must_catch_up and self._is_ready:
            self._connection.close()  # the next connection starts with the skipped messages
        return event

    async def quit(self, within: float) -> None:
        """Send `quit`, wait up to `within` s for the server to close the connection, and close."""
        self._is_closing = True
        self._control_reading()
        try:
            if self._is_ready:
                self._connection.write(encode_line(Quit()))
                await asyncio.wait([self._reader], timeout=within)
        finally:
            await self.abort()

    async def abort(self) -> None:
        """Close at once."""
        self._is_closing = True
        self._reader.cancel()
        await asyncio.wait([self._reader])
        self._connection.close()
        await self._connection.wait_closed()
        self._fail_all(None)

    def _fail_all(self, error: Exception | None) -> None:
        self._error = error
        self._is_ready = False
        self._pending.fail_all(error or CannotConnectError("this client has quit"))
        self._event_queue.close(error)
        self.subscriptions.close(error)

    def _control_reading(self) -> None:
        """Pause reading while a queue is full, except while an answer or the end is awaited."""
        # A program with a subscription may never read the events.
        is_full = self.subscriptions.is_full or (
            self._event_queue.is_full and not self.subscriptions.wants_data
        )
        if is_full and not self._pending and not self._is_closing:
            self._may_read.clear()
        else:
            self._may_read.set()

    async def _run(self) -> None:
        try:
            while True:
                try:
                    await self._read()
                except ConnectionLostError as error:
                    if not self._connection.is_closed:
                        self._reconnector.connection_lost(self._close_reason or str(error))
                if self._is_closing:
                    return
                await self._reconnect()
        except Exception as error:
            self._connection.close()
            self._fail_all(error)

    async def _read(self) -> None:
        """Handle messages until the connection is lost, or closed on purpose."""
        connection = self._connection
        while True:
            self._control_reading()
            await self._may_read.wait()
            for message in await connection.read():
                handler = self.handlers.get(type(message), self.on_answer)
                handler(message)
                if connection.is_closed:
                    return

    async def _reconnect(self) -> None:
        self._is_ready = False
        was_on_purpose = self._connection.is_closed
        self._connection.close()
        self._connection = await self._reconnector.reconnect(immediately=was_on_purpose)
        self._close_reason = ""
        if self.cursor.is_registered:
            self._connection.write(encode_line(self._replay_filter.resume_hello()))
        else:
            self._resend()

    def _resend(self) -> None:
        """Write the subscriptions and every pending request again."""
        self._is_ready = True
        self._connection.write(self.subscriptions.resubscribe())
        for pending in self._pending:
            self._connection.write(pending.write())

    def _note_connected(self) -> None:
        """Note that the server has answered; after a loss, report it."""
        away = self._reconnector.connected()
        if away is not None:
            self._event_queue.put(Reconnected(away))

    def _on_welcome(self, welcome: Welcome) -> None:
        self.max_line = welcome.max_line or MAX_LINE
        self._note_connected()
        self._replay_filter.on_welcome(welcome)
        if not self._pending.answer(Hello, welcome):
            self._resend()

    def _on_error(self, error: Error) -> None:
        if error.reason == "replaced":
            raise RefusedError(error)
        if error.reason in CLOSING_REASONS:
            self._close_reason = error.detail
        if (correlation_id := correlation_id_of(error)) is not UNSET:
            if not self._pending.answer(correlation_id, RefusedError(error)):
                self.subscriptions.on_refused(correlation_id, RefusedError(error))
        elif Hello in self._pending:
            self._pending.answer(Hello, RefusedError(error))
        elif not self._is_ready:
            raise (
                ConnectionLostError(error.detail)
                if error.reason in TRANSIENT_REASONS
                else RefusedError(error)
            )
        elif error.reason not in CLOSING_REASONS:
            self._event_queue.put(error)

    def _on_invalid_line(self, line: InvalidLine) -> None:
        error = line.error
        match error.reason:
            case "unknown_code":
                return  # a newer server has more kinds of messages
            case "bad_field" if (correlation_id := correlation_id_of(error)) is not UNSET:
                self._pending.answer(correlation_id, ProtocolError(error.detail))
            case "bad_field":
                self._event_queue.put(error)
            case _:
                raise ProtocolError(
                    f"{self._connection.address} does not speak the chatd protocol ({error.detail})"
                )

    def on_answer(self, answer: Any) -> None:
        """Resolve the request that `answer` answers."""
        self._note_connected()
        self._pending.answer(answer.ref, answer)

    def _on_response(self, response: Response) -> None:
        self._note_connected()
        self._pending.answer(response.request_id, response)

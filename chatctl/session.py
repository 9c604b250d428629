"""A connection that comes back: what was asked stays asked, what was missed comes again.

One task reads. It hands each message to the taker for its kind (a table, so that a new mode adds
rows) or to the question it answers. When the link is lost the same task opens another, says the
same hello with the last id seen, and writes again, in order, what nobody has answered yet; the
`ref` in it keeps the server from taking anything twice.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from msgspec import UNSET

from chatctl.backoff import Backoff
from chatctl.errors import (
    AnswerTimeoutError,
    CannotConnectError,
    ProtocolError,
    RefusedError,
)
from chatctl.events import Event, Reconnected
from chatctl.inbox import Inbox
from chatctl.intake import Intake
from chatctl.link import Link, LinkLostError
from chatctl.questions import Key, Question, Questions
from chatctl.reasons import CLOSING, TRANSIENT, key_of
from chatctl.redial import Redial
from chatctl.standing import Standings
from common.codec import MAX_LINE, BadLine, encode
from common.messages.base import Error, Message
from common.messages.chat import Hello, Quit, Welcome
from common.messages.request import Response

A = TypeVar("A", bound=Message)
E = TypeVar("E")


class Session:
    """Keeps one conversation with a server going, over as many links as it takes.

    `dial` opens a link or raises CannotConnectError; `reconnect_for` is how long (s) to try before
    a lost connection counts as lost for good.
    """

    def __init__(
        self,
        dial: Callable[[], Awaitable[Link]],
        inbox: Inbox[Event],
        backoff: Backoff,
        reconnect_for: float,
    ) -> None:
        self._redial = Redial(dial, backoff, reconnect_for, inbox.put)
        self._inbox = inbox
        self._intake = Intake(inbox)
        self.place = self._intake.place
        self.takers: dict[type, Callable[[Any], object]] = {
            Welcome: self._welcomed,
            Error: self._refused,
            BadLine: self._misread,
            Response: self._responded,
            **self._intake.takers,
        }
        """Who takes which kind of message; all others are answers and carry a key."""
        self.standing = Standings()
        """What goes on over lost links."""
        self.max_line = MAX_LINE
        """Longest line that the server takes, in bytes."""
        self._questions = Questions()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._is_ready = False
        self._is_leaving = False
        self._farewell = ""
        self._error: Exception | None = None

    @property
    def local_host(self) -> str:
        """The address of this machine at our end of the newest link."""
        return self._link.local_host

    async def start(self) -> None:
        """Connect for the first time; raises CannotConnectError."""
        self._link = await self._redial.first()
        self._is_ready = True
        self._reading = asyncio.create_task(self._run(), name="chatctl session")

    async def ask(
        self, message: Message, key: Key, kind: type[A], within: float | None
    ) -> tuple[A, Question]:
        """Send `message` and wait for the answer with this `key`.

        `within` (s) limits the wait. Raises RefusedError, AnswerTimeoutError, ProtocolError (an
        answer that is no `kind`), and whatever ended the session.
        """
        line = self.check(message)
        if isinstance(message, Hello):
            self.place.say(message)
        question = self.post(line, key)
        try:
            return await self.wait(question, kind, within), question
        finally:
            self.withdraw(key)

    def check(self, message: Message) -> bytes:
        """Return `message` as a line; raises what forbids to send it, now or ever."""
        if self._error is not None:
            raise self._error
        if self._is_leaving:
            raise CannotConnectError("this client has quit; make another one")
        line = encode(message)
        if len(line) - 1 > self.max_line:
            detail = f"the message has {len(line) - 1} bytes as a line, {self.max_line} are allowed"
            raise RefusedError(Error(reason="line_too_long", detail=detail))
        return line

    def post(self, line: bytes, key: Key) -> Question:
        """Send a line, over as many links as it takes until it is answered or withdrawn."""
        question = self._questions.open(key, line)
        self._pace()
        if self._is_ready:
            self._link.write(question.write())
        return question

    async def wait(self, question: Question, kind: type[A], within: float | None) -> A:
        """Return the answer; raises like `ask`, which leaves the question open."""
        try:
            async with asyncio.timeout(within):
                await self._link.drain()
                await asyncio.wait([question.answer])
        except TimeoutError:
            reason = f" ({self._redial.reason})" if self._redial.reason else ""
            raise AnswerTimeoutError(f"no answer came within {within:g} s{reason}") from None
        answer = question.answer.result()
        if not isinstance(answer, kind):
            raise ProtocolError(f"the server answered with {type(answer).__name__}")
        return answer

    def withdraw(self, key: Key) -> None:
        """Ask no longer."""
        self._questions.close(key)
        self._pace()

    def tell(self, message: Message) -> bool:
        """Send a message that nobody answers; return whether there was a link to send it on."""
        if self._is_ready:
            self._link.write(encode(message))
        return self._is_ready

    async def next_of(self, inbox: Inbox[E]) -> E | None:
        """Return what `inbox` holds next, None at the end; raises what ended the session."""
        event = await inbox.get()
        self._pace()
        return event

    async def next_event(self) -> Event | None:
        """Return what came next, None at the end; raises what ended the session."""
        event = await self.next_of(self._inbox)
        if self._intake.must_catch_up and self._is_ready:
            self._link.close()  # the next link begins with what was left to the log
        return event

    async def leave(self, within: float) -> None:
        """Say goodbye, wait up to `within` s until the server has hung up, and let go."""
        self._is_leaving = True
        self._pace()
        try:
            if self._is_ready:
                self._link.write(encode(Quit()))
                await asyncio.wait([self._reading], timeout=within)
        finally:
            await self.abort()

    async def abort(self) -> None:
        """Let go at once."""
        self._is_leaving = True
        self._reading.cancel()
        await asyncio.wait([self._reading])
        self._link.close()
        await self._link.closed()
        self._end(None)

    def _end(self, error: Exception | None) -> None:
        self._error = error
        self._is_ready = False
        self._questions.fail(error or CannotConnectError("this client has quit"))
        self._inbox.end(error)
        self.standing.end(error)

    def _pace(self) -> None:
        """Read on unless an inbox is full; while an answer is awaited, and at the end, always."""
        # Who takes what stands may never look at the events.
        is_full = self.standing.is_full or (self._inbox.is_full and not self.standing.is_hungry)
        if is_full and not self._questions and not self._is_leaving:
            self._may_read.clear()
        else:
            self._may_read.set()

    async def _run(self) -> None:
        try:
            while True:
                try:
                    await self._read()
                except LinkLostError as lost:
                    if not self._link.is_closed:
                        self._redial.lose(self._farewell or str(lost))
                if self._is_leaving:
                    return
                await self._reopen()
        except Exception as error:
            self._link.close()
            self._end(error)

    async def _read(self) -> None:
        """Take what comes until the link is lost, or closed on purpose."""
        link = self._link
        while True:
            self._pace()
            await self._may_read.wait()
            for message in await link.read():
                taker = self.takers.get(type(message), self.answered)
                taker(message)
                if link.is_closed:
                    return

    async def _reopen(self) -> None:
        self._is_ready = False
        was_on_purpose = self._link.is_closed
        self._link.close()
        self._link = await self._redial.again(at_once=was_on_purpose)
        self._farewell = ""
        if self.place.is_known:
            self._link.write(encode(self._intake.greet()))
        else:
            self._go_on()

    def _go_on(self) -> None:
        """Write, again, what stands and what nobody has answered."""
        self._is_ready = True
        self._link.write(self.standing.renew())
        for question in self._questions:
            self._link.write(question.write())

    def _recover(self) -> None:
        """Note that the server serves us (again)."""
        away = self._redial.recover()
        if away is not None:
            self._inbox.put(Reconnected(away))

    def _welcomed(self, welcome: Welcome) -> None:
        self.max_line = welcome.max_line or MAX_LINE
        self._recover()
        self._intake.welcomed(welcome)
        if not self._questions.answer(Hello, welcome):
            self._go_on()

    def _refused(self, error: Error) -> None:
        if error.reason == "replaced":
            raise RefusedError(error)
        if error.reason in CLOSING:
            self._farewell = error.detail
        if (key := key_of(error)) is not UNSET:
            if not self._questions.answer(key, RefusedError(error)):
                self.standing.refuse(key, RefusedError(error))
        elif Hello in self._questions:
            self._questions.answer(Hello, RefusedError(error))
        elif not self._is_ready:
            raise LinkLostError(error.detail) if error.reason in TRANSIENT else RefusedError(error)
        elif error.reason not in CLOSING:
            self._inbox.put(error)

    def _misread(self, line: BadLine) -> None:
        error = line.error
        match error.reason:
            case "unknown_code":
                return  # a newer server says more than we know
            case "bad_field" if (key := key_of(error)) is not UNSET:
                self._questions.answer(key, ProtocolError(error.detail))
            case "bad_field":
                self._inbox.put(error)
            case _:
                raise ProtocolError(f"this is no chatd, or a broken one: {error.detail}")

    def answered(self, answer: Any) -> None:
        """Hand an answer to its question."""
        self._recover()
        self._questions.answer(answer.ref, answer)

    def _responded(self, response: Response) -> None:
        self._recover()
        self._questions.answer(response.request_id, response)

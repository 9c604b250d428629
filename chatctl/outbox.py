"""Messages on their way: with a ledger, until the server has answered for each, run after run."""

import asyncio
from asyncio import Future
from collections.abc import Callable
from functools import partial
from typing import Final

from chatctl.errors import RefusedError
from chatctl.events import Delivered, Event, Undelivered
from chatctl.ledger import Chat, Ledger
from chatctl.questions import Question
from chatctl.reasons import TRANSIENT
from chatctl.session import Session
from common.messages.base import Message
from common.messages.chat import Ack

_AT_ONCE: Final = 64


class _Sending:
    """A message whose answer is open, and how many calls wait for it."""

    __slots__ = ("message", "question", "waiting")

    def __init__(self, message: Chat, question: Question) -> None:
        self.message = message
        self.question = question
        self.waiting = 0


class Outbox:
    """Sends messages through `session`; `tell` takes what becomes of those nobody waits for."""

    def __init__(self, session: Session, tell: Callable[[Event], bool]) -> None:
        self._session = session
        self._tell = tell
        self._ledger: Ledger | None = None
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._sending: dict[str, _Sending] = {}

    def __len__(self) -> int:
        return len(self._sending) if self._ledger is None else len(self._ledger)

    def begin(self, ledger: Ledger | None, at_once: int | None) -> None:
        """Send what `ledger` holds, and keep there what follows.

        At most `at_once` messages wait for their acknowledgement, those of earlier runs aside.
        """
        self._ledger = ledger
        self._places = asyncio.Semaphore(at_once or _AT_ONCE)
        for message in ledger.unsettled if ledger is not None else ():
            try:
                self._post(message)
            except RefusedError as error:
                self._refused(message, error)

    async def send(self, message: Chat, within: float | None) -> tuple[Ack, Question]:
        """Send `message`, which has a ref, and wait up to `within` s for its acknowledgement.

        One with a ref that is on its way already is not sent beside it. Raises what
        `Session.ask` raises; RefusedError means that it was not delivered and is not kept.
        """
        self._session.check(message)
        if self._ledger is not None:
            self._ledger.keep(message)
        ref = message.ref or ""
        async with self._places:
            sending = self._sending.get(ref) or self._post(message)
            sending.waiting += 1
            try:
                return await self._session.wait(sending.question, Ack, within), sending.question
            finally:
                sending.waiting -= 1
                if self._ledger is None and not sending.waiting:
                    self._sending.pop(ref, None)
                    self._session.withdraw(ref)

    def _post(self, message: Chat) -> _Sending:
        ref = message.ref or ""
        question = self._session.post(self._session.check(message), ref)
        sending = self._sending[ref] = _Sending(message, question)
        # Runs before whoever waits for the answer does: what they are told is on disk.
        question.answer.add_done_callback(partial(self._answered, sending))
        return sending

    def _answered(self, sending: _Sending, answer: "Future[Message]") -> None:
        ref = sending.message.ref or ""
        self._sending.pop(ref, None)
        match answer.exception():
            case None if isinstance(ack := answer.result(), Ack):
                self._settle(ref)
                if not sending.waiting:
                    self._tell(Delivered(sending.message, ack.id, bool(ack.duplicate)))
            case RefusedError() as error if error.error.ref == ref and sending.waiting:
                self._settle(ref)
            case RefusedError() as error if error.error.ref == ref:
                self._refused(sending.message, error)

    def _refused(self, message: Chat, error: RefusedError) -> None:
        """Tell of a refusal that nobody waits for; it is kept until that was told."""
        is_kept = error.reason in TRANSIENT
        if self._tell(Undelivered(message, error.error, is_kept)) and not is_kept:
            self._settle(message.ref or "")

    def _settle(self, ref: str) -> None:
        if self._ledger is not None:
            self._ledger.settle(ref)

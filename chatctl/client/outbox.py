"""The outbox: messages until they are acknowledged; with a journal, across restarts."""

import asyncio
from asyncio import Future
from collections.abc import Callable
from functools import partial
from typing import Final

from chatctl.client.errors import RefusedError
from chatctl.client.events import ChatMessage, Delivered, Event, Undelivered
from chatctl.client.journal import ClientJournal
from chatctl.client.pending import PendingRequest
from chatctl.client.session import ClientSession
from common.messages.base import Message
from common.messages.chat import Ack

_MAX_IN_FLIGHT: Final = 64


class _InFlight:
    """An unacknowledged message, and the number of calls that wait for its acknowledgement."""

    __slots__ = ("message", "pending", "waiters")

    def __init__(self, message: ChatMessage, pending: PendingRequest) -> None:
        self.message = message
        self.pending = pending
        self.waiters = 0


class Outbox:
    """Sends messages through `session`; `notify` gets the results that no call waits for."""

    def __init__(self, session: ClientSession, notify: Callable[[Event], bool]) -> None:
        self._session = session
        self._notify = notify
        self._journal: ClientJournal | None = None
        self._permits = asyncio.Semaphore(_MAX_IN_FLIGHT)
        self._in_flight: dict[str, _InFlight] = {}

    def __len__(self) -> int:
        return len(self._in_flight) if self._journal is None else len(self._journal)

    def start(self, journal: ClientJournal | None, max_in_flight: int | None) -> None:
        """Send the messages in `journal`, and append new ones to it.

        At most `max_in_flight` messages wait for their acknowledgement, not counting those of
        earlier runs.
        """
        self._journal = journal
        self._permits = asyncio.Semaphore(max_in_flight or _MAX_IN_FLIGHT)
        for message in journal.unacknowledged if journal is not None else ():
            try:
                self._submit(message)
            except RefusedError as error:
                self._on_refused(message, error)

    async def send(self, message: ChatMessage, within: float | None) -> tuple[Ack, PendingRequest]:
        """Send `message`, which has a ref, and wait up to `within` s for its acknowledgement.

        A message whose ref is already in flight is not sent twice. Raises what
        `ClientSession.request` raises; after a RefusedError the message was not delivered and is
        not kept.
        """
        self._session.encode(message)
        if self._journal is not None:
            self._journal.append(message)
        ref = message.ref or ""
        async with self._permits:
            in_flight = self._in_flight.get(ref) or self._submit(message)
            in_flight.waiters += 1
            try:
                return await self._session.wait(in_flight.pending, Ack, within), in_flight.pending
            finally:
                in_flight.waiters -= 1
                if self._journal is None and not in_flight.waiters:
                    self._in_flight.pop(ref, None)
                    self._session.cancel(ref)

    def _submit(self, message: ChatMessage) -> _InFlight:
        ref = message.ref or ""
        pending = self._session.send(self._session.encode(message), ref)
        in_flight = self._in_flight[ref] = _InFlight(message, pending)
        # This callback runs before the waiting call: what that returns is on disk.
        pending.answer.add_done_callback(partial(self._on_answer, in_flight))
        return in_flight

    def _on_answer(self, in_flight: _InFlight, answer: "Future[Message]") -> None:
        ref = in_flight.message.ref or ""
        self._in_flight.pop(ref, None)
        match answer.exception():
            case None if isinstance(ack := answer.result(), Ack):
                self._acknowledge(ref)
                if not in_flight.waiters:
                    self._notify(Delivered(in_flight.message, ack.id, bool(ack.duplicate)))
            case RefusedError() as error if error.error.ref == ref and in_flight.waiters:
                self._acknowledge(ref)
            case RefusedError() as error if error.error.ref == ref:
                self._on_refused(in_flight.message, error)

    def _on_refused(self, message: ChatMessage, error: RefusedError) -> None:
        """Report a refusal that no call waits for; keep the message until it is reported."""
        is_kept = error.is_transient
        if self._notify(Undelivered(message, error.error, is_kept)) and not is_kept:
            self._acknowledge(message.ref or "")

    def _acknowledge(self, ref: str) -> None:
        if self._journal is not None:
            self._journal.ack(ref)

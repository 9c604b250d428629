"""The reading side of a connection: chunks become messages, which are served in their order."""

import asyncio
import logging
from collections.abc import Awaitable, Iterable, Iterator
from typing import Final

from chatd.core.metrics import Metrics
from chatd.core.router import Router
from chatd.core.session import Session
from common.messages import ClientMessage
from common.protocol.codec import InvalidLine

logger: Final = logging.getLogger(__name__)


class ConnectionReader:
    """Decodes each chunk in the session's format and has its messages served at once.

    It starts a task only where something must be awaited, and pauses reading from `transport` until
    that is done. A message has at most `max_line` bytes.
    """

    __slots__ = (
        "_decoder",
        "_format",
        "_max_line",
        "_metrics",
        "_router",
        "_session",
        "_transport",
        "task",
    )

    def __init__(
        self,
        session: Session,
        router: Router,
        transport: asyncio.ReadTransport,
        metrics: Metrics,
        max_line: int,
    ) -> None:
        self.task: asyncio.Task[None] | None = None
        """What is awaited now."""
        self._session = session
        self._router = router
        self._transport = transport
        self._metrics = metrics
        self._max_line = max_line
        self._format = session.send_queue.format
        self._decoder = self._format.make_decoder(max_line)

    def feed(self, chunk: bytes) -> None:
        """Serve the messages that are complete with `chunk`."""
        session = self._session
        try:
            if session.send_queue.format is not self._format:
                self._switch_decoder()
            messages = self._decoder.feed(chunk)
            if isinstance(messages, (tuple, list)):  # in which at most the last changes the format
                self._metrics.messages_received += len(messages)
            else:
                messages = self._follow_format(messages)
            rest = self._router.serve(session, messages)
        except Exception:
            self._close_failed()
            return
        if rest is not None:
            self._transport.pause_reading()
            self.task = asyncio.get_running_loop().create_task(self._serve_rest(rest))

    def finish(self) -> None:
        """Serve what the end of input completes; close the session when no answer is due."""
        self.task = asyncio.get_running_loop().create_task(self._finish())

    def _follow_format(
        self, messages: Iterable[ClientMessage | InvalidLine]
    ) -> Iterator[ClientMessage | InvalidLine]:
        """Yield `messages`; after one that changed the format, go on in the new one."""
        count = 0
        try:
            for message in messages:
                count += 1
                yield message
                if (rest := self._switch_decoder()) is not None:
                    yield from self._follow_format(self._decoder.feed(rest))
                    return
        finally:
            self._metrics.messages_received += count

    def _switch_decoder(self) -> bytes | None:
        """Decode in the session's format from now on; return the bytes left where that is new."""
        wire_format = self._session.send_queue.format
        if wire_format is self._format:
            return None
        is_alike = wire_format.make_decoder is self._format.make_decoder
        self._format = wire_format
        if is_alike:
            return None
        rest = self._decoder.take_rest()
        self._decoder = wire_format.make_decoder(self._max_line)
        return rest

    async def _serve_rest(self, rest: Awaitable[None]) -> None:
        try:
            await rest
        except Exception:
            self._close_failed()
        self.task = None
        if not self._transport.is_closing():
            self._transport.resume_reading()

    async def _finish(self) -> None:
        session = self._session
        try:
            self._switch_decoder()
            rest = self._router.serve(session, self._follow_format(self._decoder.finish()))
            if rest is not None:
                await rest
            await session.inflight.wait_below(1)
            await session.pending_replies.wait_below(1)
        except Exception:
            self._close_failed()
        session.close("end of input")

    def _close_failed(self) -> None:
        logger.exception("%s: internal error", self._session)
        self._session.close("internal error")

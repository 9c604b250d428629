"""The way in of one connection: chunks become messages, which are served in their order."""

import asyncio
import logging
from functools import partial
from typing import Final

from chatd.core.formats import Format
from chatd.core.router import Router, Suspended
from chatd.core.session import MAX_INFLIGHT, Session
from common.messages import ClientMessage
from common.protocol.codec import Decoder
from common.protocol.registry import FROM_CLIENT
from common.protocol.text_format import TextDecoder

logger: Final = logging.getLogger(__name__)


class ConnectionReader:
    """Has everything served as it comes; a task is started only for what has to be waited for.

    Until that is done `transport` is not read from. Lines have at most `max_line` bytes.
    """

    __slots__ = ("_decoder", "_max_line", "_router", "_session", "_transport", "task")

    def __init__(
        self, session: Session, router: Router, transport: asyncio.ReadTransport, max_line: int
    ) -> None:
        self.task: asyncio.Task[None] | None = None
        """What is being waited for."""
        self._session = session
        self._router = router
        self._transport = transport
        self._max_line = max_line
        self._decoder: Decoder[ClientMessage] | TextDecoder = Decoder(FROM_CLIENT, max_line)

    def feed(self, chunk: bytes) -> None:
        """Serve what became complete with `chunk`."""
        try:
            suspended = self._router.serve(self._session, self._decoder.feed(chunk))
        except Exception:
            self._close_failed()
            return
        if suspended is not None:
            self._transport.pause_reading()
            self.task = asyncio.get_running_loop().create_task(self._complete(suspended))

    def finish(self) -> None:
        """Serve what the end of input completes; close the session when nothing is due to it."""
        self.task = asyncio.get_running_loop().create_task(self._finish())

    async def _complete(self, suspended: Suspended) -> None:
        try:
            await self._resume(suspended)
        except Exception:
            self._close_failed()
        self.task = None
        if not self._transport.is_closing():
            self._transport.resume_reading()

    async def _finish(self) -> None:
        session = self._session
        try:
            await self._resume(self._router.serve(session, self._decoder.finish()))
            await session.inflight.wait_below(1)
            await session.pending_replies.wait_below(1)
        except Exception:
            self._close_failed()
        session.close("end of input")

    async def _resume(self, suspended: Suspended | None) -> None:
        session = self._session
        while suspended is not None:
            resume = suspended.resume
            if suspended.pending is not None:
                await self._router.complete(session, suspended)
                if session.send_queue.format is Format.TEXT and isinstance(self._decoder, Decoder):
                    resume = partial(self._switch_to_text, self._decoder.take_rest())
            if session.is_backpressured:
                await session.drain()
                await session.inflight.wait_below(MAX_INFLIGHT)
            if session.is_closing:
                return
            suspended = resume()

    def _switch_to_text(self, unread: bytes) -> Suspended | None:
        self._decoder = TextDecoder(self._max_line)
        return self._router.serve(self._session, self._decoder.feed(unread))

    def _close_failed(self) -> None:
        logger.exception("%s: failed", self._session)
        self._session.close("a fault of the server")

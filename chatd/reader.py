"""The way in of one connection: chunks become messages, which are served in their order."""

import asyncio
import logging
from functools import partial
from typing import Final

from chatd.dialects import Dialect
from chatd.router import Halt, Router
from chatd.session import MAX_INFLIGHT, Session
from common.catalogue import FROM_CLIENT
from common.codec import Decoder
from common.messages import ClientMessage
from common.text import TextDecoder

logger: Final = logging.getLogger(__name__)


class Reader:
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
            halt = self._router.serve(self._session, self._decoder.feed(chunk))
        except Exception:
            self._fail()
            return
        if halt is not None:
            self._transport.pause_reading()
            self.task = asyncio.get_running_loop().create_task(self._catch_up(halt))

    def finish(self) -> None:
        """Serve what the end of input completes; close the session when nothing is due to it."""
        self.task = asyncio.get_running_loop().create_task(self._finish())

    async def _catch_up(self, halt: Halt) -> None:
        try:
            await self._go_on(halt)
        except Exception:
            self._fail()
        self.task = None
        if not self._transport.is_closing():
            self._transport.resume_reading()

    async def _finish(self) -> None:
        session = self._session
        try:
            await self._go_on(self._router.serve(session, self._decoder.finish()))
            await session.inflight.below(1)
            await session.owed.below(1)
        except Exception:
            self._fail()
        session.close("end of input")

    async def _go_on(self, halt: Halt | None) -> None:
        session = self._session
        while halt is not None:
            go_on = halt.go_on
            if halt.rest is not None:
                await self._router.settle(session, halt)
                if session.outbox.dialect is Dialect.TEXT and isinstance(self._decoder, Decoder):
                    go_on = partial(self._serve_as_text, self._decoder.take_rest())
            if session.is_full:
                await session.drained()
                await session.inflight.below(MAX_INFLIGHT)
            if session.is_closing:
                return
            halt = go_on()

    def _serve_as_text(self, unread: bytes) -> Halt | None:
        self._decoder = TextDecoder(self._max_line)
        return self._router.serve(self._session, self._decoder.feed(unread))

    def _fail(self) -> None:
        logger.exception("%s: failed", self._session)
        self._session.close("a fault of the server")

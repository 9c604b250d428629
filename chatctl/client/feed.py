"""The feed of a client: items in order, over as many connections as it takes."""

from collections.abc import AsyncGenerator
from typing import TypeAlias

from chatctl.client.errors import CorrelationId, RefusedError
from chatctl.client.event_queue import EventQueue
from chatctl.client.session import ClientSession
from common.messages.feed import Array, Block, Subscribe, Subscribed, Unsubscribe, User
from common.protocol.codec import encode, encode_lines

Item: TypeAlias = User | Array


class FeedSubscription:
    """At most one feed at a time, as on the server: a new request replaces the one before."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session
        self._request = Subscribe()
        self._queue: EventQueue[Item] | None = None
        self._is_active = False
        self._unreported: list[Block] = []
        session.handlers |= {
            Subscribed: self._on_subscribed,
            User: self._on_item,
            Array: self._on_item,
        }
        session.subscriptions.add(self)

    async def items(self, request: Subscribe, within: float | None) -> AsyncGenerator[Item, None]:
        """Yield the items of the feed; `request` has a ref, and is to be granted within `within` s.

        Raises RefusedError, AnswerTimeoutError, and whatever ends the session.
        """
        if self._queue is not None:
            self._queue.close()
        queue = self._queue = EventQueue[Item]()
        self._request, self._is_active = request, False
        try:
            await self._session.request(request, request.ref, Subscribed, within)
            while (item := await self._session.next_from(queue)) is not None:
                yield item
        finally:
            # Nothing here may wait: a loop left with `break` is closed outside of any task.
            if self._queue is queue:
                self._queue = None
                self._session.send_unanswered(Unsubscribe())

    def report(self, block: Block) -> None:
        """Report a block to the server: now, or on the next connection."""
        if not self._session.send_unanswered(block):
            self._unreported.append(block)

    def resubscribe(self) -> bytes:
        """Return the lines to send first on a new connection: unreported blocks, the request."""
        lines = encode_lines(self._unreported)
        self._unreported.clear()
        if self._queue is not None and self._is_active:
            lines += encode(self._request)
        return lines

    @property
    def is_full(self) -> bool:
        """Whether reading must pause until the program has caught up."""
        return self._queue is not None and self._queue.is_full

    @property
    def wants_data(self) -> bool:
        """Whether the program has taken everything that arrived."""
        return self._queue is not None and not self._queue

    def on_refused(self, correlation_id: CorrelationId, error: RefusedError) -> None:
        """End with `error` when the request was refused on a new connection."""
        if self._queue is not None and correlation_id == self._request.ref:
            self._queue.close(error)

    def close(self, error: Exception | None) -> None:
        """End with the session: a stop, or `error`."""
        if self._queue is not None:
            self._queue.close(error)

    def _on_subscribed(self, answer: Subscribed) -> None:
        # The server has sent everything of the feed before this one.
        self._is_active |= answer.ref == self._request.ref
        self._session.on_answer(answer)

    def _on_item(self, item: Item) -> None:
        if self._queue is not None and self._is_active:
            self._queue.put(item)

"""The feed of a client: items in order, over as many connections as it takes.

A client's membership of a group of peers, over as many connections as it takes.
"""

from collections.abc import AsyncGenerator
from typing import TypeAlias

from chatctl.client.event_queue import EventQueue
from chatctl.client.pending import CorrelationId
from chatctl.client.session import ClientSession
from chatctl.errors import RefusedError
from common.messages.feed import Array, Block, Subscribe, Subscribed, Unsubscribe, User
from common.messages.groups import PeerJoined, PeerLeft, PeerList, Share
from common.protocol.codec import encode, encode_lines

Item: TypeAlias = User | Array


class FeedSubscription:
    """At most one feed at a time, as the server has it; the newest request counts."""

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
        """Yield what `request` asks for; it has a ref, and is granted `within` s.

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
            # Nothing here waits: a loop that is left with `break` is closed when nobody can.
            if self._queue is queue:
                self._queue = None
                self._session.send_unanswered(Unsubscribe())

    def report(self, block: Block) -> None:
        """Tell the server how long a block took: now, or when there is a connection again."""
        if not self._session.send_unanswered(block):
            self._unreported.append(block)

    def resubscribe(self) -> bytes:
        """Return what a new connection begins with: unreported blocks, and the granted request."""
        lines = encode_lines(self._unreported)
        self._unreported.clear()
        if self._queue is not None and self._is_active:
            lines += encode(self._request)
        return lines

    @property
    def is_full(self) -> bool:
        """Whether reading is to pause until the program has caught up."""
        return self._queue is not None and self._queue.is_full

    @property
    def wants_data(self) -> bool:
        """Whether the program has taken all that came."""
        return self._queue is not None and not self._queue

    def on_refused(self, correlation_id: CorrelationId, error: RefusedError) -> None:
        """Take the refusal of what was asked again on a new connection."""
        if self._queue is not None and correlation_id == self._request.ref:
            self._queue.close(error)

    def close(self, error: Exception | None) -> None:
        """Let the program see the end of the session."""
        if self._queue is not None:
            self._queue.close(error)

    def _on_subscribed(self, answer: Subscribed) -> None:
        # What a feed before this one sent has all come.
        self._is_active |= answer.ref == self._request.ref
        self._session.on_answer(answer)

    def _on_item(self, item: Item) -> None:
        if self._queue is not None and self._is_active:
            self._queue.put(item)


GroupUpdate: TypeAlias = PeerList | PeerJoined | PeerLeft


class GroupSubscription:
    """At most one entry at a time, as the server has it; the newest request counts."""

    def __init__(self, session: ClientSession) -> None:
        self._session = session
        self._request: Share | None = None
        self._queue = EventQueue[GroupUpdate]()
        self._has_joined = False
        session.handlers |= {
            PeerList: self._on_peer_list,
            PeerJoined: self._on_update,
            PeerLeft: self._on_update,
        }
        session.subscriptions.add(self)

    async def updates(
        self, request: Share, within: float | None
    ) -> AsyncGenerator[GroupUpdate, None]:
        """Join as `request` says, within `within` s, and yield the group, then what changes in it.

        After a lost connection the whole group comes again. Raises RefusedError,
        AnswerTimeoutError, and whatever ends the session.
        """
        self._queue.close()
        queue = self._queue = EventQueue[GroupUpdate]()
        self._request, self._has_joined = request, False
        await self._session.request(request, request.ref, PeerList, within)
        while (update := await self._session.next_from(queue)) is not None:
            yield update

    def resubscribe(self) -> bytes:
        """Return what a new connection begins with: the request, once it was granted."""
        return encode(self._request) if self._request is not None and self._has_joined else b""

    @property
    def is_full(self) -> bool:
        """Whether reading is to pause until the program has caught up."""
        return self._queue.is_full

    @property
    def wants_data(self) -> bool:
        """Whether the program has taken all that came."""
        return self._has_joined and not self._queue

    def on_refused(self, correlation_id: CorrelationId, error: RefusedError) -> None:
        """Take the refusal of what was asked again on a new connection."""
        if self._request is not None and correlation_id == self._request.ref:
            self._queue.close(error)

    def close(self, error: Exception | None) -> None:
        """Let the program see the end of the session."""
        self._queue.close(error)

    def _on_peer_list(self, answer: PeerList) -> None:
        if self._request is not None and answer.ref == self._request.ref:
            self._has_joined = True
            self._queue.put(answer)
        self._session.on_answer(answer)

    def _on_update(self, update: PeerJoined | PeerLeft) -> None:
        self._queue.put(update)

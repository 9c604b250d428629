"""A client's membership of a group of peers, over as many connections as it takes."""

from collections.abc import AsyncGenerator
from typing import TypeAlias

from chatctl.client.errors import CorrelationId, RefusedError
from chatctl.client.event_queue import EventQueue
from chatctl.client.session import ClientSession
from common.messages.groups import PeerJoined, PeerLeft, PeerList, Share
from common.protocol.codec import encode

GroupUpdate: TypeAlias = PeerList | PeerJoined | PeerLeft


class GroupSubscription:
    """At most one membership at a time, as on the server: a new request replaces the one before."""

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
        """Join with `request` within `within` s; yield the group, then each change.

        After a lost connection the whole group is sent again. Raises RefusedError,
        AnswerTimeoutError, and whatever ends the session.
        """
        self._queue.close()
        queue = self._queue = EventQueue[GroupUpdate]()
        self._request, self._has_joined = request, False
        await self._session.request(request, request.ref, PeerList, within)
        while (update := await self._session.next_from(queue)) is not None:
            yield update

    def resubscribe(self) -> bytes:
        """Return the line to send first on a new connection: the request, once granted."""
        return encode(self._request) if self._request is not None and self._has_joined else b""

    @property
    def is_full(self) -> bool:
        """Whether reading must pause until the program has caught up."""
        return self._queue.is_full

    @property
    def wants_data(self) -> bool:
        """Whether the program has taken everything that arrived."""
        return self._has_joined and not self._queue

    def on_refused(self, correlation_id: CorrelationId, error: RefusedError) -> None:
        """End with `error` when the request was refused on a new connection."""
        if self._request is not None and correlation_id == self._request.ref:
            self._queue.close(error)

    def close(self, error: Exception | None) -> None:
        """End with the session: a stop, or `error`."""
        self._queue.close(error)

    def _on_peer_list(self, answer: PeerList) -> None:
        if self._request is not None and answer.ref == self._request.ref:
            self._has_joined = True
            self._queue.put(answer)
        self._session.on_answer(answer)

    def _on_update(self, update: PeerJoined | PeerLeft) -> None:
        self._queue.put(update)

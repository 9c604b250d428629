"""A client's place in a group of peers, over as many links as it takes."""

from collections.abc import AsyncGenerator
from typing import TypeAlias

from chatctl.errors import RefusedError
from chatctl.inbox import Inbox
from chatctl.questions import Key
from chatctl.session import Session
from common.codec import encode
from common.messages.peers import PeerJoined, PeerLeft, PeerList, Share

News: TypeAlias = PeerList | PeerJoined | PeerLeft


class Introductions:
    """At most one entry at a time, as the server has it; the newest wish counts."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._wish: Share | None = None
        self._inbox = Inbox[News]()
        self._has_entered = False
        session.takers |= {
            PeerList: self._listed,
            PeerJoined: self._take,
            PeerLeft: self._take,
        }
        session.standing.add(self)

    async def news(self, wish: Share, within: float | None) -> AsyncGenerator[News, None]:
        """Enter as `wish` says, within `within` s, and yield the group, then what changes in it.

        After a lost connection the whole group comes again. Raises RefusedError,
        AnswerTimeoutError, and whatever ends the session.
        """
        self._inbox.end()
        inbox = self._inbox = Inbox[News]()
        self._wish, self._has_entered = wish, False
        await self._session.ask(wish, wish.ref, PeerList, within)
        while (news := await self._session.next_of(inbox)) is not None:
            yield news

    def renew(self) -> bytes:
        """Return what a new link begins with: the wish, once it was granted."""
        return encode(self._wish) if self._wish is not None and self._has_entered else b""

    @property
    def is_full(self) -> bool:
        """Whether reading is to pause until the program has caught up."""
        return self._inbox.is_full

    @property
    def is_hungry(self) -> bool:
        """Whether the program has taken all that came."""
        return self._has_entered and not self._inbox

    def refuse(self, key: Key, error: RefusedError) -> None:
        """Take the refusal of what was asked again on a new link."""
        if self._wish is not None and key == self._wish.ref:
            self._inbox.end(error)

    def end(self, error: Exception | None) -> None:
        """Let the program see the end of the session."""
        self._inbox.end(error)

    def _listed(self, answer: PeerList) -> None:
        if self._wish is not None and answer.ref == self._wish.ref:
            self._has_entered = True
            self._inbox.put(answer)
        self._session.answered(answer)

    def _take(self, news: PeerJoined | PeerLeft) -> None:
        self._inbox.put(news)

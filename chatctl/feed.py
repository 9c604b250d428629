"""The feed of a client: items in order, over as many links as it takes."""

from collections.abc import AsyncGenerator
from typing import TypeAlias

from chatctl.errors import RefusedError
from chatctl.inbox import Inbox
from chatctl.questions import Key
from chatctl.session import Session
from common.codec import encode, encode_lines
from common.messages.feed import Array, Block, Subscribe, Subscribed, Unsubscribe, User

Item: TypeAlias = User | Array


class Feed:
    """At most one feed at a time, as the server has it; the newest order counts."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._order = Subscribe()
        self._inbox: Inbox[Item] | None = None
        self._has_begun = False
        self._unreported: list[Block] = []
        session.takers |= {Subscribed: self._begin, User: self._take, Array: self._take}
        session.standing.add(self)

    async def items(self, order: Subscribe, within: float | None) -> AsyncGenerator[Item, None]:
        """Yield what `order` asks for; it has a ref, and is granted `within` s.

        Raises RefusedError, AnswerTimeoutError, and whatever ends the session.
        """
        if self._inbox is not None:
            self._inbox.end()
        inbox = self._inbox = Inbox[Item]()
        self._order, self._has_begun = order, False
        try:
            await self._session.ask(order, order.ref, Subscribed, within)
            while (item := await self._session.next_of(inbox)) is not None:
                yield item
        finally:
            # Nothing here waits: a loop that is left with `break` is closed when nobody can.
            if self._inbox is inbox:
                self._inbox = None
                self._session.tell(Unsubscribe())

    def report(self, block: Block) -> None:
        """Tell the server how long a block took: now, or when there is a link again."""
        if not self._session.tell(block):
            self._unreported.append(block)

    def renew(self) -> bytes:
        """Return what a new link begins with: blocks not told yet, and an order once granted."""
        lines = encode_lines(self._unreported)
        self._unreported.clear()
        if self._inbox is not None and self._has_begun:
            lines += encode(self._order)
        return lines

    @property
    def is_full(self) -> bool:
        """Whether reading is to pause until the program has caught up."""
        return self._inbox is not None and self._inbox.is_full

    @property
    def is_hungry(self) -> bool:
        """Whether the program has taken all that came."""
        return self._inbox is not None and not self._inbox

    def refuse(self, key: Key, error: RefusedError) -> None:
        """Take the refusal of what was asked again on a new link."""
        if self._inbox is not None and key == self._order.ref:
            self._inbox.end(error)

    def end(self, error: Exception | None) -> None:
        """Let the program see the end of the session."""
        if self._inbox is not None:
            self._inbox.end(error)

    def _begin(self, answer: Subscribed) -> None:
        # What a feed before this one sent has all come.
        self._has_begun |= answer.ref == self._order.ref
        self._session.answered(answer)

    def _take(self, item: Item) -> None:
        if self._inbox is not None and self._has_begun:
            self._inbox.put(item)

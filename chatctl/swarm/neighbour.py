"""One linked peer: what it has, what it says of itself, and what is open on its link."""

from array import array
from collections import deque
from typing import Final, NamedTuple

from chatctl.swarm.ledger import BIT
from chatctl.swarm.window import Window
from common.messages.base import Message
from common.messages.swarm import Status

MAX_OPEN: Final = 64
"""Requests that may be unanswered on a link, each way; those that were cancelled count, too."""


class Asked:
    """What is asked of a neighbour, and how it answers."""

    __slots__ = (
        "answered_at",
        "cancelled",
        "candidates",
        "got",
        "incoming",
        "news",
        "pace",
        "pieces",
        "window",
    )

    def __init__(self, now: float) -> None:
        self.window = Window()
        self.pieces: dict[int, float] = {}
        """When each `get` that waits was asked; the oldest first."""
        self.news: deque[float] = deque()
        """When each `new` that waits was asked; the oldest first."""
        self.cancelled: set[int] = set()
        """Each `get` that was cancelled, and whose answer has not come."""
        self.incoming: int | None = None
        """The piece whose header came, and whose bytes follow."""
        self.candidates = array("I")
        """All pieces that the neighbour has and this side lacks, and others that it lacked."""
        self.got = 0
        """Pieces that came on this link."""
        self.pace = 0.0
        """How long (s) the neighbour takes for one answer more, a moving mean; at first 0."""
        self.answered_at = now
        """When it answered last, or, if it had nothing to answer then, when it was asked."""

    @property
    def waiting(self) -> int:
        """How many answers are waited for."""
        return len(self.pieces) + len(self.news)


class Sent(NamedTuple):
    """A piece on its way: when it was sent, and whether in answer to a `new`."""

    piece: int
    at: float
    is_new: bool


class Wanted:
    """What a neighbour wants, and what is on its way to it."""

    __slots__ = ("acknowledged", "early", "news", "pieces", "sent")

    def __init__(self) -> None:
        self.pieces: dict[int, None] = {}
        """Each `get` that waits to be answered; the oldest first."""
        self.early: dict[int, None] = {}
        """Each `get` of a piece that has yet to reach the one to which it was sent as fresh."""
        self.news = 0
        """How many `new` wait to be answered."""
        self.sent: deque[Sent] = deque()
        """What it has not yet acknowledged; the oldest first."""
        self.acknowledged = 0
        """Pieces that it got on this link."""

    @property
    def open(self) -> int:
        """How many requests wait to be answered."""
        return len(self.pieces) + len(self.early) + self.news


class Neighbour:
    """A linked peer."""

    __slots__ = (
        "_speakers",
        "agreed",
        "asked",
        "backlog",
        "has_fresh",
        "holds",
        "id",
        "is_complete",
        "known",
        "outbox",
        "round_trip",
        "told",
        "told_state",
        "wanted",
    )

    def __init__(
        self, name: str, round_trip: float, now: float, speakers: "dict[Neighbour, None]"
    ) -> None:
        self.id = name
        self.round_trip = round_trip
        """How long (s) word and answer take on an idle link."""
        self.holds = bytearray()
        """One bit for each piece that it has."""
        self.known: dict[str, str] = {}
        """Digests of the manifests that it knows, by owner."""
        self.agreed: set[str] = set()
        """Owners whom both sides know, by the same digest."""
        self.backlog = 0.0
        """How long (s) it will upload what was asked of it, as it says."""
        self.has_fresh = False
        """Whether it has pieces that it never sent, as it says."""
        self.is_complete = False
        """Whether it lacks nothing, as it says."""
        self.asked = Asked(now)
        self.wanted = Wanted()
        self.outbox: list[Message] = []
        """What goes to it at the end of the turn."""
        self._speakers = speakers
        self.told = 0
        """How much of `Ledger.gained` it was told."""
        self.told_state: Status | None = None
        """What it was told last of this side."""

    def say(self, message: Message) -> None:
        """Put a message into the outbox."""
        self.outbox.append(message)
        self._speakers[self] = None

    def say_state(self) -> None:
        """Tell it how this side fares, though there be nothing else to say."""
        self._speakers[self] = None

    def has(self, piece: int) -> bool:
        """Tell whether it has `piece`, as far as it said."""
        return bool(self.holds[piece >> 3] & BIT[piece & 7])

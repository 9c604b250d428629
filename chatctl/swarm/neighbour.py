"""One linked peer: what it has, what it said of itself, and what is open between it and this one."""

from array import array
from collections import deque

from chatctl.swarm.ledger import BIT
from chatctl.swarm.window import Window
from common.messages.base import Message


class Asked:
    """What is asked of a neighbour."""

    __slots__ = ("answered_at", "cancelled", "candidates", "got", "incoming", "news", "pace", "pieces", "window")

    def __init__(self, now: float) -> None:
        self.window = Window()
        self.pieces: dict[int, float] = {}
        """Each `get` that waits, and when it was asked; the oldest first."""
        self.news: deque[float] = deque()
        """When each `new` that waits was asked."""
        self.cancelled: set[int] = set()
        """Each `get` that was cancelled, and not yet answered."""
        self.incoming: tuple[int, float] | None = None
        """The piece whose header came, and when it was asked for."""
        self.candidates = array("I")
        """All pieces that the neighbour has and this side lacks, and some that it lacks no more."""
        self.got = 0
        """Pieces that came on this link."""
        self.pace = 0.0
        """Mean time between its answers (s) while it had something to answer."""
        self.answered_at = now
        """When the last answer came, or the first question after a pause was asked."""


class Wanted:
    """What a neighbour wants, and what is on its way to it."""

    __slots__ = ("acknowledged", "news", "pieces", "sent")

    def __init__(self) -> None:
        self.pieces: set[int] = set()
        """Each `get` that waits to be sent."""
        self.news = 0
        """How many `new` wait."""
        self.sent: deque[tuple[int, float]] = deque()
        """Each piece that was sent and is not acknowledged, and when; the oldest first."""
        self.acknowledged = 0
        """Pieces acknowledged on this link."""


class Neighbour:
    """A linked peer."""

    __slots__ = (
        "asked",
        "backlog",
        "complete",
        "fresh",
        "holds",
        "id",
        "known",
        "outbox",
        "shared",
        "told",
        "told_state",
        "wanted",
    )

    def __init__(self, name: str, pieces: int, told: int, now: float) -> None:
        self.id = name
        self.holds = bytearray(pieces // 8)
        """One bit for each piece that it has."""
        self.known: dict[str, str] = {}
        """Digests of the manifests it knows, by owner."""
        self.shared: set[str] = set()
        """Owners whom both sides know by the same digest."""
        self.backlog = 0.0
        self.fresh = False
        self.complete = False
        self.asked = Asked(now)
        self.wanted = Wanted()
        self.told = told
        """How much of `Ledger.gained` it was told."""
        self.told_state: Message | None = None
        self.outbox: list[Message] = []

    def has(self, piece: int) -> int:
        """Return whether it has `piece`; 0 is no."""
        return self.holds[piece >> 3] & BIT[piece & 7]

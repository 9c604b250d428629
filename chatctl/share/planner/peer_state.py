"""One connected peer: what it has, what it says of itself, and what is open on its connection.

How many requests may wait at one peer, so that it never runs out and none waits long.
"""

from array import array
from collections import deque
from typing import Final, NamedTuple

from chatctl.share.planner.piece_table import BIT
from common.messages.base import Message
from common.messages.peer_wire import Status

_MIN_TOTAL: Final = 16
_MAX: Final = 32
_FAST: Final = 0.25
_SLOW: Final = 0.5


class RequestWindow:
    """Requests at one peer: at most 32, and at all peers together at least 16.

    One more when a reply takes less than 0.25 s, one less when it takes more than 0.5 s, both
    beyond the round trip of the connection.
    """

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 1

    def on_answered(self, delay: float) -> None:
        """Take note that a reply took `delay` s more than on an idle connection."""
        if delay < _FAST:
            self.size = min(self.size + 1, _MAX)
        elif delay > _SLOW:
            self.size = max(self.size - 1, 1)

    def limit(self, peers: int) -> int:
        """Return how many requests may wait, with so many peers (>= 1) in all."""
        return max(self.size, -(-_MIN_TOTAL // peers))


MAX_OPEN_REQUESTS: Final = 64
"""Requests that may be unanswered on a connection, each way; cancelled ones count, too."""


class Requested:
    """What is asked of a peer, and how it answers."""

    __slots__ = (
        "answer_interval",
        "any_requests",
        "arriving",
        "cancelled",
        "candidates",
        "got",
        "last_answer_at",
        "pieces",
        "window",
    )

    def __init__(self, now: float) -> None:
        self.window = RequestWindow()
        self.pieces: dict[int, float] = {}
        """When each `RequestPiece` that waits was asked; the oldest first."""
        self.any_requests: deque[float] = deque()
        """When each `RequestAny` that waits was asked; the oldest first."""
        self.cancelled: set[int] = set()
        """Each `RequestPiece` that was cancelled, and whose answer has not come."""
        self.arriving: int | None = None
        """The piece whose header came, and whose bytes follow."""
        self.candidates = array("I")
        """All pieces that the peer has and this side lacks, and others that it lacked."""
        self.got = 0
        """Pieces that came on this connection."""
        self.answer_interval = 0.0
        """How long (s) the peer takes for one answer more, a moving mean; at first 0."""
        self.last_answer_at = now
        """When it answered last, or, if it had nothing to answer then, when it was asked."""

    @property
    def waiting(self) -> int:
        """How many answers are waited for."""
        return len(self.pieces) + len(self.any_requests)


class SentPiece(NamedTuple):
    """A piece on its way: when it was sent, and whether in answer to a `RequestAny`."""

    piece: int
    at: float
    is_first_copy: bool


class Requesting:
    """What a peer wants, and what is on its way to it."""

    __slots__ = ("acknowledged", "any_requests", "deferred", "pieces", "sent")

    def __init__(self) -> None:
        self.pieces: dict[int, None] = {}
        """Each `RequestPiece` that waits to be answered; the oldest first."""
        self.deferred: dict[int, None] = {}
        """Each `RequestPiece` of a piece whose first copy is still on its way to another peer."""
        self.any_requests = 0
        """How many `RequestAny` wait to be answered."""
        self.sent: deque[SentPiece] = deque()
        """What it has not yet acknowledged; the oldest first."""
        self.acknowledged = 0
        """Pieces that it got on this connection."""

    @property
    def open(self) -> int:
        """How many requests wait to be answered."""
        return len(self.pieces) + len(self.deferred) + self.any_requests


class PeerState:
    """A connected peer."""

    __slots__ = (
        "_dirty",
        "agreed_owners",
        "announced_count",
        "bitfield",
        "has_unsent",
        "id",
        "is_complete",
        "known_manifests",
        "last_status",
        "outgoing",
        "requested",
        "requesting",
        "round_trip",
        "upload_backlog",
    )

    def __init__(
        self, name: str, round_trip: float, now: float, dirty: "dict[PeerState, None]"
    ) -> None:
        self.id = name
        self.round_trip = round_trip
        """How long (s) word and answer take on an idle connection."""
        self.bitfield = bytearray()
        """One bit for each piece that it has."""
        self.known_manifests: dict[str, str] = {}
        """Digests of the manifests that it knows, by owner."""
        self.agreed_owners: set[str] = set()
        """Owners whom both sides know, by the same digest."""
        self.upload_backlog = 0.0
        """How long (s) it will upload what was asked of it, as it says."""
        self.has_unsent = False
        """Whether it has pieces that it never sent, as it says."""
        self.is_complete = False
        """Whether it lacks nothing, as it says."""
        self.requested = Requested(now)
        self.requesting = Requesting()
        self.outgoing: list[Message] = []
        """What goes to it at the end of the turn."""
        self._dirty = dirty
        self.announced_count = 0
        """How much of `PieceTable.acquired` it was told."""
        self.last_status: Status | None = None
        """What it was told last of this side."""

    def send(self, message: Message) -> None:
        """Put a message into the outgoing messages."""
        self.outgoing.append(message)
        self._dirty[self] = None

    def mark_dirty(self) -> None:
        """Tell it how this side fares, though there be nothing else to say."""
        self._dirty[self] = None

    def has(self, piece: int) -> bool:
        """Tell whether it has `piece`, as far as it said."""
        return bool(self.bitfield[piece >> 3] & BIT[piece & 7])

"""The planner's state of a connected peer: its pieces, and the requests that are open each way."""

from array import array
from collections import deque
from typing import Final, NamedTuple

from chatctl.share.planner.piece_table import BIT
from common.messages.base import Message
from common.messages.peer_wire import Status

MAX_OPEN_REQUESTS: Final = 64
"""Requests that may be unanswered on a connection, each way; cancelled ones count as well."""


class SentPiece(NamedTuple):
    """A piece in flight: when it was sent, and whether in answer to a `RequestAny`."""

    piece: int
    at: float
    is_first_copy: bool


class Requesting:
    """The requests of a peer, and the pieces in flight to it."""

    __slots__ = ("acknowledged", "any_requests", "deferred", "pieces", "sent")

    def __init__(self) -> None:
        self.pieces: dict[int, None] = {}
        """Each `RequestPiece` that waits to be answered; the oldest first."""
        self.deferred: dict[int, None] = {}
        """Each `RequestPiece` of a piece whose first copy is still spreading."""
        self.any_requests = 0
        """How many `RequestAny` wait to be answered."""
        self.sent: deque[SentPiece] = deque()
        """The pieces that it has not acknowledged; the oldest first."""
        self.acknowledged = 0
        """How many pieces it got on this connection."""

    @property
    def open(self) -> int:
        """How many requests wait to be answered."""
        return len(self.pieces) + len(self.deferred) + self.any_requests


_MIN_TOTAL: Final = 16
_MAX: Final = 32
_FAST: Final = 0.25
_SLOW: Final = 0.5


class RequestWindow:
    """Pipelining depth: how many requests may wait at one peer, so that it never runs out.

    At most 32, and at all peers together at least 16. It grows by one when a reply takes less than
    0.25 s, and shrinks by one when it takes more than 0.5 s, both beyond the round trip of the
    connection.
    """

    __slots__ = ("size",)

    def __init__(self) -> None:
        self.size = 1

    def on_answered(self, delay: float) -> None:
        """Note that a reply took `delay` s longer than on an idle connection."""
        if delay < _FAST:
            self.size = min(self.size + 1, _MAX)
        elif delay > _SLOW:
            self.size = max(self.size - 1, 1)

    def limit(self, peers: int) -> int:
        """Return how many requests may wait, with `peers` (>= 1) connected."""
        return max(self.size, -(-_MIN_TOTAL // peers))


class Requested:
    """The requests to a peer, and how it answers them."""

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
        """When each waiting `RequestPiece` was sent; the oldest first."""
        self.any_requests: deque[float] = deque()
        """When each waiting `RequestAny` was sent; the oldest first."""
        self.cancelled: set[int] = set()
        """Each `RequestPiece` that was cancelled and is not answered yet."""
        self.arriving: int | None = None
        """The piece whose header came, and whose bytes follow."""
        self.candidates = array("I")
        """All pieces that the peer has and that are missing here; may hold outdated ones, too."""
        self.got = 0
        """How many pieces came on this connection."""
        self.answer_interval = 0.0
        """How long (s) the peer takes for each further answer: a moving average, 0 at first."""
        self.last_answer_at = now
        """When it last answered, or got its first request after it had answered all others."""

    @property
    def waiting(self) -> int:
        """How many requests wait for an answer."""
        return len(self.pieces) + len(self.any_requests)


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
        """The round trip time (s) of the idle connection."""
        self.bitfield = bytearray()
        """One bit for each piece that it has."""
        self.known_manifests: dict[str, str] = {}
        """The digests of the manifests that it has, by owner."""
        self.agreed_owners: set[str] = set()
        """Owners whose manifest both sides have, with the same digest."""
        self.upload_backlog = 0.0
        """How long (s) it will be uploading what was requested of it, as it says."""
        self.has_unsent = False
        """Whether it has own pieces that it never sent, as it says."""
        self.is_complete = False
        """Whether it has all pieces, as it says."""
        self.requested = Requested(now)
        self.requesting = Requesting()
        self.outgoing: list[Message] = []
        """The messages that go to it with the next batch."""
        self._dirty = dirty
        self.announced_count = 0
        """How many entries of `PieceTable.acquired` were announced to it."""
        self.last_status: Status | None = None
        """The status of this side that was last sent to it."""

    def send(self, message: Message) -> None:
        """Queue a message for the next batch."""
        self.outgoing.append(message)
        self._dirty[self] = None

    def mark_dirty(self) -> None:
        """Send it the status of this side, even without another message."""
        self._dirty[self] = None

    def has(self, piece: int) -> bool:
        """Tell whether it announced `piece`."""
        return bool(self.bitfield[piece >> 3] & BIT[piece & 7])

"""A connected peer: the pieces on their way to it, and those that came from it.

`Peer` reads pieces and sends them; `PieceWriter` verifies and writes those that were received.
"""

from asyncio import Future
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Protocol

from chatctl.share.connection import PeerConnection
from chatctl.share.handshake import PeerInfo
from chatctl.share.send_buffer import Traffic, is_cached
from chatctl.share.storage.file_io import Location
from chatctl.share.storage.store import Store
from common.messages.base import Message
from common.messages.peer_wire import Goodbye, Piece
from common.values import Address


class PieceReader(Protocol):
    """Reads pieces; see `chatctl.share.storage.store.Store`."""

    def locate(self, owner: str, index: int) -> Location | None:
        """Return where the bytes of a piece are, None when it must be read."""

    def read(self, owner: str, index: int) -> "Future[bytes]":
        """Read a piece."""


class Peer:
    """A connection to an authenticated peer, and the pieces that wait to be sent to it.

    A piece in the page cache goes to the socket with `sendfile`. Any other piece is read in a
    thread, and the pieces after it wait. `on_unreadable` is called with pieces that could not be
    read.
    """

    def __init__(
        self,
        connection: PeerConnection,
        info: PeerInfo,
        pieces: PieceReader,
        on_unreadable: Callable[["Peer", Piece], object],
        *,
        dialled: bool,
    ) -> None:
        self.connection = connection
        self.info = info
        self.is_dialled = dialled
        self.goodbye: Goodbye | None = None
        self.traffic = Traffic()
        """The traffic to and from it."""
        self.has_our_manifest = False
        """Whether it has this peer's manifest or rejected it; until then it may lack all files."""
        self.sent_manifests: set[str] = set()
        """The owners whose manifests were sent to it."""
        self._pieces = pieces
        self._on_unreadable = on_unreadable
        self._waiting: deque[Piece] = deque()
        self._reading: Future[bytes] | None = None

    @property
    def id(self) -> str:
        """Its id."""
        return self.info.id

    @property
    def listen_address(self) -> Address:
        """Where others can dial it, as seen from here."""
        return Address(self.connection.address.host, self.info.port)

    def send(self, message: Message) -> None:
        """Send a message of the planner; the bytes of a `Piece` are added here."""
        if isinstance(message, Piece):
            self._waiting.append(message)
            self._send_waiting()
        else:
            self.connection.send(message)

    def _send_waiting(self) -> None:
        while self._waiting and self._reading is None:
            piece = self._waiting.popleft()
            location = self._pieces.locate(piece.owner, piece.index)
            if location is not None and is_cached(location):
                self.connection.send(piece, location, self.traffic)
                continue
            self._reading = self._pieces.read(piece.owner, piece.index)
            self._reading.add_done_callback(partial(self._read, piece))

    def _read(self, piece: Piece, done: "Future[bytes]") -> None:
        self._reading = None
        if self.connection.is_closed or done.cancelled():
            return
        if done.exception() is None:
            self.connection.send(piece, done.result(), self.traffic)
        else:
            self._on_unreadable(self, piece)
        self._send_waiting()


MAX_UNWRITTEN: Final = 256
"""Pieces that may wait for the disk; beyond that no connection is read."""


class PieceWriter:
    """Has pieces verified and written; pauses all `peers` while too many wait for that.

    `on_written` is called with each piece and whether it was correct, `on_error` with an error that
    prevented a write.
    """

    def __init__(
        self,
        store: Store,
        peers: Mapping[str, Peer],
        *,
        on_written: Callable[[Peer, Piece, bool], object],
        on_error: Callable[[BaseException], object],
    ) -> None:
        self._store = store
        self._peers = peers
        self._on_written = on_written
        self._on_error = on_error
        self._waiting = 0

    def write(self, peer: Peer, piece: Piece, raw: bytearray) -> None:
        """Write a piece that came from a peer; its bytes must not change any more."""
        written = self._store.write(piece.owner, piece.index, raw)
        written.add_done_callback(partial(self._written, peer, piece))
        self._waiting += 1
        if self._waiting == MAX_UNWRITTEN:
            for each in self._peers.values():
                each.connection.pause()

    def _written(self, peer: Peer, piece: Piece, written: "Future[bool]") -> None:
        self._waiting -= 1
        if self._waiting == MAX_UNWRITTEN // 2:
            for each in self._peers.values():
                each.connection.resume()
        if written.cancelled():
            return
        if (error := written.exception()) is not None:
            self._on_error(error)
        else:
            self._on_written(peer, piece, written.result())

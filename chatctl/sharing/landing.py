"""Pieces that have come, on their way to the disk."""

from asyncio import Future
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from chatctl.sharing.partner import Peer
from chatctl.sharing.store import Store
from common.messages.swarm import Piece

MAX_UNWRITTEN: Final = 256
"""Pieces that may wait for the disk; beyond that nothing is read from anyone."""


class PieceWriter:
    """Has pieces verified and written; pauses all `peers` while too many wait for that.

    `on_written` hears of each whether it is what its owner announced, `on_error` what keeps it from
    being written.
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
        """Take the bytes of a piece that came from a peer; they may not change any more."""
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

"""Pieces that have come, on their way to the disk."""

from asyncio import Future
from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from chatctl.sharing.partner import Partner
from chatctl.sharing.store import Store
from common.messages.swarm import Piece

MAX_UNWRITTEN: Final = 256
"""Pieces that may wait for the disk; beyond that nothing is read from anyone."""


class Landing:
    """Has pieces verified and written; pauses all `partners` while too many wait for that.

    `land` hears of each whether it is what its owner announced, `fail` what keeps it from being
    written.
    """

    def __init__(
        self,
        store: Store,
        partners: Mapping[str, Partner],
        *,
        land: Callable[[Partner, Piece, bool], object],
        fail: Callable[[BaseException], object],
    ) -> None:
        self._store = store
        self._partners = partners
        self._land = land
        self._fail = fail
        self._waiting = 0

    def take(self, partner: Partner, piece: Piece, raw: bytearray) -> None:
        """Take the bytes of a piece that came from a partner; they may not change any more."""
        written = self._store.write(piece.owner, piece.index, raw)
        written.add_done_callback(partial(self._written, partner, piece))
        self._waiting += 1
        if self._waiting == MAX_UNWRITTEN:
            for each in self._partners.values():
                each.link.pause()

    def _written(self, partner: Partner, piece: Piece, written: "Future[bool]") -> None:
        self._waiting -= 1
        if self._waiting == MAX_UNWRITTEN // 2:
            for each in self._partners.values():
                each.link.resume()
        if written.cancelled():
            return
        if (fault := written.exception()) is not None:
            self._fail(fault)
        else:
            self._land(partner, piece, written.result())

"""All pieces of all owners, numbered through, and what has become of each here."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from chatctl.swarm.orders import SwarmFault
from common.pieces import Bitfield, Layout

LACKING: Final = 0
"""Not here, and asked of nobody."""
ASKED: Final = 1
"""Not here, but asked of somebody, or its header is here."""
ARRIVED: Final = 2
"""Here, and being verified."""
HELD: Final = 3
"""Here, verified, and readable."""

BIT: Final = (0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02, 0x01)
"""The bit of each of the 8 pieces of a byte, as in `common.pieces.Bitfield`."""

_SET_BITS: Final = tuple(
    tuple(place for place in range(8) if byte & BIT[place]) for byte in range(256)
)


def set_bits(bits: bytes | bytearray, first: int) -> Iterator[int]:
    """Yield the numbers of the bits that are set, counted from `first`."""
    for byte in bits:
        if byte:
            for place in _SET_BITS[byte]:
                yield first + place
        first += 8


class Owner:
    """One owner's pieces: those numbered from `base` up to `base + count`.

    Bases are multiples of 8, so that a bitfield of an owner is a slice of one of all.
    """

    __slots__ = ("base", "count", "digest", "held", "id", "lacking", "layout")

    def __init__(self, name: str, digest: str, layout: Layout, base: int) -> None:
        self.id = name
        self.digest = digest
        self.layout = layout
        self.base = base
        self.count = len(layout)
        self.held = 0
        self.lacking = self.count
        """Pieces in the state LACKING."""


class Ledger:
    """What has become of each piece. A piece is a number here, and a name only on the wire."""

    def __init__(self) -> None:
        self.owners: dict[str, Owner] = {}
        self.state = bytearray()
        self.held = bytearray()
        """One bit for each piece that is HELD."""
        self.holders = array("H")
        """How many linked peers have each piece."""
        self.gained = array("I")
        """The pieces that came to be HELD one by one, in this order."""
        self._bases: list[int] = []
        self._in_order: list[Owner] = []
        self._lacked = 0

    @property
    def is_complete(self) -> bool:
        """Whether every piece is HELD."""
        return not self._lacked

    def add(self, name: str, digest: str, layout: Layout, held: Bitfield) -> Owner:
        """Number the pieces of one more owner."""
        owner = Owner(name, digest, layout, len(self.state))
        bits = held.encode()
        self.owners[name] = owner
        self._bases.append(owner.base)
        self._in_order.append(owner)
        self.state += bytes(8 * len(bits))
        self.held += bits
        self.holders.extend(bytes(8 * len(bits)))
        for piece in set_bits(bits, owner.base):
            self.state[piece] = HELD
        owner.held = len(held)
        owner.lacking -= owner.held
        self._lacked += owner.lacking
        return owner

    def owner_of(self, piece: int) -> Owner:
        """Return whose piece it is."""
        return self._in_order[bisect_right(self._bases, piece) - 1]

    def number(self, name: str, index: int) -> int:
        """Return the number of a piece that a peer names; raises SwarmFault if there is none."""
        owner = self.owners.get(name)
        if owner is None:
            raise SwarmFault(f"it speaks of the files of {name!r}, which are not known here")
        if not 0 <= index < owner.count:
            raise SwarmFault(f"it speaks of piece {index} of {name!r}, who has {owner.count}")
        return owner.base + index

    def change(self, piece: int, state: int) -> None:
        """Put a piece into another state."""
        before = self.state[piece]
        self.state[piece] = state
        if LACKING in (before, state):
            self.owner_of(piece).lacking += (state == LACKING) - (before == LACKING)
        if HELD in (before, state):
            step = (state == HELD) - (before == HELD)
            self.owner_of(piece).held += step
            self._lacked -= step
            self.held[piece >> 3] ^= BIT[piece & 7]
            if step > 0:
                self.gained.append(piece)

"""The piece table: all pieces of all owners under consecutive numbers, and the state of each."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator
from typing import Final

from bitarray import bitarray

from chatctl.share.planner.actions import ProtocolViolationError
from common.manifest import Layout

MISSING: Final = 0
"""Not here and not requested."""
REQUESTED: Final = 1
"""Not here, but requested."""
VERIFYING: Final = 2
"""Received and being verified."""
HAVE: Final = 3
"""Here, verified and readable."""

BIT: Final = (0x80, 0x40, 0x20, 0x10, 0x08, 0x04, 0x02, 0x01)
"""The bit of each of the 8 pieces in a byte, as in `common.manifest.decode_bits`."""

_BIT_POSITIONS: Final = tuple(
    tuple(place for place in range(8) if byte & BIT[place]) for byte in range(256)
)


def set_bits(bits: bytes | bytearray, first: int) -> Iterator[int]:
    """Yield the number of each bit that is set; the first bit has the number `first`."""
    for byte in bits:
        if byte:
            for place in _BIT_POSITIONS[byte]:
                yield first + place
        first += 8


class Owner:
    """The pieces of one owner: `count` of them, numbered from `base` on.

    A base is a multiple of 8, so that the bitfield of one owner is a slice of the bitfield of all.
    """

    __slots__ = ("base", "count", "digest", "held", "id", "is_own", "layout", "missing")

    def __init__(self, name: str, digest: str, layout: Layout, base: int, *, is_own: bool) -> None:
        self.id = name
        self.is_own = is_own
        self.digest = digest
        self.layout = layout
        self.base = base
        self.count = len(layout)
        self.held = 0
        """How many of the pieces are HAVE."""
        self.missing = self.count
        """How many of the pieces are MISSING."""

    def length(self, index: int) -> int:
        """Return how many bytes piece `index` has."""
        return self.layout.span(index).length


class PieceTable:
    """The state of each piece. In the planner a piece is a number; on the wire it has a name."""

    def __init__(self) -> None:
        self.owners: dict[str, Owner] = {}
        self.state = bytearray()
        self.held = bytearray()
        """One bit for each piece that is HAVE."""
        self.holders = array("H")
        """How many connected peers have each piece."""
        self.acquired = array("I")
        """The pieces that became HAVE one by one, in this order."""
        self._bases: list[int] = []
        self._in_order: list[Owner] = []
        self._not_held = 0

    @property
    def is_complete(self) -> bool:
        """Whether every piece is HAVE."""
        return not self._not_held

    def add(
        self, name: str, digest: str, layout: Layout, held: bitarray, *, is_own: bool = False
    ) -> Owner:
        """Add the pieces of an owner, of which `held` are HAVE."""
        owner = Owner(name, digest, layout, len(self.state), is_own=is_own)
        bits = held.tobytes()
        self.owners[name] = owner
        self._bases.append(owner.base)
        self._in_order.append(owner)
        self.state += bytes(8 * len(bits))
        self.held += bits
        self.holders.extend(bytes(8 * len(bits)))
        for piece in set_bits(bits, owner.base):
            self.state[piece] = HAVE
        owner.held = held.count()
        owner.missing -= owner.held
        self._not_held += owner.missing
        return owner

    def owner_of(self, piece: int) -> Owner:
        """Return the owner of a piece."""
        return self._in_order[bisect_right(self._bases, piece) - 1]

    def name(self, piece: int) -> tuple[str, int]:
        """Return the name of a piece: the id of its owner, and its index there."""
        owner = self.owner_of(piece)
        return owner.id, piece - owner.base

    def number(self, name: str, index: int) -> int:
        """Return the piece with this name; raises ProtocolViolationError when there is none."""
        owner = self.owners.get(name)
        if owner is None or not 0 <= index < owner.count:
            count = owner.count if owner else 0
            raise ProtocolViolationError(
                f"it named piece {index} of {name!r}, which has {count} pieces"
            )
        return owner.base + index

    def set_state(self, piece: int, state: int) -> None:
        """Change the state of a piece to a different one."""
        before = self.state[piece]
        self.state[piece] = state
        if MISSING in (before, state):
            self.owner_of(piece).missing += 1 if state == MISSING else -1
        if HAVE in (before, state):
            step = 1 if state == HAVE else -1
            self.owner_of(piece).held += step
            self._not_held -= step
            self.held[piece >> 3] ^= BIT[piece & 7]
            if step > 0:
                self.acquired.append(piece)

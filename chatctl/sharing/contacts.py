"""Whom to dial, and when; no sockets, and the time is handed in (s, monotonic)."""

from collections.abc import Container, Iterator
from typing import Final

from msgspec import Struct

from chatctl.backoff import Backoff
from common.addresses import Address

DIAL_STAGGER: Final = 1.0
"""How long (s) the one of a pair whose id comes second leaves dialling to the other."""

_BASE: Final = 0.2
_CAP: Final = 5.0


class DialTarget(Struct, eq=False):
    """A peer to be reached at `address`; `id` is empty as long as only that is known."""

    id: str
    address: Address
    due: float
    backoff: Backoff
    is_dialled: bool = False
    error: str = ""
    """Why it could not be reached the last time."""

    def __str__(self) -> str:
        return f"peer {self.id}" if self.id else "a peer"


class DialQueue:
    """Those who are known of and to be met, as the peer `own` has heard of them."""

    def __init__(self, own: str) -> None:
        self._own = own
        self._by_id: dict[str, DialTarget] = {}
        self._anonymous: list[DialTarget] = []

    def add(self, identity: str, address: Address, now: float) -> None:
        """Note where a peer is; an `identity` of "" is for an address that somebody typed."""
        if identity == self._own:
            return
        known = self._by_id.get(identity)
        if known is not None and known.address == address:
            return
        # Both dial, lest one of them cannot; the second leaves time to the first.
        stagger = DIAL_STAGGER if identity and identity < self._own else 0.0
        target = DialTarget(identity, address, now + stagger, Backoff(_BASE, _CAP))
        if identity:
            self._by_id[identity] = target
        else:
            self._anonymous.append(target)

    def remove(self, identity: str) -> None:
        """Dial a peer no more."""
        self._by_id.pop(identity, None)

    def take_due(self, now: float, without: Container[str]) -> list[DialTarget]:
        """Return whom to dial now, `without` some; call `failed` or `connected` for each."""
        due = [
            target
            for target in (*self._by_id.values(), *self._anonymous)
            if target.due <= now and not target.is_dialled and target.id not in without
        ]
        for target in due:
            target.is_dialled = True
        return due

    def connected(self, target: DialTarget) -> None:
        """Note that somebody was met there."""
        target.is_dialled = False
        target.error = ""
        if target in self._anonymous:
            self._anonymous.remove(target)

    def failed(self, target: DialTarget, error: str, now: float) -> None:
        """Note why nobody was met there, and try again later."""
        target.is_dialled = False
        target.error = error
        target.due = now + target.backoff.next_delay()

    def disconnected(self, identity: str, now: float) -> None:
        """Note that the connection to a peer is gone; it is dialled again a little later."""
        if (target := self._by_id.get(identity)) is not None:
            target.due = now + target.backoff.next_delay()

    def unreachable(self, without: Container[str]) -> Iterator[DialTarget]:
        """Yield those that were dialled in vain, `without` those that were met otherwise."""
        for target in (*self._by_id.values(), *self._anonymous):
            if target.error and target.id not in without:
                yield target

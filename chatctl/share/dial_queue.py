"""The queue of peers to dial: which address is due when, with backoff after a failure.

No sockets; times are passed in (s, monotonic).
"""

from collections.abc import Container, Iterator
from typing import Final

from msgspec import Struct

from chatctl.client.reconnect import Backoff
from common.values import Address

DIAL_STAGGER: Final = 1.0
"""How long (s) the peer of a pair whose id sorts last waits for the other to dial."""

_BASE: Final = 0.2
_CAP: Final = 5.0


class DialTarget(Struct, eq=False):
    """A peer to dial at `address`; its `id` is empty as long as it is unknown."""

    id: str
    address: Address
    due: float
    backoff: Backoff
    is_dialled: bool = False
    error: str = ""
    """Why the last attempt failed."""

    def __str__(self) -> str:
        return f"peer {self.id}" if self.id else "a peer"


class DialQueue:
    """The peers that the peer `own` knows of and wants to connect to."""

    def __init__(self, own: str) -> None:
        self._own = own
        self._by_id: dict[str, DialTarget] = {}
        self._anonymous: list[DialTarget] = []

    def add(self, identity: str, address: Address, now: float) -> None:
        """Add the address of a peer; `identity` is "" for an address from the command line."""
        if identity == self._own:
            return
        known = self._by_id.get(identity)
        if known is not None and known.address == address:
            return
        # Both dial, because one of them may be unable to; the second waits a little.
        stagger = DIAL_STAGGER if identity and identity < self._own else 0.0
        target = DialTarget(identity, address, now + stagger, Backoff(_BASE, _CAP))
        if identity:
            self._by_id[identity] = target
        else:
            self._anonymous.append(target)

    def remove(self, identity: str) -> None:
        """Stop dialling a peer."""
        self._by_id.pop(identity, None)

    def take_due(self, now: float, without: Container[str]) -> list[DialTarget]:
        """Return the peers to dial now, `without` some; call `failed` or `connected` for each."""
        due = [
            target
            for target in (*self._by_id.values(), *self._anonymous)
            if target.due <= now and not target.is_dialled and target.id not in without
        ]
        for target in due:
            target.is_dialled = True
        return due

    def connected(self, target: DialTarget) -> None:
        """Note that dialling succeeded."""
        target.is_dialled = False
        target.error = ""
        if target in self._anonymous:
            self._anonymous.remove(target)

    def failed(self, target: DialTarget, error: str, now: float) -> None:
        """Note why dialling failed, and retry later."""
        target.is_dialled = False
        target.error = error
        target.due = now + target.backoff.next_delay()

    def disconnected(self, identity: str, now: float) -> None:
        """Note that the connection to a peer was lost; it is dialled again a little later."""
        if (target := self._by_id.get(identity)) is not None:
            target.due = now + target.backoff.next_delay()

    def unreachable(self, without: Container[str]) -> Iterator[DialTarget]:
        """Yield the peers whose last attempt failed, `without` those that connected otherwise."""
        for target in (*self._by_id.values(), *self._anonymous):
            if target.error and target.id not in without:
                yield target

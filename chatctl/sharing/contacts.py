"""Whom to dial, and when; no sockets, and the time is handed in (s, monotonic)."""

from collections.abc import Container, Iterator
from typing import Final

from msgspec import Struct

from chatctl.backoff import Backoff
from common.addresses import Address

COURTESY: Final = 1.0
"""How long (s) the one of a pair whose id comes second leaves dialling to the other."""

_BASE: Final = 0.2
_CAP: Final = 5.0


class Contact(Struct, eq=False):
    """A peer to be reached at `address`; `id` is empty as long as only that is known."""

    id: str
    address: Address
    due: float
    backoff: Backoff
    is_dialled: bool = False
    failure: str = ""
    """Why it could not be reached the last time."""

    def __str__(self) -> str:
        return f"peer {self.id}" if self.id else "a peer"


class Contacts:
    """Those who are known of and to be met, as the peer `own` has heard of them."""

    def __init__(self, own: str) -> None:
        self._own = own
        self._named: dict[str, Contact] = {}
        self._nameless: list[Contact] = []

    def hear_of(self, identity: str, address: Address, now: float) -> None:
        """Note where a peer is; an `identity` of "" is for an address that somebody typed."""
        if identity == self._own:
            return
        known = self._named.get(identity)
        if known is not None and known.address == address:
            return
        # Both dial, lest one of them cannot; the second leaves time to the first.
        patience = COURTESY if identity and identity < self._own else 0.0
        contact = Contact(identity, address, now + patience, Backoff(_BASE, _CAP))
        if identity:
            self._named[identity] = contact
        else:
            self._nameless.append(contact)

    def forget(self, identity: str) -> None:
        """Dial a peer no more."""
        self._named.pop(identity, None)

    def take_due(self, now: float, without: Container[str]) -> list[Contact]:
        """Return whom to dial now, `without` some; `failed` or `reached` is to follow for each."""
        due = [
            contact
            for contact in (*self._named.values(), *self._nameless)
            if contact.due <= now and not contact.is_dialled and contact.id not in without
        ]
        for contact in due:
            contact.is_dialled = True
        return due

    def reached(self, contact: Contact) -> None:
        """Note that somebody was met there."""
        contact.is_dialled = False
        contact.failure = ""
        if contact in self._nameless:
            self._nameless.remove(contact)

    def failed(self, contact: Contact, failure: str, now: float) -> None:
        """Note why nobody was met there, and try again later."""
        contact.is_dialled = False
        contact.failure = failure
        contact.due = now + contact.backoff.next_delay()

    def lost(self, identity: str, now: float) -> None:
        """Note that the link to a peer is gone; it is dialled again a little later."""
        if (contact := self._named.get(identity)) is not None:
            contact.due = now + contact.backoff.next_delay()

    def out_of_reach(self, without: Container[str]) -> Iterator[Contact]:
        """Yield those that were dialled in vain, `without` those that were met otherwise."""
        for contact in (*self._named.values(), *self._nameless):
            if contact.failure and contact.id not in without:
                yield contact

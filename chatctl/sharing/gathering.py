"""Who takes part: finds the others, admits them, notices who is gone, and parts politely."""

import asyncio
import time
from collections.abc import Iterable
from ipaddress import ip_address
from itertools import islice
from typing import Final

from chatctl.sharing import events
from chatctl.sharing.contacts import Contact, Contacts
from chatctl.sharing.door import Door, NotMetError
from chatctl.sharing.handshake import Card
from chatctl.sharing.link import Link
from chatctl.sharing.meter import Meter
from chatctl.sharing.partner import Partner, Pieces
from chatctl.sharing.swap import Swap, Tell
from common.addresses import Address
from common.exchange import check_id
from common.messages.base import Error, Message
from common.messages.introduction import (
    MAX_EXCHANGED,
    Goodbye,
    KeepAlive,
    PeerAddress,
    PeerExchange,
)
from common.messages.peers import PeerEntry

GOODBYE: Final = 2.0
"""How long (s) the others have to say goodbye, too."""

ALIVE: Final = 0.5
"""After how long (s) without another word a peer says that it is still here."""

SILENCE: Final = 2.0
"""How long (s) every peer may say nothing, whatever shorter time was asked for."""

_MOST_TOLD: Final = 100
"""Failures of connections that are told of; strangers could go on for ever."""


class Gathering:
    """The group as the peer `own` sees it; `silence` (s) is how long another may say nothing."""

    def __init__(self, own: Card, swap: Swap, pieces: Pieces, silence: float, tell: Tell) -> None:
        self.contacts = Contacts(own.id)
        self.began_at: float | None = None
        """When the first of the others was met (s, monotonic)."""
        self.met: set[str] = set()
        """The ids of all who have been here."""
        self.farewells: dict[str, Goodbye] = {}
        """What those who left told of themselves."""
        self.uploads = Meter(time.monotonic())
        self.downloads = Meter(time.monotonic())
        self._own = own
        self._swap = swap
        swap.converse = self.converse
        self._pieces = pieces
        self._silence = max(silence, SILENCE)
        self._tell = tell
        self._linked: set[str] = set()
        self._told: set[events.Event] = set()
        self._dials: set[asyncio.Task[None]] = set()
        self._partings: set[asyncio.Task[None]] = set()

    def admit(self, link: Link, card: Card, dialled: bool) -> None:
        """Take in a peer that has proven itself; the door calls this."""
        swap, old = self._swap, self._swap.partners.get(card.id)
        if swap.is_barred(card.run):
            self._turn_away(link, Error("unauthorized", "this peer deals with you no more"))
            return
        if old is not None and old.card.run != card.run:
            detail = f"another peer with the id {card.id} is here; choose another with --id"
            self._turn_away(link, Error("name_taken", detail, name=card.id))
            return
        if old is not None:
            # Both have dialled; they are to agree on which of the two links stays.
            is_preferred = dialled == (self._own.id < card.id)
            if not is_preferred and old.is_dialled != dialled:
                link.close()
                return
            swap.let_go(old)
        self.met.add(card.id)
        if self.began_at is None:
            self.began_at = time.monotonic()
        partner = Partner(link, card, self._pieces, swap.unreadable, dialled=dialled)
        linked = islice(swap.partners.values(), MAX_EXCHANGED)
        others = [PeerAddress(each.id, *each.listens_at) for each in linked]
        swap.join(partner)
        if others:
            partner.link.send(PeerExchange(others))

    def refuse(self, address: Address, why: str) -> None:
        """Note who was not let in; the door calls this."""
        self._tell_once(events.TurnedAway(address.host, why))

    def converse(self, partner: Partner, message: Message) -> None:
        """Take what a partner says about anything but files."""
        match message:
            case PeerExchange(peers):
                self.hear_of(partner.link.address.host, peers)
            case Goodbye():
                self.farewells[partner.id] = partner.farewell = message
                self.contacts.forget(partner.id)
                partner.link.send(self._farewell())

    def hear_of(self, teller: str, peers: Iterable[PeerEntry | PeerAddress]) -> None:
        """Note where peers listen, as the host `teller` sees them."""
        now = time.monotonic()
        for peer in peers:
            try:
                check_id(peer.id)
            except ValueError:
                continue
            self.contacts.hear_of(peer.id, Address(_as_seen(peer.host, teller), peer.port), now)

    def dial(self, door: Door, now: float) -> None:
        """Dial those whose turn it is."""
        swap = self._swap
        for contact in self.contacts.take_due(now, {*swap.partners, *swap.gone}):
            task = asyncio.create_task(self._dial(door, contact))
            self._dials.add(task)
            task.add_done_callback(self._dials.discard)

    def look_after(self, now: float) -> None:
        """Say that we are here, part with those who are silent, and measure."""
        for identity in self._linked.difference(self._swap.partners):
            self.contacts.lost(identity, now)
        self._linked = set(self._swap.partners)
        for partner in list(self._swap.partners.values()):
            link = partner.link
            if now - link.heard_at > self._silence:
                link.lose_with(f"was silent for {self._silence:g} s")
            elif link.stuck_for(now) > self._silence:
                link.lose_with(f"took nothing for {self._silence:g} s")
            elif now - link.said_at > ALIVE:
                partner.link.send(KeepAlive())
        self._measure(now)

    async def part(self) -> None:
        """Say goodbye to everyone, and hear theirs."""
        for task in self._dials:
            task.cancel()
        farewell = self._farewell()
        partners = list(self._swap.partners.values())
        for partner in partners:
            partner.link.lose = lambda _fault: None  # that it goes is no news now
            partner.link.send(farewell)
        await asyncio.gather(
            *(partner.link.finish(GOODBYE) for partner in partners),
            *self._dials,
            *self._partings,
            return_exceptions=True,
        )

    async def _dial(self, door: Door, contact: Contact) -> None:
        try:
            await door.dial(contact.address)
        except NotMetError as failure:
            self.contacts.failed(contact, str(failure), time.monotonic())
            if contact.id not in self._swap.partners:
                event = events.OutOfReach(str(contact), str(contact.address), str(failure))
                self._tell_once(event)
        else:
            self.contacts.reached(contact)

    def _turn_away(self, link: Link, error: Error) -> None:
        link.hear, link.lose = (lambda _frame: None), (lambda _fault: None)
        link.send(error)
        task = asyncio.create_task(link.finish(GOODBYE))
        self._partings.add(task)
        task.add_done_callback(self._partings.discard)

    def _measure(self, now: float) -> None:
        traffic = self._swap.traffic.values()
        self.uploads.sample(now, sum(each.sent for each in traffic))
        self.downloads.sample(now, sum(each.received for each in traffic))

    def _farewell(self) -> Goodbye:
        self._measure(time.monotonic())
        return Goodbye(self.uploads.best, self.downloads.best)

    def _tell_once(self, event: events.Event) -> None:
        if event not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(event)
            self._tell(event)


def _as_seen(host: str, teller: str) -> str:
    """Return where to reach `host`: what is the teller's own machine to it is another one to us."""
    try:
        return teller if ip_address(host).is_loopback else host
    except ValueError:
        return host

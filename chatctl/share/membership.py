"""Who takes part: finds the others, admits them, notices who is gone, and parts politely.

Whom to dial, and when; no sockets, and the time is handed in (s, monotonic).
"""

import asyncio
import time
from collections.abc import Container, Iterable, Iterator
from ipaddress import ip_address
from itertools import islice
from typing import Final

from msgspec import Struct

from chatctl.client.reconnect import Backoff
from chatctl.share import events
from chatctl.share.connection import PeerConnection
from chatctl.share.handshake import PeerInfo
from chatctl.share.listener import DialError, Listener
from chatctl.share.peer import Peer, PieceReader
from chatctl.share.progress import RateMeter
from chatctl.share.swarm import Emit, Swarm
from common.messages.base import Error, Message
from common.messages.groups import PeerEntry
from common.messages.peer_wire import MAX_EXCHANGED, Goodbye, KeepAlive, PeerAddress, PeerExchange
from common.names import check_id
from common.values import Address

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


GOODBYE_TIMEOUT: Final = 2.0
"""How long (s) the others have to say goodbye, too."""

KEEPALIVE_INTERVAL: Final = 0.5
"""After how long (s) without another word a peer says that it is still here."""

MIN_SILENCE_TIMEOUT: Final = 2.0
"""How long (s) every peer may say nothing, whatever shorter time was asked for."""

_MAX_REPORTED: Final = 100
"""Failures of connections that are told of; others could go on for ever."""


class Membership:
    """The group as the peer `own` sees it; another may say nothing for `silence_timeout` s."""

    def __init__(
        self, own: PeerInfo, swarm: Swarm, pieces: PieceReader, silence_timeout: float, emit: Emit
    ) -> None:
        self.dial_queue = DialQueue(own.id)
        self.began_at: float | None = None
        """When the first of the others was met (s, monotonic)."""
        self.seen: set[str] = set()
        """The ids of all who have been here."""
        self.goodbyes: dict[str, Goodbye] = {}
        """What those who left told of themselves."""
        self.upload_meter = RateMeter(time.monotonic())
        self.download_meter = RateMeter(time.monotonic())
        self._own = own
        self._swarm = swarm
        swarm.handle_message = self.handle_message
        self._pieces = pieces
        self._silence_timeout = max(silence_timeout, MIN_SILENCE_TIMEOUT)
        self._emit = emit
        self._connected: set[str] = set()
        self._reported: set[events.ShareEvent] = set()
        self._dials: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()

    def accept(self, connection: PeerConnection, info: PeerInfo, dialled: bool) -> None:
        """Take in a peer that has proven itself; the listener calls this."""
        swarm, old = self._swarm, self._swarm.peers.get(info.id)
        if swarm.is_banned(info.run):
            self._reject(connection, Error("unauthorized", "this peer deals with you no more"))
            return
        if old is not None and old.info.run != info.run:
            detail = f"another peer with the id {info.id} is here; choose another with --id"
            self._reject(connection, Error("name_taken", detail, name=info.id))
            return
        if old is not None:
            # Both have dialled; they are to agree on which of the two connections stays.
            is_preferred = dialled == (self._own.id < info.id)
            if not is_preferred and old.is_dialled != dialled:
                connection.close()
                return
            swarm.disconnect(old)
        self.seen.add(info.id)
        if self.began_at is None:
            self.began_at = time.monotonic()
        peer = Peer(connection, info, self._pieces, swarm.on_unreadable, dialled=dialled)
        connected = islice(swarm.peers.values(), MAX_EXCHANGED)
        others = [PeerAddress(each.id, *each.listen_address) for each in connected]
        swarm.join(peer)
        if others:
            peer.connection.send(PeerExchange(others))

    def on_rejected(self, address: Address, why: str) -> None:
        """Note who was not let in; the listener calls this."""
        self._emit_once(events.ConnectionRejected(address.host, why))

    def handle_message(self, peer: Peer, message: Message) -> None:
        """Take what a peer says about anything but files."""
        match message:
            case PeerExchange(peers):
                self.add_peers(peer.connection.address.host, peers)
            case Goodbye():
                self.goodbyes[peer.id] = peer.goodbye = message
                self.dial_queue.remove(peer.id)
                peer.connection.send(self._make_goodbye())

    def add_peers(self, reporter: str, peers: Iterable[PeerEntry | PeerAddress]) -> None:
        """Note where peers listen, as the host `reporter` sees them."""
        now = time.monotonic()
        for peer in peers:
            try:
                check_id(peer.id)
            except ValueError:
                continue
            self.dial_queue.add(
                peer.id, Address(_reachable_host(peer.host, reporter), peer.port), now
            )

    def dial(self, listener: Listener, now: float) -> None:
        """Dial those whose turn it is."""
        swarm = self._swarm
        for target in self.dial_queue.take_due(now, {*swarm.peers, *swarm.departed}):
            task = asyncio.create_task(self._dial(listener, target))
            self._dials.add(task)
            task.add_done_callback(self._dials.discard)

    def check_peers(self, now: float) -> None:
        """Say that we are here, part with those who are silent, and measure."""
        for identity in self._connected.difference(self._swarm.peers):
            self.dial_queue.disconnected(identity, now)
        self._connected = set(self._swarm.peers)
        for peer in list(self._swarm.peers.values()):
            connection = peer.connection
            if now - connection.last_received_at > self._silence_timeout:
                connection.abort(f"was silent for {self._silence_timeout:g} s")
            elif connection.blocked_for(now) > self._silence_timeout:
                connection.abort(f"took nothing for {self._silence_timeout:g} s")
            elif now - connection.last_sent_at > KEEPALIVE_INTERVAL:
                peer.connection.send(KeepAlive())
        self._measure(now)

    async def leave(self) -> None:
        """Say goodbye to everyone, and hear theirs."""
        for task in self._dials:
            task.cancel()
        goodbye = self._make_goodbye()
        peers = list(self._swarm.peers.values())
        for peer in peers:
            peer.connection.on_close = lambda _error: None  # that it goes is no news now
            peer.connection.send(goodbye)
        await asyncio.gather(
            *(peer.connection.finish(GOODBYE_TIMEOUT) for peer in peers),
            *self._dials,
            *self._closing,
            return_exceptions=True,
        )

    async def _dial(self, listener: Listener, target: DialTarget) -> None:
        try:
            await listener.dial(target.address)
        except DialError as error:
            self.dial_queue.failed(target, str(error), time.monotonic())
            if target.id not in self._swarm.peers:
                event = events.PeerUnreachable(str(target), str(target.address), str(error))
                self._emit_once(event)
        else:
            self.dial_queue.connected(target)

    def _reject(self, connection: PeerConnection, error: Error) -> None:
        connection.on_frame, connection.on_close = (lambda _frame: None), (lambda _error: None)
        connection.send(error)
        task = asyncio.create_task(connection.finish(GOODBYE_TIMEOUT))
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)

    def _measure(self, now: float) -> None:
        traffic = self._swarm.traffic.values()
        self.upload_meter.sample(now, sum(each.sent for each in traffic))
        self.download_meter.sample(now, sum(each.received for each in traffic))

    def _make_goodbye(self) -> Goodbye:
        self._measure(time.monotonic())
        return Goodbye(self.upload_meter.best, self.download_meter.best)

    def _emit_once(self, event: events.ShareEvent) -> None:
        if event not in self._reported and len(self._reported) < _MAX_REPORTED:
            self._reported.add(event)
            self._emit(event)


def _reachable_host(host: str, reporter: str) -> str:
    """Return where to reach `host`: the loopback address of `reporter` is another machine to us."""
    try:
        return reporter if ip_address(host).is_loopback else host
    except ValueError:
        return host

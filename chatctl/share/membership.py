"""Group membership: discover peers, accept them, detect those that are gone, leave cleanly."""

import asyncio
import time
from collections.abc import Iterable
from ipaddress import ip_address
from itertools import islice
from typing import Final

from chatctl.share import events
from chatctl.share.connection import PeerConnection
from chatctl.share.dial_queue import DialQueue, DialTarget
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

GOODBYE_TIMEOUT: Final = 2.0
"""How long (s) to wait for the goodbyes of the others."""

KEEPALIVE_INTERVAL: Final = 0.5
"""How long (s) after its last message a peer sends a keepalive."""

MIN_SILENCE_TIMEOUT: Final = 2.0
"""The shortest silence (s) after which a peer is disconnected, whatever was asked for."""

_MAX_REPORTED: Final = 100
"""Connection failures that are reported, so that a hostile caller cannot flood the output."""


class Membership:
    """The peers of the group; one that is silent for `silence_timeout` s is disconnected."""

    def __init__(
        self, own: PeerInfo, swarm: Swarm, pieces: PieceReader, silence_timeout: float, emit: Emit
    ) -> None:
        self.dial_queue = DialQueue(own.id)
        self.began_at: float | None = None
        """When the first other peer connected (s, monotonic)."""
        self.seen: set[str] = set()
        """The ids of all peers that ever connected."""
        self.goodbyes: dict[str, Goodbye] = {}
        """The goodbyes of those that left."""
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
        """Accept or reject an authenticated peer; the listener calls this."""
        swarm, old = self._swarm, self._swarm.peers.get(info.id)
        if swarm.is_banned(info.run):
            self._reject(connection, Error("unauthorized", "this peer has dropped you"))
            return
        if old is not None and old.info.run != info.run:
            detail = f"another peer has the id {info.id}; choose another with --id"
            self._reject(connection, Error("name_taken", detail, name=info.id))
            return
        if old is not None:
            # Both sides dialled. They must agree on which of the two connections to keep.
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
        """Report a rejected connection; the listener calls this."""
        self._emit_once(events.ConnectionRejected(address.host, why))

    def handle_message(self, peer: Peer, message: Message) -> None:
        """Handle the messages of a peer about the group."""
        match message:
            case PeerExchange(peers):
                self.add_peers(peer.connection.address.host, peers)
            case Goodbye():
                self.goodbyes[peer.id] = peer.goodbye = message
                self.dial_queue.remove(peer.id)
                peer.connection.send(self._make_goodbye())

    def add_peers(self, reporter: str, peers: Iterable[PeerEntry | PeerAddress]) -> None:
        """Note where peers listen, as reported by the host `reporter`."""
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
        """Dial the peers that are due."""
        swarm = self._swarm
        for target in self.dial_queue.take_due(now, {*swarm.peers, *swarm.departed}):
            task = asyncio.create_task(self._dial(listener, target))
            self._dials.add(task)
            task.add_done_callback(self._dials.discard)

    def check_peers(self, now: float) -> None:
        """Send keepalives, disconnect silent peers, and sample the traffic."""
        for identity in self._connected.difference(self._swarm.peers):
            self.dial_queue.disconnected(identity, now)
        self._connected = set(self._swarm.peers)
        for peer in list(self._swarm.peers.values()):
            connection = peer.connection
            if now - connection.last_received_at > self._silence_timeout:
                connection.abort(f"was silent for {self._silence_timeout:g} s")
            elif connection.blocked_for(now) > self._silence_timeout:
                connection.abort(f"read nothing for {self._silence_timeout:g} s")
            elif now - connection.last_sent_at > KEEPALIVE_INTERVAL:
                peer.connection.send(KeepAlive())
        self._measure(now)

    async def leave(self) -> None:
        """Send a goodbye to every peer, and wait for theirs."""
        for task in self._dials:
            task.cancel()
        goodbye = self._make_goodbye()
        peers = list(self._swarm.peers.values())
        for peer in peers:
            peer.connection.on_close = lambda _error: None  # expected now
            peer.connection.send(goodbye)
        await asyncio.gather(
            *(peer.connection.close_gracefully(GOODBYE_TIMEOUT) for peer in peers),
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
        task = asyncio.create_task(connection.close_gracefully(GOODBYE_TIMEOUT))
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
    """Return where to reach `host`: a loopback address means the machine of the `reporter`."""
    try:
        return reporter if ip_address(host).is_loopback else host
    except ValueError:
        return host

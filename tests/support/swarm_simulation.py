"""Swarms in virtual time: real planners on simulated connections, without sockets and clocks.

A peer divides its uplink among its connections, one chunk at a time; a message waits for the piece
that has begun before it. Downlinks are no limit. Everything that is sent arrives.
"""

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from random import Random
from typing import Final, NamedTuple

from bitarray import bitarray

from chatctl.share.planner.actions import Drop, Send
from chatctl.share.planner.planner import Planner
from common.manifest import PIECE_SIZE, Layout
from common.messages.base import Message
from common.messages.peer_wire import Piece

LATENCY: Final = 0.005
"""How long (s) a message takes to arrive, after it has left the uplink."""

_CHUNK: Final = 16 * 2**10


class MemberSpec(NamedTuple):
    """A peer: its uplink (B/s), its file (bytes), and when it joins (s)."""

    uplink: float
    size: int
    joins_at: float = 0.0


class SendQueue:
    """The data that waits for one peer: messages, and pieces after them."""

    def __init__(self) -> None:
        self.queued: list[Message] = []
        self.pieces: deque[Piece] = deque()
        self.left = 0
        """Bytes of the first piece that have not left; 0 until it begins."""

    def take_queued(self) -> list[Message]:
        """Return the messages that wait, and forget them."""
        queued, self.queued = self.queued, []
        return queued


class SimulatedPeer:
    """A planner, and the send queue of each of its connections."""

    def __init__(self, name: str, member: MemberSpec, random: Random) -> None:
        self.name = name
        self.uplink = member.uplink
        self.layout = Layout([member.size])
        self.planner = Planner(name, _digest(name), self.layout, random=random)
        self.send_queues: dict[str, SendQueue] = {}
        self.turns: deque[str] = deque()
        self.is_sending = False
        self.timer_at: float | None = None
        self.completed_at: float | None = None
        self.sent = 0
        """How many pieces it sent."""


class Simulation:
    """Peers "0", "1", … that have the manifests of all."""

    def __init__(self, members: Sequence[MemberSpec], seed: int = 1) -> None:
        self.now = 0.0
        self.duplicates = 0
        """How many pieces reached a peer that already had them."""
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._order = count()
        random = Random(seed)
        everyone = [
            SimulatedPeer(str(number), member, Random(random.random()))
            for number, member in enumerate(members)
        ]
        self.peers: dict[str, SimulatedPeer] = {}
        """The peers that have joined and not left."""
        for peer, member in zip(everyone, members, strict=True):
            for other in everyone:
                if other is not peer:
                    nothing = bitarray(len(other.layout))
                    peer.planner.add_owner(
                        other.name, _digest(other.name), other.layout, nothing, 0.0
                    )
            self.at(member.joins_at, partial(self._join, peer))

    def at(self, when: float, act: Callable[[], object]) -> None:
        """Schedule a call of `act` at the moment `when` (s)."""
        heapq.heappush(self._events, (when, next(self._order), act))

    def run(self) -> float:
        """Run until all peers are complete; return when (s)."""
        while self._events:
            self.now, _, act = heapq.heappop(self._events)
            act()
            if all(peer.completed_at is not None for peer in self.peers.values()):
                return max(peer.completed_at or 0.0 for peer in self.peers.values())
        raise AssertionError(f"no events are left, and pieces are missing: {self.missing()}")

    def missing(self) -> dict[str, int]:
        """Return how many pieces each incomplete peer lacks."""
        return {
            name: missing
            for name, peer in self.peers.items()
            if (missing := sum(1 for _ in peer.planner.missing()))
        }

    def leave(self, name: str) -> None:
        """Remove a peer without a goodbye."""
        del self.peers[name]
        for other in self.peers.values():
            other.send_queues.pop(name)
            other.planner.remove_peer(name, self.now)
            self._execute(other)

    def _join(self, peer: SimulatedPeer) -> None:
        for other in self.peers.values():
            for one, two in ((peer, other), (other, peer)):
                one.send_queues[two.name] = SendQueue()
                one.planner.add_peer(two.name, self.now, 2 * LATENCY)
            self._execute(other)
        self.peers[peer.name] = peer
        self._execute(peer)

    def _execute(self, peer: SimulatedPeer) -> None:
        """Execute the actions of a planner, and schedule its next timer."""
        for action in peer.planner.take_actions(self.now):
            assert not isinstance(action, Drop), action
            if isinstance(action, Send):
                self._queue(peer, action.peer_id, action.message)
        self._transmit(peer)
        if peer.completed_at is None and peer.planner.is_complete:
            peer.completed_at = self.now
        deadline = peer.planner.next_deadline
        if deadline is not None and deadline != peer.timer_at:
            peer.timer_at = deadline
            self.at(deadline, partial(self._on_timer, peer))

    def _on_timer(self, peer: SimulatedPeer) -> None:
        if peer.name in self.peers:
            peer.planner.on_timer(self.now)
            self._execute(peer)

    def _queue(self, peer: SimulatedPeer, to: str, message: Message) -> None:
        send_queue = peer.send_queues[to]
        if not isinstance(message, Piece):
            send_queue.queued.append(message)
            return
        peer.sent += 1
        send_queue.pieces.append(message)
        if len(send_queue.pieces) == 1:
            peer.turns.append(to)

    def _transmit(self, peer: SimulatedPeer) -> None:
        """Send all messages, and a chunk of the piece whose turn it is."""
        for to, send_queue in peer.send_queues.items():
            if send_queue.queued and not send_queue.left:
                self._deliver_soon(peer.name, to, send_queue.take_queued())
        while not peer.is_sending and peer.turns:
            to = peer.turns.popleft()
            if (each := peer.send_queues.get(to)) is not None:
                each.left = each.left or each.pieces[0].size
                chunk = min(each.left, _CHUNK)
                peer.is_sending = True
                self.at(self.now + chunk / peer.uplink, partial(self._sent, peer, to, each, chunk))

    def _sent(self, peer: SimulatedPeer, to: str, send_queue: SendQueue, chunk: int) -> None:
        peer.is_sending = False
        send_queue.left -= chunk
        if not send_queue.left:
            self._deliver_soon(peer.name, to, [send_queue.pieces.popleft()])
        if send_queue.pieces:
            peer.turns.append(to)
        self._transmit(peer)

    def _deliver_soon(self, sender: str, to: str, messages: list[Message]) -> None:
        self.at(self.now + LATENCY, partial(self._deliver, sender, to, messages))

    def _deliver(self, sender: str, to: str, messages: list[Message]) -> None:
        if sender not in self.peers or to not in self.peers:
            return
        peer = self.peers[to]
        for message in messages:
            peer.planner.receive(sender, message, self.now)
            if isinstance(message, Piece):
                owner, index = message.owner, message.index
                if peer.planner.piece_received(sender, owner, index, self.now):
                    peer.planner.piece_verified(owner, index, self.now)
                else:
                    self.duplicates += 1
        self._execute(peer)


def equal(count: int, pieces: int, uplink: float = 1e6) -> list[MemberSpec]:
    """Return `count` equal members."""
    return [MemberSpec(uplink, pieces * PIECE_SIZE)] * count


def _digest(name: str) -> str:
    return f"{name:0>64}"

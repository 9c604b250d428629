"""Pings, broadcasts, direct and durable messages: what it costs to take and deliver a message."""

import socket

from msgspec import Struct

from bench.durable_protocol import DurableProtocol
from bench.load import measure_flows
from bench.load.base import Flow, Pace
from bench.measure import Goal, Measurement, Target, Timing
from bench.sockets import (
    connect,
    connect_author,
    connect_recipient,
    connect_subscriber,
    drain_unsolicited,
    expect_silence,
    numbered,
    receive_until,
    repeated,
)

_AUTHOR = "author"
_MAX_BEHIND = 1_024  # messages that members may be behind at a fixed rate


class Broadcast(Struct, frozen=True):
    """Keep `window` messages in flight; a message is in flight until every member has received it.

    With a `rate` (messages/s) they are sent at that rate instead, and latency counts from when
    each was due.
    """

    name: str
    members: int
    window: int = _MAX_BEHIND
    rate: int = 0
    content_size: int = 100
    goal: Goal | None = None
    unit: str = "deliveries"

    def run(self, target: Target, timing: Timing) -> Measurement:
        """Count deliveries at the members, each of which must receive everything in order."""
        protocol = target.protocol
        author = connect_author(target, _AUTHOR)
        members = [connect_subscriber(target, f"m{n}") for n in range(self.members)]
        drain_unsolicited((author, *members), target)
        reply = protocol.author_reply(self.members)
        flow = Flow(
            author=author,
            sends=numbered(protocol.broadcast, self.content_size),
            receivers=members,
            expects=numbered(
                lambda text: protocol.broadcast_delivery(_AUTHOR, text), self.content_size
            ),
            pace=Pace(self.window, interval_s=1 / self.rate if self.rate else 0.0),
            replies=repeated(reply, 1_000) if reply else None,
        )
        measured = measure_flows([flow], target, timing)
        for sock in (author, *members):
            expect_silence(sock, target)
        return measured


class Direct(Struct, frozen=True):
    """In every pair one sends, the other receives; `window` messages are in flight in each pair."""

    name: str
    pairs: int
    window: int
    content_size: int = 100
    goal: Goal | None = None
    unit: str = "messages"

    def run(self, target: Target, timing: Timing) -> Measurement:
        """Count messages at the recipients, each of which must receive everything in order."""
        flows = [self._pair(target, f"a{n:03}", f"b{n:03}") for n in range(self.pairs)]
        sockets = [sock for flow in flows for sock in (flow.author, *flow.receivers)]
        drain_unsolicited(sockets, target)
        measured = measure_flows(flows, target, timing)
        for sock in sockets:
            expect_silence(sock, target)
        return measured

    def _pair(self, target: Target, one: str, other: str) -> Flow:
        protocol, size = target.protocol, self.content_size
        reply = protocol.author_reply(1)
        return Flow(
            author=connect_author(target, one),
            sends=numbered(lambda text: protocol.direct(other, text), size),
            receivers=[connect_recipient(target, other)],
            expects=numbered(lambda text: protocol.direct_delivery(one, other, text), size),
            pace=Pace(self.window),
            replies=repeated(reply, 1_000) if reply else None,
        )


class Durable(Struct, frozen=True):
    """Each of `authors` has up to `window` messages that are not yet acknowledged.

    With a window of one it sends the next when the last is acknowledged. All authors together send
    up to `max_messages` in a run: more than any server stores.
    """

    name: str
    authors: int
    window: int = 1
    content_size: int = 100
    max_messages: int = 800_000
    goal: Goal | None = None
    unit: str = "messages"

    def run(self, target: Target, timing: Timing) -> Measurement:
        """Count acknowledgements; how long they take is the latency of a commit, way included."""
        protocol = target.protocol
        assert isinstance(protocol, DurableProtocol), "it acknowledges nothing"
        protocol.prepare(target)
        flows = [self._flow(target, protocol, f"a{number:04}") for number in range(self.authors)]
        sockets = [flow.author for flow in flows]
        drain_unsolicited(sockets, target)
        measured = measure_flows(flows, target, timing)
        for sock in sockets:
            expect_silence(sock, target)
            sock.close()
        return measured

    def _flow(self, target: Target, protocol: DurableProtocol, name: str) -> Flow:
        count = self.max_messages // self.authors
        author = _connect_durable(target, protocol, name)
        return Flow(
            author=author,
            sends=protocol.durable_messages(name, count, self.content_size),
            receivers=[author],
            expects=protocol.acknowledgements(name, count),
            pace=Pace(self.window),
        )


def _connect_durable(target: Target, protocol: DurableProtocol, name: str) -> socket.socket:
    author = connect(target)
    author.sendall(protocol.durable_hello(name))
    receive_until(author, target.protocol.welcome)
    return author


class Ping(Struct, frozen=True):
    """Every connection has up to `window` pings in flight, and sends them `batch` at a time."""

    name: str
    connections: int
    window: int = 1
    batch: int = 1
    goal: Goal | None = None
    unit: str = "pongs"

    def run(self, target: Target, timing: Timing) -> Measurement:
        """Measure the steady state; a pong is checked but for the times in it."""
        sockets = [connect_author(target, f"p{n}") for n in range(self.connections)]
        drain_unsolicited(sockets, target)
        measured = measure_flows([self._flow(sock, target) for sock in sockets], target, timing)
        for sock in sockets:
            expect_silence(sock, target)
        return measured

    def _flow(self, sock: socket.socket, target: Target) -> Flow:
        return Flow(
            author=sock,
            sends=repeated(target.protocol.ping(), self.batch),
            receivers=[sock],
            expects=repeated(target.protocol.pong, self.batch),
            pace=Pace(self.window, self.batch),
        )

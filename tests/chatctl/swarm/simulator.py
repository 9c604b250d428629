"""Planners against each other in virtual time, on links of given rates."""

import heapq
from collections import deque
from itertools import count
from random import Random

from chatctl.swarm.orders import Send
from chatctl.swarm.planner import Planner
from common.messages.swarm import Piece
from common.pieces import PIECE, Bitfield, Layout

LATENCY = 0.001


class Uplink:
    """Sockets that take turns, a chunk each."""

    def __init__(self, rate):
        self.rate = rate
        self.sockets = {}
        self.turns = deque()
        self.busy = False


class Node:
    def __init__(self, name, up, down, layout, random):
        self.name, self.up, self.down = name, up, down
        self.planner = Planner(name, name * 8, layout, random=random)
        self.layout = layout
        self.queues = {}
        self.last = {}
        self.turns = deque()
        self.busy = False
        self.down_free = 0.0
        self.got = {}
        self.finished = None
        self.woken = None


class Swarm:
    def __init__(self, ups, downs, sizes, seed=1, latency=LATENCY, chunk=PIECE):
        self.now = 0.0
        self.random = Random(seed)
        self.latency, self.chunk = latency, chunk
        self.events = []
        self.order = count()
        self.sent = 0
        self.duplicates = 0
        self.nodes = {}
        self.messages = 0
        for i, (u, d, s) in enumerate(zip(ups, downs, sizes)):
            name = f"p{i}"
            self.nodes[name] = Node(name, u, d, Layout([s]), Random(self.random.random()))

    def at(self, when, call, *arguments):
        heapq.heappush(self.events, (when, next(self.order), call, arguments))

    def start(self):
        for a in self.nodes.values():
            for b in self.nodes.values():
                if a is not b:
                    a.planner.know(b.name, b.name * 8, b.layout, Bitfield(len(b.layout)), 0.0)
        for a in self.nodes.values():
            for b in self.nodes.values():
                if a is not b:
                    a.planner.join(b.name, 0.0, 2 * self.latency)
        for a in self.nodes.values():
            self.flush(a)

    def flush(self, node):
        batches = {}
        for order in node.planner.take_orders(self.now):
            if isinstance(order, Send):
                batches.setdefault(order.peer, []).append(order.message)
        for peer, messages in batches.items():
            queue = node.queues.setdefault(peer, deque())
            if not queue:
                node.turns.append(peer)
            small = []
            for message in messages:
                small.append(message)
                if isinstance(message, Piece):
                    queue.append([message.size, small])
                    small = []
            if small:
                queue.append([0, small])
        if not node.busy:
            self.transmit(node)
        when = node.planner.deadline
        if when is not None and when != node.woken:
            node.woken = when
            self.at(when, self.wake, node)
        if node.finished is None and node.planner.is_complete:
            node.finished = self.now

    def wake(self, node):
        node.planner.wake(self.now)
        self.flush(node)

    def transmit(self, node):
        while node.turns:
            peer = node.turns.popleft()
            queue = node.queues[peer]
            while queue and not queue[0][0]:
                self.hand(self.now + self.latency, node, self.nodes[peer], queue.popleft()[1])
            if not queue:
                continue
            head = queue[0]
            part = min(head[0], self.chunk)
            head[0] -= part
            done = self.now + part / node.up
            target = self.nodes[peer]
            if not head[0]:
                queue.popleft()
                start = max(target.down_free, self.now + self.latency)
                target.down_free = max(start + part / target.down, done + self.latency)
                self.hand(target.down_free, node, target, head[1])
                self.sent += 1
            if queue:
                node.turns.append(peer)
            node.busy = True
            self.at(done, self.sent_chunk, node)
            return
        node.busy = False

    def hand(self, when, node, target, messages):
        when = max(when, target.last.get(node.name, 0.0))
        target.last[node.name] = when
        self.at(when, self.deliver, node, target, messages)

    def sent_chunk(self, node):
        node.busy = False
        self.transmit(node)

    def deliver(self, source, target, messages):
        planner = target.planner
        for message in messages:
            self.messages += 1
            planner.receive(source.name, message, self.now)
            if isinstance(message, Piece):
                key = message.owner, message.index
                if planner.arrived(source.name, *key, self.now):
                    planner.verified(*key, self.now)
                else:
                    self.duplicates += 1
        self.flush(target)

    def run(self, until=1e9):
        self.start()
        while self.events and self.now < until:
            self.now, _, call, arguments = heapq.heappop(self.events)
            call(*arguments)
            if all(n.finished is not None for n in self.nodes.values()) :
                break
        return max((n.finished if n.finished is not None else 1e9) for n in self.nodes.values())


def bound(ups, downs, sizes):
    total = sum(sizes)
    return max(
        max(s / u for s, u in zip(sizes, ups)),
        max((total - s) / d for s, d in zip(sizes, downs)),
        (len(ups) - 1) * total / sum(ups),
    )

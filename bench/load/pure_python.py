"""The load where nothing can be compiled: the same as `load.c`, several times slower."""

import select
import time
from collections import deque

from bench.errors import WrongAnswerError
from bench.load.base import Flow, mismatch
from bench.measure import BUCKETS, bucket
from bench.sockets import BytePattern

_CHUNK = 256 * 1024


class PurePythonLoad:
    """Drives the flows in Python."""

    def __init__(self, flows: list[Flow]) -> None:
        self._counts = [0] * BUCKETS
        self._epoll = select.epoll()
        self._ends: dict[int, _End] = {}
        self._flows = [_FlowState(flow) for flow in flows]
        self._is_finishing = False
        for state in self._flows:
            flow = state.flow
            for receiver in flow.receivers:
                self._add(receiver.fileno(), state, flow.expects)
            if flow.author not in flow.receivers:
                self._add(flow.author.fileno(), state, flow.replies, is_receiver=False)

    def run(self, seconds: float) -> int:
        """Load the server for so long; return how many messages receivers have received."""
        self._is_finishing = False
        return self._run(seconds)

    def finish(self, seconds: float) -> bool:
        """Send no more and receive what is still to come; False if in so long not all has come."""
        self._is_finishing = True
        self._run(seconds)
        return self._is_over()

    def take_latencies(self) -> list[int]:
        """Return how long messages took since the last time."""
        taken, self._counts = self._counts, [0] * BUCKETS
        return taken

    def _add(
        self, fd: int, state: "_FlowState", expects: BytePattern | None, *, is_receiver: bool = True
    ) -> None:
        self._ends[fd] = _End(state, expects, is_receiver=is_receiver)
        self._epoll.register(fd, select.EPOLLIN)

    def _run(self, seconds: float) -> int:
        end = time.perf_counter_ns() + round(seconds * 1e9)
        received = 0
        for state in self._flows:
            self._send_due(state)
        while (now := time.perf_counter_ns()) < end and not (
            self._is_finishing and self._is_over()
        ):
            due = min([end, *(state.next_due for state in self._flows if state.interval)])
            for fd, _event in self._epoll.poll(max(0, due - now) / 1e9):
                received += self._receive(fd)
            for state in self._flows:
                self._send_due(state)
        return received

    def _send_due(self, state: "_FlowState") -> None:
        if self._is_finishing:
            state.send()
        else:
            state.send_due()

    def _receive(self, fd: int) -> int:
        end = self._ends[fd]
        try:
            chunk = end.state.receive(fd)
        except OSError as error:
            raise WrongAnswerError(f"connection lost: {error.strerror}") from None
        if not chunk:
            raise WrongAnswerError("connection lost: the server closed the connection")
        if (
            end.expects is None
            or end.position + len(chunk) > end.state.queued * end.expects.length
            or not end.expects.matches(end.position, chunk)
        ):
            raise mismatch(end.expects, end.position, chunk[:200])
        before = end.position // end.expects.length
        end.position += len(chunk)
        after = end.position // end.expects.length
        if not end.is_receiver or after == before:
            return 0
        now = time.perf_counter_ns()
        for number in range(before, after):
            self._counts[bucket(now - end.state.note_received(number))] += 1
        return after - before

    def _is_over(self) -> bool:
        return all(
            end.expects is None or end.position == end.state.queued * end.expects.length
            for end in self._ends.values()
        )


class _End:
    """A socket and what it has received (bytes)."""

    def __init__(
        self, state: "_FlowState", expects: BytePattern | None, *, is_receiver: bool
    ) -> None:
        self.state = state
        self.expects = expects
        self.is_receiver = is_receiver
        self.position = 0


class _FlowState:
    """The messages of a flow that some receiver still has to receive, and when each was queued."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.queued = 0
        self.interval = round(flow.pace.interval_s * 1e9)
        self._done = 0
        self._sent = 0
        self._start = 0
        self._open: deque[list[int]] = deque()
        self._sockets = {sock.fileno(): sock for sock in (flow.author, *flow.receivers)}
        for sock in self._sockets.values():
            sock.setblocking(False)

    @property
    def next_due(self) -> int:
        """When (ns) the next message is due."""
        return self._start + self.queued * self.interval

    def receive(self, fd: int) -> bytes:
        return self._sockets[fd].recv(_CHUNK)

    def send_due(self) -> None:
        """Queue and send what the window permits, or what is due."""
        pace, now = self.flow.pace, time.perf_counter_ns()
        permitted = pace.window - (self.queued - self._done)
        if self.interval:
            self._start = self._start or now
            permitted = min(permitted, (now - self._start) // self.interval + 1 - self.queued)
        for _ in range(permitted - permitted % pace.batch):
            began = self.next_due if self.interval else now
            self._open.append([began, len(self.flow.receivers)])
            self.queued += 1
        self.send()

    def send(self) -> None:
        """Send what is queued and not yet sent, as far as the kernel takes it."""
        sends = self.flow.sends
        while (left := self.queued * sends.length - self._sent) > 0:
            start = self._sent % sends.period
            try:
                self._sent += self.flow.author.send(
                    sends.doubled[start : start + min(left, sends.period)]
                )
            except BlockingIOError:
                return
            except OSError as error:
                raise WrongAnswerError(f"connection lost: {error.strerror}") from None

    def note_received(self, number: int) -> int:
        """Note that one receiver has message `number`; return when (ns) that was queued."""
        message = self._open[number - self._done]
        message[1] -= 1
        while self._open and not self._open[0][1]:
            self._open.popleft()
            self._done += 1
        return message[0]

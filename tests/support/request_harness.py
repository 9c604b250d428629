"""The service of requests, on a clock that a test moves, and those who ask."""

import json
from typing import Any, Final

from chatd.config import RequestConfig
from chatd.core.session import Session
from chatd.core.timer_wheel import TimerWheel
from chatd.services.request import Requests
from common.messages.base import RejectedError
from common.protocol.codec import Decoder, InvalidLine
from common.protocol.registry import FROM_CLIENT
from tests.support.fake_time import FakeTime
from tests.support.fakes import detached_send_queue

SEED: Final = 7
DELAY: Final = (1.0, 5.0)


class FakeRequester:
    """One connection without a socket: sends lines, reads lines."""

    local_host = "192.0.2.254"

    def __init__(self, harness: "RequestHarness") -> None:
        send_queue = detached_send_queue()
        self.session = Session("192.0.2.1:40000", 0.0, send_queue, self)
        self._harness = harness
        self._decoder = Decoder(FROM_CLIENT)

    def send(self, line: str) -> None:
        """Send one line that is a request and have it served."""
        for message in self._decoder.feed(line.encode() + b"\n"):
            assert not isinstance(message, InvalidLine), message
            serve = {row.kind: row.handler for row in self._harness.requests.routes}[type(message)]
            try:
                serve(self.session, message)
            except RejectedError as error:
                self.session.send(error.error)

    def ask(self, request_id: str | int, data: str = "a&&b&&c") -> None:
        """Send a request without a code."""
        self.send(json.dumps({"request_id": request_id, "data": data}))

    def lines(self) -> list[str]:
        """Return what came since the last time."""
        taken = iter(lambda: self.session.send_queue.take(1_000), b"")
        return b"".join(taken).decode().split("\n")[:-1]

    def received(self) -> list[dict[str, Any]]:
        """Return what came since the last time, decoded."""
        return [json.loads(line) for line in self.lines()]

    def received_ids(self) -> list[str | int]:
        """Return the ids of the answers that came since the last time."""
        return [answer["request_id"] for answer in self.received() if "data" in answer]

    def leave(self) -> None:
        """Lose the connection."""
        self._harness.requests.closed(self.session)

    def close_transport(self) -> None:
        raise AssertionError("requests close no session")

    async def drain(self) -> None:
        raise AssertionError("requests wait for no session")


class RequestHarness:
    """The service, with a wheel on a clock of its own."""

    def __init__(
        self,
        delay: tuple[float, float] = DELAY,
        max_pending: int = 10_000,
        max_bytes: int = 8 * 2**20,
    ) -> None:
        self.time = FakeTime()
        self.wheel = TimerWheel(self.time.monotonic, self.time.set_timer)
        config = RequestConfig(delay=delay, seed=SEED, max_pending=max_pending)
        self.requests = Requests(self.wheel, config, max_bytes)

"""Real services with a fake clock and a scheduler that a test runs.

A test lets clients say hello, has them say things, and looks at what each was sent. What is said
before anything is received happens in one loop iteration, and so is one batch of the log.
"""

import asyncio
import json
from collections.abc import Callable
from itertools import count
from typing import Any, Final, TypeAlias

from msgspec import structs

from chatd.app import App, Resources, Storage
from chatd.config import (
    AccountConfig,
    Config,
    ConnectionLimits,
    RequestConfig,
    ShareConfig,
    TimestampConfig,
)
from chatd.core.formats import Format
from chatd.core.session import Session
from chatd.core.timer_wheel import TimerWheel
from chatd.messagelog.memory import MemoryLog
from tests.support.fake_time import quiet
from tests.support.fakes import (
    FakeClock,
    FakeTimeFile,
    ManualScheduler,
    UnavailableFeed,
    detached_send_queue,
)

Json: TypeAlias = dict[str, Any]

DAY: Final = 86_400.0

MAX_LINE: Final = 2**20

CONFIG: Final = Config(
    limits=ConnectionLimits(send_queue_limit=10_000),
    request=RequestConfig(seed=1, max_pending=3),
    timestamp=TimestampConfig(max_exchanges=3),
    share=ShareConfig(max_groups=2, max_peers=3),
)
"""The settings of every harness: small limits, and the same delays in every run."""


class ServiceHarness:
    """Every service behind the router, as the server puts them together; `reservation` is in s."""

    def __init__(
        self,
        make_log: Callable[[int, ManualScheduler], MemoryLog[Session]] = MemoryLog,
        *,
        keep_messages: int = 10_000,
        reservation: float = 7 * DAY,
    ) -> None:
        self.clock = FakeClock()
        self.scheduler = ManualScheduler()
        self.log = make_log(keep_messages, self.scheduler)
        self.wheel = TimerWheel(self.clock.monotonic, self.clock.set_timer)
        self.time_file = FakeTimeFile()
        resources = Resources(
            storage=Storage(self.log, self.log),
            clock=self.clock,
            wheel=self.wheel,
            flush=lambda: None,
            time_file=self.time_file,
            feed_source=UnavailableFeed(),
            make_secret=map("secret {}".format, count(1)).__next__,
        )
        accounts = AccountConfig(reservation=reservation)
        self.app = App(structs.replace(CONFIG, accounts=accounts), resources)
        self.presence, self.fanout = self.app.presence, self.app.fanout
        self.registration, self.router = self.app.registration, self.app.router
        self._client_count = 0

    async def open(self) -> None:
        """Let the log report to the fan-out."""
        await self.app.open()

    def connect(self) -> "FakeClient":
        """Let somebody connect."""
        self._client_count += 1
        return FakeClient(self, f"192.0.2.{self._client_count}:40000")

    async def register(self, name: str, **fields: Any) -> "FakeClient":
        """Let somebody connect and be welcomed."""
        client = self.connect()
        await client.hello(name=name, **fields)
        return client

    async def client(self, name: str, **fields: Any) -> "FakeClient":
        """Let somebody connect and be welcomed with version 1."""
        return await self.register(name, version=1, **fields)


class FakeClient:
    """One connection, its transport included: sends messages, and reads what it is sent."""

    local_host = "192.0.2.254"

    def __init__(self, harness: ServiceHarness, address: str) -> None:
        self.welcome: Json = {}
        """What answered its hello; empty in the text format."""
        self.session = Session(address, harness.clock.monotonic(), detached_send_queue(), self)
        self._harness = harness
        self._format = self.session.send_queue.format
        self._decoder = self._format.make_decoder(MAX_LINE)
        self._unread: list[Json] = []
        self._reads = asyncio.Event()
        self._reads.set()

    @property
    def token(self) -> str:
        """The token that came with the welcome."""
        token: str = self.welcome["token"]
        return token

    async def hello(self, **fields: Any) -> None:
        """Say hello and be welcomed."""
        await self.send("hello", **fields)
        assert self.session.is_registered, self.lines()
        if self.session.send_queue.format is not Format.TEXT:
            self.welcome, *self._unread = self.received()

    async def send(self, code: str, **fields: Any) -> None:
        """Send one JSON object and have it served to the end."""
        await self.send_line(json.dumps({"code": code, **fields}, ensure_ascii=False))

    async def send_line(self, line: str) -> None:
        """Send one line, as JSON or as text, whichever was agreed on."""
        if self.session.send_queue.format is not self._format:
            self._format = self.session.send_queue.format
            self._decoder = self._format.make_decoder(MAX_LINE)
        self.session.read_ns = self._harness.clock.wall_ns()
        router = self._harness.router
        rest = router.serve(self.session, self._decoder.feed(line.encode() + b"\n"))
        if rest is not None:
            await rest

    async def start_sending(self, code: str, **fields: Any) -> "asyncio.Task[None]":
        """Send one JSON object and have it served as far as that goes without waiting."""
        task = asyncio.create_task(self.send(code, **fields))
        await quiet()
        return task

    async def ask(self, code: str, **fields: Any) -> Json:
        """Send one JSON object and return the only message that comes."""
        await self.send(code, **fields)
        (answer,) = self.received()
        return answer

    async def broadcast(self, *contents: str) -> None:
        """Send each of `contents` to everyone, and run what was scheduled without reading it."""
        for content in contents:
            await self.send("outgoing_broadcast", content=content)
        self._harness.scheduler.run()

    def received(self) -> list[Json]:
        """Run what was scheduled and return the messages that came since the last time."""
        received, self._unread = self._unread, []
        return received + [json.loads(line) for line in self.lines()]

    def lines(self) -> list[str]:
        """Run what was scheduled and return the lines that came since the last time."""
        self._harness.scheduler.run()
        taken = iter(lambda: self.session.send_queue.take(1_000), b"")
        return b"".join(taken).decode().split("\n")[:-1]

    def stop_reading(self) -> None:
        """From now on the connection is never drained."""
        self._reads.clear()

    def resume_reading(self) -> None:
        """Let the connection be drained."""
        self._reads.set()

    async def read_once(self) -> None:
        """Let the connection be drained once."""
        self._reads.set()
        self._reads.clear()
        await quiet()

    def is_closed(self) -> bool:
        """Tell whether the session is over."""
        return self.session.is_closing

    def lose_connection(self) -> None:
        """Lose the connection."""
        self.session.close("connection lost")

    def close_transport(self) -> None:
        """Do what a connection does when its session is over."""
        self._harness.router.closed(self.session)

    async def drain(self) -> None:
        """Wait until this client reads."""
        await self._reads.wait()

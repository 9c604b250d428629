"""Runs one torture test, from the first hello to the verdict."""

import asyncio
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from tests.support.ports import reserve_port
from tests.torture import checker, journal
from tests.torture.checker import Facts, Promise
from tests.torture.client import open_client
from tests.torture.processes import ManagedProcess, run
from tests.torture.proxy import Proxy

MAX_UPTIME: Final = 1.0
"""Seconds (s) that the daemon runs at most, once it listens."""

START_KILL_SHARE: Final = 0.2
"""Share of the kills that hit the daemon while it starts, within `MAX_STARTING` s."""

MAX_STARTING: Final = 0.3

MAX_PAUSE: Final = 1.2
"""Seconds (s) at most between two kills of clients, or two stops."""

MAX_CONNECTION_TIME: Final = 6.0
"""Seconds (s) at most between two cuts, times the number of clients."""

MAX_STOP: Final = 1.5

MAX_STOP_WITH_RETENTION: Final = 6.0
"""The same with retention: long enough for messages to expire that the client has missed."""

Durability = Literal["process", "power"]


class Plan(Struct, frozen=True):
    """Which faults to inject: `kills` of the daemon, and of each other kind as many as come.

    Of each kind there is one at least, however fast the machine is. Same `seed`, same draws; what
    each hits is up to the machine.

    `patience` (s) is for everyone to finish undisturbed, `limit` (s) for all of it. The log keeps
    the newest `keep_messages` (0: all).
    """

    durability: Durability
    seed: int
    kills: int
    clients: int
    patience: float
    limit: float
    log_fault: str | None = None
    keep_messages: int = 0


class FaultCounts(Struct):
    """How many faults of each kind were injected."""

    daemon_kills: int = 0
    killed_while_starting: int = 0
    client_kills: int = 0
    client_stops: int = 0
    cuts: int = 0


class Verdict(Struct, frozen=True):
    """The promises that held or broke, and the faults that were injected."""

    plan: Plan
    seconds: float
    faults: FaultCounts
    messages: int
    resent: int
    repeats: int
    gaps: int
    promises: list[Promise]

    @property
    def holds(self) -> bool:
        """Whether no promise was broken."""
        return not any(promise.broken for promise in self.promises)


class Supervisor:
    """Injects faults into a daemon and its clients; `progress` is called for each kill.

    All files are in `folder`.
    """

    def __init__(self, plan: Plan, folder: Path, progress: Callable[[], None]) -> None:
        self._plan = plan
        self._folder = folder
        self._progress = progress
        self._names = [f"m{number}" for number in range(1, plan.clients + 1)]
        self._faults = FaultCounts()
        self._failures: list[str] = []
        self._is_over = asyncio.Event()

    async def run(self) -> Verdict:
        """Run the plan and return the verdict; all processes have ended by then."""
        began = time.monotonic()
        with reserve_port() as port:
            proxy = Proxy(port, self._random("proxy"))
            daemon = self._daemon(port)
            await proxy.start()
            clients = [self._client(name, proxy.port) for name in self._names]
            try:
                async with asyncio.timeout(self._plan.limit):
                    await self._register_clients(daemon, proxy.port)
                    await self._inject_faults(daemon, clients, proxy)
                    await self._finish(daemon, clients)
            except TimeoutError:
                self._failures.append(f"it was not over within {self._plan.limit:g} s")
            finally:
                for process in (*clients, daemon):
                    await process.kill()
                await proxy.close()
        self._faults.cuts = proxy.cuts
        return await self._check(time.monotonic() - began)

    def _random(self, whose: str) -> random.Random:
        return random.Random(f"{self._plan.seed} {whose}")

    def _daemon(self, port: int) -> ManagedProcess:
        options = {
            "--port": str(port),
            "--data": str(self._data),
            "--durability": self._plan.durability,
            "--log-level": "warning",
            "--keep-messages": str(self._plan.keep_messages),
        }
        fault = self._plan.log_fault
        program = ["tests.torture.faulty_daemon", fault] if fault else ["chatd"]
        words = (word for pair in options.items() for word in pair)
        command = [sys.executable, "-m", *program, *words]
        return ManagedProcess("chatd", command, self._folder / "chatd.stderr", self._failures)

    @property
    def _data(self) -> Path:
        return self._folder / "chatd"

    def _journal(self, name: str) -> Path:
        return self._folder / f"{name}.journal"

    def _client(self, name: str, port: int) -> ManagedProcess:
        options = {
            "--port": str(port),
            "--state": str(self._folder / "state"),
            "--journal": str(self._journal(name)),
            "--seed": str(self._plan.seed),
            "--limit": str(self._plan.limit),
        }
        words = (word for pair in options.items() for word in pair)
        command = [
            sys.executable,
            "-m",
            "tests.torture.client",
            name,
            *words,
            "--everyone",
            *self._names,
        ]
        return ManagedProcess(name, command, self._folder / f"{name}.stderr", self._failures)

    async def _register_clients(self, daemon: ManagedProcess, port: int) -> None:
        """Register all names before the first message, which is for all of them."""
        await daemon.start()
        await daemon.wait_until_listening()
        for name in self._names:
            async with open_client(port, self._folder / "state") as client:
                await client.hello(name)

    async def _inject_faults(
        self, daemon: ManagedProcess, clients: list[ManagedProcess], proxy: Proxy
    ) -> None:
        for process in clients:
            await process.start()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._kill_daemon(daemon))
            group.create_task(self._kill_clients(clients))
            group.create_task(self._stop_clients(clients))
            group.create_task(self._cut(proxy))

    async def _kill_daemon(self, daemon: ManagedProcess) -> None:
        draw = self._random("daemon")
        try:
            await asyncio.sleep(draw.uniform(0, MAX_UPTIME))
            for left in reversed(range(self._plan.kills)):
                await daemon.kill()
                self._faults.daemon_kills += 1
                self._progress()
                await daemon.start()
                if left and draw.random() < START_KILL_SHARE:
                    self._faults.killed_while_starting += 1
                    await asyncio.sleep(draw.uniform(0, MAX_STARTING))
                else:
                    await daemon.wait_until_listening()
                    await asyncio.sleep(draw.uniform(0, MAX_UPTIME))
        finally:
            self._is_over.set()

    async def _kill_clients(self, clients: list[ManagedProcess]) -> None:
        draw = self._random("kills")
        while await self._is_next_due(draw.uniform(0, MAX_PAUSE), self._faults.client_kills):
            target = draw.choice(clients)
            await target.kill()
            self._faults.client_kills += 1
            await asyncio.sleep(draw.uniform(0, MAX_PAUSE) / 2)
            await target.start()

    async def _stop_clients(self, clients: list[ManagedProcess]) -> None:
        draw = self._random("stops")
        longest = MAX_STOP_WITH_RETENTION if self._plan.keep_messages else MAX_STOP
        while await self._is_next_due(draw.uniform(0, MAX_PAUSE), self._faults.client_stops):
            target = draw.choice(clients)
            self._faults.client_stops += target.pause()
            await asyncio.sleep(draw.uniform(0, longest))
            target.resume()

    async def _cut(self, proxy: Proxy) -> None:
        draw = self._random("cuts")
        longest = MAX_CONNECTION_TIME / self._plan.clients
        while await self._is_next_due(draw.uniform(0, longest), proxy.ack_cuts):
            proxy.cut()

    async def _is_next_due(self, seconds: float, injected: int) -> bool:
        """Wait so long (s), and return whether to inject a fault of which there were `injected`."""
        if not injected:
            await asyncio.sleep(seconds)
            return True
        try:
            async with asyncio.timeout(seconds):
                await self._is_over.wait()
        except TimeoutError:
            return True
        return False

    async def _finish(self, daemon: ManagedProcess, clients: list[ManagedProcess]) -> None:
        await asyncio.gather(*(process.stop(None, self._plan.patience) for process in clients))
        await daemon.stop(signal.SIGTERM, self._plan.patience)

    async def _check(self, seconds: float) -> Verdict:
        journals = {name: journal.read(self._journal(name)) for name in self._names}
        facts = Facts(journals, self._plan.keep_messages)
        code, output = await run(sys.executable, "-m", "chatd", "--check", str(self._data))
        starts = facts.starts + self._faults.daemon_kills + 1
        promises = [
            *checker.check(facts),
            checker.promise("nothing ended by itself, or failed to end", starts, self._failures),
            checker.promise("the database is sound (chatd --check)", 1, [output] if code else []),
        ]
        return Verdict(
            plan=self._plan,
            seconds=seconds,
            faults=self._faults,
            messages=len(facts.authors),
            resent=sum(ack.duplicate for ack in facts.acks),
            repeats=sum(delivery.is_repeat for delivery in facts.deliveries),
            gaps=len(facts.gaps),
            promises=promises,
        )

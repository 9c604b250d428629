"""Runs one torture from the first hello to the verdict."""

import asyncio
import random
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct

from tests.torture import checker, journal, member
from tests.torture.charges import Charge, run
from tests.torture.checker import Facts, Promise
from tests.torture.proxy import Proxy

LONGEST_LIFE: Final = 1.0
"""Seconds (s) that the daemon lives at most, once it listens."""

STILLBORN: Final = 0.2
"""Part of the kills that come while the daemon starts, within `STARTING` s."""

STARTING: Final = 0.3

LONGEST_PEACE: Final = 1.2
"""Seconds (s) at most between two kills of clients, or two stops."""

LONGEST_LINK: Final = 6.0
"""Seconds (s) at most between two cuts, times the number of clients: each has its share."""

LONGEST_STOP: Final = 1.5

LONGEST_ABSENCE: Final = 6.0
"""The same where the log does not keep all: so long that some of what is missed is gone."""

Durability = Literal["process", "power"]


class Plan(Struct, frozen=True):
    """What to do to whom. Same `seed`, same draws; what each hits is up to the machine.

    `patience` (s) is for everyone to finish in peace, `limit` (s) for all of it. The log keeps the
    newest `keep_messages` (0: all).
    """

    durability: Durability
    seed: int
    kills: int
    clients: int
    patience: float
    limit: float
    log_fault: str | None = None
    keep_messages: int = 0


class Deeds(Struct):
    """What was done to the daemon and its clients."""

    daemon_kills: int = 0
    stillborn: int = 0
    client_kills: int = 0
    client_stops: int = 0
    cuts: int = 0


class Verdict(Struct, frozen=True):
    """What became of every promise, and how hard it was tried."""

    plan: Plan
    seconds: float
    deeds: Deeds
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
    """Tortures a daemon with its data in `folder`, and its clients; `progress` is told of kills."""

    def __init__(self, plan: Plan, folder: Path, progress: Callable[[], None]) -> None:
        self._plan = plan
        self._folder = folder
        self._progress = progress
        self._names = [f"m{number}" for number in range(1, plan.clients + 1)]
        self._deeds = Deeds()
        self._mishaps: list[str] = []
        self._is_over = asyncio.Event()

    async def run(self) -> Verdict:
        """Do what the plan says and return what came of it; all programs have ended by then."""
        began = time.monotonic()
        with reserved_port() as port:
            proxy = Proxy(port, self._draw("proxy"))
            daemon = self._daemon(port)
            await proxy.start()
            members = [self._member(name, proxy.port) for name in self._names]
            try:
                async with asyncio.timeout(self._plan.limit):
                    await self._introduce(daemon, proxy.port)
                    await self._torment(daemon, members, proxy)
                    await self._let_finish(daemon, members)
            except TimeoutError:
                self._mishaps.append(f"it was not over within {self._plan.limit:g} s")
            finally:
                for charge in (*members, daemon):
                    await charge.kill()
                await proxy.close()
        self._deeds.cuts = proxy.cuts
        return await self._judge(time.monotonic() - began)

    def _draw(self, whose: str) -> random.Random:
        return random.Random(f"{self._plan.seed} {whose}")

    def _daemon(self, port: int) -> Charge:
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
        return Charge("chatd", command, self._folder / "chatd.stderr", self._mishaps)

    @property
    def _data(self) -> Path:
        return self._folder / "chatd"

    def _journal(self, name: str) -> Path:
        return self._folder / f"{name}.journal"

    def _member(self, name: str, port: int) -> Charge:
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
            "tests.torture.member",
            name,
            *words,
            "--everyone",
            *self._names,
        ]
        return Charge(name, command, self._folder / f"{name}.stderr", self._mishaps)

    async def _introduce(self, daemon: Charge, port: int) -> None:
        """Have everyone known to the daemon before the first message: it is for all of them."""
        await daemon.start()
        await daemon.listening()
        for name in self._names:
            async with member.client(port, self._folder / "state") as client:
                await client.hello(name)

    async def _torment(self, daemon: Charge, members: list[Charge], proxy: Proxy) -> None:
        for charge in members:
            await charge.start()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._kill_daemon(daemon))
            group.create_task(self._kill_members(members))
            group.create_task(self._stop_members(members))
            group.create_task(self._cut(proxy))

    async def _kill_daemon(self, daemon: Charge) -> None:
        draw = self._draw("daemon")
        try:
            await asyncio.sleep(draw.uniform(0, LONGEST_LIFE))
            for left in reversed(range(self._plan.kills)):
                await daemon.kill()
                self._deeds.daemon_kills += 1
                self._progress()
                await daemon.start()
                if left and draw.random() < STILLBORN:
                    self._deeds.stillborn += 1
                    await asyncio.sleep(draw.uniform(0, STARTING))
                else:
                    await daemon.listening()
                    await asyncio.sleep(draw.uniform(0, LONGEST_LIFE))
        finally:
            self._is_over.set()

    async def _kill_members(self, members: list[Charge]) -> None:
        draw = self._draw("kills")
        while await self._peace(draw.uniform(0, LONGEST_PEACE)):
            victim = draw.choice(members)
            await victim.kill()
            self._deeds.client_kills += 1
            await asyncio.sleep(draw.uniform(0, LONGEST_PEACE) / 2)
            await victim.start()

    async def _stop_members(self, members: list[Charge]) -> None:
        draw = self._draw("stops")
        longest = LONGEST_ABSENCE if self._plan.keep_messages else LONGEST_STOP
        while await self._peace(draw.uniform(0, LONGEST_PEACE)):
            victim = draw.choice(members)
            self._deeds.client_stops += victim.pause()
            await asyncio.sleep(draw.uniform(0, longest))
            victim.go_on()

    async def _cut(self, proxy: Proxy) -> None:
        draw = self._draw("cuts")
        while await self._peace(draw.uniform(0, LONGEST_LINK / self._plan.clients)):
            proxy.cut()

    async def _peace(self, seconds: float) -> bool:
        """Wait so long (s), and tell whether the torment goes on."""
        try:
            async with asyncio.timeout(seconds):
                await self._is_over.wait()
        except TimeoutError:
            return True
        return False

    async def _let_finish(self, daemon: Charge, members: list[Charge]) -> None:
        await asyncio.gather(*(charge.end(None, self._plan.patience) for charge in members))
        await daemon.end(signal.SIGTERM, self._plan.patience)

    async def _judge(self, seconds: float) -> Verdict:
        journals = {name: journal.read(self._journal(name)) for name in self._names}
        facts = Facts(journals, self._plan.keep_messages)
        code, said = await run(sys.executable, "-m", "chatd", "--check", str(self._data))
        lives = facts.lives + self._deeds.daemon_kills + 1
        promises = [
            *checker.check(facts),
            checker.promise("nothing ended by itself, or failed to end", lives, self._mishaps),
            checker.promise("the database is sound (chatd --check)", 1, [said] if code else []),
        ]
        return Verdict(
            plan=self._plan,
            seconds=seconds,
            deeds=self._deeds,
            messages=len(facts.authors),
            resent=sum(ack.duplicate for ack in facts.acks),
            repeats=sum(sighting.is_repeat for sighting in facts.sightings),
            gaps=len(facts.gaps),
            promises=promises,
        )


@contextmanager
def reserved_port() -> Iterator[int]:
    """Yield a port of loopback that stays free for a server while none listens there.

    A socket that is bound and never listens keeps the kernel from lending the port to anyone who
    connects or asks for any port; one who asks for this port, with SO_REUSEADDR as servers do, may
    listen.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", 0))
        yield holder.getsockname()[1]

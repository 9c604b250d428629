"""One of the clients: sends numbered messages, reads what comes, and keeps a journal of both.

`python -m tests.torture.member` is started again by the supervisor whenever it was killed, and goes
on from its journal and from what chatctl kept. When its standard input ends it sends no more, makes
sure that all it ever sent is acknowledged, says farewell, and ends when all others have: whoever
has seen the last farewell has seen everything before it, or never will.
"""

import argparse
import asyncio
import random
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from chatctl.backoff import Backoff
from chatctl.client import (
    Client,
    Delivered,
    Error,
    Event,
    Gap,
    Incoming,
    IncomingBroadcast,
    LogStartedOver,
    RefusedError,
    Resumed,
    Undelivered,
)
from tests.torture.journal import Acked, Began, CaughtUp, Gapped, Journal, Seen, Sent, Troubled

BURST: Final = 8
"""Messages sent at once, at most: some are on their way at any moment."""

PAUSE: Final = 0.6
"""Longest pause (s) between two bursts."""

BUSY: Final = 0.05
"""Part of the messages that keep the program busy after it wrote them down, up to `BUSY_FOR` s."""

BUSY_FOR: Final = 0.1

INBOX: Final = 32
"""Events that wait for the program before the client leaves more to the server's log."""

FAREWELL: Final = "farewell"


class Member:
    """The client `name`, one of `everyone`; `draw` decides what it does when."""

    def __init__(
        self, name: str, everyone: list[str], journal: Journal, client: Client, seed: str
    ) -> None:
        self._name = name
        self._others = [other for other in everyone if other != name]
        self._journal = journal
        self._client = client
        self._open: dict[str, str | None] = {}
        self._count = 0
        self._missed = set(self._others)
        lives = 0
        for row in journal.rows:
            match row:
                case Began():
                    lives += 1
                case Sent():
                    self._count += 1
                    self._open[row.ref] = row.to
                case Acked():
                    self._open.pop(row.ref, None)
                case Seen():
                    self._note_farewell(row)
        self._draw = random.Random(f"{seed} {name} {lives}")
        self._busyness = random.Random(f"{seed} {name} {lives} busy")
        self.is_told_to_end = asyncio.Event()

    async def live(self) -> None:
        """Send and read until told to end, and until all others have, too."""
        self._journal.write(Began())
        async with self._client:
            await self._client.hello(self._name)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read())
                group.create_task(self._send())

    async def _read(self) -> None:
        if not self._missed:
            return
        async for event in self._client:
            self._note(event)
            if not self._missed:
                return
            if self._busyness.random() < BUSY:
                await asyncio.sleep(self._busyness.uniform(0, BUSY_FOR))

    def _note(self, event: Event) -> None:
        match event:
            case Incoming(id=int(number)) | IncomingBroadcast(id=int(number)):
                is_direct = isinstance(event, Incoming)
                seen = Seen(number, event.author or "", event.content, is_direct)
                self._journal.write(seen)
                self._note_farewell(seen)
            case Delivered(message=message, id=number, duplicate=duplicate):
                self._acknowledged(message.ref or "", number, duplicate=duplicate)
            case Gap(first=first):
                self._journal.write(Gapped(first))
            case Resumed(last=last, gap=gap):
                self._journal.write(CaughtUp(last, gap))
            case LogStartedOver() | Undelivered() | Error() | Incoming():
                self._journal.write(Troubled(repr(event)))

    def _note_farewell(self, seen: Seen) -> None:
        if seen.ref == f"{seen.author}.{FAREWELL}":
            self._missed.discard(seen.author)

    async def _send(self) -> None:
        while not self.is_told_to_end.is_set():
            refs = [self._plan() for _ in range(self._draw.randint(1, BURST))]
            await asyncio.gather(*map(self._deliver, refs))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._draw.uniform(0, PAUSE)):
                    await self.is_told_to_end.wait()
        await asyncio.gather(*map(self._deliver, list(self._open)))
        await self._deliver(self._write_down(FAREWELL, None))

    def _plan(self) -> str:
        self._count += 1
        to = self._draw.choice(self._others) if self._draw.random() < 0.5 else None
        return self._write_down(str(self._count), to)

    def _write_down(self, what: str, to: str | None) -> str:
        ref = f"{self._name}.{what}"
        self._journal.write(Sent(ref, to))
        self._open[ref] = to
        return ref

    async def _deliver(self, ref: str) -> None:
        to = self._open[ref]
        try:
            if to is None:
                receipt = await self._client.broadcast(ref, ref=ref)
            else:
                receipt = await self._client.send(to, ref, ref=ref)
        except RefusedError as refusal:
            self._journal.write(Troubled(f"{ref} was refused: {refusal.reason}"))
        else:
            self._acknowledged(ref, receipt.id, duplicate=receipt.duplicate)

    def _acknowledged(self, ref: str, number: int, *, duplicate: bool) -> None:
        self._journal.write(Acked(ref, number, duplicate))
        self._open.pop(ref, None)


def client(port: int, state: Path) -> Client:
    """Return a client that is back soon after a loss, and waits for as long as it takes."""
    backoff = Backoff(base=0.02, cap=0.3)
    return Client(
        "127.0.0.1",
        port,
        state=state,
        answer_timeout=None,
        max_queue=INBOX,
        backoff=backoff,
    )


async def main() -> None:
    """Live as the command line says, for `--limit` s at most."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture.member")
    parser.add_argument("name")
    parser.add_argument("--everyone", nargs="+", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--seed", required=True)
    parser.add_argument("--limit", type=float, required=True)
    args = parser.parse_args()
    with Journal(args.journal) as journal:
        connection = client(args.port, args.state)
        member = Member(args.name, args.everyone, journal, connection, args.seed)
        loop = asyncio.get_running_loop()

        def end_of_input() -> None:
            loop.remove_reader(sys.stdin)
            member.is_told_to_end.set()

        loop.add_reader(sys.stdin, end_of_input)
        async with asyncio.timeout(args.limit):
            await member.live()


if __name__ == "__main__":
    asyncio.run(main())

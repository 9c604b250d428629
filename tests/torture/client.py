"""A client of the torture test: it sends and reads messages, and keeps a journal of both.

The supervisor starts `python -m tests.torture.client` again whenever it killed it. The client then
continues from its journal and from what chatctl kept. When its standard input ends, it sends no
more new messages, makes sure that all its messages are acknowledged, and sends a final message. It
ends when it has the final messages of all others: the order of the log puts those last, so that
nothing can be missing after them.
"""

import argparse
import asyncio
import random
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

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
from chatctl.client.reconnect import Backoff
from tests.torture.journal import Acked, CaughtUp, Gapped, Journal, Seen, Sent, Started, Unexpected

MAX_BURST: Final = 8
"""Messages sent at once, at most: some are on their way at any moment."""

MAX_PAUSE: Final = 0.6
"""Longest pause (s) between two bursts."""

BUSY_SHARE: Final = 0.05
"""Share of the messages after which the program is busy, for up to `MAX_BUSY` s."""

MAX_BUSY: Final = 0.1

EVENT_LIMIT: Final = 32
"""Events that wait for the program before the client leaves more to the server's log."""

FINAL: Final = "final"


class TortureClient:
    """The client `name`, one of `everyone`; `seed` decides what it does when."""

    def __init__(
        self, name: str, everyone: list[str], journal: Journal, client: Client, seed: str
    ) -> None:
        self._name = name
        self._others = [other for other in everyone if other != name]
        self._journal = journal
        self._client = client
        self._unacknowledged: dict[str, str | None] = {}
        self._count = 0
        self._unfinished = set(self._others)
        starts = 0
        for row in journal.rows:
            match row:
                case Started():
                    starts += 1
                case Sent():
                    self._count += 1
                    self._unacknowledged[row.ref] = row.to
                case Acked():
                    self._unacknowledged.pop(row.ref, None)
                case Seen():
                    self._note_final(row)
        self._random = random.Random(f"{seed} {name} {starts}")
        self._busy_random = random.Random(f"{seed} {name} {starts} busy")
        self.stop_requested = asyncio.Event()

    async def run(self) -> None:
        """Send and read until the input ends, and until all others have finished, too."""
        self._journal.write(Started())
        async with self._client:
            await self._client.hello(self._name)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._read())
                group.create_task(self._send())

    async def _read(self) -> None:
        if not self._unfinished:
            return
        async for event in self._client:
            self._note(event)
            if not self._unfinished:
                return
            if self._busy_random.random() < BUSY_SHARE:
                await asyncio.sleep(self._busy_random.uniform(0, MAX_BUSY))

    def _note(self, event: Event) -> None:
        match event:
            case Incoming(id=int(number)) | IncomingBroadcast(id=int(number)):
                is_direct = isinstance(event, Incoming)
                seen = Seen(number, event.author or "", event.content, is_direct)
                self._journal.write(seen)
                self._note_final(seen)
            case Delivered(message=message, id=number, duplicate=duplicate):
                self._acknowledged(message.ref or "", number, duplicate=duplicate)
            case Gap(first=first):
                self._journal.write(Gapped(first))
            case Resumed(last=last, gap=gap):
                self._journal.write(CaughtUp(last, gap))
            case LogStartedOver() | Undelivered() | Error() | Incoming():
                self._journal.write(Unexpected(repr(event)))

    def _note_final(self, seen: Seen) -> None:
        if seen.ref == f"{seen.author}.{FINAL}":
            self._unfinished.discard(seen.author)

    async def _send(self) -> None:
        while not self.stop_requested.is_set():
            refs = [self._plan() for _ in range(self._random.randint(1, MAX_BURST))]
            await asyncio.gather(*map(self._deliver, refs))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._random.uniform(0, MAX_PAUSE)):
                    await self.stop_requested.wait()
        await asyncio.gather(*map(self._deliver, list(self._unacknowledged)))
        await self._deliver(self._record_sent(FINAL, None))

    def _plan(self) -> str:
        self._count += 1
        to = self._random.choice(self._others) if self._random.random() < 0.5 else None
        return self._record_sent(str(self._count), to)

    def _record_sent(self, what: str, to: str | None) -> str:
        ref = f"{self._name}.{what}"
        self._journal.write(Sent(ref, to))
        self._unacknowledged[ref] = to
        return ref

    async def _deliver(self, ref: str) -> None:
        to = self._unacknowledged[ref]
        try:
            if to is None:
                receipt = await self._client.broadcast(ref, ref=ref)
            else:
                receipt = await self._client.send(to, ref, ref=ref)
        except RefusedError as error:
            self._journal.write(Unexpected(f"{ref} was refused: {error.reason}"))
        else:
            self._acknowledged(ref, receipt.id, duplicate=receipt.duplicate)

    def _acknowledged(self, ref: str, number: int, *, duplicate: bool) -> None:
        self._journal.write(Acked(ref, number, duplicate))
        self._unacknowledged.pop(ref, None)


def open_client(port: int, state: Path) -> Client:
    """Return a client that reconnects quickly and never gives up."""
    backoff = Backoff(base=0.02, cap=0.3)
    return Client(
        "127.0.0.1",
        port,
        state=state,
        answer_timeout=None,
        max_queue=EVENT_LIMIT,
        backoff=backoff,
    )


async def main() -> None:
    """Run as the command line says, for `--limit` s at most."""
    parser = argparse.ArgumentParser(prog="python -m tests.torture.client")
    parser.add_argument("name")
    parser.add_argument("--everyone", nargs="+", required=True)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--journal", type=Path, required=True)
    parser.add_argument("--seed", required=True)
    parser.add_argument("--limit", type=float, required=True)
    args = parser.parse_args()
    with Journal(args.journal) as journal:
        library = open_client(args.port, args.state)
        client = TortureClient(args.name, args.everyone, journal, library, args.seed)
        loop = asyncio.get_running_loop()

        def end_of_input() -> None:
            loop.remove_reader(sys.stdin)
            client.stop_requested.set()

        loop.add_reader(sys.stdin, end_of_input)
        async with asyncio.timeout(args.limit):
            await client.run()


if __name__ == "__main__":
    asyncio.run(main())

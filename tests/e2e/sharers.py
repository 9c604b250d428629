"""Real processes of ``chatctl share``, for end-to-end tests."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Self

from common.pieces import PIECE_SIZE
from tests.e2e.daemon import Daemon

TIMEOUT: Final = 60.0
"""Seconds (s) for what takes one on an idle machine."""

LOCAL: Final = "127.0.0.1"

Json = dict[str, Any]


class ShareProcess:
    """A process of ``chatctl share --json``, and what it has said."""

    def __init__(self, process: Process, directory: Path) -> None:
        self.directory = directory
        self.process = process
        self.events: list[Json] = []

    @classmethod
    async def start(cls, directory: Path, *arguments: str, daemon: Daemon | None = None) -> Self:
        """Start one in `directory`, where what it receives goes to ``received``."""
        await asyncio.to_thread(directory.mkdir, exist_ok=True)
        server = {} if daemon is None else {"CHATCTL_SERVER": f"{daemon.host}:{daemon.port}"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-m", "chatctl", "share", "--json", *arguments),
            cwd=directory,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            env={**os.environ, **server},
        )
        return cls(process, directory)

    async def wait_for(self, code: str, **fields: Any) -> Json:
        """Return the first event with this code and these fields, once it has come."""
        wanted = {"code": code, **fields}
        async with asyncio.timeout(TIMEOUT):
            for event in self.events:
                if event.items() >= wanted.items():
                    return event
            while True:
                event = await self._listen()
                assert event, f"no {wanted} before the end of {self.events}"
                if event.items() >= wanted.items():
                    return event

    async def end(self) -> int:
        """Return the exit code, once it has ended."""
        async with asyncio.timeout(TIMEOUT):
            while await self._listen():
                pass
            return await self.process.wait()

    async def stderr(self) -> str:
        """Return what it told people; it has ended."""
        assert self.process.stderr is not None
        return (await self.process.stderr.read()).decode()

    async def kill(self) -> None:
        """End it without a word."""
        self.process.kill()
        await self.end()

    @property
    def report(self) -> Json:
        """What it said last."""
        assert self.events[-1]["code"] == "report", self.events
        return self.events[-1]

    def events_of(self, code: str) -> list[Json]:
        """Return what it has said with this code."""
        return [event for event in self.events if event["code"] == code]

    async def wait_for_pieces(self, pieces: int) -> None:
        """Wait until so many pieces are in its unfinished files."""
        async with asyncio.timeout(TIMEOUT):
            while self._pieces_on_disk() < pieces:  # noqa: ASYNC110 - another process does it
                await asyncio.sleep(0.01)

    def _pieces_on_disk(self) -> int:
        maps = (self.directory / "received").glob("*.part.map")
        bits = (path.read_bytes().partition(b"\n")[2] for path in maps)
        return sum(int.from_bytes(each, "big").bit_count() for each in bits)

    def finished(self) -> list[str]:
        """Return the names of what came whole."""
        return [event["path"] for event in self.events_of("received")]

    def received(self) -> dict[str, bytes]:
        """Return the files that came, by their names."""
        directory = self.directory / "received"
        return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}

    async def _listen(self) -> Json:
        assert self.process.stdout is not None
        line = await self.process.stdout.readline()
        event: Json = json.loads(line) if line else {}
        if event:
            self.events.append(event)
        return event


StartShare = Callable[..., Awaitable[ShareProcess]]
"""Starts a peer: its id, options, and files by their names."""


def make_file(directory: Path, name: str, pieces: float) -> Path:
    """Write a file of so many pieces of random bytes."""
    path = directory / name
    path.write_bytes(os.urandom(round(pieces * PIECE_SIZE)))
    return path

"""Peers for end-to-end tests: processes of ``chatctl share``, and fake peers.

A fake peer is a complete peer inside the test, made of the parts of the program. Its store can hold
pieces back, or send wrong ones.
"""

import asyncio
import json
import os
import signal
import sys
from asyncio import Future
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Self

import pytest
from msgspec import structs

from chatctl.client import Client
from chatctl.share.connection import PeerConnection
from chatctl.share.events import ShareEvent
from chatctl.share.options import ShareOptions, StopPolicy
from chatctl.share.progress import DownloadProgress
from chatctl.share.session import ShareSession, follow_group
from chatctl.share.storage.file_io import Location
from chatctl.share.storage.source_file import SharedFiles, hash_files
from chatctl.share.storage.store import StorageEvent, Store
from common.manifest import PIECE_SIZE
from common.values import Address
from tests.support.daemon_process import Daemon
from tests.support.event_loop import until

TIMEOUT: Final = 60.0
"""A generous limit (s) for waiting."""

LOCAL: Final = "127.0.0.1"

Json = dict[str, Any]


class ShareProcess:
    """A process of ``chatctl share --json``, and the events that it has printed."""

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

    async def interrupt(self) -> int:
        """Press Ctrl-C; return the exit code, once it has ended."""
        self.process.send_signal(signal.SIGINT)
        return await self.end()

    async def stderr(self) -> str:
        """Return its stderr; it must have ended."""
        assert self.process.stderr is not None
        return (await self.process.stderr.read()).decode()

    async def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        await self.end()

    @property
    def report(self) -> Json:
        """The report, its last event."""
        assert self.events[-1]["code"] == "report", self.events
        return self.events[-1]

    def events_of(self, code: str) -> list[Json]:
        """Return its events with this code."""
        return [event for event in self.events if event["code"] == code]

    async def wait_for_pieces(self, pieces: int) -> None:
        """Wait until so many pieces are in its unfinished files."""
        await until(lambda: self._pieces_on_disk() >= pieces, 0.01)

    def _pieces_on_disk(self) -> int:
        maps = (self.directory / "received").glob("*.part.map")
        bits = (path.read_bytes().partition(b"\n")[2] for path in maps)
        return sum(int.from_bytes(each, "big").bit_count() for each in bits)

    def finished(self) -> list[str]:
        """Return the paths of the files that it received."""
        return [event["path"] for event in self.events_of("received")]

    def received(self) -> dict[str, bytes]:
        """Return the content of the files that it received, by name."""
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
"""Starts a peer with an id, options, and the content of its files by name."""


def make_file(directory: Path, name: str, pieces: float) -> Path:
    """Write a file of random bytes with so many pieces."""
    path = directory / name
    path.write_bytes(os.urandom(round(pieces * PIECE_SIZE)))
    return path


class StagedStore(Store):
    """A store that reads only as many pieces as `opened` says, or returns zeros if it `lies`."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.opened: int | None = None
        """Pieces that are sent before the rest is held back; None for all."""
        self.lies = False
        self.asked: list[tuple[str, int]] = []
        self._held_back: list[Callable[[], object]] = []

    def locate(self, owner: str, index: int) -> Location | None:
        """Return None, so that every piece is read."""
        return None

    def read(self, owner: str, index: int) -> "Future[bytes]":
        """Read a piece, or hold the read back."""
        loop = asyncio.get_running_loop()
        answer: Future[bytes] = loop.create_future()

        def continue_reading() -> None:
            super(StagedStore, self).read(owner, index).add_done_callback(pass_on)

        def pass_on(done: "Future[bytes]") -> None:
            if not answer.done():
                answer.set_result(bytes(len(done.result())) if self.lies else done.result())

        self.asked.append((owner, index))
        if self.opened is None or len(self.asked) <= self.opened:
            continue_reading()
        else:
            self._held_back.append(continue_reading)
        return answer

    def open(self) -> None:
        """Hold no read back any more."""
        self.opened = None
        for continue_reading in self._held_back:
            continue_reading()
        self._held_back.clear()


class FakePeer:
    """A peer inside the test; see `running_fake_peer`."""

    def __init__(self, session: ShareSession, store: StagedStore) -> None:
        self.session = session
        self.store = store
        self.events: list[ShareEvent] = []
        self.running = asyncio.create_task(session.run())
        self.address = f"{LOCAL}:{session.info.port}"

    def emit(self, event: ShareEvent) -> None:
        """Note what happens."""
        self.events.append(event)

    def show(self, files: DownloadProgress, upload_rate: float, download_rate: float) -> None:
        """Show nothing."""

    async def leave(self) -> None:
        """Say goodbye and leave."""
        self.running.cancel()
        await asyncio.wait([self.running])

    async def vanish(self) -> None:
        """Disappear without a goodbye, like a killed process."""
        for peer in self.session.swarm.peers.values():
            _mute(peer.connection)
        await self.leave()

    def dial(self, address: str) -> None:
        """Dial a peer at `address`."""
        self.session.membership.dial_queue.add("", Address.parse(address), 0.0)

    def silence(self, peer_id: str) -> None:
        """Read and send nothing on the connection to a peer from now on, and keep it open."""
        connection = self.session.swarm.peers[peer_id].connection
        connection.pause()
        _mute(connection)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until `condition` holds."""
        await until(condition, 0.01)


def _mute(connection: PeerConnection) -> None:
    """Drop everything that is sent on a connection of the test from now on."""
    pytest.MonkeyPatch().setattr(connection, "send", lambda *_: None)


def never_stopping(peers: int | None = None) -> StopPolicy:
    """Return a policy under which a peer stays until it is told to leave."""
    return StopPolicy(peers=peers, wait=1e6, seed_after=1e6, stall=1e6)


@asynccontextmanager
async def running_fake_peer(
    directory: Path,
    identity: str,
    *files: Path,
    meets: Sequence[str] = (),
    daemon: Daemon | None = None,
    key: str = "",
    change: Callable[[SharedFiles], SharedFiles] | None = None,
    prepare: Callable[[StagedStore], object] | None = None,
) -> AsyncIterator[FakePeer]:
    """Run a fake peer in the group ``run``; it dials the addresses in `meets`.

    A `daemon` introduces it to the others. `change` changes its shared files, and `prepare` its
    store.
    """
    own = await hash_files(identity, files)
    if change is not None:
        own = change(own)
    options = ShareOptions(
        group="run",
        id=identity,
        files=files,
        uses_server=daemon is not None,
        addresses=[Address.parse(address) for address in meets],
        key=key,
        out=directory / f"of {identity}",
        max_size=2**30,
        port=0,
        stop_policy=never_stopping(),
    )
    fake_peers: list[FakePeer] = []

    def on_storage_event(news: StorageEvent) -> None:
        fake_peers[0].session.swarm.on_storage_event(news)

    class EventForwarder:
        """Passes events on to the fake peer."""

        def emit(self, event: ShareEvent) -> None:
            if fake_peers:
                fake_peers[0].emit(event)

        def show(self, *_: object) -> None:
            pass

    async with AsyncExitStack() as stack:
        store = StagedStore(options.out, max_size=options.max_size, emit=on_storage_event)
        await stack.enter_async_context(store)
        if prepare is not None:
            prepare(store)
        session = await stack.enter_async_context(
            ShareSession(options, own, store, EventForwarder(), host=LOCAL, timeout=TIMEOUT)
        )
        if daemon is not None:
            client = await stack.enter_async_context(Client(*daemon.address))
            await stack.enter_async_context(follow_group(session, client))
        fake_peers.append(FakePeer(session, store))
        try:
            yield fake_peers[0]
        finally:
            await fake_peers[0].leave()


def renamed(name: str) -> Callable[[SharedFiles], SharedFiles]:
    """Return a change that renames the only shared file."""

    def change(own: SharedFiles) -> SharedFiles:
        (file,) = own.manifest.files
        manifest = structs.replace(own.manifest, files=(structs.replace(file, name=name),))
        return structs.replace(own, manifest=manifest)

    return change


def opened(pieces: int) -> Callable[[StagedStore], None]:
    """Return what makes a store hold back all but so many pieces."""

    def prepare(store: StagedStore) -> None:
        store.opened = pieces

    return prepare


def never_writing(store: StagedStore) -> None:
    """Make a store never finish writing a piece."""
    never = asyncio.get_running_loop().create_future()
    pytest.MonkeyPatch().setattr(store, "write", lambda *_: never)


def lying(store: StagedStore) -> None:
    """Make a store return zeros."""
    store.lies = True

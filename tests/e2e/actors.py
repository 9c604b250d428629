"""Peers that do as a test tells them, for end-to-end tests.

An actor is a whole peer inside the test, put together from the rooms of the program, with a store
of its own that a test can hold back or have lie.
"""

import asyncio
from asyncio import Future
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import structs

from chatctl.client import Client
from chatctl.sharing.ending import Terms
from chatctl.sharing.events import Event
from chatctl.sharing.files import Files
from chatctl.sharing.handles import Location
from chatctl.sharing.introduced import introduced
from chatctl.sharing.manifest import Collection, collect
from chatctl.sharing.run import Run
from chatctl.sharing.store import News, Store
from chatctl.sharing.wish import Wish
from common.addresses import Address
from tests.e2e.daemon import Daemon
from tests.e2e.sharers import LOCAL, PATIENCE


class StagedStore(Store):
    """A store that reads pieces only as far as `opened` says, and may lie about some of them."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.opened: int | None = None
        """Pieces that are sent before the rest is held back; None for all."""
        self.lies = False
        self.asked: list[tuple[str, int]] = []
        self._held_back: list[Callable[[], object]] = []

    def locate(self, owner: str, index: int) -> Location | None:
        """Have every piece read, so that none goes unnoticed."""
        return None

    def read(self, owner: str, index: int) -> "Future[bytes]":
        """Read a piece when it is its turn."""
        loop = asyncio.get_running_loop()
        answer: Future[bytes] = loop.create_future()

        def go_on() -> None:
            super(StagedStore, self).read(owner, index).add_done_callback(pass_on)

        def pass_on(done: "Future[bytes]") -> None:
            if not answer.done():
                answer.set_result(bytes(len(done.result())) if self.lies else done.result())

        self.asked.append((owner, index))
        if self.opened is None or len(self.asked) <= self.opened:
            go_on()
        else:
            self._held_back.append(go_on)
        return answer

    def open(self) -> None:
        """Hold nothing back any more."""
        self.opened = None
        for go_on in self._held_back:
            go_on()
        self._held_back.clear()


class Actor:
    """A peer inside the test; see `acting`."""

    def __init__(self, run: Run, store: StagedStore) -> None:
        self.run = run
        self.store = store
        self.said: list[Event] = []
        self.going = asyncio.create_task(run.go())
        self.address = f"{LOCAL}:{run.card.port}"

    def tell(self, event: Event) -> None:
        """Note what happens."""
        self.said.append(event)

    def show(self, files: Files, upload_rate: float, download_rate: float) -> None:
        """Show nothing."""

    async def leave(self) -> None:
        """Say goodbye and go."""
        self.going.cancel()
        await asyncio.wait([self.going])

    async def vanish(self) -> None:
        """Be gone without a word, as one that is killed."""
        for partner in self.run.swap.partners.values():
            partner.link.send = lambda *_: None  # type: ignore[method-assign]
        await self.leave()

    def dial(self, address: str) -> None:
        """Go to a peer at `address`."""
        self.run.gathering.contacts.hear_of("", Address.parse(address), 0.0)

    def silence(self) -> None:
        """Say and hear nothing from now on, with all connections open."""
        for partner in self.run.swap.partners.values():
            partner.link.pause()
            partner.link.send = lambda *_: None  # type: ignore[method-assign]

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until `condition` holds."""
        async with asyncio.timeout(PATIENCE):
            while not condition():  # noqa: ASYNC110 - anything may change it
                await asyncio.sleep(0.01)


def forever(peers: int | None = None) -> Terms:
    """Return terms under which a peer stays until it is told to go."""
    return Terms(peers=peers, wait=1e6, seed_after=1e6, stall=1e6)


@asynccontextmanager
async def acting(
    directory: Path,
    identity: str,
    *files: Path,
    meets: Sequence[str] = (),
    daemon: Daemon | None = None,
    key: str = "",
    change: Callable[[Collection], Collection] | None = None,
    prepare: Callable[[StagedStore], object] | None = None,
) -> AsyncIterator[Actor]:
    """Run an actor in the group ``run`` that dials the addresses in `meets`, or is dialled.

    With a `daemon` that introduces it.
    `change` makes of what it shares something else, and `prepare` sets up its store.
    """
    own = await collect(identity, files)
    if change is not None:
        own = change(own)
    wish = Wish(
        group="run",
        id=identity,
        files=files,
        asks_server=daemon is not None,
        addresses=[Address.parse(address) for address in meets],
        key=key,
        out=directory / f"of {identity}",
        max_size=2**30,
        port=0,
        terms=forever(),
    )
    actors: list[Actor] = []

    def hear(news: News) -> None:
        actors[0].run.swap.hear_news(news)

    class Eye:
        """Hands on what there is to see."""

        def tell(self, event: Event) -> None:
            if actors:
                actors[0].tell(event)

        def show(self, *_: object) -> None:
            pass

    async with AsyncExitStack() as stack:
        store = StagedStore(wish.out, max_size=wish.max_size, tell=hear)
        await stack.enter_async_context(store)
        if prepare is not None:
            prepare(store)
        run = await stack.enter_async_context(
            Run(wish, own, store, Eye(), host=LOCAL, within=PATIENCE)
        )
        if daemon is not None:
            client = await stack.enter_async_context(Client(*daemon.address))
            await stack.enter_async_context(introduced(run, client))
        actors.append(Actor(run, store))
        try:
            yield actors[0]
        finally:
            await actors[0].leave()


def renamed(name: str) -> Callable[[Collection], Collection]:
    """Return what gives the only file of a collection another name."""

    def change(own: Collection) -> Collection:
        (file,) = own.manifest.files
        manifest = structs.replace(own.manifest, files=(structs.replace(file, name=name),))
        return structs.replace(own, manifest=manifest)

    return change


def opened(pieces: int) -> Callable[[StagedStore], None]:
    """Return what has a store hold back all but so many pieces."""

    def prepare(store: StagedStore) -> None:
        store.opened = pieces

    return prepare


def deaf(store: StagedStore) -> None:
    """Have a store never finish to write a piece."""
    store.write = lambda *_: asyncio.get_running_loop().create_future()  # type: ignore[method-assign]


def lying(store: StagedStore) -> None:
    """Have a store hand out zeros."""
    store.lies = True

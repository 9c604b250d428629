"""One run of ``chatctl share``, from the files to the report."""

import asyncio
import math
import secrets
import time
from contextlib import AsyncExitStack, suppress
from types import TracebackType
from typing import Final, Self

from chatctl.client import PeerLeft, PeerList
from chatctl.introductions import News
from chatctl.oneshot import connect
from chatctl.settings import Settings
from chatctl.sharing import events
from chatctl.sharing.door import Door, listen
from chatctl.sharing.ending import Standing, Verdict, judge
from chatctl.sharing.gathering import Gathering
from chatctl.sharing.handshake import Card, secret, stretch
from chatctl.sharing.introduced import introduced
from chatctl.sharing.manifest import Collection, collect
from chatctl.sharing.outcome import conclude
from chatctl.sharing.record import Record, Recovered, recover
from chatctl.sharing.report import Report
from chatctl.sharing.store import News as FileNews
from chatctl.sharing.store import Store
from chatctl.sharing.swap import CATALOGUE, Swap
from chatctl.sharing.view import View
from chatctl.sharing.wish import Wish
from common import pieces

TICK: Final = 0.1
"""How often (s) it is looked at who is silent, whom to dial, and whether this is the end."""

_CALM: Final = 1.0
"""After how long (s) without a piece moving it is looked for who has what is missing."""


async def share(wish: Wish, settings: Settings, view: View) -> Report:
    """Share as wished, until there is no more to do, and tell of it; to cancel it ends it well.

    Raises UsageError (files, directory, port), CannotConnectError, RefusedError,
    AnswerTimeoutError before anything was exchanged.
    """
    own = await collect(wish.id, wish.files)
    async with AsyncExitStack() as stack:

        def hear(news: FileNews) -> None:
            run.swap.hear_news(news)

        digest = pieces.digest(pieces.encode(own.manifest))
        record = Record(wish.out, wish.group, digest)
        store = Store(wish.out, max_size=wish.max_size, tell=hear, note=record.note)
        await stack.enter_async_context(store)
        recovered = await recover(await asyncio.to_thread(record.load), store)
        host, within = "", settings.timeout
        if wish.asks_server:
            client = await stack.enter_async_context(connect(settings, reconnect_for=math.inf))
            host = client.local_host
        run = Run(wish, own, store, view, host=host, within=within, recovered=recovered)
        await stack.enter_async_context(run)
        if wish.asks_server:
            await stack.enter_async_context(introduced(run, client))
        await run.go()
        if run.is_whole:
            await asyncio.to_thread(record.forget)
    return run.conclude()


class Run:
    """The rooms of one peer put together.

    It listens on `host` ("" for all addresses), and waits `within` s for anyone. Of those in
    `recovered` an earlier run had fetched all.
    """

    def __init__(
        self,
        wish: Wish,
        own: Collection,
        store: Store,
        view: View,
        *,
        host: str,
        within: float,
        recovered: Recovered | None = None,
    ) -> None:
        listener = listen(host, wish.port)
        self.wish = wish
        self.own = own.manifest
        self._recovered = recovered or {}
        self._view = view
        self._stretched = stretch(wish.key, wish.group)
        self.swap = Swap(own, store, wish.max_size, view.tell)
        port = listener.getsockname()[1]
        self.card = Card(wish.id, secrets.token_hex(16), port, self.swap.owners.digest)
        self.gathering = Gathering(self.card, self.swap, store, within, view.tell)
        self._door = Door(
            listener,
            CATALOGUE,
            own=self.card,
            group=wish.group,
            shared=secret("", self._stretched),
            within=within,
            admit=self.gathering.admit,
            refuse=self.gathering.refuse,
        )
        self._began_at = time.monotonic()
        for address in wish.addresses:
            self.gathering.contacts.hear_of("", address, self._began_at)
        self._is_introduced = self._is_told = self._is_interrupted = False
        self._looked_at = 0.0
        self._is_stranded = False
        view.tell(events.Listening(host or "*", port))
        if self._recovered:
            view.tell(events.Recovered(tuple(sorted(self._recovered))))
        expected, wait = wish.terms.peers, wish.terms.wait
        if wait:
            view.tell(events.Awaiting(None if expected is None else expected - 1, wait))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Let nobody in any more, and everybody go."""
        await self._door.close()
        self.swap.close()

    def hear(self, news: News, server: str) -> None:
        """Take what the server, at the host `server`, tells of the group."""
        match news:
            case PeerList(peers=peers, group_secret=group_secret):
                self._door.shared = secret(group_secret or "", self._stretched)
                known = peers
            case PeerLeft(id=identity):
                self.gathering.contacts.forget(identity)
                return
            case joined:
                known = [joined.peer]
        self.gathering.hear_of(server, known)
        if not self.wish.key:  # with a key, the server is not to be trusted
            for peer in known:
                self.swap.owners.trust(peer.id, peer.digest)

    async def go(self) -> None:
        """Exchange until there is no more to do, then say goodbye."""
        try:
            await self._until_done()
        except asyncio.CancelledError:
            self._is_interrupted = True
            task = asyncio.current_task()
            if task is not None:
                task.uncancel()
        finally:
            await self.gathering.part()

    async def _until_done(self) -> None:
        swap, verdict = self.swap, Verdict.GO_ON
        while verdict is Verdict.GO_ON and swap.fault is None:
            swap.stirred.clear()
            now = time.monotonic()
            self.gathering.look_after(now)
            self.gathering.dial(self._door, now)
            self._view.show(swap.files, self.gathering.uploads.rate, self.gathering.downloads.rate)
            verdict = judge(self.wish.terms, self._standing(now), now)
            self._announce()
            if verdict is Verdict.GO_ON:
                # Not wait_for, which before Python 3.12 loses a Ctrl-C that comes with the event.
                with suppress(TimeoutError):
                    async with asyncio.timeout(TICK):
                        await swap.stirred.wait()

    def _standing(self, now: float) -> Standing:
        swap = self.swap
        return Standing(
            began_at=self._began_at,
            members=1 + len(self._members),
            awaited=swap.awaited,
            completed_at=swap.completed_at,
            is_needed=swap.completed_at is not None and (swap.is_needed or bool(swap.missed)),
            is_stranded=self._look_for_holders(now),
            changed_at=max(swap.changed_at, self._began_at),
            moved_at=max(swap.planner.last_progress_at, self._began_at),
        )

    def _look_for_holders(self, now: float) -> bool:
        """Tell whether nobody linked has what is missing; looks seldom, for it takes long."""
        planner = self.swap.planner
        if planner.is_complete or now - max(planner.last_progress_at, self.swap.changed_at) < _CALM:
            self._is_stranded = False
        elif now - self._looked_at >= _CALM:
            self._looked_at = now
            self._is_stranded = not any(piece.holders for piece in planner.missing())
        return self._is_stranded

    @property
    def _members(self) -> set[str]:
        """Those who were met, and once it was waited for the others, those whose files are here.

        Before that one cannot know whether they are done and gone, or about to begin another round.
        """
        met = self.gathering.met
        has_waited = time.monotonic() - self._began_at >= self.wish.terms.wait
        return met | self._recovered.keys() if has_waited else met

    @property
    def is_whole(self) -> bool:
        """Whether everyone who was expected was here, and all files of all are."""
        return self._seconds is not None and 1 + len(self._members) >= (self.wish.terms.peers or 2)

    def _announce(self) -> None:
        met, expected = 1 + len(self.gathering.met), self.wish.terms.peers
        if not self._is_introduced and expected is not None and met >= expected:
            self._is_introduced = True
            self._view.tell(events.Introduced(met))
        if self._seconds is None or not (self.is_whole or expected is None):
            self._is_told = False
        elif not self._is_told:
            self._is_told = True
            for owner in self._members - self.gathering.met:
                for file, path in self._recovered[owner]:
                    self._view.tell(events.Received(owner, file.name, str(path), file.size))
            self._view.tell(events.Complete(round(self._seconds, 6)))

    @property
    def _seconds(self) -> float | None:
        """How long it took (s) from the first link until all was here, None while it is not.

        0 when an earlier run had fetched all, and nobody was met.
        """
        if not self.gathering.met and self._members:
            return 0.0
        return self._since_begin(self.swap.completed_at)

    def _since_begin(self, ended: float | None) -> float | None:
        began = self.gathering.began_at
        return None if began is None or ended is None else max(0.0, ended - began)

    def conclude(self) -> Report:
        """Tell how it ended."""
        wish = self.wish
        return conclude(
            self.swap,
            self.gathering,
            {owner: self._recovered[owner] for owner in self._members - self.gathering.met},
            group=wish.group,
            identity=wish.id,
            size=self.own.size,
            directory=wish.out,
            expected=wish.terms.peers,
            seconds=self._seconds,
            all_seconds=self._since_begin(self.swap.satisfied_at),
            is_interrupted=self._is_interrupted,
        )

"""Group commit: what was asked for while the last commit ran goes into the next."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice
from typing import Final, Generic, TypeAlias

import apsw

from chatd.log.batch import Batch, Claim, Stored
from chatd.log.checkpointer import Checkpointer
from chatd.log.database import Database
from chatd.log.port import Committed, Draft, Entry, NameOwner, Origin, Outcome, StorageError
from chatd.log.retention import Retention
from chatd.log.worker import Worker

logger: Final = logging.getLogger(__name__)

MAX_DRAFTS: Final = 4_096
"""Messages that one commit stores, about, at most, so that it takes some 0.1 s and no second."""

MAX_SEEN: Final = 256
"""Sightings that one commit stores at most, so that nobody waits for long."""

ROUND: Final = 60.0
"""Seconds (s) after which what became too old is forgotten, and who was seen is written."""

_PAUSE: Final = 0.01

_Answers: TypeAlias = Sequence[asyncio.Future[bool]]


class Committer(Generic[Origin]):
    """Has batches stored by the thread of `writer`, one at a time, and reports them in order.

    After each, and now and then, it has a step of what is behind filed, and a step of what
    `retention` does not keep forgotten.
    `wall_ns` tells ns since the Unix epoch.
    """

    def __init__(
        self,
        writer: Worker,
        checkpointer: Checkpointer,
        retention: Retention,
        wall_ns: Callable[[], int],
    ) -> None:
        self.first = 1
        self.last = 0
        self.seen: dict[str, tuple[int, int]] = {}
        """What is still to be written of who was here: identity and ns by the key of the name."""
        self._writer = writer
        self._checkpointer = checkpointer
        self._retention = retention
        self._wall_ns = wall_ns
        self._loop = asyncio.get_running_loop()
        self._tell: Callable[[Callable[[], None]], None] = lambda _call: None
        self._report: Committed[Origin] = lambda _outcomes: None
        self._appended: deque[tuple[Sequence[Draft], Origin]] = deque()
        self._claims: list[Claim] = []
        self._answers: list[asyncio.Future[bool]] = []
        self._asked = 0
        self._told = 0
        self._is_busy = False
        self._is_failing = False
        self._is_stopping = False
        self._has_news = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def start(
        self,
        first: int,
        last: int,
        tell: Callable[[Callable[[], None]], None],
        report: Committed[Origin],
    ) -> None:
        """Begin with a log that keeps `first` to `last`; outcomes go to `report`.

        `to_messages` has the loop call a function for another thread.
        """
        self._tell = tell
        self.first, self.last = first, last
        self._report = report
        self._tend()

    def append(self, drafts: Sequence[Draft], origin: Origin) -> None:
        """Have drafts stored."""
        self._appended.append((drafts, origin))
        self._asked += len(drafts)
        self._wake()

    async def claim(self, owner: NameOwner, replacing: NameOwner | None) -> bool:
        """Let `owner` have a name if that is free; raises StorageError when that is not known."""
        answer: asyncio.Future[bool] = self._loop.create_future()
        self._claims.append(Claim(owner, replacing))
        self._answers.append(answer)
        self._wake()
        return await answer

    async def flush(self) -> None:
        """Return when every draft that was appended so far is reported."""
        goal = self._asked
        while self._told < goal:
            await self._next_report()

    async def stop(self) -> None:
        """Store what waits and who was seen; then nothing more happens by itself."""
        self._is_stopping = True
        if self._timer is not None:
            self._timer.cancel()
        await self.flush()
        while self.seen:
            self._wake()
            await self._next_report()
            if self._is_failing:
                break
        await self._writer.settle()

    async def _next_report(self) -> None:
        self._has_news.clear()
        await self._has_news.wait()

    def _wake(self) -> None:
        if not self._is_busy:
            self._is_busy = True
            # What else this loop iteration brings goes along.
            self._loop.call_soon(self._commit)

    def _commit(self) -> None:
        seen = dict(islice(self.seen.items(), MAX_SEEN))
        batch = Batch(self._take(), self._claims, seen)
        answers = self._answers
        self._claims, self._answers = [], []
        self._writer.submit(lambda database: self._store(database, batch, answers))

    def _take(self) -> list[tuple[Sequence[Draft], Origin]]:
        taken, size = [], 0
        while self._appended and size < MAX_DRAFTS:
            appended = self._appended.popleft()
            taken.append(appended)
            size += len(appended[0])
        return taken

    def _store(self, database: Database, batch: Batch[Origin], answers: _Answers) -> None:
        """Commit, tell the loop, and only then forget what is not kept; in the writer's thread."""
        try:
            stored = self._store_in(database, batch)
        except Exception as error:
            self._tell(partial(self._failed, batch, answers, error))
        else:
            self._tell(partial(self._stored, batch, answers, stored))
            self._checkpointer.look(database)
            self._tidy(database, at_least=batch.size)

    def _store_in(self, database: Database, batch: Batch[Origin]) -> Stored[Origin]:
        try:
            return database.store(batch)
        except apsw.FullError:
            self._checkpointer.make_room(database)
            return database.store(batch)

    def _stored(self, batch: Batch[Origin], answers: _Answers, stored: Stored[Origin]) -> None:
        if self._is_failing:
            logger.warning("messages are stored again")
        self._is_failing = False
        self.first, self.last = stored.first, stored.last
        for key, sight in batch.seen.items():
            if self.seen.get(key) == sight:
                del self.seen[key]
        for answer, is_granted in zip(answers, stored.granted, strict=True):
            if not answer.done():
                answer.set_result(is_granted)
        self._go_on(stored.outcomes)

    def _failed(self, batch: Batch[Origin], answers: _Answers, error: Exception) -> None:
        if not self._is_failing:
            logger.error("cannot store messages: %s; senders are told", error)
        self._is_failing = True
        for answer in answers:
            if not answer.done():
                answer.set_exception(StorageError(str(error)))
        why = str(error)
        self._go_on(
            [
                Outcome("failed", [Entry(0, draft) for draft in drafts], origin, why)
                for drafts, origin in batch.appended
            ]
        )

    def _go_on(self, outcomes: Sequence[Outcome[Origin]]) -> None:
        """Report a batch, after the next is under way: the disk works while it is delivered."""
        self._is_busy = bool(self._appended or self._claims)
        if self._is_busy:
            self._commit()
        self._told += sum(len(outcome.entries) for outcome in outcomes)
        self._has_news.set()
        if outcomes:
            self._report(outcomes)

    def _tend(self) -> None:
        if self.seen:
            self._wake()
        is_idle = not self._is_busy
        self._writer.submit(lambda database: self._tidy(database, is_idle=is_idle))
        self._come_back(ROUND)

    def _tidy(self, database: Database, *, at_least: int = 0, is_idle: bool = False) -> None:
        first = database.first
        try:
            has_more = database.trim(self._retention, self._wall_ns(), at_least)
            has_more = (database.file(is_idle=is_idle) and is_idle) or has_more
        except apsw.Error as error:
            logger.warning("cannot tidy the log up: %s; trying again in a while", error)
            self._checkpointer.make_room(database)
        else:
            if database.first != first or has_more:
                self._tell(partial(self._tidied, database.first, has_more))

    def _tidied(self, first: int, has_more: bool) -> None:
        self.first = first
        self._come_back(_PAUSE if has_more else ROUND)

    def _come_back(self, delay: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self._is_stopping:
            self._timer = self._loop.call_later(delay, self._tend)

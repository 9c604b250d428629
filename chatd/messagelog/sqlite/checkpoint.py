"""From the write-ahead log to the database, beside the commits and not in their way."""

import logging
from contextlib import suppress
from typing import Final

import apsw

from chatd.messagelog.sqlite.statements import Database
from chatd.messagelog.sqlite.thread import DatabaseThread

logger: Final = logging.getLogger(__name__)

MIN_PAGES: Final = 1_000
"""Pages (of 4 KiB) after which there is something to move: often and little at a time."""

MAX_PAGES: Final = 4_000
"""Pages at which commits wait for a checkpoint, so that the write-ahead log begins anew.

Until it has grown to that, each commit that waits for the disk waits for the length of the file
too, which takes a fifth of the speed of one author. And the more pages, the longer the wait.
"""


class Checkpointer:
    """Has a thread of its own move pages while the writer goes on.

    In the writer's thread, as SQLite does it by itself, this took commits of 20 messages from 380
    to 650 us on average, and their p99 from 1 to 7 ms. But under a load without a pause the
    write-ahead log would grow for ever: now and then the writer moves the last pages itself.
    """

    def __init__(self, worker: DatabaseThread) -> None:
        self._worker = worker
        self._checkpointed_pages = 0
        self._is_running = False
        self._is_failing = False

    def after_commit(self, writer: Database) -> None:
        """Do what is to be done after a commit; called in the writer's thread."""
        if writer.wal_pages < self._checkpointed_pages:
            self._checkpointed_pages = 0  # it began anew
        if self._is_running or writer.wal_pages - self._checkpointed_pages < MIN_PAGES:
            return
        self._is_running = True
        if writer.wal_pages > MAX_PAGES:
            self._checkpoint(writer)
        else:
            self._worker.submit(self._checkpoint)

    def reclaim_space(self, writer: Database) -> None:
        """Move what can be moved, after a commit that found none; called in the writer's thread.

        On a full disk the write-ahead log can begin anew in the room that it has, and messages fit
        into what was forgotten in the database.
        """
        if not self._is_running:
            with suppress(apsw.Error):  # whoever could not commit says so
                self._checkpointed_pages = writer.checkpoint()

    def _checkpoint(self, database: Database) -> None:
        try:
            self._checkpointed_pages = database.checkpoint()
        except apsw.Error as error:
            if not self._is_failing:
                logger.warning("the write-ahead log cannot be emptied, and grows: %s", error)
            self._is_failing = True
        else:
            self._is_failing = False
        self._is_running = False

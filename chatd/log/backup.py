"""A copy of a log that may be in use."""

import os
from contextlib import closing
from pathlib import Path
from typing import Final

import apsw

from chatd.log import lineage
from chatd.log.opening import open_to_read, sync_directory
from chatd.log.port import UnusableLogError

_STEP_PAGES: Final = 4_096


def back_up(source: Path, target: Path) -> int:
    """Copy the log at `source` as it is at one moment to a new file; return its size in bytes.

    The daemon may go on writing. The copy has a name of its own, since ids that are given here and
    there from now on mean other messages. Raises UnusableLogError, OSError and apsw.Error.
    """
    if target.exists():
        raise UnusableLogError(f"{target} is there already; name a new file, or move it away")
    unfinished = target.with_name(f"{target.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    with (
        closing(open_to_read(source)) as log,
        closing(apsw.Connection(os.fspath(unfinished))) as copy,
    ):
        # Reading holds this moment fast; without it, each commit meanwhile would start it anew.
        log.execute("BEGIN; SELECT 1 FROM log").fetchall()
        with copy.backup("main", log, "main") as progress:
            while not progress.done:
                progress.step(_STEP_PAGES)
        copy.execute("PRAGMA journal_mode = DELETE")
        with copy:
            lineage.new_epoch(copy)
    unfinished.rename(target)
    sync_directory(target.parent)
    return target.stat().st_size

"""The actions ``--check`` and ``--backup``: look for damage, or copy a log that may be in use."""

import os
import sys
from contextlib import closing
from pathlib import Path
from typing import Final

import apsw

from chatd.messagelog.base import UnusableLogError
from chatd.messagelog.sqlite import epochs, integrity, schema
from chatd.messagelog.sqlite.open import FILE, open_to_read
from common.system.files import sync_directory
from common.system.stdio import write

_STEP_PAGES: Final = 4_096


def back_up(source: Path, target: Path) -> int:
    """Copy the log at `source` as it is at one moment to a new file; return its size in bytes.

    The daemon may go on writing. The copy gets a new name, because the same new id will mean
    different messages in the two. Raises UnusableLogError, OSError and apsw.Error.
    """
    if target.exists():
        raise UnusableLogError(f"{target} already exists; name a new file, or move it away")
    unfinished = target.with_name(f"{target.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    with (
        closing(open_to_read(source)) as log,
        closing(apsw.Connection(os.fspath(unfinished))) as copy,
    ):
        # The read transaction fixes the moment; without it, each commit would restart the copy.
        log.execute("BEGIN; SELECT 1 FROM log").fetchall()
        with copy.backup("main", log, "main") as progress:
            while not progress.done:
                progress.step(_STEP_PAGES)
        copy.execute("PRAGMA journal_mode = DELETE")
        with copy:
            epochs.new_epoch(copy)
    unfinished.rename(target)
    sync_directory(target.parent)
    return target.stat().st_size


def check(target: Path) -> bool:
    """Check a whole log, print every finding, and return whether it is sound.

    `target` is a data directory, in use or not, or a backup. Raises UnusableLogError, OutputError.
    """
    path = target / FILE if target.is_dir() else target
    with closing(open_to_read(path)) as log:
        try:
            log.execute("BEGIN")
            write(f"{path}: {_contents(log)}, {path.stat().st_size} bytes")
            findings = list(integrity.check(log))
        except apsw.Error as error:
            findings = [str(error)]
    for finding in findings:
        write(finding)
    write("damaged: restore a backup" if findings else "sound")
    return not findings


def back_up_to(data: Path, target: Path) -> None:
    """Copy the log in `data`, in use or not, to `target`. Raises UnusableLogError."""
    try:
        size = back_up(data / FILE, target)
    except (OSError, apsw.Error) as error:
        raise UnusableLogError(f"cannot make the backup {target}: {error}") from None
    sys.stderr.write(f"wrote {size} bytes to {target}\n")


def _contents(log: apsw.Connection) -> str:
    (messages,) = log.execute("SELECT count(*) FROM entry").fetchall()[0]
    (names,) = log.execute("SELECT count(*) FROM holder").fetchall()[0]
    return f"version {schema.version_of(log)}, {messages} messages, {names} names"

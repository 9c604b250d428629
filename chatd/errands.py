"""What the daemon can do instead of serving: look for damage, and make a backup."""

import sys
from contextlib import closing
from pathlib import Path

import apsw

from chatd.log import schema, soundness
from chatd.log.backup import back_up
from chatd.log.opening import FILE, open_to_read
from chatd.log.port import UnusableLogError
from chatd.streams import write


def check(target: Path) -> bool:
    """Look at all of a log, print what is found, and return whether it is sound.

    `target` is a data directory, in use or not, or a backup. Raises UnusableLogError, OutputError.
    """
    path = target / FILE if target.is_dir() else target
    with closing(open_to_read(path)) as log:
        try:
            log.execute("BEGIN")
            write(f"{path}: {_contents(log)}, {path.stat().st_size} bytes")
            findings = list(soundness.check(log))
        except apsw.Error as error:
            findings = [str(error)]
    for finding in findings:
        write(finding)
    write("damaged: put back a backup" if findings else "sound")
    return not findings


def back_up_to(data: Path, target: Path) -> None:
    """Copy the log in `data`, in use or not, to `target`. Raises UnusableLogError."""
    try:
        size = back_up(data / FILE, target)
    except (OSError, apsw.Error) as error:
        raise UnusableLogError(f"cannot make the backup {target}: {error}") from None
    print(f"{size} bytes are in {target}", file=sys.stderr)  # noqa: T201


def _contents(log: apsw.Connection) -> str:
    (messages,) = log.execute("SELECT count(*) FROM entry").fetchall()[0]
    (names,) = log.execute("SELECT count(*) FROM holder").fetchall()[0]
    return f"version {schema.version_of(log)}, {messages} messages, {names} names"

"""Files that one process at a time may write."""

import fcntl
from pathlib import Path
from typing import BinaryIO


def open_locked(path: Path) -> BinaryIO:
    """Open `path` for reading and writing, without a buffer, made where it is missing.

    The lock goes with the file, however the process ends. Raises OSError; BlockingIOError when
    another program holds it.
    """
    path.touch()
    file = path.open("r+b", buffering=0)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise BlockingIOError(f"{path} is in use by another program") from None
    return file

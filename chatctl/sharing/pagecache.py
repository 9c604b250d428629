"""Whether bytes of a file are in memory, so that handing them on does not wait for the disk."""

import os
from typing import Final

from chatctl.sharing.handles import Location

_NOWAIT: Final[int | None] = getattr(os, "RWF_NOWAIT", None)


def is_cached(location: Location) -> bool:
    """Tell whether the first and the last byte are in memory; the system reads ahead in between.

    Where it cannot tell, they count as not.
    """
    if _NOWAIT is None:
        return False
    file, offset, length = location
    byte = bytearray(1)
    try:
        for position in (offset, offset + length - 1):
            if not os.preadv(file.fileno(), [byte], position, _NOWAIT):
                return False
    except OSError:  # it would have to wait, or the file system cannot tell
        return False
    return True

"""Reading a piece of any file that is shared, one's own or another's."""

import hashlib
import os
from pathlib import Path
from typing import Protocol

from chatctl.errors import PartialError, why
from chatctl.sharing.handles import FileHandle, Location
from common.pieces import Span


class ChangedFileError(PartialError):
    """A piece is no longer what others were told of it."""


class Readable(Protocol):
    """A file whose pieces are read."""

    @property
    def path(self) -> Path:
        """Where it is."""

    def open(self) -> FileHandle:
        """Return it open; raises OSError."""

    def locate(self, offset: int, length: int) -> Location | None:
        """Return where these bytes are, or None when they are to be read to be sure of them."""


def read_piece(file: Readable, span: Span, digest: bytes) -> bytes:
    """Return the bytes at `span`, which have the SHA-256 `digest`.

    Blocks. Raises ChangedFileError when they have another, and when the file cannot be read.
    """
    try:
        piece = os.pread(file.open().fileno(), span.length, span.offset)
    except OSError as error:
        raise ChangedFileError(f"cannot read {file.path} any more: {why(error)}") from error
    if hashlib.sha256(piece).digest() != digest:
        raise ChangedFileError(
            f"{file.path} has been changed since it is shared; share it again to let others have it"
        )
    return piece

"""What one client did and saw: rows that are only ever added, each before what comes of it.

Who is killed between seeing a message and writing that down has not seen it, and gets it again.
Who is killed after that and before its library knows gets it again too, as the first message of its
next run: the one repetition that no program can avoid, and that the checker sets apart.
"""

import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeAlias

import msgspec
from msgspec import Struct


class Started(Struct, frozen=True, array_like=True, tag="started"):
    """The client was started, for the first time or again after a kill."""


class Sent(Struct, frozen=True, array_like=True, tag="sent"):
    """A message is about to be sent under `ref`, to one or (None) to all."""

    ref: str
    to: str | None


class Acked(Struct, frozen=True, array_like=True, tag="acked"):
    """The server has the message with this `ref` as `id`; `duplicate`: it had it before."""

    ref: str
    id: int
    duplicate: bool


class Seen(Struct, frozen=True, array_like=True, tag="seen"):
    """A message came; its text is the ref under which `author` sent it."""

    id: int
    author: str
    ref: str
    is_direct: bool


class Gapped(Struct, frozen=True, array_like=True, tag="gap"):
    """Some of what was missed is not kept; what comes next begins at `first`."""

    first: int


class CaughtUp(Struct, frozen=True, array_like=True, tag="caught up"):
    """All up to `last` that is for the client has come, or, with `gap`, what is left of it."""

    last: int
    gap: bool


class Unexpected(Struct, frozen=True, array_like=True, tag="unexpected"):
    """Something came that never should: an error, another log."""

    what: str


Row: TypeAlias = Started | Sent | Acked | Seen | Gapped | CaughtUp | Unexpected

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Row).decode


class Journal:
    """The journal at `path`, to be continued; `rows` has what earlier runs wrote."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        content = path.read_bytes()
        whole = content.rfind(b"\n") + 1
        os.ftruncate(self._file, whole)  # a row that a kill cut short was never acted upon
        self.rows = list(map(_decode, content[:whole].splitlines()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)

    def write(self, row: Row) -> None:
        """Add a row; it is there whatever becomes of this program. Raises OSError."""
        line = _encode(row) + b"\n"
        if os.write(self._file, line) < len(line):
            raise OSError(f"a row of {len(line)} bytes could not be written")


def read(path: Path) -> list[Row]:
    """Return the rows of a client that has ended; [] where it never began."""
    whole, _, _torn = path.read_bytes().rpartition(b"\n") if path.exists() else (b"", b"", b"")
    return list(map(_decode, whole.splitlines()))

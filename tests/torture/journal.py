"""An append-only journal of what one client did and saw, written ahead of what it does next.

A client that is killed before it has written a message down has not seen it, and receives it again.
A client that is killed after that, and before its library has recorded the message, receives it
again too, as the first message of its next run. No program can avoid this repetition, and the
checker counts it separately.
"""

import os
from pathlib import Path
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
    """A message came; its content is the ref under which `author` sent it."""

    id: int
    author: str
    ref: str
    is_direct: bool


class Gapped(Struct, frozen=True, array_like=True, tag="gap"):
    """The log no longer has some of what was missed; the oldest message it has is `first`."""

    first: int


class CaughtUp(Struct, frozen=True, array_like=True, tag="caught up"):
    """All messages for the client up to `last` have come; with `gap`, those that are kept."""

    last: int
    gap: bool


class Unexpected(Struct, frozen=True, array_like=True, tag="unexpected"):
    """Something came that must not: an error, another log."""

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

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def write(self, row: Row) -> None:
        """Add a row, which outlives a kill of this process. Raises OSError."""
        line = _encode(row) + b"\n"
        if os.write(self._file, line) < len(line):
            raise OSError(f"a row of {len(line)} bytes could not be written")


def read(path: Path) -> list[Row]:
    """Return the rows of a client that has ended; [] if it never started."""
    whole, _, _torn = path.read_bytes().rpartition(b"\n") if path.exists() else (b"", b"", b"")
    return list(map(_decode, whole.splitlines()))

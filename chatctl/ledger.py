"""What a client must not forget when it is killed: one file for each name at each server.

It holds the messages that no server has answered for yet, each written before it is sent, and the
last id that the program is done with. Each row is a JSON object: the message as it goes over the
wire, `settled` with the ref of one that needs no more care, `place` with the log and the last id.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
from msgspec import UNSET, Struct, structs

from chatctl.errors import ClientError, Exit, why
from chatctl.events import Event, LogStartedOver
from chatctl.rows import Rows
from common.messages.chat import (
    Hello,
    Incoming,
    IncomingBroadcast,
    Outgoing,
    OutgoingBroadcast,
    Resumed,
    Welcome,
)

Chat: TypeAlias = Outgoing | OutgoingBroadcast

LIMIT: Final = 16 * 2**20
"""Bytes of unsettled messages that are kept."""

_VERSION: Final = 1
_SLACK: Final = 2**20
"""Bytes of rows that mean nothing any more before they are dropped."""


class LedgerError(ClientError):
    """What must be kept cannot be written."""

    exit_code = Exit.PARTIAL


class _Head(Struct, frozen=True, tag_field="code", tag="ledger"):
    version: int
    server: str
    name: str


class _Place(Struct, frozen=True, tag_field="code", tag="place"):
    log: str
    last: int


class _Settled(Struct, frozen=True, tag_field="code", tag="settled"):
    ref: str


_Row: TypeAlias = _Head | _Place | _Settled | Outgoing | OutgoingBroadcast
_decode: Final = msgspec.json.Decoder(_Row).decode
_encode: Final = msgspec.json.Encoder().encode


class Ledger:
    """The ledger of `name` at `server` in the file at `path`, which nobody else may have open.

    Raises OSError where there can be none. A file that cannot be understood is set aside, which
    `error` then tells, and a new one begun.
    """

    def __init__(self, path: Path, server: str, name: str) -> None:
        self.log = ""
        """The log that `last` counts in; empty while nothing is known."""
        self.last = 0
        """The newest id that the program is done with."""
        self.warning = ""
        """What is wrong with what was kept, for people."""
        self._path = path
        self._head = _Head(_VERSION, server, name)
        self._unsettled: dict[str, Chat] = {}
        self._bytes = 0
        self._rows = Rows(path)
        try:
            self._read()
        except BaseException:
            self._rows.close()
            raise

    def __len__(self) -> int:
        return len(self._unsettled)

    @property
    def unsettled(self) -> list[Chat]:
        """The messages that nobody has answered for, oldest first."""
        return list(self._unsettled.values())

    def keep(self, message: Chat) -> None:
        """Keep `message`, which has a ref, until it is settled; raises LedgerError."""
        ref = message.ref or ""
        if ref in self._unsettled:
            return
        row = _encode(message)
        if self._bytes + len(row) > LIMIT:
            detail = f"{len(self)} messages wait for the server already; try again when it has them"
            raise LedgerError(detail)
        self._append(row)
        self._unsettled[ref] = message
        self._bytes += len(row)
        self._shrink()

    def settle(self, ref: str) -> None:
        """Forget the message with this ref; where that cannot be written it is sent once more."""
        message = self._unsettled.pop(ref, None)
        if message is None:
            return
        self._bytes -= len(_encode(message))
        try:
            self._append(_encode(_Settled(ref)))
        except LedgerError as error:
            self.warning = str(error)
        self._shrink()

    def place_in(self, hello: Hello, *, resume: bool) -> Hello:
        """Return `hello` with the id to go on after, to `resume`, and the log that ids are of."""
        if not self.log:
            return hello
        if hello.after is UNSET and resume:
            hello = structs.replace(hello, after=self.last)
        return hello if hello.after is UNSET else structs.replace(hello, log=self.log)

    def begin(self, hello: Hello, welcome: Welcome) -> None:
        """Note where a program begins to read whose `hello` was accepted; raises LedgerError."""
        log = self.log or welcome.log or ""
        if hello.after is not UNSET:
            self.stand(log, hello.after)
        elif not self.log:
            self.stand(log, welcome.last or 0)

    def stand(self, log: str, last: int) -> None:
        """Note where the program stands; raises LedgerError."""
        if (log, last) != (self.log, self.last):
            self.log, self.last = log, last
            self._append(_encode(_Place(log, last)))
            self._shrink()

    def see(self, *events: Event) -> None:
        """Note that the program is done with `events`, in their order; raises LedgerError."""
        log, last = self.log, self.last
        for event in events:
            match event:
                case LogStartedOver():
                    log, last = event.log, event.after
                case Incoming(id=int(number)) | IncomingBroadcast(id=int(number)):
                    last = max(last, number)
                case Resumed():
                    last = event.last
        self.stand(log, last)

    def close(self) -> None:
        """Let go of the file."""
        self._rows.close()

    def _read(self) -> None:
        rows = self._rows.read()
        try:
            if rows:
                self._understand(rows)
        except ValueError as error:
            self._set_aside(str(error))
            rows = []
        if not rows:
            self._rows.append(_encode(self._head))

    def _understand(self, rows: list[bytes]) -> None:
        """Take in what was kept; raises ValueError."""
        head, *rest = map(_decode, rows)
        if not isinstance(head, _Head):
            raise ValueError("it does not begin as a ledger does")
        if head.version != _VERSION:
            raise ValueError(f"it has version {head.version}, this chatctl knows {_VERSION}")
        for row in rest:
            match row:
                case _Place():
                    self.log, self.last = row.log, row.last
                case _Settled():
                    self._unsettled.pop(row.ref, None)
                case Outgoing(ref=str(ref)) | OutgoingBroadcast(ref=str(ref)):
                    self._unsettled[ref] = row
                case _:
                    raise ValueError("a row is out of place")
        self._bytes = sum(len(_encode(message)) for message in self._unsettled.values())

    def _set_aside(self, finding: str) -> None:
        aside = self._path.with_name(f"{self._path.name}.{time.strftime('%Y%m%dT%H%M%S')}.bad")
        self._path.rename(aside)
        self._rows.close()
        self._rows = Rows(self._path)
        self.log, self.last = "", 0
        self._unsettled.clear()
        self.warning = (
            f"what was kept for {self._head.name} cannot be read ({finding}) and is set aside as "
            f"{aside}; messages may be missing, and some that were not acknowledged are not sent"
        )

    def _append(self, row: bytes) -> None:
        try:
            self._rows.append(row)
        except OSError as error:
            raise LedgerError(f"cannot write {self._path}: {why(error)}") from None

    def _shrink(self) -> None:
        """Drop what means nothing any more, once that is much."""
        if self._rows.size > self._bytes + _SLACK:
            with suppress(OSError):  # the longer file is as good
                self._rows.replace(self._living())

    def _living(self) -> Iterator[bytes]:
        yield _encode(self._head)
        if self.log:
            yield _encode(_Place(self.log, self.last))
        yield from map(_encode, self._unsettled.values())

"""The write-ahead journal of a client, which survives a kill: one file for each name and server.

It holds the unacknowledged messages, each written before it is sent, and the last id that the
program has handled. Each row is a JSON object: a message as on the wire, `settled` with the ref of
a message that is acknowledged or refused, or `place` with the log and the last id.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
from msgspec import UNSET, Struct, structs

from chatctl.client.errors import JournalError
from chatctl.client.events import ChatMessage, Event, LogStartedOver
from chatctl.errors import why
from common.messages.chat import (
    Hello,
    Incoming,
    IncomingBroadcast,
    Outgoing,
    OutgoingBroadcast,
    Resumed,
    Welcome,
)
from common.system.files import AppendOnlyFile

LIMIT: Final = 16 * 2**20
"""Most bytes of unacknowledged messages in a journal."""

_VERSION: Final = 1
_COMPACT_AFTER: Final = 2**20
"""Bytes of obsolete rows after which the file is rewritten."""


class _JournalHeader(Struct, frozen=True, tag_field="code", tag="ledger"):
    version: int
    server: str
    name: str


class _Position(Struct, frozen=True, tag_field="code", tag="place"):
    log: str
    last: int


class _Acknowledged(Struct, frozen=True, tag_field="code", tag="settled"):
    ref: str


_Row: TypeAlias = _JournalHeader | _Position | _Acknowledged | Outgoing | OutgoingBroadcast
_decode: Final = msgspec.json.Decoder(_Row).decode
_encode: Final = msgspec.json.Encoder().encode


class ClientJournal:
    """The journal of `name` at `server` in the file at `path`; the caller holds the lock on it.

    Raises OSError if the file cannot be used. A damaged file is renamed, `warning` says so, and a
    new one is started.
    """

    def __init__(self, path: Path, server: str, name: str) -> None:
        self.log = ""
        """The log that `last` is an id of; empty if unknown."""
        self.last = 0
        """The newest id that the program has handled."""
        self.warning = ""
        """What is wrong with the file, in words for a person; usually empty."""
        self._path = path
        self._header = _JournalHeader(_VERSION, server, name)
        self._unacknowledged: dict[str, ChatMessage] = {}
        self._bytes = 0
        self._file = AppendOnlyFile(path)
        try:
            self._load()
        except BaseException:
            self._file.close()
            raise

    def __len__(self) -> int:
        return len(self._unacknowledged)

    @property
    def unacknowledged(self) -> list[ChatMessage]:
        """The messages without an acknowledgement, oldest first."""
        return list(self._unacknowledged.values())

    def append(self, message: ChatMessage) -> None:
        """Append `message`, which has a ref, and keep it until `ack`; raises JournalError."""
        ref = message.ref or ""
        if ref in self._unacknowledged:
            return
        row = _encode(message)
        if self._bytes + len(row) > LIMIT:
            detail = f"{len(self)} messages already wait for the server; try again later"
            raise JournalError(detail)
        self._write(row)
        self._unacknowledged[ref] = message
        self._bytes += len(row)
        self._compact()

    def ack(self, ref: str) -> None:
        """Forget the message with this ref; if that cannot be written, it is sent once more."""
        message = self._unacknowledged.pop(ref, None)
        if message is None:
            return
        self._bytes -= len(_encode(message))
        try:
            self._write(_encode(_Acknowledged(ref)))
        except JournalError as error:
            self.warning = str(error)
        self._compact()

    def resume_hello(self, hello: Hello, *, resume: bool) -> Hello:
        """Return `hello` with the log, and, to `resume`, the id to continue after."""
        if not self.log:
            return hello
        if hello.after is UNSET and resume:
            hello = structs.replace(hello, after=self.last)
        return hello if hello.after is UNSET else structs.replace(hello, log=self.log)

    def on_welcome(self, hello: Hello, welcome: Welcome) -> None:
        """Note where the program starts to read after its `hello`; raises JournalError."""
        log = self.log or welcome.log or ""
        if hello.after is not UNSET:
            self.set_position(log, hello.after)
        elif not self.log:
            self.set_position(log, welcome.last or 0)

    def set_position(self, log: str, last: int) -> None:
        """Note the log and the last id that the program has handled; raises JournalError."""
        if (log, last) != (self.log, self.last):
            self.log, self.last = log, last
            self._write(_encode(_Position(log, last)))
            self._compact()

    def mark_seen(self, *events: Event) -> None:
        """Note that the program has handled `events`, in their order; raises JournalError."""
        log, last = self.log, self.last
        for event in events:
            match event:
                case LogStartedOver():
                    log, last = event.log, event.after
                case Incoming(id=int(number)) | IncomingBroadcast(id=int(number)):
                    last = max(last, number)
                case Resumed():
                    last = event.last
        self.set_position(log, last)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _load(self) -> None:
        rows = self._file.read()
        try:
            if rows:
                self._replay(rows)
        except ValueError as error:
            self._set_aside(str(error))
            rows = []
        if not rows:
            self._file.append(_encode(self._header))

    def _replay(self, rows: list[bytes]) -> None:
        """Restore the state from `rows`; raises ValueError."""
        header, *rest = map(_decode, rows)
        if not isinstance(header, _JournalHeader):
            raise ValueError("it has no journal header")
        if header.version != _VERSION:
            raise ValueError(f"its version is {header.version}, this chatctl reads {_VERSION}")
        for row in rest:
            match row:
                case _Position():
                    self.log, self.last = row.log, row.last
                case _Acknowledged():
                    self._unacknowledged.pop(row.ref, None)
                case Outgoing(ref=str(ref)) | OutgoingBroadcast(ref=str(ref)):
                    self._unacknowledged[ref] = row
                case _:
                    raise ValueError("a row is not where it belongs")
        self._bytes = sum(len(_encode(message)) for message in self._unacknowledged.values())

    def _set_aside(self, problem: str) -> None:
        moved_to = self._path.with_name(f"{self._path.name}.{time.strftime('%Y%m%dT%H%M%S')}.bad")
        self._path.rename(moved_to)
        self._file.close()
        self._file = AppendOnlyFile(self._path)
        self.log, self.last = "", 0
        self._unacknowledged.clear()
        self.warning = (
            f"the journal of {self._header.name} cannot be read ({problem}) and was renamed to "
            f"{moved_to}; messages may be missing, and unacknowledged ones are not sent again"
        )

    def _write(self, row: bytes) -> None:
        try:
            self._file.append(row)
        except OSError as error:
            raise JournalError(f"cannot write {self._path}: {why(error)}") from None

    def _compact(self) -> None:
        """Rewrite the file without obsolete rows, once there are many."""
        if self._file.size > self._bytes + _COMPACT_AFTER:
            with suppress(OSError):  # the longer file holds the same state
                self._file.replace(self._live_rows())

    def _live_rows(self) -> Iterator[bytes]:
        yield _encode(self._header)
        if self.log:
            yield _encode(_Position(self.log, self.last))
        yield from map(_encode, self._unacknowledged.values())

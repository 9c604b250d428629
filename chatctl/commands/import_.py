"""``chatctl import``: send the messages in a file, each once however often the file is sent.

A message without a ref gets one that is computed from its content, so the server recognizes what
it has stored before.
"""

import hashlib
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final, TypeAlias

import msgspec
from msgspec import UNSET, Struct, structs

from chatctl.cli import options
from chatctl.cli.bulk import MAX_IN_FLIGHT, for_each
from chatctl.cli.config import Settings
from chatctl.cli.input import open_to_read, read_lines
from chatctl.cli.login import login_session
from chatctl.cli.output import say
from chatctl.cli.progress import ProgressBar, count_lines
from chatctl.client import (
    AnswerTimeoutError,
    ChatMessage,
    ClientError,
    Incoming,
    IncomingBroadcast,
    Outgoing,
    OutgoingBroadcast,
    Receipt,
    RefusedError,
)
from chatctl.errors import Exit, UsageError
from common.names import fold
from common.protocol.text_format import escape_control

EXAMPLE: Final = """\
chatctl import messages.ndjson
         chatctl import ann.ndjson --as ann     what ann wrote, again
         jq -c ... | chatctl import"""

_Record: TypeAlias = Outgoing | OutgoingBroadcast | Incoming | IncomingBroadcast
_decode: Final = msgspec.json.Decoder(_Record).decode


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="NDJSON: what export prints, or messages to send"
    )
    options.add_name(parser)
    options.add_json(parser)


async def run(args: Namespace, settings: Settings) -> int:
    """Send the file; report each line that failed, and at the end a summary."""
    source = 0 if args.file is None else open_to_read(args.file)
    lines = read_lines(source, args.file or "standard input")
    summary = ImportSummary()
    with ProgressBar(count_lines(source)) as progress:

        def report(line: int, result: Imported | ClientError | None) -> None:
            progress.advance()
            if isinstance(result, ClientError):
                say(f"line {line}: {escape_control(str(result))}")
            elif args.json and result is not None:
                progress.print_line(result.to_json())

        async with login_session(settings, args.name_given, exactly=True) as client:
            try:
                await send_file(lines, ImportReader(client.name), client.submit, summary, report)
            except BaseException:
                say(f"{summary}; run the same command again to send the rest")
                raise
    say(str(summary))
    return summary.exit_code


class Imported(Struct, frozen=True):
    """The message on line `line` (from 1), sent under `ref`, is in the log as `id`.

    `duplicate` when it was there before.
    """

    line: int
    ref: str
    id: int
    duplicate: bool

    def to_json(self) -> str:
        """Return the record as JSON."""
        return msgspec.json.encode(self).decode()


class ImportSummary:
    """Counts the results of the lines of a file."""

    def __init__(self) -> None:
        self.sent = 0
        self.duplicates = 0
        self.skipped = 0
        self.failed = 0
        self._failure_code = Exit.OK

    @property
    def exit_code(self) -> Exit:
        """The exit code: that of the first error if every line failed, else PARTIAL or OK."""
        has_success = self.sent or self.duplicates
        return Exit.PARTIAL if self.failed and has_success else self._failure_code

    def add_receipt(self, receipt: Receipt) -> None:
        """Count a message that is in the log."""
        if receipt.duplicate:
            self.duplicates += 1
        else:
            self.sent += 1

    def add_error(self, error: ClientError) -> None:
        """Count a line that is not a message, or a message that was not delivered."""
        self.failed += 1
        self._failure_code = self._failure_code or error.exit_code

    def __str__(self) -> str:
        counts = {
            "delivered": self.sent,
            "already there": self.duplicates,
            "written by others": self.skipped,
            "failed": self.failed,
        }
        parts = [
            f"{count} {what}" for what, count in counts.items() if count or what == "delivered"
        ]
        return ", ".join(parts)


class ImportReader:
    """Reads lines as messages of the person called `name`."""

    def __init__(self, name: str) -> None:
        self._name = fold(name)
        self._seen: Counter[bytes] = Counter()

    def read(self, line: str) -> ChatMessage | None:
        """Return the message on `line` with a ref, None where somebody else wrote it.

        The same file always gives the same refs. Raises UsageError.
        """
        try:
            record = _decode(line)
        except msgspec.DecodeError as error:
            raise UsageError(f"not a message: {error}") from None
        message = self._as_own_message(record)
        if message is None or message.ref is not UNSET:
            return message
        digest = hashlib.sha256(msgspec.json.encode(record)).digest()[:16]
        self._seen[digest] += 1
        return structs.replace(message, ref=f"import.{digest.hex()}.{self._seen[digest]:x}")

    def _as_own_message(self, record: _Record) -> ChatMessage | None:
        match record:
            case Outgoing() | OutgoingBroadcast():
                return record
            case _ if fold(record.author) != self._name:
                return None
            case IncomingBroadcast():
                return OutgoingBroadcast(record.content, record.ref)
            case Incoming(to=str(to)):
                return Outgoing(to, record.content, record.ref)
        raise UsageError("not a message: the field to is missing")


async def send_file(
    lines: AsyncIterator[str],
    reader: ImportReader,
    submit: Callable[[ChatMessage], Awaitable[Receipt]],
    summary: ImportSummary,
    report: Callable[[int, Imported | ClientError | None], object],
) -> None:
    """Send each of `lines` that is not blank, in order, up to 256 before the first is acknowledged.

    `report` gets the number of each line and its result; None where there was nothing to send.
    Raises what ends all of them, such as CannotConnectError.
    """

    async def messages() -> AsyncIterator[tuple[int, ChatMessage]]:
        number = 0
        async for line in lines:
            number += 1
            try:
                message = reader.read(line) if line.strip() else None
            except UsageError as error:
                summary.add_error(error)
                report(number, error)
                continue
            if message is not None:
                yield number, message
                continue
            summary.skipped += bool(line.strip())
            report(number, None)

    async def send(numbered: tuple[int, ChatMessage]) -> None:
        number, message = numbered
        try:
            receipt = await _submit(submit, message)
        except (RefusedError, AnswerTimeoutError, UsageError) as error:
            summary.add_error(error)
            report(number, error)
        else:
            summary.add_receipt(receipt)
            report(number, Imported(number, message.ref or "", receipt.id, receipt.duplicate))

    await for_each(messages(), send, MAX_IN_FLIGHT)


async def _submit(
    submit: Callable[[ChatMessage], Awaitable[Receipt]], message: ChatMessage
) -> Receipt:
    try:
        return await submit(message)
    except ValueError as error:  # the ref is too long
        raise UsageError(str(error)) from None

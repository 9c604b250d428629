"""``chatctl import``: messages from a file, each delivered once.

Messages from a file, each delivered once however often the file is sent.
"""

import asyncio
import hashlib
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Final, Protocol, TypeAlias

import msgspec
from msgspec import UNSET, Struct, structs

from chatctl.cli import options
from chatctl.cli.config import Settings
from chatctl.client.events import Receipt
from chatctl.errors import AnswerTimeoutError, ClientError, Exit, RefusedError, UsageError
from common.messages.chat import Incoming, IncomingBroadcast, Outgoing, OutgoingBroadcast
from common.names import fold

MAX_IN_FLIGHT: Final = 256
"""Messages sent before the first of them is acknowledged."""

_Record: TypeAlias = Outgoing | OutgoingBroadcast | Incoming | IncomingBroadcast
_decode: Final = msgspec.json.Decoder(_Record).decode


class Imported(Struct, frozen=True):
    """The message on line `line` (from 1), sent under `ref`, is in the log as `id`.

    `duplicate` when it was there before.
    """

    line: int
    ref: str
    id: int
    duplicate: bool

    def to_json(self) -> str:
        """Return it for programs."""
        return msgspec.json.encode(self).decode()


class ImportSummary:
    """Counts what became of the lines of a file."""

    def __init__(self) -> None:
        self.sent = 0
        self.duplicates = 0
        self.skipped = 0
        self.failed = 0
        self._failure_code = Exit.OK

    @property
    def exit_code(self) -> Exit:
        """What a script gets: why every line failed, or that some did."""
        return (
            Exit.PARTIAL if self.failed and (self.sent or self.duplicates) else self._failure_code
        )

    def add_receipt(self, receipt: Receipt) -> None:
        """Count a message that is in the log."""
        if receipt.duplicate:
            self.duplicates += 1
        else:
            self.sent += 1

    def add_error(self, error: ClientError) -> None:
        """Count a line that is no message, or one that was not delivered."""
        self.failed += 1
        self._failure_code = self._failure_code or error.exit_code

    def __str__(self) -> str:
        counts = {
            "delivered": self.sent,
            "there before": self.duplicates,
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

    def read(self, line: str) -> Outgoing | OutgoingBroadcast | None:
        """Return the message that `line` stands for, None where somebody else wrote it.

        A message without a ref gets one that is made from it, so that the same file gives the same
        refs. Raises UsageError.
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

    def _as_own_message(self, record: _Record) -> Outgoing | OutgoingBroadcast | None:
        match record:
            case Outgoing() | OutgoingBroadcast():
                return record
            case _ if fold(record.author) != self._name:
                return None
            case IncomingBroadcast():
                return OutgoingBroadcast(record.content, record.ref)
            case Incoming(to=str(to)):
                return Outgoing(to, record.content, record.ref)
        raise UsageError("not a message: it does not say to whom; add to")


class MessageSender(Protocol):
    """What sends messages."""

    async def send(self, to: str, text: str, *, ref: str | None = None) -> Receipt:
        """Send to one."""

    async def broadcast(self, text: str, *, ref: str | None = None) -> Receipt:
        """Send to everyone else."""


async def send_file(
    lines: AsyncIterator[str],
    reader: ImportReader,
    sender: MessageSender,
    summary: ImportSummary,
    report: Callable[[int, Imported | ClientError | None], object],
) -> None:
    """Send each of `lines` that is not blank, in order, up to 256 before the first is acknowledged.

    `report` gets the number of each line and what became of it; None where nothing was to be done.
    Raises what ends all of them, such as CannotConnectError.
    """
    permits = asyncio.Semaphore(MAX_IN_FLIGHT)

    async def send(number: int, message: Outgoing | OutgoingBroadcast) -> None:
        ref = message.ref or ""
        try:
            receipt = await _send(sender, message, ref)
        except (RefusedError, AnswerTimeoutError, UsageError) as error:
            summary.add_error(error)
            report(number, error)
        else:
            summary.add_receipt(receipt)
            report(number, Imported(number, ref, receipt.id, receipt.duplicate))
        finally:
            permits.release()

    try:
        async with asyncio.TaskGroup() as group:
            number = 0
            async for line in lines:
                number += 1
                if not line.strip():
                    report(number, None)
                    continue
                try:
                    message = reader.read(line)
                except UsageError as error:
                    summary.add_error(error)
                    report(number, error)
                    continue
                if message is None:
                    summary.skipped += 1
                    report(number, None)
                    continue
                await permits.acquire()
                group.create_task(send(number, message))
    except BaseExceptionGroup as error:
        raise error.exceptions[0] from None


async def _send(sender: MessageSender, message: Outgoing | OutgoingBroadcast, ref: str) -> Receipt:
    try:
        if isinstance(message, Outgoing):
            return await sender.send(message.to, message.content, ref=ref)
        return await sender.broadcast(message.content, ref=ref)
    except ValueError as error:
        raise UsageError(str(error)) from None


HELP: Final = "send the messages in a file; a second time sends none twice"
EXAMPLE: Final = """\
chatctl import messages.ndjson
         chatctl import ann.ndjson --as ann     what ann wrote, again
         jq -c ... | chatctl import"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "file", nargs="?", metavar="FILE", help="NDJSON: what export prints, or messages to send"
    )
    options.add_name(parser)
    options.add_json(parser)


async def run(args: Namespace, settings: Settings) -> int:
    """Send the file; report each line that failed, and at the end a summary."""
    from chatctl.cli.input import open_to_read, read_lines
    from chatctl.cli.login import login_session
    from chatctl.cli.output import ProgressBar, count_lines, say
    from common.protocol.text_format import escape_control

    source = 0 if args.file is None else open_to_read(args.file)
    lines = read_lines(source, args.file or "standard input")
    summary = ImportSummary()
    with ProgressBar(count_lines(source)) as progress:

        def report(line: int, result: "Imported | ClientError | None") -> None:
            progress.advance()
            if isinstance(result, ClientError):
                say(f"line {line}: {escape_control(str(result))}")
            elif args.json and result is not None:
                progress.print_line(result.to_json())

        async with login_session(settings, args.name_given, exactly=True) as client:
            try:
                await send_file(lines, ImportReader(client.name), client, summary, report)
            except BaseException:
                say(f"{summary}; the same command goes on from there")
                raise
    say(str(summary))
    return summary.exit_code

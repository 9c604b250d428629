"""``chatctl request``: texts go out together, the entities in them come back one by one.

A stream of requests, each answered in its own time, and what came of all of them.
"""

import asyncio
import math
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from chatctl.cli import options
from chatctl.cli.config import Settings
from chatctl.client.events import Answer
from chatctl.errors import (
    AnswerTimeoutError,
    ClientError,
    Exit,
    PartialError,
    RefusedError,
    UsageError,
)
from common.entities import Entities
from common.protocol.text_format import escape_control


class RequestResult(Struct, frozen=True, omit_defaults=True):
    """What came of the request number `seq` (from 1): `response` after `wait_ms`, or `error`.

    `error` is the server's reason, or `timeout`; `detail` says more.
    """

    seq: int
    request: str
    response: Entities | UnsetType = UNSET
    wait_ms: float | UnsetType = UNSET
    error: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET

    @classmethod
    def answered(cls, seq: int, request: str, answer: Answer) -> "RequestResult":
        """Return the result of a request with this `answer`."""
        return cls(seq, request, answer.data, round(answer.wait * 1e3, 3))

    @classmethod
    def failed(cls, seq: int, request: str, error: ClientError) -> "RequestResult":
        """Return the result of a request without an answer."""
        reason = error.reason if isinstance(error, RefusedError) else "timeout"
        return cls(seq, request, error=reason, detail=str(error))

    def to_json(self) -> str:
        """Return it for programs."""
        return msgspec.json.encode(self).decode()

    def __str__(self) -> str:
        if isinstance(self.wait_ms, float):
            response = escape_control(msgspec.json.encode(self.response).decode())
            return f"seq={self.seq} wait={self.wait_ms / 1e3:.3f} s {response}"
        return f"seq={self.seq}: {self.detail}"


class RequestSummary:
    """Counts what became of requests; needs the same memory for one and for a million."""

    def __init__(self) -> None:
        self.sent = 0
        self.answered = 0
        self.failed = 0
        self._failure_code = Exit.OK
        self._shortest = math.inf
        self._longest = 0.0
        self._total = 0.0

    @property
    def exit_code(self) -> Exit:
        """What a script gets: why none was answered, or that some were not."""
        return Exit.PARTIAL if self.failed and self.answered else self._failure_code

    def add_answer(self, answer: Answer) -> None:
        """Count an answer."""
        self.answered += 1
        self._shortest = min(self._shortest, answer.wait)
        self._longest = max(self._longest, answer.wait)
        self._total += answer.wait

    def add_error(self, error: ClientError) -> None:
        """Count a request that was refused, or not answered in time."""
        self.failed += 1
        self._failure_code = self._failure_code or error.exit_code

    def __str__(self) -> str:
        counts = {
            "sent": self.sent,
            "answered": self.answered,
            "failed": self.failed,
            "unanswered": self.sent - self.answered - self.failed,
        }
        parts = [f"{count} {what}" for what, count in counts.items() if count or what == "sent"]
        if self.answered:
            waits = self._shortest, self._total / self.answered, self._longest
            parts.append(f"wait min/mean/max = {'/'.join(f'{wait:.3f}' for wait in waits)} s")
        return ", ".join(parts)


async def send_requests(
    texts: AsyncIterator[str],
    request: Callable[[str], Awaitable[Answer]],
    report: Callable[[RequestResult], object],
    summary: RequestSummary,
    concurrency: int,
) -> None:
    """Send each of `texts`, up to `concurrency` together; `report` each result as it comes.

    A request that is refused, or not answered in time, leaves the others alone. Raises what ends
    all of them, such as CannotConnectError.
    """
    permits = asyncio.Semaphore(concurrency)

    async def send(seq: int, text: str) -> None:
        try:
            answer = await request(text)
        except (RefusedError, AnswerTimeoutError) as error:
            summary.add_error(error)
            report(RequestResult.failed(seq, text, error))
        else:
            summary.add_answer(answer)
            report(RequestResult.answered(seq, text, answer))
        finally:
            permits.release()

    try:
        async with asyncio.TaskGroup() as group:
            async for text in texts:
                await permits.acquire()
                summary.sent += 1
                group.create_task(send(summary.sent, text))
    except BaseExceptionGroup as error:
        raise error.exceptions[0] from None


HELP: Final = "have entities read, each request after a delay of its own"
EXAMPLE: Final = """\
chatctl request 'Hub&&name&&qwe&&' 'Device&&id&&234&&'
         chatctl request --json < requests.txt     one a line"""

CONCURRENCY: Final = 10_000
"""What a server takes from one connection unless it is configured otherwise."""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument(
        "texts", nargs="*", metavar="TEXT", help="a request; without any, the lines of stdin"
    )
    parser.add_argument("--file", metavar="FILE", help="read the requests from FILE, one a line")
    parser.add_argument(
        "--concurrency",
        type=options.count,
        default=CONCURRENCY,
        metavar="N",
        help=f"requests unanswered at once ({CONCURRENCY})",
    )
    options.add_json(parser)


async def run(args: Namespace, settings: Settings) -> int:
    """Send all requests at once, print each answer as it comes, and at the end a summary."""
    import asyncio

    from chatctl.cli.login import connect, print_events
    from chatctl.cli.output import ProgressBar, say

    source = _open(args)
    summary = RequestSummary()
    with ProgressBar(len(args.texts) or None) as progress:

        async def texts() -> AsyncIterator[str]:
            async for text in source:
                yield text
            progress.set_total(summary.sent)

        def report(result: RequestResult) -> None:
            progress.advance()
            if args.json:
                progress.print_line(result.to_json())
            elif result.error:
                say(str(result))
            else:
                progress.print_line(str(result))

        async with connect(settings, max_requests=args.concurrency) as client:
            printing = asyncio.create_task(print_events(client))
            try:
                await send_requests(texts(), client.request, report, summary, args.concurrency)
            except ClientError as error:
                if not summary.answered:
                    raise
                raise PartialError(str(error)) from error
            finally:
                printing.cancel()
                say(str(summary))
    return summary.exit_code


def _open(args: Namespace) -> AsyncIterator[str]:
    from chatctl.cli.input import open_to_read, read_lines

    if args.file is None:
        return _given(args.texts) if args.texts else _not_blank(read_lines())
    if args.texts:
        raise UsageError("requests are either arguments or the lines of --file, not both")
    return _not_blank(read_lines(open_to_read(args.file), args.file))


async def _given(texts: Sequence[str]) -> AsyncIterator[str]:
    for text in texts:
        yield text


async def _not_blank(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    async for line in lines:
        if line.strip():
            yield line

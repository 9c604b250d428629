"""``chatctl request``: send entity strings, and print each answer as it arrives.

The requests leave together. The server answers each after its own random delay, so the answers
arrive in another order; a summary ends the output.
"""

import asyncio
import math
from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from chatctl.cli import options
from chatctl.cli.bulk import for_each, number_lines
from chatctl.cli.config import Settings
from chatctl.cli.input import open_to_read, read_lines
from chatctl.cli.login import connect
from chatctl.cli.output import print_events, say
from chatctl.cli.progress import ProgressBar
from chatctl.client import MAX_REQUESTS, Answer, AnswerTimeoutError, ClientError, RefusedError
from chatctl.errors import Exit, PartialError, UsageError
from common.entities import Entities
from common.protocol.text_format import escape_control

EXAMPLE: Final = """\
chatctl request 'Hub&&name&&qwe&&' 'Device&&id&&234&&'
         chatctl request --json < requests.txt     one a line"""


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments of the command."""
    parser.description = (
        "Send entity strings to be parsed; each answer comes after its own random delay."
    )
    parser.add_argument(
        "texts", nargs="*", metavar="TEXT", help="a request; without any, the lines of stdin"
    )
    parser.add_argument("--file", metavar="FILE", help="read the requests from FILE, one a line")
    parser.add_argument(
        "--concurrency",
        type=options.count,
        default=MAX_REQUESTS,
        metavar="N",
        help=f"requests unanswered at once ({MAX_REQUESTS})",
    )
    options.add_json(parser)


async def run(args: Namespace, settings: Settings) -> int:
    """Send all requests at once, print each answer as it comes, and at the end a summary."""
    source = _open(args)
    summary = RequestSummary()
    with ProgressBar(len(args.texts) or None) as progress:

        async def texts() -> AsyncIterator[str]:
            total = 0
            async for text in source:
                total += 1
                yield text
            progress.set_total(total)

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


class RequestResult(Struct, frozen=True, omit_defaults=True):
    """The result of the request number `seq` (from 1): `response` after `wait_ms`, or `error`.

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
        """Return the result as JSON."""
        return msgspec.json.encode(self).decode()

    def __str__(self) -> str:
        if isinstance(self.wait_ms, float):
            response = escape_control(msgspec.json.encode(self.response).decode())
            return f"seq={self.seq} wait={self.wait_ms / 1e3:.3f} s {response}"
        return f"seq={self.seq}: {self.detail}"


class RequestSummary:
    """Counts the results of requests, in the same memory for one and for a million."""

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
        """The exit code: that of the first error if no request was answered, else PARTIAL or OK."""
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
    """Send each of `texts`, up to `concurrency` at once; `report` gets each result as it comes.

    A request that is refused, or not answered in time, does not affect the others. Raises what
    ends all of them, such as CannotConnectError.
    """

    async def send(text: str) -> None:
        summary.sent += 1
        seq = summary.sent
        try:
            answer = await request(text)
        except (RefusedError, AnswerTimeoutError) as error:
            summary.add_error(error)
            report(RequestResult.failed(seq, text, error))
        else:
            summary.add_answer(answer)
            report(RequestResult.answered(seq, text, answer))

    await for_each(texts, send, concurrency)


def _open(args: Namespace) -> AsyncIterator[str]:
    if args.file is None:
        return _iterate(args.texts) if args.texts else _without_blank(read_lines())
    if args.texts:
        raise UsageError("requests are either arguments or the lines of --file, not both")
    return _without_blank(read_lines(open_to_read(args.file), args.file))


async def _iterate(texts: Sequence[str]) -> AsyncIterator[str]:
    for text in texts:
        yield text


async def _without_blank(lines: AsyncIterator[str]) -> AsyncIterator[str]:
    async for _, line in number_lines(lines):
        yield line

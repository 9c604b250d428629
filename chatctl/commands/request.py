"""``chatctl request``: texts go out together, the entities in them come back one by one."""

from argparse import ArgumentParser, Namespace
from collections.abc import AsyncIterator, Sequence
from typing import Final

from chatctl import options
from chatctl.errors import ClientError, PartialError, UsageError
from chatctl.settings import Settings

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

    from chatctl.oneshot import connect, print_events
    from chatctl.output import say
    from chatctl.progress import ProgressBar
    from chatctl.requesting import RequestResult, RequestSummary, send_requests

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
    from chatctl.stdin import open_to_read, read_lines

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

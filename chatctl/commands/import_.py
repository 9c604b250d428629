"""``chatctl import``: messages from a file, each delivered once."""

from argparse import ArgumentParser, Namespace
from typing import Final

from chatctl import options
from chatctl.errors import ClientError
from chatctl.settings import Settings

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
    from chatctl.importing import Imported, ImportReader, ImportSummary, send_file
    from chatctl.oneshot import login_session
    from chatctl.output import say
    from chatctl.progress import ProgressBar, count_lines
    from chatctl.stdin import open_to_read, read_lines
    from common.text import escape_control

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

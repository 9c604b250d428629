"""`python -m tests.torture`: exit code 0 when every promise held, 1 when one was broken."""

import argparse
import asyncio
import random
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import Progress

from common.values import parse_duration
from tests.torture import report
from tests.torture.faulty_log import FAULTY_LOGS
from tests.torture.supervisor import Durability, Plan, Supervisor, Verdict

DURABILITIES: Final[Mapping[str, Sequence[Durability]]] = {
    "process": ["process"],
    "power": ["power"],
    "both": ["process", "power"],
}

KEEP: Final = 400
"""Messages kept in the run with retention: a client that is away for seconds misses some."""


def main() -> int:
    """Run what the command line asks for; return the exit code."""
    options = _parser().parse_args()
    verdicts = []
    try:
        for plan in _plans(options):
            verdicts.append(_run_plan(plan, options.keep))
            _print(verdicts[-1], as_json=options.json)
    except asyncio.CancelledError:
        return 130
    return 0 if all(verdict.holds for verdict in verdicts) else 1


def _plans(options: argparse.Namespace) -> Iterator[Plan]:
    """Yield each durability with all messages kept, and one with retention, by default."""
    runs = [(each, options.keep_messages or 0) for each in DURABILITIES[options.durability]]
    if options.keep_messages is None and options.durability == "both":
        runs.append(("process", KEEP))
    for durability, keep_messages in runs:
        yield Plan(
            durability=durability,
            seed=options.seed,
            kills=options.kills,
            clients=options.clients,
            patience=options.patience,
            limit=options.limit,
            log_fault=options.log_fault,
            keep_messages=keep_messages,
        )


def _run_plan(plan: Plan, keep: Path | None) -> Verdict:
    with _folder(plan, keep) as folder, _progress(plan) as advance:
        return asyncio.run(_run(Supervisor(plan, folder, advance)))


async def _run(supervisor: Supervisor) -> Verdict:
    """Run a plan; a signal ends it together with the processes that it started."""
    running = asyncio.ensure_future(supervisor.run())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, running.cancel)
    return await running


@contextmanager
def _folder(plan: Plan, keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="torture-") as name:
            yield Path(name)
    else:
        folder = keep / f"{plan.durability}-{plan.keep_messages or 'all'}-{plan.seed}"
        folder.mkdir(parents=True)
        yield folder


@contextmanager
def _progress(plan: Plan) -> Iterator[Callable[[], None]]:
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task(f"durability {plan.durability}", total=plan.kills)
        yield lambda: progress.advance(task)


def _print(verdict: Verdict, *, as_json: bool) -> None:
    if as_json:
        print(report.as_json(verdict), flush=True)
    else:
        report.show(verdict, Console())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.torture",
        description="Kill a real daemon and real clients again and again, and see that nothing "
        "acknowledged is lost, shown twice or out of order.",
    )
    parser.add_argument(
        "--durability", choices=DURABILITIES, default="both", help="of the log (both, in turn)"
    )
    parser.add_argument(
        "--kills", type=_count, default=100, metavar="N", help="of the daemon (100)"
    )
    parser.add_argument(
        "--clients", type=_client_count, default=20, metavar="N", help="how many (20)"
    )
    parser.add_argument(
        "--seed", type=int, default=random.randrange(10**6), metavar="N",
        help="the same draws again; when each comes to pass is up to the machine",
    )  # fmt: skip
    parser.add_argument(
        "--keep-messages", type=_count, metavar="N",
        help="have the log keep the newest N only, at least 17 for each client "
        f"(all; with both durabilities a third run follows, with {KEEP})",
    )  # fmt: skip
    parser.add_argument(
        "--patience", type=parse_duration, default=60.0, metavar="TIME",
        help="for everyone to finish when all is over (60s)",
    )  # fmt: skip
    parser.add_argument(
        "--limit", type=parse_duration, default=900.0, metavar="TIME", help="for it all (15m)"
    )
    parser.add_argument(
        "--keep", type=Path, metavar="DIR", help="keep journals, logs and data in a new folder here"
    )
    parser.add_argument(
        "--log-fault", choices=FAULTY_LOGS, metavar="FAULT",
        help="have the daemon break a promise, to see that the checker reports it: "
        f"{' or '.join(FAULTY_LOGS)}",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print each verdict as a line of JSON")
    return parser


def _count(text: str) -> int:
    return _whole(text, at_least=1)


def _client_count(text: str) -> int:
    return _whole(text, at_least=2)


def _whole(text: str, at_least: int) -> int:
    if not text.isdecimal() or int(text) < at_least:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from {at_least} on")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())

"""`python -m bench.shares`: swap files over shaped links, print a table, keep every run."""

import argparse
import signal
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn, Protocol, TypeVar

from bench.command_line import count, say
from bench.errors import BenchError
from bench.host import describe, pick_cores
from bench.shares.cases import CASES, Case
from bench.shares.chatctl import Chatctl
from bench.shares.direct import Direct
from bench.shares.libtorrent import Libtorrent
from bench.shares.network import require_network
from bench.shares.report import Report, Subject, heading, show, summarize, write
from bench.shares.run import Candidate, Measurement, measure
from common.values import parse_size

# Settings for a friendly LAN: all peers are served at once, and over TCP, because uTP yields to it.
_TUNED: Final[dict[str, bool | int]] = {
    "unchoke_slots_limit": -1,
    "enable_outgoing_utp": False,
    "enable_incoming_utp": False,
    "initial_picker_threshold": 0,
}

CANDIDATES: Final[tuple[Candidate, ...]] = (
    Chatctl(),
    Direct(),
    Libtorrent("libtorrent", {}),
    Libtorrent("libtorrent-tuned", _TUNED),
)

_SMALLEST = 64 * 1024  # bytes: a smaller exchange ends before TCP has found the rate


def main() -> int:
    """Run the chosen cases and candidates; return the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupted)
    options = _parser().parse_args()
    try:
        cases = _chosen("case", CASES, options.cases)
        candidates = _chosen("candidate", CANDIDATES, options.candidates)
    except ValueError as error:
        say(str(error))
        return 2
    try:
        require_network()
        return _bench(cases, candidates, options.size, options.runs, options.json)
    except BenchError as error:
        say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _interrupted(_number: int, _frame: FrameType | None) -> NoReturn:
    """Exit and end all processes; a second signal must not interrupt that."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _bench(
    cases: Sequence[Case],
    candidates: Sequence[Candidate],
    size: int,
    count: int,
    file: Path | None,
) -> int:
    """Return 0, or the exit code of the last run that failed; the others are reported anyway."""
    environment = describe(pick_cores())
    subjects = [Subject(it.name, it.version(), it.start_is) for it in candidates]
    print(heading(environment, subjects, size), flush=True)
    pairs = [(case, candidate) for case in cases for candidate in candidates]
    runs: list[list[Measurement]] = [[] for _ in pairs]
    exit_code = 0
    for number in range(1, count + 1):
        # Alternate (A B A B), so that a machine that slows down does so for every candidate.
        for (case, candidate), measured in zip(pairs, runs, strict=True):
            where = f"run {number} of {count}: {case.name}, {candidate.name}"
            try:
                measured.append(measure(candidate, case, size))
                say(f"{where}: {measured[-1].ratio:.2f} times the optimum")
            except BenchError as error:
                say(f"{where}: {error}")
                exit_code = error.exit_code
    results = [
        summarize(case, candidate.name, size, measured)
        for (case, candidate), measured in zip(pairs, runs, strict=True)
        if measured
    ]
    report = Report(environment, subjects, cases, size, results)
    show(report)
    if file:
        write(report, file)
    return exit_code


class _Named(Protocol):
    @property
    def name(self) -> str: ...


_T = TypeVar("_T", bound=_Named)


def _chosen(kind: str, known: Sequence[_T], patterns: Sequence[str]) -> list[_T]:
    chosen = [it for it in known if any(fnmatchcase(it.name, glob) for glob in patterns)]
    if not chosen:
        names = ", ".join(it.name for it in known)
        raise ValueError(f"no {kind} is called {' or '.join(patterns)}; there are {names}")
    return chosen


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench.shares",
        description="Swap files among peers whose uplinks are shaped. Needs root and iproute2.",
        epilog="example: python -m bench.shares --cases '3-*' --runs 3 --json results.json",
    )
    parser.add_argument(
        "--cases", nargs="+", default=["*"], metavar="CASE", help="names or patterns; all"
    )
    parser.add_argument(
        "--candidates", nargs="+", default=["*"], metavar="NAME", help="names or patterns; all"
    )
    parser.add_argument(
        "--size", type=_size, default=2_000_000, metavar="SIZE", help="of each file (2MB)"
    )
    parser.add_argument("--runs", type=count, default=3, metavar="N", help="of each (3)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every run as JSON")
    return parser


def _size(text: str) -> int:
    try:
        size = parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if size < _SMALLEST:
        raise argparse.ArgumentTypeError(f"{text} is too little to measure: write 64KiB or more")
    return size


if __name__ == "__main__":
    sys.exit(main())

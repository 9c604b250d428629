"""`python -m bench`: measure the real servers, print a table, keep every run in a file."""

import argparse
import signal
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from bench.command_line import count, say
from bench.failures import BenchError
from bench.generator import measure
from bench.jobs import CONTESTS
from bench.jobs.job import Job
from bench.load.native import why_not_native
from bench.machine import Cores, describe, pick_cores
from bench.measurement import Measurement, Timing
from bench.report import MEASURED, Report, Subject, read, summarize, write
from bench.servers import CANDIDATES, Candidate, running
from bench.table import heading, table
from common.units import parse_duration

Runs = dict[tuple[Job, Candidate], list[Measurement]]

_FULL: Final = Timing(warmup=0.4, seconds=1.6)
_QUICK: Final = Timing(warmup=0.2, seconds=0.5)


def main() -> int:
    """Run what the command line asks for; return the exit code."""
    # As for Ctrl-C: whatever ends the benchmark, the servers it started end with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = _parser().parse_args()
    base = _QUICK if options.quick else _FULL
    timing = Timing(
        base.warmup if options.warmup is None else options.warmup, options.seconds or base.seconds
    )
    runs = options.runs or (1 if options.quick else 3)
    try:
        return _bench(_chosen(options), runs, timing, options.json)
    except BenchError as failure:
        say(str(failure))
        return failure.exit_code
    except KeyboardInterrupt:
        return 130


def _bench(pairs: Runs, count: int, timing: Timing, file: Path | None) -> int:
    """Return 0, or the exit code of the last run that failed; the others are told anyway."""
    if not pairs:
        return 2
    cores = pick_cores()
    environment = describe(cores)
    candidates = list(dict.fromkeys(candidate for _, candidate in pairs))
    subjects = [_subject(candidate) for candidate in candidates]
    print(heading(environment, subjects), flush=True)
    exit_code = 0
    try:
        for number in range(1, count + 1):
            exit_code = _run_each(pairs, f"run {number} of {count}", timing, cores) or exit_code
    except KeyboardInterrupt:
        exit_code = 130  # what was measured until now is told all the same
    results = [
        summarize(job.name, server.name, job.unit, job.goal, done)
        for (job, server), done in pairs.items()
        if done
    ]
    print(table(results))
    if file:
        _keep(Report(environment, subjects, timing, results), file)
    return exit_code


def _run_each(pairs: Runs, turn: str, timing: Timing, cores: Cores) -> int:
    """Add one run of every job on every candidate to `pairs`; return the last failure's exit code.

    They run in turn, A B A B: a machine that slows down does so for every candidate.
    """
    exit_code = 0
    for (job, candidate), measured in pairs.items():
        where = f"{turn}: {job.name} on {candidate.name}"
        try:
            measured.append(_measure_once(job, candidate, timing, cores))
            say(f"{where}: {measured[-1].rate:,.0f} {job.unit}/s")
        except BenchError as failure:
            say(f"{where}: {failure}")
            exit_code = failure.exit_code
    return exit_code


def _measure_once(job: Job, candidate: Candidate, timing: Timing, cores: Cores) -> Measurement:
    with running(candidate, cores.server) as target:
        return measure(job, target, timing, cores.load)


def _keep(report: Report, file: Path) -> None:
    """Write what was measured into `file`, beside what it holds of other jobs."""
    write(report.with_earlier(read(file)) if file.exists() else report, file)


def _chosen(options: argparse.Namespace) -> Runs:
    """Return what is to be run, and say what was asked for and cannot be."""
    if why := why_not_native():
        say(f"the load is not compiled and too slow for others than {MEASURED}: {why}")
    able = {one.name: one for one in CANDIDATES if not why or one.name == MEASURED}
    for candidate in CANDIDATES:
        if candidate.name in able and (obstacle := candidate.obstacle()):
            say(f"{candidate.name} is left out: {obstacle}")
            del able[candidate.name]
    contests = [one for one in CONTESTS if _matches(one.job.name, options.jobs)]
    runs: Runs = {
        (contest.job, able[name]): []
        for contest in contests
        for name in contest.candidates
        if name in able and _matches(name, options.on)
    }
    if not runs:
        jobs = ", ".join(contest.job.name for contest in CONTESTS)
        say(f"nothing to run; the jobs are {jobs}; the candidates here are {', '.join(able)}")
    return runs


def _matches(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def _subject(candidate: Candidate) -> Subject:
    directory, port = Path("DIRECTORY"), "PORT"
    program, *arguments = candidate.command(directory, port)
    return Subject(
        candidate.name,
        candidate.version(),
        [Path(program).name, *arguments],
        candidate.settings(directory, port),
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure real servers over loopback, server and load on cores of their own.",
        epilog="example: python -m bench 'broadcast*' --on chatd nats --runs 5 --json mine.json",
    )
    parser.add_argument(
        "jobs", nargs="*", default=["*"], metavar="JOB", help="name or pattern; all by default"
    )
    parser.add_argument(
        "--on", nargs="+", default=["*"], metavar="CANDIDATE", help="name or pattern; all"
    )
    parser.add_argument("--quick", action="store_true", help="one run of half a second each")
    parser.add_argument("--runs", type=count, metavar="N", help="of each job (3)")
    parser.add_argument(
        "--seconds", type=_some_time, metavar="TIME", help=f"measured per run ({_FULL.seconds:g}s)"
    )
    parser.add_argument(
        "--warmup", type=_duration, metavar="TIME", help=f"before that ({_FULL.warmup:g}s)"
    )
    parser.add_argument(
        "--json",
        type=Path,
        metavar="FILE",
        help="keep every run as JSON, beside what the file holds of other jobs",
    )
    return parser


def _some_time(text: str) -> float:
    if not (seconds := _duration(text)):
        raise argparse.ArgumentTypeError("nothing can be measured in no time: write 1s or more")
    return seconds


def _duration(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as fault:
        raise argparse.ArgumentTypeError(str(fault)) from None


if __name__ == "__main__":
    sys.exit(main())

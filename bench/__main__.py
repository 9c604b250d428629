"""`python -m bench`: measure the real servers, print a table, keep every run in a file."""

import argparse
import signal
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from bench.failures import BenchError
from bench.generator import measure
from bench.jobs import JOBS
from bench.jobs.job import Job
from bench.machine import Cores, describe, pick_cores
from bench.measurement import Measurement, Timing
from bench.report import Report, Subject, summarize, write
from bench.servers import CANDIDATES, Candidate, running
from bench.table import heading, table
from common.units import parse_duration

Runs = dict[tuple[Job, Candidate], list[Measurement]]


def main() -> int:
    """Run what the command line asks for; return the exit code."""
    # As for Ctrl-C: whatever ends the benchmark, the servers it started end with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = _parser().parse_args()
    jobs = [job for job in JOBS if any(fnmatchcase(job.name, glob) for glob in options.jobs)]
    if not jobs:
        known = ", ".join(job.name for job in JOBS)
        _say(f"no job is called {' or '.join(options.jobs)}; there are {known}")
        return 2
    try:
        return _bench(jobs, options.runs, Timing(options.warmup, options.seconds), options.json)
    except BenchError as failure:
        _say(str(failure))
        return failure.exit_code
    except KeyboardInterrupt:
        return 130


def _bench(jobs: Sequence[Job], count: int, timing: Timing, file: Path | None) -> int:
    """Return 0, or the exit code of the last run that failed; the others are reported anyway."""
    cores = pick_cores()
    environment = describe(cores)
    subjects = [_subject(candidate) for candidate in CANDIDATES]
    print(heading(environment, subjects), flush=True)
    runs: Runs = {(job, candidate): [] for job in jobs for candidate in CANDIDATES}
    exit_code = 0
    for number in range(1, count + 1):
        # In turn, A B A B: a machine that slows down does so for every candidate.
        for (job, candidate), measured in runs.items():
            where = f"run {number} of {count}: {job.name} on {candidate.name}"
            try:
                measured.append(_measure_once(job, candidate, timing, cores))
                _say(f"{where}: {measured[-1].rate:,.0f} {job.unit}/s")
            except BenchError as failure:
                _say(f"{where}: {failure}")
                exit_code = failure.exit_code
    results = [summarize(job, server.name, done) for (job, server), done in runs.items() if done]
    print(table(results))
    if file:
        write(Report(environment, subjects, timing, jobs, results), file)
    return exit_code


def _measure_once(job: Job, candidate: Candidate, timing: Timing, cores: Cores) -> Measurement:
    with running(candidate, cores.server) as target:
        return measure(job, target, timing, cores.load)


def _subject(candidate: Candidate) -> Subject:
    command = candidate.command(Path("DIRECTORY"))
    return Subject(candidate.name, candidate.version(), command)


def _say(line: str) -> None:
    print(f"bench: {line}", file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bench",
        description="Measure real servers over loopback, server and load on cores of their own.",
        epilog="example: python -m bench 'broadcast*' --runs 5 --json results.json",
    )
    parser.add_argument(
        "jobs", nargs="*", default=["*"], metavar="JOB", help="name or pattern; all by default"
    )
    parser.add_argument("--runs", type=_count, default=3, metavar="N", help="of each job (3)")
    parser.add_argument(
        "--seconds", type=_some_time, default=2.0, metavar="TIME", help="measured per run (2s)"
    )
    parser.add_argument(
        "--warmup", type=_duration, default=0.5, metavar="TIME", help="before that (500ms)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="keep every run as JSON")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of runs: write 1 or more")
    return int(text)


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

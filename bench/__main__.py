"""`python -m bench`: measure the real servers, print a table, keep every run in a file."""

import argparse
import signal
import sys
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from bench.command_line import FULL, QUICK, parser, say
from bench.errors import BenchError
from bench.host import Cores, describe, pick_cores
from bench.jobs import COMPARISONS
from bench.load.native import native_unavailable_reason
from bench.measure import Job, Measurement, Timing, measure_in_process
from bench.report import MEASURED, Report, ServerInfo, read, summarize, write
from bench.servers import CANDIDATES, Candidate, running
from bench.table import heading, table

Runs = dict[tuple[Job, Candidate], list[Measurement]]


def main() -> int:
    """Run what the command line asks for; return the exit code."""
    # As for Ctrl-C: whatever ends the benchmark, the servers it started end with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = parser().parse_args()
    base = QUICK if options.quick else FULL
    timing = Timing(
        base.warmup if options.warmup is None else options.warmup, options.seconds or base.seconds
    )
    runs = options.runs or (1 if options.quick else 3)
    try:
        return _bench(_chosen(options), runs, timing, options.json)
    except BenchError as error:
        say(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _bench(pairs: Runs, count: int, timing: Timing, file: Path | None) -> int:
    """Return 0, or the exit code of the last run that failed; the others are printed anyway."""
    if not pairs:
        return 2
    cores = pick_cores()
    environment = describe(cores)
    candidates = list(dict.fromkeys(candidate for _, candidate in pairs))
    servers = [_server_info(candidate) for candidate in candidates]
    print(heading(environment, servers), flush=True)
    exit_code = 0
    try:
        for number in range(1, count + 1):
            exit_code = _run_each(pairs, f"run {number} of {count}", timing, cores) or exit_code
    except KeyboardInterrupt:
        exit_code = 130  # what was measured until now is printed all the same
    results = [
        summarize(job.name, server.name, job.unit, job.goal, done)
        for (job, server), done in pairs.items()
        if done
    ]
    print(table(results))
    if file:
        _keep(Report(environment, servers, timing, results), file)
    return exit_code


def _run_each(pairs: Runs, run: str, timing: Timing, cores: Cores) -> int:
    """Add one run of every job on every candidate to `pairs`; return the last failure's exit code.

    They run in turn, A B A B: a machine that slows down does so for every candidate.
    """
    exit_code = 0
    for (job, candidate), measured in pairs.items():
        where = f"{run}: {job.name} on {candidate.name}"
        try:
            measured.append(_measure_once(job, candidate, timing, cores))
            say(f"{where}: {measured[-1].rate:,.0f} {job.unit}/s")
        except BenchError as error:
            say(f"{where}: {error}")
            exit_code = error.exit_code
    return exit_code


def _measure_once(job: Job, candidate: Candidate, timing: Timing, cores: Cores) -> Measurement:
    with running(candidate, cores.server) as target:
        return measure_in_process(job, target, timing, cores.load)


def _keep(report: Report, file: Path) -> None:
    """Write what was measured into `file`, beside what it holds of other jobs."""
    write(report.with_earlier(read(file)) if file.exists() else report, file)


def _chosen(options: argparse.Namespace) -> Runs:
    """Return what is to be run, and say what cannot be."""
    if reason := native_unavailable_reason():
        say(f"the load is not compiled and too slow for others than {MEASURED}: {reason}")
    able = {one.name: one for one in CANDIDATES if not reason or one.name == MEASURED}
    for candidate in CANDIDATES:
        if candidate.name in able and (missing := candidate.unavailable_reason()):
            say(f"{candidate.name} is left out: {missing}")
            del able[candidate.name]
    comparisons = [one for one in COMPARISONS if _matches(one.job.name, options.jobs)]
    runs: Runs = {
        (comparison.job, able[name]): []
        for comparison in comparisons
        for name in comparison.candidates
        if name in able and _matches(name, options.on)
    }
    if not runs:
        jobs = ", ".join(comparison.job.name for comparison in COMPARISONS)
        say(f"nothing to run; the jobs are {jobs}; the candidates here are {', '.join(able)}")
    return runs


def _matches(name: str, globs: Sequence[str]) -> bool:
    return any(fnmatchcase(name, glob) for glob in globs)


def _server_info(candidate: Candidate) -> ServerInfo:
    directory, port = Path("DIRECTORY"), "PORT"
    program, *arguments = candidate.command(directory, port)
    return ServerInfo(
        candidate.name,
        candidate.version(),
        [Path(program).name, *arguments],
        candidate.settings(directory, port),
    )


if __name__ == "__main__":
    sys.exit(main())

"""From runs to medians, and to a file for programs."""

import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from bench.host import Environment
from bench.shares.cases import Case
from bench.shares.measurement import Measurement


class Result(Struct, frozen=True):
    """What all runs of one candidate in one case came to: medians, and the runs.

    `ratio` is the time to the `optimum` (s), `lowest` and `highest` those of the best and the worst
    run; `started` (s) includes the start of the processes, `sent` and `idle` are those of a run.
    """

    case: str
    candidate: str
    optimum: float
    seconds: float
    ratio: float
    lowest: float
    highest: float
    started: float
    sent: float
    idle: float
    runs: Sequence[Measurement]


class Subject(Struct, frozen=True):
    """A candidate that was measured."""

    name: str
    version: str
    start_is: str


class Report(Struct, frozen=True):
    """The whole file; `size` in bytes."""

    environment: Environment
    candidates: Sequence[Subject]
    cases: Sequence[Case]
    size: int
    results: Sequence[Result]


def summarize(case: Case, candidate: str, size: int, runs: Sequence[Measurement]) -> Result:
    """Return the medians of `runs`, of which there is at least one."""
    ratios = [run.ratio for run in runs]
    return Result(
        case=case.name,
        candidate=candidate,
        optimum=case.optimum(size),
        seconds=statistics.median(run.seconds for run in runs),
        ratio=statistics.median(ratios),
        lowest=min(ratios),
        highest=max(ratios),
        started=statistics.median(run.started for run in runs),
        sent=statistics.median(run.sent for run in runs),
        idle=statistics.median(run.idle for run in runs),
        runs=runs,
    )


def write(report: Report, path: Path) -> None:
    """Write `report` as JSON, every run included."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")

"""From runs to medians and ratios, and to a file for programs."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from bench.jobs.job import Goal
from bench.machine import Environment
from bench.measurement import Measurement, Timing

MEASURED: Final = "chatd"
"""The candidate to which the others are compared."""


class Result(Struct, frozen=True):
    """What all runs of one job on one candidate came to.

    `rate` is operations per second of wall time, `spread` the distance of the fastest from the
    slowest run as a share of it; `cpu_per_million` is the server's CPU seconds per million
    operations; `server_busy`, `load_busy` and `others_busy` are CPU seconds per second. All but
    `spread` are medians.
    """

    job: str
    candidate: str
    unit: str
    rate: float
    spread: float
    cpu_per_million: float
    server_busy: float
    load_busy: float
    others_busy: float
    figures: dict[str, float]
    goal: Goal | None
    goal_met: bool | None
    runs: Sequence[Measurement]

    def cpu_ratio(self, other: "Result") -> float:
        """Return how many times the CPU of `other` this took, as the median over their runs.

        Runs with the same number were made one after the other, so what slows the machine down
        for a while is in both.
        """
        pairs = zip(self.runs, other.runs, strict=False)
        return statistics.median(
            one.cpu_per_million / max(two.cpu_per_million, 1e-9) for one, two in pairs
        )


class Subject(Struct, frozen=True):
    """A server that was measured, the command that started it, and what configured it."""

    name: str
    version: str
    command: Sequence[str]
    settings: str


class Report(Struct, frozen=True):
    """The whole file."""

    environment: Environment
    servers: Sequence[Subject]
    timing: Timing
    results: Sequence[Result]

    def find(self, job: str, candidate: str = MEASURED) -> Result | None:
        """Return the result of one job on one candidate, if there is one."""
        return next(
            (one for one in self.results if (one.job, one.candidate) == (job, candidate)), None
        )

    def with_earlier(self, earlier: "Report") -> "Report":
        """Return this report with what only `earlier` has; what is in both is from this one."""
        here = {one.job for one in self.results}
        servers = {one.name: one for one in (*earlier.servers, *self.servers)}
        kept = [one for one in earlier.results if one.job not in here]
        return msgspec.structs.replace(
            self, servers=list(servers.values()), results=[*kept, *self.results]
        )


def summarize(
    job: str, candidate: str, unit: str, goal: Goal | None, runs: Sequence[Measurement]
) -> Result:
    """Return the medians of `runs`, of which there is at least one."""
    rates = [run.rate for run in runs]
    rate = statistics.median(rates)
    figures = {
        name: statistics.median(run.figures[name] for run in runs) for name in runs[0].figures
    }
    cpu = statistics.median(run.cpu_per_million for run in runs)
    known = figures | {"rate": rate, "cpu_per_million": cpu}
    goal = goal if candidate == MEASURED else None
    return Result(
        job=job,
        candidate=candidate,
        unit=unit,
        rate=rate,
        spread=(max(rates) - min(rates)) / rate,
        cpu_per_million=cpu,
        server_busy=statistics.median(run.server_cpu / run.seconds for run in runs),
        load_busy=statistics.median(run.load_cpu / run.seconds for run in runs),
        others_busy=statistics.median(run.others_cpu / run.seconds for run in runs),
        figures=figures,
        goal=goal,
        goal_met=goal.met(known[goal.figure]) if goal else None,
        runs=runs,
    )


def read(path: Path) -> Report:
    """Return the report that `write` wrote. Raises OSError, and msgspec.DecodeError."""
    return msgspec.json.decode(path.read_bytes(), type=Report)


def write(report: Report, path: Path) -> None:
    """Write `report` as JSON, every run included."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n")

"""From runs to medians, to a table for people and a file for programs."""

import statistics
from collections.abc import Sequence
from pathlib import Path

import msgspec
from msgspec import Struct

from bench.jobs.job import Goal, Job
from bench.machine import Environment
from bench.measurement import Measurement, Timing


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


class Subject(Struct, frozen=True):
    """A server that was measured, and the command, settings included, that started it."""

    name: str
    version: str
    command: Sequence[str]


class Report(Struct, frozen=True):
    """The whole file."""

    environment: Environment
    servers: Sequence[Subject]
    timing: Timing
    jobs: Sequence[Job]
    results: Sequence[Result]


def summarize(job: Job, candidate: str, runs: Sequence[Measurement]) -> Result:
    """Return the medians of `runs`, of which there is at least one."""
    rates = [run.rate for run in runs]
    rate = statistics.median(rates)
    figures = {
        name: statistics.median(run.figures[name] for run in runs) for name in runs[0].figures
    }
    cpu = statistics.median(run.cpu_per_million for run in runs)
    known = figures | {"rate": rate, "cpu_per_million": cpu}
    return Result(
        job=job.name,
        candidate=candidate,
        unit=job.unit,
        rate=rate,
        spread=(max(rates) - min(rates)) / rate,
        cpu_per_million=cpu,
        server_busy=statistics.median(run.server_cpu / run.seconds for run in runs),
        load_busy=statistics.median(run.load_cpu / run.seconds for run in runs),
        others_busy=statistics.median(run.others_cpu / run.seconds for run in runs),
        figures=figures,
        goal=job.goal,
        goal_met=job.goal.met(known[job.goal.figure]) if job.goal else None,
        runs=runs,
    )


def write(report: Report, path: Path) -> None:
    """Write `report` as JSON, every run included."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")

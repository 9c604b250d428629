"""From runs to medians and ratios, and to a file for programs."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from bench.host import Environment
from bench.measure import Goal, Measurement, Timing

MEASURED: Final = "chatd"
"""The candidate to which the others are compared."""

_FULL: Final = 0.97  # of a core: from here on a process is taken for the bottleneck
_QUIET: Final = 0.05  # of a core: more than that taken by others disturbs both


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

    @property
    def is_disturbed(self) -> bool:
        """Whether other processes took so much of the two cores that the figures include it."""
        return self.others_busy > _QUIET

    @property
    def is_load_limited(self) -> bool:
        """Whether the load was the bottleneck: then only the CPU figures describe the server."""
        return self.load_busy > _FULL > self.server_busy

    def value(self, figure: str) -> float | None:
        """Return `rate`, `cpu_per_million` or one of the job's own figures, if there is such."""
        known = {"rate": self.rate, "cpu_per_million": self.cpu_per_million}
        return (known | self.figures).get(figure)

    def ratio(self, other: "Result", figure: str = "cpu_per_million") -> float:
        """Return how many times the `figure` of `other` this has, as the median over their runs.

        Runs with the same number were made one after the other, so what slows the machine down
        for a while is in both.
        """
        pairs = zip(self.runs, other.runs, strict=False)
        return statistics.median(
            one.value(figure) / max(two.value(figure), 1e-9) for one, two in pairs
        )


class ServerInfo(Struct, frozen=True):
    """A server that was measured, the command that started it, and what configured it."""

    name: str
    version: str
    command: Sequence[str]
    settings: str


class Recovery(Struct, frozen=True):
    """How long (s) chatd took from its start on a large log to the first acknowledgement.

    `size` is that of the file in bytes; `warm` with it in the kernel's memory, `cold` without,
    `killed` after a kill that left a long write-ahead log.
    """

    messages: int
    size: int
    warm: Sequence[float]
    cold: Sequence[float]
    killed: Sequence[float]


class Report(Struct, frozen=True):
    """The whole file."""

    environment: Environment
    servers: Sequence[ServerInfo]
    timing: Timing
    results: Sequence[Result]
    recovery: Recovery | None = None

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
            self,
            servers=list(servers.values()),
            results=[*kept, *self.results],
            recovery=self.recovery or earlier.recovery,
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

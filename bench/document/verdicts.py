"""What was aimed at and what came of it, and where others take less, taken from the runs."""

from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct

from bench.jobs import COMPARISONS
from bench.report import MEASURED, Report, Result
from bench.table import format_si

_COMPETITORS: Final = {
    MEASURED: ("nats", "redis", "mosquitto", "ngircd"),
    "chatd-process": ("nats-file",),
    "chatd-power": ("nats-file-always",),
}
"""The candidate that each is compared with: it does the same work, and as much of it."""

_WORTH_LISTING: Final = 1.05
_SPENT: Final = {"cpu_per_million": "CPU", "bytes_each": "memory"}

_GOALS: Final = {
    "rate": "per second",
    "p99_us": "us that one in a hundred is late",
    "bytes_each": "bytes per connection",
}


class Aim(Struct, frozen=True):
    """A bound on a figure of a job, or on its ratio to the same figure of candidate `beside`."""

    what: str
    job: str
    figure: str
    bound: float
    at_least: bool = False
    candidate: str = MEASURED
    beside: str = ""

    def measured(self, report: Report) -> float | None:
        """Return what it came to, if it was measured; a ratio is rounded as it is printed."""
        result = report.find(self.job, self.candidate)
        if result is None:
            return None
        if not self.beside:
            return result.value(self.figure)
        other = report.find(self.job, self.beside)
        return None if other is None else round(result.ratio(other, self.figure), 2)

    def formatted(self, value: float) -> str:
        """Return `value` as one writes it: a ratio, or a figure with its size."""
        return f"{value:.2f} x {self.beside}" if self.beside else format_si(value).strip()


def _cpu(what: str, job: str, beside: str, bound: float) -> Aim:
    return Aim(f"CPU per {what}", job, "cpu_per_million", bound, beside=beside)


def _kept(what: str, job: str, candidate: str, beside: str) -> Aim:
    return Aim(f"messages kept, {what}", job, "rate", 5.0, True, candidate, beside)


AIMS: Final = (
    _cpu("delivery to 1,000, one in flight", "broadcast-1000-w1", "c-baseline", 1.4),
    _cpu("delivery to 1,000, one in flight", "broadcast-1000-w1", "nats", 0.65),
    _cpu("delivery to 1,000, one in flight", "broadcast-1000-w1", "redis", 1.1),
    Aim("deliveries to 1,000, saturated", "broadcast-1000-w32", "rate", 2.0, True, beside="nats"),
    Aim("deliveries to 1,000, saturated", "broadcast-1000-w32", "rate", 1.1, True, beside="redis"),
    _cpu("message to one, one in flight", "direct-w1", "nats", 0.85),
    _cpu("message to one, 32 in flight", "direct-w32", "nats", 1.1),
    _kept("flushed for each commit", "durable-100", "chatd-power", "nats-file-always"),
    _kept("left to the kernel", "durable-100", "chatd-process", "nats-file"),
    Aim("CPU us per request", "requests-100k", "cpu_per_million", 3.0),
    Aim("bytes per request that waits", "requests-100k", "bytes_each", 200),
    *(
        Aim(_GOALS[goal.figure], comparison.job.name, goal.figure, goal.bound, goal.at_least)
        for comparison in COMPARISONS
        if (goal := comparison.job.goal)
    ),
)


def aims(report: Report) -> list[Sequence[str]]:
    """Return a row for each aim: what, in which job, the bound, what it came to, the verdict."""
    return [[one.what, f"`{one.job}`", *_outcome(one, one.measured(report))] for one in AIMS]


def _outcome(aim: Aim, value: float | None) -> tuple[str, str, str]:
    bound = f"{'>=' if aim.at_least else '<='} {aim.formatted(aim.bound)}"
    if value is None:
        return bound, "not measured", ""
    is_met = value >= aim.bound if aim.at_least else value <= aim.bound
    return bound, aim.formatted(value), "met" if is_met else "**missed**"


def losses(report: Report) -> Iterator[Sequence[str]]:
    """Yield a row for each job in which another takes less: of what, and how many times less."""
    for job in dict.fromkeys(one.job for one in report.results):
        for candidate, competitors in _COMPETITORS.items():
            mine = report.find(job, candidate)
            others = [report.find(job, name) for name in competitors]
            for figure, what in _SPENT.items():
                ahead = list(_ahead(mine, others, figure)) if mine else []
                if ahead:
                    yield f"`{job}`", candidate, what, ", ".join(ahead)


def _ahead(mine: Result, others: Sequence[Result | None], figure: str) -> Iterator[str]:
    for other in others:
        if other and other.value(figure):
            times = mine.ratio(other, figure)
            if times >= _WORTH_LISTING:
                yield f"{times:.1f} x {other.candidate}"

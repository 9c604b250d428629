"""Medians of all runs, as a table for the terminal and as JSON for programs."""

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table

from bench.host import Environment
from bench.shares.cases import Case
from bench.shares.run import Measurement

_OURS: Final = "chatctl"
_COMPETITOR: Final = "libtorrent"
_FEW_IDLE: Final = 0.1  # of all cores: with fewer, the cores may have been the limit
_WIDTH: Final = 120  # columns, where there is no terminal to ask


class Result(Struct, frozen=True):
    """The medians of all runs of one candidate in one case, and the runs.

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


def heading(environment: Environment, subjects: Sequence[Subject], size: int) -> str:
    """Return what is measured, and on which machine."""
    machine = f"{environment.cpus} CPUs, Linux {environment.kernel}"
    lines = [f"{machine}; files of {size / 1e6:g} MB"]
    lines += [f"{it.name}: {it.version}; time from: {it.start_is}" for it in subjects]
    return "\n".join(lines) + "\n"


def show(report: Report) -> None:
    """Print a row for each result, and notes below."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=_WIDTH)
    table = Table(box=None, pad_edge=False)
    for name in ("case", "candidate"):
        table.add_column(name, no_wrap=True)
    for name in ("best, s", "took, s", "ratio", "low", "high", "started, s", "sent", "idle"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("goal", no_wrap=True)
    for result in report.results:
        table.add_row(*_row(result), _verdict(result, report))
    console.print(table)
    for note in _notes(report.results):
        console.print(note)


def _row(result: Result) -> tuple[str, ...]:
    return (
        result.case,
        result.candidate,
        f"{result.optimum:.2f}",
        f"{result.seconds:.2f}",
        f"{result.ratio:.2f}",
        f"{result.lowest:.2f}",
        f"{result.highest:.2f}",
        f"{result.started:.2f}",
        f"{result.sent:.2f}",
        f"{result.idle:.0%}",
    )


def _verdict(result: Result, report: Report) -> str:
    if result.candidate != _OURS:
        return ""
    (goal,) = (case.goal for case in report.cases if case.name == result.case)
    verdicts = [f"<= {goal:g}: {'met' if result.ratio <= goal else 'missed'}"]
    if competitors := [
        other.ratio
        for other in report.results
        if other.case == result.case and other.candidate.startswith(_COMPETITOR)
    ]:
        verdicts.append(
            f"{'ahead of' if result.ratio < min(competitors) else 'behind'} {_COMPETITOR}"
        )
    return ", ".join(verdicts)


def _notes(results: Sequence[Result]) -> Iterator[str]:
    for result in results:
        if result.idle < _FEW_IDLE:
            yield f"{result.case}, {result.candidate}: the cores may have been the limit"

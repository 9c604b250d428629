"""Results as a table for the terminal."""

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from bench.host import Environment
from bench.shares.report import Report, Result, Subject

_OURS: Final = "chatctl"
_RIVAL: Final = "libtorrent"
_FEW_IDLE: Final = 0.1  # of all cores: with fewer, the links were perhaps not the limit
_WIDTH: Final = 120  # columns, where there is no terminal to ask


def heading(environment: Environment, subjects: Sequence[Subject], size: int) -> str:
    """Say what is measured, and on what."""
    machine = f"{environment.cpus} CPUs, Linux {environment.kernel}"
    lines = [f"{machine}; files of {size / 1e6:g} MB"]
    lines += [f"{it.name}: {it.version}; time from: {it.start_is}" for it in subjects]
    return "\n".join(lines) + "\n"


def show(report: Report) -> None:
    """Print a line per result, and below them what a reader must know of some."""
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
    if rivals := [
        other.ratio
        for other in report.results
        if other.case == result.case and other.candidate.startswith(_RIVAL)
    ]:
        verdicts.append(f"{'ahead of' if result.ratio < min(rivals) else 'behind'} {_RIVAL}")
    return ", ".join(verdicts)


def _notes(results: Sequence[Result]) -> Iterator[str]:
    for result in results:
        if result.idle < _FEW_IDLE:
            yield f"{result.case}, {result.candidate}: the cores were perhaps the limit"

"""Results as a table for the terminal."""

import shlex
from collections.abc import Iterator, Sequence

from bench.host import Environment
from bench.report import MEASURED, Result, ServerInfo

_HEAD = (
    "job",
    "candidate",
    "per second",
    "spread",
    "CPU s/M",
    "of chatd's",
    "server",
    "load",
    "others",
    "",
    "goal",
)


def heading(environment: Environment, servers: Sequence[ServerInfo]) -> str:
    """Say what is measured, and on what."""
    cores = environment.cores
    versions = ", ".join(f"{name} {version}" for name, version in environment.versions.items())
    commands = "\n".join(
        f"{one.name} ({one.version}): {shlex.join(one.command)}{_indented(one.settings)}"
        for one in servers
    )
    where = (
        f"one core for both: server and load share core {cores.server}, rates are halved or worse"
        if cores.shared
        else f"server on core {cores.server}, load on core {cores.load}"
    )
    machine = f"{environment.cpus} CPUs, Linux {environment.kernel}"
    return f"{machine}; {versions}\n{where}\n{commands}\n"


def _indented(settings: str) -> str:
    return "".join(f"\n    {line}" for line in settings.splitlines())


def table(results: Sequence[Result]) -> str:
    """Return one line per result, and below them what a reader must know of some."""
    measured = {one.job: one for one in results if one.candidate == MEASURED}
    rows = [_HEAD, *(_row(result, measured.get(result.job)) for result in results)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_aligned(row, widths) for row in rows]
    return "\n".join((*lines, *_notes(results)))


def _row(result: Result, measured: Result | None) -> tuple[str, ...]:
    return (
        result.job,
        result.candidate,
        f"{format_si(result.rate)} {result.unit}",
        f"{result.spread:.0%}",
        f"{result.cpu_per_million:.3g}",
        f"{result.ratio(measured):.2f} x" if measured else "",
        f"{result.server_busy:.0%}",
        f"{result.load_busy:.0%}",
        f"{result.others_busy:.0%}",
        _figures(result.figures),
        _goal(result),
    )


def _aligned(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def format_si(value: float) -> str:
    """Return `value` with three digits and an SI prefix."""
    for size, suffix in ((1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{suffix}"
    return f"{value:.3g} "


def _figures(figures: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:,.0f}" for name, value in figures.items())


def _goal(result: Result) -> str:
    goal = result.goal
    if goal is None:
        return ""
    sign = ">=" if goal.at_least else "<="
    if result.goal_met:
        verdict = "met"
    else:
        verdict = "missed, but disturbed" if result.is_disturbed else "missed"
    return f"{goal.figure} {sign} {format_si(goal.bound).strip()}: {verdict}"


def _notes(results: Sequence[Result]) -> Iterator[str]:
    if any(result.is_disturbed for result in results):
        yield "other processes used these cores: rates are too low, and CPU s/M is too high"
    for result in results:
        for note in {run.note for run in result.runs if run.note}:
            yield f"{result.job} on {result.candidate}: {note}"
        if result.is_load_limited:
            where = f"{result.job} on {result.candidate}"
            yield f"{where}: the load was the bottleneck; only CPU s/M describes the server"

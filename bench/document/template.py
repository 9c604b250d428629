"""Text that is written by hand, and the figures that are put into it.

A figure is asked for in double braces, a word and what it is about:

    {{cpu JOB CANDIDATE}}             CPU seconds per million operations
    {{rate JOB CANDIDATE}}            operations per second
    {{ratio JOB CANDIDATE OTHER}}     how many times the CPU of the other it takes
    {{times JOB CANDIDATE OTHER}}     how many times as much per second as the other
    {{figure JOB CANDIDATE NAME}}     one of a job's own figures
    {{cpu-table JOB...}}              candidates down, jobs across; also rate-table
    {{latency-table JOB...}}          percentiles of one job a row and candidate
    {{figures-table JOB...}}          what chatd came to, job by job, and whether its goal is met
    {{plot NAME}}                     a picture
    {{machine}} {{settings}}          what it was measured on, and how every server was started
    {{aims}} {{losses}}               what was aimed at; what others do for less
    {{load}}                          what the load itself took, and where that was the limit
    {{recovery}}                      how long it takes from the start on a large log

What was not measured is named so.
"""

import re
import shlex
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from textwrap import fill as fill_lines
from typing import Final

from bench.document.verdicts import aims, losses
from bench.measure import PERCENTILES
from bench.report import MEASURED, Recovery, Report, Result
from bench.table import format_si

_NOT_MEASURED: Final = "not measured"
_WIDTH: Final = 100

Formula = Callable[..., str]


def fill(template: str, report: Report, plots: Mapping[str, str]) -> str:
    """Return `template` with what `report` holds. Raises LookupError for an unknown word."""
    words: dict[str, Formula] = {
        "cpu": lambda job, who: _format(report.find(job, who), _cpu),
        "rate": lambda job, who: _format(report.find(job, who), _rate),
        "ratio": lambda job, who, other: _ratio(report, job, (who, other), "cpu_per_million"),
        "times": lambda job, who, other: _ratio(report, job, (who, other), "rate"),
        "figure": lambda job, who, name: _format(
            report.find(job, who), lambda one: f"{one.figures[name]:,.0f}"
        ),
        "cpu-table": lambda *jobs: _pivot(report, jobs, _cpu_and_ratio),
        "rate-table": lambda *jobs: _pivot(report, jobs, _rate),
        "latency-table": lambda *jobs: _latencies(report, jobs),
        "figures-table": lambda *jobs: _figures(report, jobs),
        "plot": lambda name: f"![{name}]({plots[name]})",
        "aims": lambda: _markdown(["aim", "job", "bound", "measured", ""], aims(report)),
        "losses": lambda: _markdown(["job", "", "of", "times that of"], losses(report)),
        "load": lambda: _load(report),
        "recovery": lambda: _recovery(report.recovery),
        "machine": lambda: _machine(report),
        "settings": lambda: _settings(report),
    }

    def put(asked: re.Match[str]) -> str:
        word, *about = asked[1].split()
        return words[word](*about)

    filled = re.sub(r"\{\{(.+?)\}\}", put, template)
    return "\n\n".join(map(_wrapped, filled.split("\n\n")))


def _wrapped(paragraph: str) -> str:
    """Return a paragraph in lines of one length; tables, lists, headings and code as they are."""
    if not paragraph[:1].isalnum() and not paragraph.startswith(("`", "**", "[")):
        return paragraph
    return fill_lines(paragraph, _WIDTH, break_long_words=False, break_on_hyphens=False)


def _format(result: Result | None, format_result: Callable[[Result], str]) -> str:
    return _NOT_MEASURED if result is None else format_result(result)


def _cpu(result: Result) -> str:
    return f"{result.cpu_per_million:.3g}"


def _rate(result: Result) -> str:
    return format_si(result.rate).strip()


def _ratio(report: Report, job: str, names: tuple[str, str], figure: str) -> str:
    one, other = (report.find(job, name) for name in names)
    return f"{one.ratio(other, figure):.2f}" if one and other else _NOT_MEASURED


def _cpu_and_ratio(result: Result, report: Report) -> str:
    measured = report.find(result.job)
    if result.candidate == MEASURED or measured is None:
        return _cpu(result)
    return f"{_cpu(result)} ({result.ratio(measured):.2f} x)"


def _candidates(report: Report, jobs: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(one.candidate for one in report.results if one.job in jobs))


def _pivot(report: Report, jobs: Sequence[str], format_result: Callable[..., str]) -> str:
    rows = []
    for candidate in _candidates(report, jobs):
        found = [report.find(job, candidate) for job in jobs]
        needs_report = format_result is _cpu_and_ratio
        rows.append(
            [candidate]
            + [
                (
                    ""
                    if one is None
                    else format_result(one, report)
                    if needs_report
                    else format_result(one)
                )
                for one in found
            ]
        )
    return _markdown(["", *jobs], rows)


def _latencies(report: Report, jobs: Sequence[str]) -> str:
    rows = [
        [one.job, one.candidate, *(f"{one.figures.get(name, 0):,.0f}" for name in PERCENTILES)]
        for job in jobs
        for one in report.results
        if one.job == job
    ]
    return _markdown(["job", "candidate", "p50 us", "p99 us", "p99.9 us"], rows)


def _figures(report: Report, jobs: Sequence[str]) -> str:
    rows = []
    for job in jobs:
        for one in report.results:
            if one.job == job:
                own = ", ".join(f"{name} {value:,.0f}" for name, value in one.figures.items())
                rows.append([one.job, one.candidate, _rate(one), _cpu(one), own, _goal(one)])
    return _markdown(["job", "candidate", "per second", "CPU s/M", "figures", "goal"], rows)


def _goal(result: Result) -> str:
    goal = result.goal
    if goal is None:
        return ""
    sign = ">=" if goal.at_least else "<="
    return f"{goal.figure} {sign} {goal.bound:,.0f}: {'met' if result.goal_met else 'missed'}"


def _markdown(head: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _machine(report: Report) -> str:
    machine = report.environment
    versions = ", ".join(f"{name} {version}" for name, version in machine.versions.items())
    where = "server and load share one" if machine.cores.shared else "server and load on one each"
    return f"{machine.cpus} CPUs ({where}), Linux {machine.kernel}, {versions}"


def _load(report: Report) -> str:
    busiest: dict[str, float] = {}
    for one in report.results:
        busiest[one.candidate] = max(one.load_busy, busiest.get(one.candidate, 0.0))
    at_most = ", ".join(f"{name} {busy:.0%}" for name, busy in busiest.items())
    return (
        f"At most the load took of its core, in front of: {at_most or _NOT_MEASURED}. It was "
        "itself the limit, so that only CPU describes the server, in: "
        f"{_places(one for one in report.results if one.is_load_limited)}. Somebody else took "
        "more than 5 % of the two cores, which makes figures worse than they are, in: "
        f"{_places(one for one in report.results if one.is_disturbed)}."
    )


def _places(results: Iterable[Result]) -> str:
    return ", ".join(f"{one.job} on {one.candidate}" for one in results) or "no job"


def _recovery(measured: Recovery | None) -> str:
    if measured is None:
        return f"How long chatd takes to open a large log was {_NOT_MEASURED}."
    warm, cold, killed = map(statistics.median, (measured.warm, measured.cold, measured.killed))
    return (
        f"With {measured.messages:,} messages in the log ({measured.size / 1e6:,.0f} MB, "
        f"{measured.size / measured.messages:.0f} bytes each), the first message is acknowledged "
        f"{warm:.2f} s after chatd was started, {cold:.2f} s when the file is in nobody's memory, "
        f"{killed:.2f} s after a kill that left as long a write-ahead log as there ever is; "
        "Python's own start is in all of them."
    )


def _settings(report: Report) -> str:
    servers = []
    for one in report.servers:
        settings = "".join(f"\n    {line}" for line in one.settings.splitlines())
        servers.append(f"**{one.name}** ({one.version})\n\n    {shlex.join(one.command)}{settings}")
    return "\n\n".join(servers)

"""Pictures of what was measured; the same figures give the same bytes."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.jobs import AUTHORS, EXCHANGES, MEMBERS, SIZES
from bench.report import Report, Result

_COLOURS: Final = {
    "chatd": "#c4342b",
    "c-baseline": "#8a8a8a",
    "nats": "#2a78b5",
    "redis": "#3b8f55",
    "mosquitto": "#8357a8",
    "ngircd": "#b8861b",
}
_DURABLE: Final = {
    "chatd-power": ("#c4342b", "-"),
    "chatd-process": ("#c4342b", "--"),
    "nats-file-always": ("#2a78b5", "-"),
    "nats-file": ("#2a78b5", "--"),
}
"""The colour names the server, the line says whether it flushes each commit to the disk."""

_COMPARED: Final = (
    "ping-closed",
    "broadcast-100-w1",
    "broadcast-1000-w1",
    "broadcast-1000-w32",
    "direct-w1",
    "direct-w32",
)


def draw(report: Report, directory: Path) -> dict[str, Path]:
    """Write every plot into `directory` as SVG; return where each is."""
    directory.mkdir(parents=True, exist_ok=True)
    drawn = {}
    with mpl.rc_context({"svg.hashsalt": "chatd", "svg.fonttype": "none", "font.size": 9}):
        for name, plot in PLOTS.items():
            figure = Figure(figsize=(7.2, 3.6), layout="constrained")
            axes = figure.subplots()
            plot(axes, report)
            axes.spines[["top", "right"]].set_visible(False)
            drawn[name] = directory / f"{name}.svg"
            figure.savefig(drawn[name], metadata={"Date": None, "Creator": None})
    return drawn


def _compare(axes: Axes, report: Report) -> None:
    """Draw bars beside each other, job by job: the CPU time of an operation on each server."""
    names = [name for name in _COLOURS if any(report.find(job, name) for job in _COMPARED)]
    width = 0.8 / max(1, len(names))
    for place, name in enumerate(names):
        heights = [_cpu(report.find(job, name)) for job in _COMPARED]
        left = [number - 0.4 + (place + 0.5) * width for number in range(len(_COMPARED))]
        axes.bar(left, heights, width, color=_COLOURS[name], label=name)
    axes.set_yscale("log")
    axes.set_xticks(range(len(_COMPARED)), _COMPARED, fontsize=7.5)
    axes.set_ylabel("CPU us per operation (server)")
    _name_lines(axes, above=len(names))


def _cpu(result: Result | None) -> float:
    return result.cpu_per_million if result else float("nan")


def _by_members(axes: Axes, report: Report) -> None:
    _grow(axes, report, MEMBERS)
    axes.set_xlabel("members (one message in flight)")


def _by_size(axes: Axes, report: Report) -> None:
    _grow(axes, report, SIZES)
    axes.set_xlabel("bytes of a message (100 members, one message in flight)")


def _grow(axes: Axes, report: Report, steps: Mapping[int, str]) -> None:
    for name, colour in _COLOURS.items():
        points = [(step, report.find(job, name)) for step, job in steps.items()]
        known = [(step, found.cpu_per_million) for step, found in points if found]
        if len(known) > 2:  # one or two points show no growth
            axes.plot(*zip(*known, strict=True), marker="o", color=colour, label=name)
    axes.set_xscale("log")
    axes.set_xticks(list(steps), [f"{step:,}" for step in steps])
    axes.minorticks_off()
    axes.set_ylim(bottom=0)
    axes.set_ylabel("CPU us per delivery (server)")
    _name_lines(axes)


def _latency(axes: Axes, report: Report) -> None:
    """Draw a line from the median to p99.9 of every candidate, one row each."""
    rows = [
        (job, name)
        for job in ("broadcast-1000-paced", "broadcast-100-paced")
        for name in reversed(_COLOURS)
        if report.find(job, name)
    ]
    for height, (job, name) in enumerate(rows):
        found = report.find(job, name)
        assert found is not None
        marks = [found.figures[place] / 1000 for place in ("p50_us", "p99_us", "p999_us")]
        axes.plot(marks, [height] * 3, color=_COLOURS[name], marker="|", markersize=9)
    axes.set_yticks(
        range(len(rows)), [f"{name}, {job.split('-')[1]}" for job, name in rows], fontsize=7.5
    )
    axes.set_xscale("log")
    axes.set_xlabel("ms from due to received: median, p99, p99.9; 50,000 deliveries a second")


def _durable(axes: Axes, report: Report) -> None:
    for name, (colour, line) in _DURABLE.items():
        points = [(authors, report.find(job, name)) for authors, job in AUTHORS.items()]
        known = [(authors, found.rate) for authors, found in points if found]
        if known:
            axes.plot(*zip(*known, strict=True), line, marker="o", color=colour, label=name)
    axes.set_xscale("log")
    axes.set_ylim(bottom=0)
    axes.set_xticks(list(AUTHORS), [f"{authors:,}" for authors in AUTHORS])
    axes.minorticks_off()
    axes.set_xlabel("authors, each with one message in flight")
    axes.set_ylabel("messages kept per second")
    _name_lines(axes)


def _exchanges(axes: Axes, report: Report) -> None:
    for place, mark in (("p50_us", "o"), ("p99_us", "s"), ("p999_us", "^")):
        points = [(count, report.find(job)) for count, job in EXCHANGES.items()]
        known = [(count, found.figures[place] / 1000) for count, found in points if found]
        if known:
            axes.plot(
                *zip(*known, strict=True), marker=mark, color=_COLOURS["chatd"], label=place[:-3]
            )
    axes.set_yscale("log")
    axes.set_xlabel("exchanges at once, a stamp each way every 10 ms")
    axes.set_ylabel("lateness of a stamp (ms)")
    _name_lines(axes)


def _name_lines(axes: Axes, above: int = 0) -> None:
    """Explain the lines in the plot, or in so many columns `above` it."""
    if not axes.get_legend_handles_labels()[0]:
        return
    if above:
        axes.legend(ncols=above, frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
    else:
        axes.legend(frameon=False)


PLOTS: Final[Mapping[str, Callable[[Axes, Report], None]]] = {
    "compared": _compare,
    "members": _by_members,
    "sizes": _by_size,
    "latency": _latency,
    "durable": _durable,
    "exchanges": _exchanges,
}
"""Every plot, by the name by which the text asks for it."""

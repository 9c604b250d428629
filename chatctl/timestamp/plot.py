"""A plot of an exchange: round trip and its distribution, offset against delay, Allan deviation.

matplotlib is an extra, and slow to import: import this module only when a plot is asked for.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from matplotlib.typing import RcKeyType

from chatctl.errors import PartialError, why
from chatctl.timestamp.report import ExchangeReport
from common.timing.analysis import nearest_rank, samples
from common.timing.clocks import allan_deviation, longest_run
from common.timing.delays import Sample
from common.timing.record import ExchangeRecord
from common.values import format_duration

_A4_LANDSCAPE: Final = (11.7, 8.3)
"""Inches."""

_INK: Final = "#1f4e79"
_ACCENT: Final = "#c8553d"
_FAINT: Final = "#98a2ad"
_STYLE: Final[dict[RcKeyType, Any]] = {
    "axes.axisbelow": True,
    "axes.edgecolor": _FAINT,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "font.size": 9,
    "grid.color": "#e6eaee",
    "legend.frameon": False,
    "svg.fonttype": "none",
}
_DOTS: Final[Mapping[str, Any]] = {"s": 3, "alpha": 0.35, "linewidths": 0, "rasterized": True}
_LEAST_NS: Final = 1_000
"""The resolution of stamps; a log scale cannot draw 0."""


def draw(record: ExchangeRecord, report: ExchangeReport, path: Path) -> None:
    """Draw the exchange; raises PartialError when the file cannot be written."""
    found = samples(record)
    measured = list(found.values())
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=_A4_LANDSCAPE, layout="constrained")
        figure.suptitle(_title(record, report), x=0.01, ha="left", fontsize=12)
        grid = figure.add_gridspec(2, 6)
        _draw_round_trip(figure.add_subplot(grid[0, :4]), measured, record, report)
        _draw_distribution(figure.add_subplot(grid[0, 4:]), measured)
        _draw_wedge(figure.add_subplot(grid[1, :3]), measured, report.analysis.offset)
        phases = longest_run({n: sample.offset_ns for n, sample in found.items()})
        _draw_stability(figure.add_subplot(grid[1, 3:]), phases, record.interval_ns)
        try:
            figure.savefig(path, dpi=160)
        except OSError as error:
            raise PartialError(f"cannot write {path}: {why(error)}") from None


def _title(record: ExchangeRecord, report: ExchangeReport) -> str:
    began = datetime.fromtimestamp(record.sent_ns[0] / 1e9, UTC)
    interval = format_duration(record.interval_ns / 1e9)
    counts = report.analysis.counts
    return (
        f"Exchange {report.id} with {report.server}  ·  {began:%Y-%m-%d %H:%M:%S} UTC  ·  "
        f"{counts.sent:,} stamps sent and {counts.received:,} received, {interval} apart"
    )


def _draw_round_trip(
    axes: Axes, measured: Sequence[Sample], record: ExchangeRecord, report: ExchangeReport
) -> None:
    start_ns = record.sent_ns[0]
    axes.set(title="Round trip", xlabel="s since the first stamp", ylabel="ms", yscale="log")
    axes.scatter(
        [(sample.at_ns - start_ns) / 1e9 for sample in measured],
        [_ms(sample.delay_ns) for sample in measured],
        color=_INK,
        **_DOTS,
    )
    if trip := report.analysis.round_trip:
        for name, ns in (("median", trip.median_ns), ("p99", trip.p99_ns)):
            axes.axhline(_ms(ns), color=_ACCENT, linewidth=1)
            axes.annotate(
                f"{name} {ns / 1e6:.3f}",
                (1, _ms(ns)),
                (0, 3),
                xycoords=("axes fraction", "data"),
                textcoords="offset points",
                color=_ACCENT,
                ha="right",
            )
    for outage in report.outages:
        lost_s = (outage.at_ns - start_ns) / 1e9
        axes.axvspan(lost_s, lost_s + (outage.away_ns or 0) / 1e9, color=_ACCENT, alpha=0.15)
        axes.annotate(
            "no connection",
            (lost_s, 1),
            (3, -3),
            xycoords=("data", "axes fraction"),
            textcoords="offset points",
            color=_ACCENT,
            va="top",
            rotation=90,
        )
    _label_finely(axes.yaxis)


def _draw_distribution(axes: Axes, measured: Sequence[Sample]) -> None:
    axes.set(
        title="Distribution of the round trip", xlabel="ms", ylabel="% of stamps", xscale="log"
    )
    ranked = sorted(sample.delay_ns for sample in measured)
    count = len(ranked)
    axes.step(
        [_ms(ns) for ns in ranked],
        [100 * rank / count for rank in range(1, count + 1)],
        where="post",
        color=_INK,
    )
    notes = []
    for per_mille in (500, 900, 990, 999) if ranked else ():
        ns = nearest_rank(ranked, per_mille)
        axes.plot(_ms(ns), per_mille / 10, "o", color=_ACCENT, markersize=4)
        notes.append(f"p{per_mille / 10:g}  {ns / 1e6:.3f}")
    axes.text(0.98, 0.04, "\n".join(notes), transform=axes.transAxes, ha="right", color=_ACCENT)
    _label_finely(axes.xaxis)


def _draw_wedge(axes: Axes, measured: Sequence[Sample], best: Sample | None) -> None:
    """Draw offset against delay: a delay in one direction only is on an edge of the wedge."""
    axes.set(title="Clock offset against round trip", xlabel="round trip in ms")
    if best is None:
        return
    axes.set_ylabel(f"offset in ms from {best.offset_ns / 1e6:+.3f}")
    farthest = nearest_rank(sorted(sample.delay_ns for sample in measured), 995)
    shown = [sample for sample in measured if sample.delay_ns <= farthest]
    axes.scatter(
        [sample.delay_ns / 1e6 for sample in shown],
        [(sample.offset_ns - best.offset_ns) / 1e6 for sample in shown],
        color=_INK,
        **_DOTS,
    )
    reach = (farthest - best.delay_ns) / 1e6
    tip = best.delay_ns / 1e6
    for side in (-0.5, 0.5):
        axes.plot((tip, tip + reach), (0, side * reach), color=_FAINT, linewidth=1)
    axes.plot(tip, 0, "o", color=_ACCENT, markersize=5)
    axes.annotate(
        f"fastest round trip {tip:.3f}:\n"
        f"offset {best.offset_ns / 1e6:+.3f} ± {best.error_bound_ns / 1e6:.3f}",
        (tip, 0),
        (0.02, 0.97),
        textcoords="axes fraction",
        color=_ACCENT,
        va="top",
        arrowprops={"arrowstyle": "-", "color": _ACCENT, "linewidth": 0.8},
    )


def _draw_stability(axes: Axes, phases: Sequence[int], interval_ns: int) -> None:
    axes.set(title="Allan deviation", xlabel="span in s", xscale="log", yscale="log")
    factors = [1 << power for power in range(64) if 4 << power < len(phases)]
    if not factors:
        return
    spans = [factor * interval_ns / 1e9 for factor in factors]
    deviations = [allan_deviation(phases, interval_ns, factor) for factor in factors]
    jitter = [deviations[0] * spans[0] / span for span in spans]
    axes.plot(spans, jitter, "--", color=_FAINT, linewidth=1, label="jitter alone")
    axes.plot(spans, deviations, "o-", color=_INK, markersize=4, label="offsets as measured")
    axes.legend()


def _ms(ns: int) -> float:
    return max(_LEAST_NS, ns) / 1e6


def _label_finely(axis: Axis) -> None:
    """Label 1, 2 and 5 of each decade of a log axis, in plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_minor_formatter(NullFormatter())
    axis.set_major_formatter("{x:g}")

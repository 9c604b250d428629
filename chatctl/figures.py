"""Figures as people read them: a table in ms, and lines below it."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from chatctl.outcome import ExchangeReport, ProgressSample
from chatctl.run import Outage
from common.clock.analysis import Analysis, Counts
from common.clock.summary import Summary
from common.timestamps import format_time
from common.units import format_duration

_COLUMNS: Final = ("ms", "min", "mean", "median", "p90", "p99", "p99.9", "max", "stddev")


def render_report(report: ExchangeReport) -> str:
    """Return the summary of a run."""
    return "\n".join((*_heading(report), "", *_table(report.analysis), "", *_details(report)))


def render_sample(sample: ProgressSample) -> str:
    """Return one line about the newest stamps."""
    parts = [f"{sample.sent}/{sample.expected} sent", f"{sample.received} received"]
    if trip := sample.round_trip:
        least, median, most = map(_ms, (trip.min_ns, trip.median_ns, trip.max_ns))
        parts.append(f"round trip min/median/max {least}/{median}/{most} ms")
    if sample.offset:
        parts.append(f"clock offset {sample.offset.offset_ns / 1e6:+.3f} ms")
    return ", ".join(parts)


def table_rows(titled: Iterable[tuple[str, Summary]]) -> Iterator[str]:
    """Yield the lines of a table, the first of which says what the columns are."""
    cells = [_COLUMNS, *((title, *_cells(summary)) for title, summary in titled)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for first, *others in cells:
        aligned = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        yield "  ".join((first.ljust(widths[0]), *aligned))


def _cells(summary: Summary) -> Sequence[str]:
    return tuple(
        _ms(ns)
        for ns in (
            summary.min_ns,
            summary.mean_ns,
            summary.median_ns,
            summary.p90_ns,
            summary.p99_ns,
            summary.p99_9_ns,
            summary.max_ns,
            summary.stddev_ns,
        )
    )


def _heading(report: ExchangeReport) -> Iterator[str]:
    counts = report.analysis.counts
    interval = format_duration(report.interval_ns / 1e9)
    length = format_duration(counts.expected * report.interval_ns / 1e9)
    yield f"exchange {report.id} with {report.server}: every {interval} for {length}"


def _table(analysis: Analysis) -> Iterator[str]:
    yield from table_rows(analysis.rows())


def _details(report: ExchangeReport) -> Iterator[str]:
    analysis = report.analysis
    if offset := analysis.offset:
        yield (
            f"clock offset     {offset.offset_ns / 1e6:+.3f} ms, at most "
            f"{_ms(offset.error_bound_ns)} ms off (least delay {_ms(offset.delay_ns)} ms)"
        )
    if skew := analysis.skew:
        yield f"clock skew       {skew.ppm:+.3f} ppm, by one way alone ±{skew.spread_ppm:.3f}"
    if analysis.stability:
        spans = (
            f"{point.deviation:.1e} at {format_duration(point.tau_ns / 1e9)}"
            for point in analysis.stability
        )
        yield f"Allan deviation  {', '.join(spans)}"
    yield f"stamps           {_stamps(analysis.counts)}"
    yield f"punctuality      {_lateness(analysis.counts)}"
    for outage in report.outages:
        yield f"no connection    {_outage(outage)}"
    lost = f", {report.rows_lost} lost" if report.rows_lost else ""
    yield f"file             {report.file}: {report.rows} rows{lost}"


def _stamps(counts: Counts) -> str:
    return f"{counts.sent} sent, {counts.received} received of {counts.expected} each way"


def _lateness(counts: Counts) -> str:
    if not counts.late:
        return "no stamp 1 ms late or more"
    text = f"{_number(counts.late, 'stamp')} 1 ms late or more"
    if counts.stalls:
        text += (
            f"; {_number(counts.missed_deadlines, 'deadline')} missed in "
            f"{_number(counts.stalls, 'stall')} of up to {_ms(counts.longest_stall_ns)} ms"
        )
    return text


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _outage(outage: Outage) -> str:
    lost = f"from {format_time(outage.at_ns)}"
    return (
        f"{lost} to the end" if outage.away_ns is None else f"for {_ms(outage.away_ns)} ms {lost}"
    )


def _ms(ns: int) -> str:
    return f"{ns / 1e6:.3f}"

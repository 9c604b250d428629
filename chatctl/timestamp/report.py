"""Reports of timestamp exchanges: data structures for programs, text for people.

There are three: the report of a finished run, a sample of a running one, and the analysis of a
time file, block by block.
"""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from chatctl.errors import UsageError, why
from chatctl.timestamp.run import Outage, ServerCounts
from common.protocol.timestamps import format_time
from common.timing.analysis import Analysis, Counts, Summary, summarize
from common.timing.delays import Sample, error_bound, measure
from common.timing.file_analysis import BlockAnalysis, Direction, analyze_blocks
from common.timing.file_format import parse_blocks
from common.timing.record import ExchangeRecord
from common.values import format_duration


class ExchangeReport(Struct, frozen=True, tag_field="figures", tag="run"):
    """The report of one run: `rows` were written to the file, `rows_lost` could not be.

    `failure` says why the run ended early; it is empty if it finished or was interrupted.
    """

    id: str
    server: str
    file: str
    interval_ns: int
    rows: int
    rows_lost: int
    is_interrupted: bool
    failure: str
    outages: tuple[Outage, ...]
    server_counts: ServerCounts | None
    analysis: Analysis

    def shortfalls(self) -> Iterator[str]:
        """Yield a sentence for each part of the exchange that failed."""
        if self.failure:
            yield self.failure
        for outage in self.outages:
            if outage.away_ns is not None:
                away = format_duration(round(outage.away_ns / 1e9, 3))
                yield f"the connection was lost for {away} ({outage.reason})"
        if self.rows_lost:
            yield f"{self.rows_lost} rows could not be written to {self.file}"
        counts, server = self.analysis.counts, self.server_counts
        if server and server.unwritten:
            yield f"the server could not write {server.unwritten} rows to its file"
        if counts.received < counts.expected and not self.failure:
            yield f"received only {counts.received} of {counts.expected} stamps from the server"
        if server and not self.outages and server.received < counts.sent:
            yield f"the server received only {server.received} of {counts.sent} stamps"


class ProgressSample(Struct, frozen=True, tag_field="figures", tag="moment"):
    """A sample of a running exchange: counts so far, statistics since the last sample.

    `offset` is the sample with the smallest error bound.
    """

    at_ns: int
    expected: int
    sent: int
    received: int
    round_trip: Summary | None
    timer_error: Summary | None
    offset: Sample | None


class Sampler:
    """Takes samples of a `record` while the exchange fills it."""

    def __init__(self, record: ExchangeRecord) -> None:
        self._record = record
        self._seen = 0
        self._sent = 0

    def sample(self, at_ns: int) -> ProgressSample:
        """Return a sample at `at_ns` (since the Unix epoch)."""
        record = self._record
        arrivals, late_ns = record.arrivals[self._seen :], record.timer_error_ns[self._sent :]
        self._seen += len(arrivals)
        self._sent += len(late_ns)
        samples = [measure(stamps) for each in arrivals if (stamps := record.four_timestamps(each))]
        return ProgressSample(
            at_ns=at_ns,
            expected=record.expected,
            sent=self._sent,
            received=self._seen,
            round_trip=summarize(sample.delay_ns for sample in samples),
            timer_error=summarize(late_ns),
            offset=min(samples, key=error_bound, default=None),
        )


_COLUMNS: Final = ("ms", "min", "mean", "median", "p90", "p99", "p99.9", "max", "stddev")


def render_report(report: ExchangeReport) -> str:
    """Return the report of a run as text."""
    return "\n".join((*_heading(report), "", *_table(report.analysis), "", *_details(report)))


def render_sample(sample: ProgressSample) -> str:
    """Return a sample as one line."""
    parts = [f"{sample.sent}/{sample.expected} sent", f"{sample.received} received"]
    if trip := sample.round_trip:
        least, median, most = map(_ms, (trip.min_ns, trip.median_ns, trip.max_ns))
        parts.append(f"round trip min/median/max {least}/{median}/{most} ms")
    if sample.offset:
        parts.append(f"clock offset {sample.offset.offset_ns / 1e6:+.3f} ms")
    return ", ".join(parts)


def table_rows(titled: Iterable[tuple[str, Summary]]) -> Iterator[str]:
    """Yield the lines of a table, starting with the titles of the columns."""
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
            f"clock offset     {offset.offset_ns / 1e6:+.3f} ms ± {_ms(offset.error_bound_ns)} ms "
            f"(from the fastest round trip, {_ms(offset.delay_ns)} ms)"
        )
    if skew := analysis.skew:
        yield (
            f"clock skew       {skew.ppm:+.3f} ± {skew.spread_ppm:.3f} ppm (either direction alone)"
        )
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


def read(path: Path) -> tuple[BlockAnalysis, ...]:
    """Return the analysis of each block of a time file; raises UsageError."""
    try:
        # A time file is ASCII; the parser reports the line of any other character.
        with path.open(encoding="ascii", errors="backslashreplace") as lines:
            return analyze_blocks(parse_blocks(lines))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {why(error)}") from None
    except ValueError as error:
        raise UsageError(f"{path} is not a time file: {error}") from None


def render(number: int, block: BlockAnalysis) -> str:
    """Return the analysis of block `number` as text."""
    return "\n".join((*_block_heading(number, block), *_directions(block), ""))


def _block_heading(number: int, block: BlockAnalysis) -> Iterator[str]:
    span = "no rows"
    if block.first_ns is not None and block.last_ns is not None:
        length = format_duration((block.last_ns - block.first_ns) / 1e9)
        span = f"{block.rows} rows in {length} from {format_time(block.first_ns)}"
    yield f"block {number}: {span}, {_ending(block)}"
    if block.misnumbered:
        yield f"{block.misnumbered} rows are not numbered consecutively: some were lost"


def _ending(block: BlockAnalysis) -> str:
    if block.torn:
        return "cut off in the middle of a line"
    if block.end is None:
        return "never closed"
    how = "broken off" if block.end.broken_off else "closed"
    after_ns = block.end.after_ns
    return how if after_ns is None else f"{how} after {format_duration(after_ns / 1e9)}"


def _directions(block: BlockAnalysis) -> Iterator[str]:
    for direction in block.directions:
        yield ""
        titled = {"interval": direction.interval, "jitter": direction.jitter}
        name = f"{direction.sender} > {direction.receiver}"
        if direction.both_ways:
            name += " (both ways)"
        yield f"{name}: {direction.rows} rows{_gaps(direction)}"
        yield from table_rows((title, row) for title, row in titled.items() if row)


def _gaps(direction: Direction) -> str:
    longest: Summary | None = direction.interval
    if not direction.gaps or longest is None or direction.longest_until_ns is None:
        return ""
    until = format_time(direction.longest_until_ns)
    return f", {direction.gaps} gaps, the longest {longest.max_ns / 1e6:.3f} ms until {until}"

"""What is reported about an exchange: all of it at the end, and the newest while it runs."""

from collections.abc import Iterator

from msgspec import Struct

from chatctl.run import Outage, ServerCounts
from common.clock.analysis import Analysis
from common.clock.offset import Sample, error_bound, measure
from common.clock.summary import Summary, summarize
from common.exchange import ExchangeRecord
from common.units import format_duration


class ExchangeReport(Struct, frozen=True, tag_field="figures", tag="run"):
    """One run. `rows` went to the file, `rows_lost` did not; `server_counts` are what it said.

    `failure` says why the run could not be finished; it is empty when it was, or interrupted.
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
        """Yield what was not done of what was asked for, one sentence each."""
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
            yield f"only {counts.received} of {counts.expected} stamps came from the server"
        if server and not self.outages and server.received < counts.sent:
            yield f"the server received only {server.received} of {counts.sent} stamps"


class ProgressSample(Struct, frozen=True, tag_field="figures", tag="moment"):
    """How an exchange goes: counts so far, and what the stamps since the last sample show.

    `offset` is the one with the least error bound.
    """

    at_ns: int
    expected: int
    sent: int
    received: int
    round_trip: Summary | None
    timer_error: Summary | None
    offset: Sample | None


class Sampler:
    """Takes samples of a `record` while another thread fills it."""

    def __init__(self, record: ExchangeRecord) -> None:
        self._record = record
        self._seen = 0
        self._sent = 0

    def sample(self, at_ns: int) -> ProgressSample:
        """Return what is new at `at_ns` (since the Unix epoch)."""
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

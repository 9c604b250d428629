"""An exchange worked out by hand, for those who only show what is known of it."""

from typing import Any, Final

from chatctl.outcome import ExchangeReport
from chatctl.run import Outage, ServerCounts
from common.clock.analysis import analyze
from common.exchange import ExchangeRecord, ReceivedStamp

US: Final = 1_000
MS = 1_000_000
SECOND: Final = 1_000_000_000
EPOCH: Final = 1_795_245_060 * SECOND
"""2026-11-21T07:11:00Z."""


def exchange(count: int = 100) -> ExchangeRecord:
    """Stamps 10 ms apart: the other clock is 1 ms ahead, each way takes 0.1 to 0.4 ms."""
    record = ExchangeRecord(10 * MS, count)
    for n in range(1, count + 1):
        sent = EPOCH + n * 10 * MS
        there, back = 100 * US + n % 4 * 100 * US, 100 * US + n % 3 * 150 * US
        heard_at, answered = sent + there + 1 * MS, sent + 6 * MS
        record.sent_ns.append(sent)
        record.send_call_ns.append(20 * US)
        record.timer_error_ns.append(50 * US)
        arrival = ReceivedStamp(n, answered, n, heard_at, answered - 1 * MS + back)
        record.arrivals.append(arrival)
    return record


def report(record: ExchangeRecord | None = None, **changes: Any) -> ExchangeReport:
    """Return the report of a run in which all went well, but for `changes`."""
    record = record or exchange()
    fields: dict[str, Any] = {
        "id": "1",
        "server": "127.0.0.1:5555",
        "file": "client_1_TimeData.txt",
        "interval_ns": record.interval_ns,
        "rows": 2 * record.expected,
        "rows_lost": 0,
        "is_interrupted": False,
        "failure": "",
        "outages": (),
        "server_counts": ServerCounts(record.expected, record.expected),
        "analysis": analyze(record),
    }
    return ExchangeReport(**fields | changes)


OUTAGE: Final = Outage(EPOCH + 300 * MS, 1_500 * MS, "the server stops")

"""Reports of an exchange, in words and as JSON."""

from typing import Any

import msgspec
import pytest

from chatctl.errors import UsageError
from chatctl.timestamp.report import Sampler, read, render, render_report, render_sample
from chatctl.timestamp.run import Outage, ServerCounts
from common.timing.record import ExchangeRecord
from tests.support.timestamp_fixtures import EPOCH, MS, OUTAGE, SECOND, US, exchange, report

TITLES = [
    "round trip",
    "send delay",
    "receive delay",
    "round trip IPDV",
    "send IPDV",
    "receive IPDV",
    "send call time",
    "timer error",
    "peer timer error",
    "send PDV",
    "receive PDV",
]


def detail(text: str, title: str) -> str:
    """Return what stands behind `title` below the table."""
    (line,) = [line for line in text.splitlines() if line.startswith(f"{title}  ")]
    return line.removeprefix(title).strip()


def test_the_table_has_a_row_for_each_figure_in_the_order_of_irtt_and_one_unit() -> None:
    head, empty, columns, *lines = render_report(report()).splitlines()
    assert head == "exchange 1 with 127.0.0.1:5555: every 10ms for 1s"
    assert empty == ""
    assert " ".join(columns.split()) == "ms min mean median p90 p99 p99.9 max stddev"
    assert [line[:16].rstrip() for line in lines[: len(TITLES)]] == TITLES
    assert " ".join(lines[0].split()) == (
        "round trip 0.200 0.500 0.500 0.700 0.800 0.800 0.800 0.164"
    )


def test_the_columns_stand_below_each_other() -> None:
    _, _, *lines = render_report(report()).splitlines()
    assert len({len(line) for line in lines[: len(TITLES) + 1]}) == 1


def test_the_clocks_are_reported_with_their_error() -> None:
    text = render_report(report())
    assert detail(text, "clock offset") == (
        "+1.000 ms ± 0.101 ms (from the fastest round trip, 0.200 ms)"
    )
    assert detail(text, "clock skew").endswith(" ± 0.000 ppm (either direction alone)")
    assert detail(text, "Allan deviation").count(" at ") == 2


def test_what_went_well_is_reported_in_few_words() -> None:
    text = render_report(report())
    assert detail(text, "stamps") == "100 sent, 100 received of 100 each way"
    assert detail(text, "punctuality") == "no stamp 1 ms late or more"
    assert detail(text, "file") == "client_1_TimeData.txt: 200 rows"
    assert "no connection" not in text


def test_what_was_late_lost_or_cut_off_is_reported() -> None:
    record = exchange()
    record.timer_error_ns[10:13] = [2 * MS, 35 * MS, 25 * MS]
    forever = Outage(EPOCH, None, "gone")
    text = render_report(report(record, outages=(OUTAGE,), rows_lost=7))
    assert detail(text, "punctuality") == (
        "3 stamps 1 ms late or more; 2 deadlines missed in 1 stall of up to 35.000 ms"
    )
    assert detail(text, "no connection") == "for 1500.000 ms from 2026-11-21T07:11:00.300000Z"
    assert detail(text, "file").endswith("200 rows, 7 lost")
    never = render_report(report(outages=(forever,)))
    assert detail(never, "no connection") == "from 2026-11-21T07:11:00.000000Z to the end"


def test_an_exchange_that_nobody_answered_has_few_rows() -> None:
    unanswered = ExchangeRecord(10 * MS, 5, [EPOCH], [], [20 * US], [50 * US])
    text = render_report(report(unanswered))
    assert "round trip" not in text
    assert "send call time" in text
    assert "clock offset" not in text


@pytest.mark.parametrize(
    ("changes", "shortfall"),
    [
        ({"failure": "it broke"}, "it broke"),
        ({"outages": (OUTAGE,)}, "the connection was lost for 1.5s (the server stops)"),
        ({"rows_lost": 3}, "3 rows could not be written to client_1_TimeData.txt"),
        (
            {"server_counts": ServerCounts(100, 100, 4)},
            "the server could not write 4 rows to its file",
        ),
        ({"server_counts": ServerCounts(100, 98)}, "the server received only 98 of 100 stamps"),
    ],
)
def test_what_falls_short_is_a_sentence(changes: dict[str, Any], shortfall: str) -> None:
    assert list(report(**changes).shortfalls()) == [shortfall]


def test_missing_stamps_fall_short() -> None:
    record = exchange()
    del record.arrivals[90:]
    assert list(report(record).shortfalls()) == ["received only 90 of 100 stamps from the server"]


def test_nothing_falls_short_when_all_went_well_though_the_server_kept_its_counts() -> None:
    assert list(report().shortfalls()) == []
    assert list(report(server_counts=None).shortfalls()) == []


def test_as_json_every_time_is_in_whole_nanoseconds() -> None:
    decoded = msgspec.json.decode(msgspec.json.encode(report(outages=(OUTAGE,))))
    assert decoded["figures"] == "run"
    assert decoded["outages"] == [
        {"at_ns": EPOCH + 300 * MS, "away_ns": 1_500 * MS, "reason": "the server stops"}
    ]
    assert decoded["analysis"]["round_trip"]["min_ns"] == 200 * US
    assert decoded["server_counts"] == {"sent": 100, "received": 100, "unwritten": 0}

    def times(value: Any) -> list[Any]:
        if isinstance(value, list):
            return [time for each in value for time in times(each)]
        if not isinstance(value, dict):
            return []
        own = [each for name, each in value.items() if name.endswith("_ns")]
        return own + [time for each in value.values() for time in times(each)]

    assert len(times(decoded)) > 80
    assert all(isinstance(time, int) for time in times(decoded))


def test_a_sample_holds_what_is_new_since_the_last() -> None:
    whole, growing = exchange(), ExchangeRecord(10 * MS, 100)
    sampler = Sampler(growing)
    growing.sent_ns += whole.sent_ns[:10]
    growing.timer_error_ns += whole.timer_error_ns[:10]
    growing.arrivals += whole.arrivals[:9]
    first = sampler.sample(EPOCH + SECOND)
    assert (first.sent, first.received, first.expected) == (10, 9, 100)
    assert first.round_trip
    assert first.round_trip.count == 9
    growing.sent_ns += whole.sent_ns[10:]
    growing.arrivals += whole.arrivals[9:12]
    second = sampler.sample(EPOCH + 2 * SECOND)
    assert second.received == 12
    assert second.round_trip
    assert second.round_trip.count == 3
    assert second.timer_error is None
    assert sampler.sample(EPOCH + 3 * SECOND).round_trip is None


def test_a_sample_is_one_line() -> None:
    assert render_sample(Sampler(exchange()).sample(EPOCH)) == (
        "100/100 sent, 100 received, round trip min/median/max 0.200/0.500/0.800 ms, "
        "clock offset +1.000 ms"
    )
    assert (
        render_sample(Sampler(ExchangeRecord(10 * MS, 5)).sample(EPOCH)) == "0/5 sent, 0 received"
    )


FILE = """\
Timestamp Data

| # | Sender's IP | Receiver's IP | Date | Time |
|---|-------------|---------------|------|------|
| 1 | 192.0.2.1 | 192.0.2.2 | 2026-11-21 | 07:11:00.000000 |
| 2 | 192.0.2.2 | 192.0.2.1 | 2026-11-21 | 07:11:00.005000 |
| 3 | 192.0.2.1 | 192.0.2.2 | 2026-11-21 | 07:11:00.010000 |
| 5 | 192.0.2.1 | 192.0.2.2 | 2026-11-21 | 07:11:00.050000 |

End of Timestamp Data (broken off)

Timestamp Data

| # | Sender's IP | Receiver's IP | Date | Time |
|---|-------------|---------------|------|------|

End of Timestamp Data (after 5 minutes)
"""


def test_a_file_alone_is_reported_block_by_block(tmp_path: Any) -> None:
    path = tmp_path / "times.txt"
    path.write_text(FILE)
    first, second = map(render, (1, 2), read(path))
    lines = first.splitlines()
    assert lines[0] == "block 1: 4 rows in 50ms from 2026-11-21T07:11:00.000000Z, broken off"
    assert lines[1] == "1 rows are not numbered consecutively: some were lost"
    assert "192.0.2.1 > 192.0.2.2: 3 rows" in lines
    assert "192.0.2.2 > 192.0.2.1: 1 rows" in lines
    assert second.splitlines()[0] == "block 2: no rows, closed after 5m"


def test_a_file_that_was_never_closed_or_is_torn_is_reported_as_that(tmp_path: Any) -> None:
    path = tmp_path / "times.txt"
    third = FILE.index("| 3 ")
    path.write_text(FILE[:third])
    assert render(1, read(path)[0]).splitlines()[0].endswith("never closed")
    path.write_text(FILE[: third + 9])
    assert "cut off in the middle of a line" in render(1, read(path)[0])


@pytest.mark.parametrize("content", ["Dear diary,\n", "Timestamp Data\nDear diary,\n", "\0\xff\n"])
def test_a_file_of_something_else_is_refused_with_its_line(tmp_path: Any, content: str) -> None:
    path = tmp_path / "times.txt"
    path.write_text(content, encoding="latin-1")
    with pytest.raises(UsageError, match=r"is not a time file: line \d is '"):
        read(path)


def test_a_file_that_is_not_there_is_refused(tmp_path: Any) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read(tmp_path / "times.txt")

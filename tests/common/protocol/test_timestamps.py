"""Moments on the wire: UTC, to the microsecond."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from common.protocol.timestamps import check_time, format_time, parse_time

SECOND = 10**9
END_OF_2100 = int(datetime(2101, 1, 1, tzinfo=UTC).timestamp()) * SECOND
MOMENTS = st.integers(0, END_OF_2100 - 1)


def test_the_epoch() -> None:
    assert format_time(0) == "1970-01-01T00:00:00.000000Z"
    assert parse_time("1970-01-01T00:00:00.000000Z") == 0


def test_a_time_of_today() -> None:
    assert format_time(1_795_245_060_123_456_789) == "2026-11-21T07:11:00.123456Z"
    assert parse_time("2026-11-21T07:11:00.123456Z") == 1_795_245_060_123_456_000


@pytest.mark.parametrize("ns", [999, 999_999_999, 59 * SECOND + 999_999_999])
def test_a_time_is_truncated_and_never_rounded_up(ns: int) -> None:
    assert parse_time(format_time(ns)) == ns - ns % 1_000


@given(ns=MOMENTS)
@example(0)
@example(END_OF_2100 - 1)
def test_a_formatted_time_parses_to_the_microsecond(ns: int) -> None:
    assert parse_time(format_time(ns)) == ns - ns % 1_000


@given(ns=MOMENTS)
def test_a_formatted_time_agrees_with_the_standard_library(ns: int) -> None:
    moment = datetime.fromtimestamp(ns // SECOND, UTC).replace(microsecond=ns % SECOND // 1_000)
    assert format_time(ns) == moment.isoformat(timespec="microseconds").replace("+00:00", "Z")


@pytest.fixture
def in_kathmandu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Kathmandu")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("in_kathmandu")
def test_the_time_zone_of_the_machine_changes_nothing() -> None:
    assert format_time(1_000 * SECOND) == "1970-01-01T00:16:40.000000Z"
    assert parse_time("1970-01-01T00:16:41.000000Z") == 1_001 * SECOND


@given(one=MOMENTS, other=MOMENTS)
def test_formatted_times_sort_like_times(one: int, other: int) -> None:
    earlier, later = sorted([one, other])
    assert format_time(earlier) <= format_time(later)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2026-11-21",
        "2026-11-21T07:11:00Z",
        "2026-11-21T07:11:00.123Z",
        "2026-11-21T07:11:00.1234567Z",
        "2026-11-21T07:11:00.123456",
        "2026-11-21T07:11:00.123456z",
        "2026-11-21t07:11:00.123456Z",
        "2026-11-21 07:11:00.123456Z",
        "2026-11-21T07:11:00,123456Z",
        "2026-11-21T07:11:00.123456+00:00",
        "2026-11- 1T07:11:00.123456Z",
        "2026-11-21T 7:11:00.123456Z",
        "2026-11-021T7:11:00.123456Z",
        "2026-13-21T07:11:00.123456Z",
        "2026-02-29T07:11:00.123456Z",
        "2026-11-21T24:00:00.123456Z",
        "2026-12-31T23:59:60.123456Z",
        "2026-11-21T07:11:00.12345٦Z",
        "٢٠٢٦-11-21T07:11:00.123456Z",
        "2026-11-21T07:11:00.-12345Z",
        "2026-W47-6T07:11:00.123456Z",
        "20261121T071100.123456Z",
        "2026-11-21T07:11-12:00.123Z",
        "1969-12-31T23:59:59.999999Z",
        "0001-01-01T00:00:00.000000Z",
        "2026-11-21T07:11:00.123456Z\n",
    ],
)
def test_any_other_form_is_refused(text: str) -> None:
    for take in (parse_time, check_time):
        with pytest.raises(ValueError, match="is not a UTC time like"):
            take(text)


@given(text=st.text() | st.builds(format_time, MOMENTS).map(lambda text: text[:-8] + text[-7:]))
def test_no_other_text_is_a_time(text: str) -> None:
    for take in (parse_time, check_time):
        with pytest.raises(ValueError, match="is not a UTC time like"):
            take(text)

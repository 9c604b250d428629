"""Numbers, durations, sizes and ranges as people write them.

Addresses as people write them.
"""

import ipaddress
import math
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.values import (
    Address,
    format_duration,
    parse_duration,
    parse_number,
    parse_range,
    parse_size,
    parse_whole,
)

NO_NUMBERS: Final = (
    *("", "-", "--1", "+1", " 1", "1 ", "1\n", "1 000", "1_0", "1,5", "0x10", "1e3", "nan", "inf"),
    *("-inf", "٣", "\N{FULLWIDTH DIGIT ONE}", "\N{SUPERSCRIPT TWO}", "one", "9" * 5_000),
)
"""What ``int`` or ``float`` take, and nobody writes; and what they do not take."""

SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("12", 12), ("007", 7), ("-3", -3), ("9" * 20, 10**20 - 1)]
)
def test_a_whole_number_is_digits(text: str, number: int) -> None:
    assert parse_whole(text) == number


@pytest.mark.parametrize("text", [*NO_NUMBERS, "1.0", "1.", ".5"])
def test_the_error_for_a_bad_whole_number_has_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a whole number \(example: 5555\)$"):
        parse_whole(text)


@pytest.mark.parametrize(
    ("text", "number"), [("0", 0), ("12", 12), ("0.5", 0.5), ("-3.25", -3.25), ("1.0", 1)]
)
def test_a_number_is_digits_and_maybe_a_point_with_more(text: str, number: float) -> None:
    assert parse_number(text) == number


@pytest.mark.parametrize("text", [*NO_NUMBERS, "1.", ".5", "1.2.3", "1._5"])
def test_the_error_for_a_bad_number_has_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a number \(examples: 12, 0\.5\)$"):
        parse_number(text)


@given(st.text())
def test_no_text_is_read_as_a_number_that_is_not_finite(text: str) -> None:
    for parse in (parse_whole, parse_number):
        try:
            number = parse(text)
        except ValueError:
            continue
        assert math.isfinite(number)
        assert text.isascii()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("250us", 0.00025),
        ("10ms", 0.01),
        ("4s", 4),
        ("1.5s", 1.5),
        ("5m", 300),
        ("1h", 3_600),
        ("1h30m", 5_400),
        ("1m30s", 90),
        ("7d", 604_800),
        ("1d1h1m1s1ms1us", 90_061.001001),
    ],
)
def test_a_duration_is_numbers_with_units(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    "text",
    [
        *("", "5", "s", "1.", ".5s", "-1s", "+1s", "1e3s", "1_0s", "nans", "infs", "1,5s", "00"),
        *(
            "1 s",
            " 1s",
            "1s ",
            "1s\n",
            "1S",
            "1M",
            "1min",
            "1h30",
            "1w",
            "٣s",
            "\N{FULLWIDTH DIGIT ONE}s",
            "1ss",
        ),
        *("9" * 400 + "d", "9" * 5_000 + "s"),
    ],
)
def test_the_error_for_a_bad_duration_has_examples(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"is not a duration \(examples: 10ms, 4s, 5m, 1h, 7d, 0\)$"
    ):
        parse_duration(text)


@given(
    terms=st.lists(st.tuples(st.integers(0, 10**9 - 1), st.sampled_from(list(SECONDS))), min_size=1)
)
def test_a_duration_is_the_sum_of_its_terms_and_finite(terms: list[tuple[int, str]]) -> None:
    seconds = parse_duration("".join(f"{number}{unit}" for number, unit in terms))
    assert math.isfinite(seconds)
    assert seconds == pytest.approx(sum(number * SECONDS[unit] for number, unit in terms))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        *(
            (0, "0"),
            (2.5e-7, "0.25us"),
            (0.00025, "250us"),
            (0.01, "10ms"),
            (1, "1s"),
            (59.5, "59.5s"),
        ),
        *((90, "1.5m"), (3_600, "1h"), (5_400, "1.5h"), (86_400, "1d"), (604_800, "7d")),
        *((1.23456, "1.235s"), (0.9994, "999.4ms")),
    ],
)
def test_a_duration_is_written_in_the_largest_unit_that_fits(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(seconds=st.floats(1e-6, 8.6e8))
def test_a_written_duration_reads_back_to_four_digits(seconds: float) -> None:
    assert parse_duration(format_duration(seconds)) == pytest.approx(seconds, rel=5.1e-4)


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *(("0", 0), ("65536", 65_536), ("65536B", 65_536), ("10 B", 10)),
        *(("1kB", 1_000), ("1MB", 1_000_000), ("1GB", 1_000_000_000)),
        *(("64KiB", 65_536), ("8MiB", 8_388_608), ("8 MiB", 8_388_608), ("1GiB", 1_073_741_824)),
    ],
)
def test_a_size_is_a_whole_number_of_bytes_or_of_a_unit(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    "text",
    [
        *("", "B", "-1", "+1", "1.5MiB", "1e3", "1_000", "0x10", "1 ", " 1", "1\n", "1\nB"),
        *(
            "1K",
            "1KB",
            "1kb",
            "1mib",
            "1TiB",
            "1kiB",
            "1BB",
            "٣B",
            "\N{FULLWIDTH DIGIT ONE}",
            "9" * 5_000,
        ),
    ],
)
def test_the_error_for_a_bad_size_has_examples(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a size \(examples: 65536, 64KiB, 8MiB, 1GiB\)$"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "low_and_high"),
    [("1:5", (1, 5)), ("0:0", (0, 0)), ("0.5:2", (0.5, 2)), ("0:3600", (0, 3_600))],
)
def test_a_range_is_two_numbers_of_seconds(text: str, low_and_high: tuple[float, float]) -> None:
    assert parse_range(text) == low_and_high


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "1", "1:", ":5", "5:1", "-1:5", "1:3601", "1:2:3", "a:b", "1_0:20", "1:2_0"),
        *("nan:1", "1:nan", "0:inf", " 1:5", "1: 5", "1:5 ", "1:5\n", "1e0:5", "+1:5", "٣:٤"),
    ],
)
def test_the_error_for_a_bad_range_has_an_example(text: str) -> None:
    with pytest.raises(
        ValueError, match=r"is not a range of seconds from 0 to 3600 \(example: 1:5\)$"
    ):
        parse_range(text)


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("chat.example.org:7000", "chat.example.org", 7000),
        ("chat.example.org", "chat.example.org", 5555),
        (":7000", "127.0.0.1", 7000),
        ("[::1]:5555", "::1", 5555),
        ("[::1]", "::1", 5555),
        ("::1", "::1", 5555),
        ("fe80::1%eth0", "fe80::1%eth0", 5555),
        ("192.0.2.1:1", "192.0.2.1", 1),
        ("localhost:65535", "localhost", 65535),
    ],
)
def test_the_defaults_are_this_machine_and_port_5555(text: str, host: str, port: int) -> None:
    assert Address.parse(text) == (host, port)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "host:",
        "host:0",
        "host:65536",
        "host:http",
        "[::1",
        "a b",
        "[::1]5555",
        "a]",
        "a:٣",
        "a:+1",
    ],
)
def test_the_error_for_a_bad_address_names_the_forms(text: str) -> None:
    with pytest.raises(ValueError, match="write HOST:PORT"):
        Address.parse(text)


@given(
    st.one_of(
        st.ip_addresses().map(str), st.from_regex(r"[a-z0-9][a-z0-9.-]{0,20}", fullmatch=True)
    ),
    st.integers(1, 65535),
)
def test_an_address_that_was_written_is_read_back(host: str, port: int) -> None:
    address = Address(host, port)

    assert Address.parse(str(address)) == address


@given(st.text())
def test_no_text_raises_anything_but_value_error(text: str) -> None:
    try:
        address = Address.parse(text)
    except ValueError:
        return
    assert address.host
    assert 1 <= address.port <= 65535


def test_an_ipv6_address_is_written_in_brackets() -> None:
    assert str(Address(str(ipaddress.IPv6Address(1)), 1)) == "[::1]:1"

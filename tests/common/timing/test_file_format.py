from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.protocol.timestamps import format_time
from common.timing.file_analysis import analyze_blocks
from common.timing.file_format import (
    Continuation,
    End,
    FileBlock,
    Row,
    block_end,
    block_start,
    broken_end,
    continue_after,
    direction,
    format_rows,
    parse_blocks,
)

SECOND = 1_000_000_000
AT = 1_795_245_060 * SECOND + 123_456_789
HERE = "127.0.0.1"
ROW = "| 1 | 127.0.0.1 | 127.0.0.1 | 2026-11-21 | 07:11:00.123456 |\n"

SPECIFIED = """\
Timestamp Data

| # | Sender's IP | Receiver's IP | Date | Time |
|---|-------------|---------------|------|------|
| 1 | 127.0.0.1 | 127.0.0.1 | 2026-11-21 | 07:11:00.123456 |

End of Timestamp Data (after 5 minutes)
"""

START = "".join(SPECIFIED.splitlines(keepends=True)[:4])
BROKEN = "\nEnd of Timestamp Data (broken off)\n"


def parse(text: str) -> list[FileBlock]:
    return list(parse_blocks(text.splitlines(keepends=True)))


def row(sender: str, receiver: str, at_ns: int) -> str:
    return direction(sender, receiver) + format_time(at_ns)


def one_block(first: int, count: int) -> str:
    rows = [row(HERE, "::1", AT + n * 10_000_000) for n in range(count)]
    return format_rows(first, rows)


def test_a_block_is_laid_out_as_specified() -> None:
    text = block_start(first=True) + format_rows(1, [row(HERE, HERE, AT)]) + block_end(300 * SECOND)
    assert text == SPECIFIED


def test_blocks_stand_a_line_apart() -> None:
    assert block_start(first=False) == "\n" + START


def test_rows_count_on_and_cut_times_to_microseconds() -> None:
    rows = [
        row("10.0.0.1", "fe80::1%eth0", AT + 999),
        row("fe80::1%eth0", "10.0.0.1", AT + 10 * SECOND),
        row("10.0.0.1", "fe80::1%eth0", AT // SECOND * SECOND),
    ]
    assert format_rows(41, rows) == (
        "| 41 | 10.0.0.1 | fe80::1%eth0 | 2026-11-21 | 07:11:00.123457 |\n"
        "| 42 | fe80::1%eth0 | 10.0.0.1 | 2026-11-21 | 07:11:10.123456 |\n"
        "| 43 | 10.0.0.1 | fe80::1%eth0 | 2026-11-21 | 07:11:00.000000 |\n"
    )


def test_the_epoch_is_a_moment() -> None:
    (line,) = format_rows(1, [row("a", "b", 0)]).splitlines()
    assert line == "| 1 | a | b | 1970-01-01 | 00:00:00.000000 |"


@pytest.mark.parametrize("address", ["", "a b", "a|b", "a\n", "zürich"])
def test_an_address_that_could_not_be_read_back_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        direction(address, HERE)
    with pytest.raises(ValueError, match="is not an address"):
        direction(HERE, address)


DURATIONS = {
    0: "0 seconds",
    SECOND: "1 second",
    2 * SECOND: "2 seconds",
    250_000_000: "0.25 seconds",
    1_499_999: "0.001 seconds",
    59_999_600_000: "1 minute",
    90 * SECOND: "1 minute 30 seconds",
    300 * SECOND: "5 minutes",
    3_600 * SECOND: "1 hour",
    7_384_567_000_000: "2 hours 3 minutes 4.567 seconds",
}


@pytest.mark.parametrize(("duration_ns", "words"), DURATIONS.items(), ids=DURATIONS.values())
def test_a_duration_is_put_in_words(duration_ns: int, words: str) -> None:
    assert block_end(duration_ns) == f"\nEnd of Timestamp Data (after {words})\n"
    assert broken_end(duration_ns) == f"\nEnd of Timestamp Data (broken off after {words})\n"


class Written(NamedTuple):
    rows: list[tuple[tuple[str, str], int]]
    ms: int
    broken_off: bool


ADDRESSES = st.one_of(st.ip_addresses().map(str), st.just("fe80::1%eth0"))
BLOCKS = st.lists(
    st.builds(
        Written,
        st.lists(
            st.tuples(
                st.tuples(ADDRESSES, ADDRESSES),
                st.integers(0, 253_402_300_799_999_999_999),
            ),
            max_size=8,
        ),
        st.integers(0, 10**8),
        st.booleans(),
    ),
    max_size=4,
)


@given(BLOCKS)
def test_what_is_written_is_read_back(blocks: list[Written]) -> None:
    text, expected, number = "", [], 1
    for written in blocks:
        text += block_start(first=not text)
        text += format_rows(number, [row(*way, at) for way, at in written.rows])
        end = broken_end if written.broken_off else block_end
        text += end(written.ms * 1_000_000)
        rows = [
            Row(n, *way, at // 1_000 * 1_000) for n, (way, at) in enumerate(written.rows, number)
        ]
        number += len(rows)
        expected.append(FileBlock(rows, End(written.broken_off, written.ms * 1_000_000)))
    assert parse(text) == expected
    assert continue_after(text) == Continuation(number - 1, cut=0, closing="")


def test_a_block_that_was_closed_later_has_no_duration() -> None:
    (block,) = parse(START + ROW + BROKEN)
    assert block.end == End(broken_off=True, after_ns=None)


def test_a_block_that_was_never_closed_has_no_end() -> None:
    first, second = parse(START + ROW + "\n" + START)
    assert (len(first.rows), first.end, first.torn) == (1, None, False)
    assert (len(second.rows), second.end, second.torn) == (0, None, False)


def test_an_incomplete_last_row_is_left_out_and_reported() -> None:
    (block,) = parse(START + ROW + ROW[:-10])
    assert (len(block.rows), block.end, block.torn) == (1, None, True)


def test_a_row_that_lacks_only_its_newline_is_a_row() -> None:
    (block,) = parse(START + ROW.rstrip("\n"))
    assert (len(block.rows), block.torn) == (1, False)


def test_a_file_that_ends_within_its_first_line_is_torn() -> None:
    assert parse("Timest") == [FileBlock(torn=True)]


def test_an_empty_file_has_no_blocks() -> None:
    assert parse("") == []
    assert parse("\n\n") == []
    assert parse(SPECIFIED + "\n  ") == parse(SPECIFIED)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("hello\n", "line 1 is 'hello', expected Timestamp Data"),
        ("hello", "line 1 is 'hello', expected Timestamp Data"),
        (ROW, "line 1 is .* expected Timestamp Data"),
        (START + "hello\n" + ROW, "line 5 is 'hello', expected a row, or the end of the block"),
        (START + ROW[:-10] + "\n" + ROW, "line 5 is .* expected a row, or the end of the block"),
        (START + ROW.replace("| 1 |", "| 01 |"), "line 5 is .* expected a row"),
        (START + ROW.replace("11-21", "13-21"), "line 5 has '2026-13-21 .* a date and a time"),
        (START + ROW.replace("07:11", "27:11"), "line 5 has .* expected a date and a time"),
        (START + "\nEnd of Timestamp Data (after a while)\n", "line 6 is .* expected a row"),
        (SPECIFIED + ROW, "line 8 is .* expected Timestamp Data"),
    ],
)
def test_what_is_not_timestamp_data_is_refused_with_its_line(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse(text)


CONTINUATIONS = {
    "nothing": ("", Continuation(0, cut=0, closing="")),
    "a part of the first line": ("Timest", Continuation(0, cut=6, closing="")),
    "a closed block": (SPECIFIED, Continuation(1, cut=0, closing="")),
    "a closed block without the last newline": (
        SPECIFIED.rstrip("\n"),
        Continuation(1, cut=0, closing="\n"),
    ),
    "an open block without rows": (START, Continuation(0, cut=0, closing=BROKEN)),
    "an open block": (START + ROW, Continuation(1, cut=0, closing=BROKEN)),
    "half a row": (START + ROW + ROW[:17], Continuation(1, cut=17, closing=BROKEN)),
    "a row without the newline": (START + ROW[:-1], Continuation(1, cut=0, closing="\n" + BROKEN)),
    "half an end": (
        START + ROW + BROKEN[:-9],
        Continuation(1, cut=len(BROKEN) - 10, closing=BROKEN),
    ),
    "only a part of the last rows": (
        ROW[30:] + ROW.replace("| 1 |", "| 58 |") + ROW.replace("| 1 |", "| 59 |"),
        Continuation(59, cut=0, closing=BROKEN),
    ),
}


@pytest.mark.parametrize(("tail", "continuation"), CONTINUATIONS.values(), ids=CONTINUATIONS.keys())
def test_the_tail_of_a_file_is_enough_to_append(tail: str, continuation: Continuation) -> None:
    assert continue_after(tail) == continuation


@pytest.mark.parametrize("tail", ["Dear diary,\n", "Dear diary", SPECIFIED + "PS: hello\n"])
def test_a_file_of_something_else_is_not_appended_to(tail: str) -> None:
    with pytest.raises(ValueError, match="not timestamp data: choose another file"):
        continue_after(tail)


def test_the_error_shows_the_end_of_a_foreign_line() -> None:
    with pytest.raises(ValueError, match=r"^the file ends with 'b{80}', which"):
        continue_after("a" * 10_000 + "b" * 80)


FILE = (
    block_start(first=True)
    + one_block(1, 3)
    + block_end(30_000_000)
    + block_start(first=False)
    + one_block(4, 3)
    + broken_end(20_000_000)
)


def test_wherever_a_file_breaks_off_the_next_run_repairs_it() -> None:
    rows_of_file = {line for line in FILE.splitlines() if HERE in line}
    for length in range(len(FILE) + 1):
        broken = FILE[:length]
        found = continue_after(broken)
        assert found.last_number == len(rows_of_file & set(broken.splitlines())), length
        kept = broken[: length - found.cut] + found.closing
        mended = kept + block_start(first=not kept) + one_block(found.last_number + 1, 2)
        blocks = parse(mended + block_end(0))
        numbers = [row.number for block in blocks for row in block.rows]
        assert numbers == list(range(1, found.last_number + 3)), length
        assert all(block.end and not block.torn for block in blocks), length


@pytest.mark.parametrize("length", [4_096, 4_097, 4_130, 5_000])
def test_the_last_4_kib_are_as_good_as_the_whole_file(length: int) -> None:
    text = START + one_block(1, 1_000)[:-20]
    assert continue_after(text[-length:]) == continue_after(text)
    assert continue_after(text).last_number == 999


MS = 1_000_000
CLIENT, SERVER = "10.0.0.1", "10.0.0.2"


def rows(first: int, stamps: list[tuple[str, str, int]]) -> list[Row]:
    return [
        Row(n, sender, receiver, ms * MS) for n, (sender, receiver, ms) in enumerate(stamps, first)
    ]


def test_each_direction_has_its_intervals_and_their_jitter() -> None:
    there = [(CLIENT, SERVER, ms) for ms in (0, 10, 20, 31, 40)]
    back = [(SERVER, CLIENT, ms) for ms in (5, 15, 25, 35)]
    block = FileBlock(
        rows(1, sorted(there + back, key=lambda stamp: stamp[2])), End(False, 50 * MS)
    )
    (analysis,) = analyze_blocks([block])
    assert (analysis.rows, analysis.misnumbered) == (9, 0)
    assert (analysis.first_ns, analysis.last_ns) == (0, 40 * MS)
    assert (analysis.end, analysis.torn) == (End(False, 50 * MS), False)
    sent, received = analysis.directions
    assert (sent.sender, sent.receiver, sent.rows, sent.both_ways) == (CLIENT, SERVER, 5, False)
    assert sent.interval
    assert (sent.interval.min_ns, sent.interval.median_ns, sent.interval.max_ns) == (
        9 * MS,
        10 * MS,
        11 * MS,
    )
    assert sent.jitter
    assert (sent.jitter.mean_ns, sent.jitter.max_ns) == (MS // 2, MS)
    assert (sent.gaps, sent.longest_until_ns) == (0, 31 * MS)
    assert (received.sender, received.receiver, received.rows) == (SERVER, CLIENT, 4)
    assert received.jitter
    assert received.jitter.max_ns == 0


def test_a_pause_is_a_gap_and_says_when_it_ended() -> None:
    times = [0, 10, 20, 55, 60, 70, 91]
    (analysis,) = analyze_blocks([FileBlock(rows(1, [(CLIENT, SERVER, ms) for ms in times]))])
    (sent,) = analysis.directions
    assert sent.interval
    assert (sent.gaps, sent.interval.max_ns, sent.longest_until_ns) == (2, 35 * MS, 55 * MS)


def test_on_one_machine_an_interval_is_the_time_of_two_stamps_that_take_turns() -> None:
    times = [0, 3, 10, 13, 20, 23, 30]
    (analysis,) = analyze_blocks([FileBlock(rows(1, [("::1", "::1", ms) for ms in times]))])
    (mixed,) = analysis.directions
    assert mixed.both_ways
    assert mixed.interval
    assert mixed.interval.count == 5
    assert mixed.interval.min_ns == mixed.interval.max_ns == 10 * MS


def test_numbers_count_on_from_block_to_block() -> None:
    stamps = [(CLIENT, SERVER, 0), (CLIENT, SERVER, 10)]
    blocks = [
        FileBlock(rows(1, stamps)),
        FileBlock(),
        FileBlock(rows(3, stamps)),
        FileBlock(rows(7, stamps)),
    ]
    assert [analysis.misnumbered for analysis in analyze_blocks(blocks)] == [0, 0, 0, 1]


def test_a_block_may_have_no_rows() -> None:
    (analysis,) = analyze_blocks([FileBlock(torn=True)])
    assert (analysis.rows, analysis.first_ns, analysis.last_ns) == (0, None, None)
    assert (analysis.end, analysis.torn, analysis.directions) == (None, True, ())


def test_a_single_stamp_has_no_interval() -> None:
    (analysis,) = analyze_blocks([FileBlock(rows(1, [(CLIENT, SERVER, 0)]))])
    (sent,) = analysis.directions
    assert (sent.rows, sent.interval, sent.jitter) == (1, None, None)
    assert (sent.gaps, sent.longest_until_ns) == (0, None)

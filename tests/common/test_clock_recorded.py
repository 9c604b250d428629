from common.clock.recorded import analyze_blocks
from common.timefile import End, FileBlock, Row

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


def test_a_block_without_rows_says_so() -> None:
    (analysis,) = analyze_blocks([FileBlock(torn=True)])
    assert (analysis.rows, analysis.first_ns, analysis.last_ns) == (0, None, None)
    assert (analysis.end, analysis.torn, analysis.directions) == (None, True, ())


def test_a_single_stamp_has_no_interval() -> None:
    (analysis,) = analyze_blocks([FileBlock(rows(1, [(CLIENT, SERVER, 0)]))])
    (sent,) = analysis.directions
    assert (sent.rows, sent.interval, sent.jitter) == (1, None, None)
    assert (sent.gaps, sent.longest_until_ns) == (0, None)

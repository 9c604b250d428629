"""What pings say, computed by hand."""

from chatctl.client.events import Probe
from chatctl.commands.ping import PingResult, PingSummary

MS = 1_000_000


def probe(there: float, back: float, *, ahead: float = 0.0, server_ms: float = 0.0) -> Probe:
    """One ping that took `there` and `back` ms, to a server whose clock is `ahead` ms."""
    sent = 1_000 * MS
    reached = int(sent + (there + ahead) * MS)
    left = int(reached + server_ms * MS)
    return Probe(
        sent, reached, left, int(left + (back - ahead) * MS), (there + server_ms + back) / 1e3
    )


def test_the_offset_is_right_when_both_ways_take_as_long() -> None:
    ping = probe(2.0, 2.0, ahead=70.0, server_ms=5.0)

    assert ping.offset == 0.070
    assert ping.delay == 0.004


def test_the_offset_is_wrong_by_half_the_difference_of_the_two_ways() -> None:
    ping = probe(6.0, 2.0)

    assert ping.offset == 0.002
    assert abs(ping.offset) <= ping.delay / 2


def test_a_ping_result_is_one_line() -> None:
    assert str(PingResult.of(3, probe(0.25, 0.25))) == "seq=3 time=0.500 ms"


def test_the_summary_takes_the_offset_of_the_fastest_ping() -> None:
    slow, fast = probe(9.0, 1.0, ahead=50.0), probe(1.0, 1.0, ahead=50.0)

    summary = PingSummary.of(2, [slow, fast])

    assert summary.clock_offset_ms == 50.0
    assert summary.clock_error_ms == 1.0


def test_the_summary_reads_like_that_of_ping() -> None:
    probes = [probe(ms / 2, ms / 2) for ms in (1.0, 2.0, 3.0, 10.0)]

    assert str(PingSummary.of(5, probes)).splitlines() == [
        "5 sent, 4 answered, 20% lost",
        "round trip min/mean/median/p99/max = 1.000/4.000/2.500/10.000/10.000 ms",
        "clock offset +0.000 ms ± 0.500 ms",
    ]


def test_the_99th_percentile_is_the_nearest_rank() -> None:
    probes = [probe(ms / 2, ms / 2) for ms in range(1, 201)]

    assert PingSummary.of(200, probes).p99_ms == 198.0

"""The counters of one daemon."""

from chatd.core.metrics import Metrics


def test_the_totals_are_one_line() -> None:
    metrics = Metrics(connections=3, connections_refused=1, messages_received=40)
    metrics.bytes_sent += 4_000
    metrics.messages_committed += 30
    metrics.commits += 2
    metrics.messages_failed += 1
    assert metrics.summary() == (
        "connections 3 (refused 1), messages received 40, "
        "stored 30 (not stored 1), commits 2, bytes sent 4000"
    )

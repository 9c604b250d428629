"""The counters of one daemon."""

from chatd.core.metrics import Metrics


def test_the_totals_are_one_line() -> None:
    metrics = Metrics(connections=3, connections_refused=1, messages_received=40)
    metrics.bytes_sent += 4_000
    metrics.messages_committed += 30
    metrics.commits += 2
    metrics.messages_failed += 1
    assert metrics.summary() == (
        "3 connections (1 refused), 40 messages received, "
        "30 stored in 2 commits (1 not stored), 4000 bytes sent"
    )

"""The load that waits until its messages are kept, on the real daemon."""

from pathlib import Path

import pytest

from bench.jobs.durable import Durable
from bench.keeping import KeepingDialect
from bench.measurement import Target, Timing
from tests.e2e.daemon import Daemon
from tests.e2e.wire import Wire


class FewDialect(KeepingDialect):
    FILLED = 1_000


@pytest.mark.parametrize("window", [1, 8])
def test_every_acknowledgement_that_is_counted_is_a_message_in_the_log(
    tmp_path: Path, window: int
) -> None:
    daemon = Daemon(tmp_path, "--durability", "process", is_debugged=False)
    host, port = daemon.address
    target = Target(host=host, port=port, pid=daemon.process.pid, dialect=FewDialect())
    job = Durable("durable-3", authors=3, window=window)
    measured = job.run(target, Timing(warmup=0.0, seconds=0.05))
    with Wire(daemon.address) as wire:
        kept = wire.hello("somebody", version=1)["last"]
    daemon.stop()
    # Of each author so many messages may be on their way when the count ends.
    assert 0 < measured.operations <= kept - 1_000 <= measured.operations + 3 * window
    assert measured.figures["p50_us"] > 0

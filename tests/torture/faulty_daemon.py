"""chatd with a log that breaks a promise: `python -m tests.torture.faulty_daemon FAULT [OPTIONS]`.

`FAULT` is one of `FAULTY_LOGS`, the options are those of chatd.
"""

import os
import sys
from collections.abc import Sequence

import uvloop

from chatd.app import CallSoon, Storage
from chatd.config import Config, load
from chatd.core.metrics import Metrics
from chatd.messagelog.base import Retention
from chatd.server import Server
from common.system.clock import Clock
from tests.torture.faulty_log import FAULTY_LOGS


def main(fault: str, *options: str) -> None:
    """Serve with chatd's `options` until a signal ends it."""
    uvloop.run(serve(fault, options))


async def serve(fault: str, options: Sequence[str]) -> None:
    """Run the server with the log that has this `fault`."""
    log_type = FAULTY_LOGS[fault]

    def make_storage(
        config: Config, clock: Clock, _call_soon: CallSoon, _metrics: Metrics
    ) -> Storage:
        retention = Retention(config.log.keep_messages)
        log = log_type(config.data, config.log.durability, retention, clock.wall_ns)
        return Storage(log, log)

    config = load(options, os.environ)
    config.data.mkdir(parents=True, exist_ok=True)
    await Server(config, make_storage).run()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""One run of one candidate in one case."""

import os
import tempfile
import time
from pathlib import Path

from msgspec import Struct

from bench import host
from bench.shares import files
from bench.shares.cases import Case
from bench.shares.crew import ProcessGroup
from bench.shares.network import network
from bench.shares.swarm import Candidate, Swarm

_SETUP_S = 60.0  # for processes to start and connect
_PATIENCE = 12.0  # times the optimum: direct sending needs nine


class Measurement(Struct, frozen=True):
    """What a run came to; every file was at every peer and compared by SHA-256 in the end.

    `seconds` counts from when all were introduced to when the last peer was complete, `ratio` is
    that to the optimum; `started` counts from the start of the first process. `sent` is what
    crossed the uplinks, headers and acknowledgements included, per byte that had to; `idle` the
    share of all cores that nobody used.
    """

    seconds: float
    ratio: float
    started: float
    sent: float
    idle: float


def measure(candidate: Candidate, case: Case, size: int) -> Measurement:
    """Let `candidate` swap files of `size` bytes in a network of its own.

    Raises BenchError when it fails or takes far too long.
    """
    optimum = case.optimum(size)
    with (
        tempfile.TemporaryDirectory(prefix="bench-shares-") as name,
        network(case.uplinks) as links,
    ):
        directory = Path(name)
        peer_files = files.make(directory, len(case.uplinks), size)
        with ProcessGroup(
            directory, time.monotonic() + _SETUP_S + _PATIENCE * optimum
        ) as processes:
            begun = time.monotonic()
            start = candidate.start(Swarm(links, peer_files, directory, processes))
            sent, busy, watched = links.sent(), _busy_seconds(), time.monotonic()
            complete = processes.wait_for("complete", start.peers)
            watched, busy = time.monotonic() - watched, _busy_seconds() - busy
            sent = links.sent() - sent
        files.verify(peer_files)
    end = max(process_event.at for process_event in complete)
    return Measurement(
        seconds=end - start.connected_at,
        ratio=(end - start.connected_at) / optimum,
        started=end - begun,
        sent=sent / (case.deliveries * size),
        idle=1 - busy / watched / _cores(),
    )


def _busy_seconds() -> float:
    return host.busy_seconds(range(_cores()))


def _cores() -> int:
    return os.cpu_count() or 1

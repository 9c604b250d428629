"""One run: a candidate swaps the files of a case in a network of its own, and is timed."""

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from bench import host
from bench.shares.cases import Case, PeerFiles, make_files, verify_files
from bench.shares.network import Network, network
from bench.shares.processes import Go, PeerAddresses, ProcessGroup

_SETUP_S = 60.0  # for processes to start and connect
_PATIENCE = 12.0  # times the optimum: direct sending needs nine


class Swarm(Struct, frozen=True):
    """A network, the files of its peers, a directory for other files, and the processes."""

    network: Network
    peer_files: Sequence[PeerFiles]
    directory: Path
    processes: ProcessGroup


class Start(Struct, frozen=True):
    """A swarm that has started.

    The time counts from `connected_at` (s, monotonic clock); `peers` are process numbers.
    """

    connected_at: float
    peers: Sequence[int]


class Candidate(Protocol):
    """A program or a method that swaps files."""

    @property
    def name(self) -> str:
        """Its name in the tables."""
        ...

    @property
    def start_is(self) -> str:
        """When its time starts, in words."""
        ...

    def version(self) -> str:
        """Return the version that is measured, and its settings."""
        ...

    def start(self, swarm: Swarm) -> Start:
        """Start all peers; each prints `complete` once it has all files."""
        ...


class Measurement(Struct, frozen=True):
    """The result of a run, after which every peer had every file, compared by SHA-256.

    `seconds` is the time from the introduction of all peers until the last was complete, `ratio`
    that time divided by the optimum, and `started` the time from the start of the first process.
    `sent` is how many bytes crossed the uplinks, headers and acknowledgements included, per byte
    that had to. `idle` is the unused share of all cores.
    """

    seconds: float
    ratio: float
    started: float
    sent: float
    idle: float


def measure(candidate: Candidate, case: Case, size: int) -> Measurement:
    """Have `candidate` swap files of `size` bytes in a network of its own.

    Raises BenchError when it fails or takes far too long.
    """
    optimum = case.optimum(size)
    with (
        tempfile.TemporaryDirectory(prefix="bench-shares-") as name,
        network(case.uplinks) as links,
    ):
        directory = Path(name)
        peer_files = make_files(directory, len(case.uplinks), size)
        with ProcessGroup(
            directory, time.monotonic() + _SETUP_S + _PATIENCE * optimum
        ) as processes:
            begun = time.monotonic()
            start = candidate.start(Swarm(links, peer_files, directory, processes))
            sent, busy, watched = links.sent(), _busy_seconds(), time.monotonic()
            complete = processes.wait_for("complete", start.peers)
            watched, busy = time.monotonic() - watched, _busy_seconds() - busy
            sent = links.sent() - sent
        verify_files(peer_files)
    end = max(process_event.at for process_event in complete)
    return Measurement(
        seconds=end - start.connected_at,
        ratio=(end - start.connected_at) / optimum,
        started=end - begun,
        sent=sent / (case.deliveries * size),
        idle=1 - busy / watched / _cores(),
    )


def start_peers(swarm: Swarm, commands: Sequence[Sequence[str]]) -> Start:
    """Start a peer with each of `commands`, introduce all to all, and start the measurement."""
    hosts = swarm.network.peers
    peers = [
        swarm.processes.start(host, command) for host, command in zip(hosts, commands, strict=True)
    ]
    ports = [
        int(process_event.event["port"])
        for process_event in swarm.processes.wait_for("listening", peers)
    ]
    addresses = [(host.address, port) for host, port in zip(hosts, ports, strict=True)]
    swarm.processes.send_line(PeerAddresses(addresses))
    swarm.processes.wait_for("connected", peers)
    connected_at = time.monotonic()
    swarm.processes.send_line(Go())
    return Start(connected_at, peers)


def _busy_seconds() -> float:
    return host.busy_seconds(range(_cores()))


def _cores() -> int:
    return os.cpu_count() or 1

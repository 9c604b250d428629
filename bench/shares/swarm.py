"""One run of one candidate: what it is given, and what it tells of the time."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from msgspec import Struct

from bench.shares.crew import ProcessGroup
from bench.shares.files import PeerFiles
from bench.shares.network import Network


class Swarm(Struct, frozen=True):
    """A network, the files of each of its peers, a directory for the rest, and the processes."""

    network: Network
    peer_files: Sequence[PeerFiles]
    directory: Path
    processes: ProcessGroup


class Start(Struct, frozen=True):
    """A swarm that has begun.

    The time counts from `connected_at` (s, monotonic clock); `peers` are the numbers of processes.
    """

    connected_at: float
    peers: Sequence[int]


class Candidate(Protocol):
    """A way to swap files."""

    @property
    def name(self) -> str:
        """What the tables call it."""
        ...

    @property
    def start_is(self) -> str:
        """From when on its time counts, in words."""
        ...

    def version(self) -> str:
        """Return which one is measured, with the settings that it is given."""
        ...

    def start(self, swarm: Swarm) -> Start:
        """Start all peers; each of them says `complete` once it has all files of all others."""
        ...

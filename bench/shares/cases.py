"""The cases: swarms with given uplinks, their lower bound, and the files that peers swap."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from bench.errors import WrongAnswerError

GOODPUT: Final = 0.955
"""Bytes of files per byte on a link: 1,448 of 1,514; the rest are headers."""


class Case(Struct, frozen=True):
    """A peer for each uplink (Mbit/s on the link), and the goal for chatctl.

    `goal` is the largest acceptable ratio of the time taken to `optimum`. Downlinks are not shaped.
    """

    name: str
    uplinks: tuple[float, ...]
    goal: float

    def optimum(self, size: int) -> float:
        """Return the least time (s) in which everyone can have a file of `size` bytes of everyone.

        The slowest must send its own file once, and all together send each file to all but one:
        T* of Kumar and Ross, "Peer-Assisted File Distribution: The Minimum Distribution Time",
        HotWeb 2006, for as many files as peers, where downlinks are no limit.
        """
        rates = [_bytes_per_second(uplink) for uplink in self.uplinks]
        return max(size / min(rates), self.deliveries * size / sum(rates))

    @property
    def deliveries(self) -> int:
        """How many files must cross a link: every peer's to every other."""
        return len(self.uplinks) * (len(self.uplinks) - 1)


def _bytes_per_second(uplink: float) -> float:
    return uplink * 1e6 / 8 * GOODPUT


def _case(name: str, uplinks: Sequence[float], goal: float) -> Case:
    return Case(f"{len(uplinks)}-{name}", tuple(uplinks), goal)


CASES: Final = (
    _case("equal", [10] * 3, 1.35),
    _case("one-slow", [4, 20, 20], 1.35),
    _case("equal", [10] * 5, 1.35),
    _case("two-slow", [3, 3, 30, 30, 30], 1.35),
    _case("equal", [8] * 10, 1.2),
    _case("half-slow", [3] * 5 + [30] * 5, 1.2),
    _case("one-slow", [3] + [30] * 9, 1.2),
)


class PeerFiles(Struct, frozen=True):
    """The file of a peer, and the directory for the files of the others."""

    file: Path
    digest: str
    inbox: Path


def make_files(directory: Path, peers: int, size: int) -> list[PeerFiles]:
    """Give each of `peers` a file of `size` random bytes with a name of its own."""
    return [
        _make_file(directory / str(number), f"of-{number}.bin", size) for number in range(peers)
    ]


def verify_files(peer_files: Sequence[PeerFiles]) -> None:
    """Raise WrongAnswerError unless each has the files of all others, compared by SHA-256."""
    for number, mine in enumerate(peer_files):
        found = {_digest(path) for path in mine.inbox.rglob("*") if path.is_file()}
        missing = [
            other.file.name
            for other in peer_files
            if other is not mine and other.digest not in found
        ]
        if missing:
            raise WrongAnswerError(
                f"peer {number} reported completion but lacks {', '.join(missing)}"
            )


def _make_file(directory: Path, name: str, size: int) -> PeerFiles:
    inbox = directory / "inbox"
    inbox.mkdir(parents=True)
    file = directory / name
    file.write_bytes(os.urandom(size))
    return PeerFiles(file, _digest(file), inbox)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

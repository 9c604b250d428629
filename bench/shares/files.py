"""The files that are swapped, and the proof that everyone has them all."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from bench.errors import WrongAnswerError


class PeerFiles(Struct, frozen=True):
    """What a peer starts with, and the directory in which it is to have those of the others."""

    file: Path
    digest: str
    inbox: Path


def make(directory: Path, peers: int, size: int) -> list[PeerFiles]:
    """Give each of `peers` a file of `size` random bytes with a name of its own."""
    return [_make(directory / str(number), f"of-{number}.bin", size) for number in range(peers)]


def verify(peer_files: Sequence[PeerFiles]) -> None:
    """Raise WrongAnswerError unless each has the files of all others, compared by SHA-256."""
    for number, mine in enumerate(peer_files):
        found = {_digest(path) for path in mine.inbox.rglob("*") if path.is_file()}
        missing = [
            other.file.name
            for other in peer_files
            if other is not mine and other.digest not in found
        ]
        if missing:
            raise WrongAnswerError(f"peer {number} says it is done but lacks {', '.join(missing)}")


def _make(directory: Path, name: str, size: int) -> PeerFiles:
    inbox = directory / "inbox"
    inbox.mkdir(parents=True)
    file = directory / name
    file.write_bytes(os.urandom(size))
    return PeerFiles(file, _digest(file), inbox)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

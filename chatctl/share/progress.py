"""Progress of the downloads: how much of each file is here, and how fast it comes."""

from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bitarray import bitarray
from msgspec import Struct

from common.manifest import Layout, Manifest


class FileProgress(Struct):
    """One file: `held` of `total` pieces are here; `path` is set once it is complete."""

    owner: str
    name: str
    size: int
    total: int
    held: int = 0
    path: Path | None = None
    error: str = ""
    """Why it was received and could not be saved."""

    @property
    def done(self) -> int:
        """About how many of its bytes are here."""
        return self.size * self.held // self.total if self.total else self.size


class DownloadProgress:
    """The progress of all files of all known owners."""

    def __init__(self) -> None:
        self._layouts: dict[str, Layout] = {}
        self._held: dict[str, bitarray] = {}
        self._files: dict[str, list[FileProgress]] = {}
        self._unfinished = 0

    def __iter__(self) -> Iterator[FileProgress]:
        for files in self._files.values():
            yield from files

    @property
    def is_settled(self) -> bool:
        """Whether each file is complete, or could not be saved."""
        return not self._unfinished

    def of(self, owner: str) -> list[FileProgress]:
        """Return the files of one owner."""
        return self._files.get(owner, [])

    def add(self, manifest: Manifest) -> Layout:
        """Add the files of an owner, none of whose pieces is here yet."""
        owner = manifest.owner
        layout = Layout(file.size for file in manifest.files)
        self._layouts[owner] = layout
        self._held[owner] = bitarray(len(layout))
        self._files[owner] = [
            FileProgress(owner, file.name, file.size, len(layout.pieces(number)))
            for number, file in enumerate(manifest.files)
        ]
        self._unfinished += len(manifest.files)
        return layout

    def remove(self, owner: str) -> None:
        """Remove the files of an owner."""
        files = self._files.pop(owner)
        self._unfinished -= sum(file.path is None and not file.error for file in files)

    def restore(self, owner: str, held: bitarray) -> None:
        """Add the pieces that an earlier run left."""
        for index in held.search(1):
            self.add_piece(owner, index)

    def add_piece(self, owner: str, index: int) -> None:
        """Add a piece; a second time has no effect."""
        if not self._held[owner][index]:
            self._held[owner][index] = True
            self._of_piece(owner, index).held += 1

    def remove_piece(self, owner: str, index: int) -> None:
        """Remove a piece that turned out to be corrupt."""
        self._held[owner][index] = False
        self._of_piece(owner, index).held -= 1

    def finish(
        self, owner: str, number: int, path: Path | None = None, error: str = ""
    ) -> FileProgress:
        """Note the path of a file that is complete, or why it could not be saved."""
        file = self._files[owner][number]
        self._unfinished -= file.path is None and not file.error
        file.path, file.error = path, error
        return file

    def _of_piece(self, owner: str, index: int) -> FileProgress:
        return self._files[owner][self._layouts[owner].span(index).file]


RATE_WINDOW: Final = 1.0
"""The window (s) over which a rate is measured."""


class RateMeter:
    """The rate of a counter, in units a second, over a sliding window of 1 s.

    Until the counter has moved for 1 s, the window is as long as it has moved.
    """

    def __init__(self, now: float) -> None:
        self.best = 0.0
        """The highest rate of all windows."""
        self._has_window = False
        self._samples = deque([(now, 0)])

    @property
    def rate(self) -> float:
        """The rate over the current window."""
        (began, before), (ended, now) = self._samples[0], self._samples[-1]
        return (now - before) / (ended - began) if ended > began else 0.0

    def sample(self, now: float, count: int) -> None:
        """Note that the counter is at `count` at the time `now` (s, monotonic)."""
        samples = self._samples
        before = samples[-1][1]
        samples.append((now, count))
        while len(samples) > 2 and (now - samples[1][0] >= RATE_WINDOW or not samples[1][1]):
            samples.popleft()
        if count == before:
            return
        if now - samples[0][0] < RATE_WINDOW and not self._has_window:
            self.best = self.rate
        elif now - samples[0][0] >= RATE_WINDOW:
            self.best = max(self.best, self.rate) if self._has_window else self.rate
            self._has_window = True

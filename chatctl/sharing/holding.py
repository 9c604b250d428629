"""What there is of one owner's files, as the loop knows it; no files are touched here."""

from collections.abc import Iterable, Sequence
from typing import Generic, Self, TypeVar

from bitarray import bitarray

from chatctl.sharing.reading import Readable
from common.pieces import Layout, Manifest

_File_co = TypeVar("_File_co", bound=Readable, covariant=True)


class FileSet(Generic[_File_co]):
    """The files of one owner, in the order of its manifest, and which pieces can be read."""

    def __init__(self, manifest: Manifest, files: Sequence[_File_co]) -> None:
        self.manifest = manifest
        self.files = files
        self.layout = Layout(file.size for file in manifest.files)
        self.held = bitarray(len(self.layout))
        self._missing = [len(self.layout.pieces(number)) for number in range(len(files))]

    @classmethod
    def full(cls, manifest: Manifest, files: Sequence[_File_co]) -> Self:
        """Return the set of all files, with all pieces."""
        file_set = cls(manifest, files)
        file_set.held = ~bitarray(len(file_set.layout))
        file_set._missing = [0] * len(files)
        return file_set

    def is_whole(self, number: int) -> bool:
        """Return whether all pieces of file `number` are held."""
        return not self._missing[number]

    def add(self, index: int) -> bool:
        """Note that a piece can be read; return whether it was the last that its file lacked."""
        if self.held[index]:
            return False
        self.held[index] = True
        number = self.layout.span(index).file
        self._missing[number] -= 1
        return self.is_whole(number)

    def discard(self, indexes: Iterable[int]) -> None:
        """Note that pieces which could be read no longer can."""
        for index in indexes:
            self.held[index] = False
            self._missing[self.layout.span(index).file] += 1

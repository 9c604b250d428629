"""Manifests (the info dictionary of BEP 3): files, and the digests of the pieces they are cut into.

Each file is cut into pieces of 64 KiB, of which the last may be shorter; an empty file has none.
The pieces of one owner are numbered from 0 through all of its files, in their order.

An encoded manifest is one line of JSON, which lists the files, followed by the raw SHA-256 digests
of all pieces: 32 bytes for each, 5 MB for 10 GB. This module touches no files.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate
from typing import Annotated, Final, NamedTuple, TypeAlias

import msgspec
from bitarray import bitarray
from msgspec import Meta, Struct

from common.names import check_id

PIECE_SIZE: Final = 64 * 2**10
"""Bytes of a piece."""
MAX_FILES: Final = 4096
"""Files of one owner."""
MAX_NAME: Final = 255
"""Characters of a file name, as its owner says it."""
DIGEST_SIZE: Final = 32
"""Bytes of a SHA-256."""

_MAX_HEADER: Final = MAX_FILES * 2048
"""Bytes: a character of a name takes at most 6, and the rest of a file entry 120."""
_MAX_FILE: Final = 2**53 - 1
_EMPTY: Final = hashlib.sha256().hexdigest()

Sha256: TypeAlias = Annotated[str, Meta(pattern=r"\A[0-9a-f]{64}\Z")]


class InvalidManifestError(ValueError):
    """A manifest is inconsistent or exceeds a limit; the text says how."""


class FileEntry(Struct, frozen=True, gc=False):
    """One file: its name as its owner gives it (untrusted), its bytes, and its SHA-256 in hex."""

    name: Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
    size: Annotated[int, Meta(ge=0, le=_MAX_FILE)]
    digest: Sha256


class Manifest(Struct, frozen=True):
    """The files of `owner`. `digests` is the SHA-256 of each piece, 32 bytes each, concatenated."""

    owner: str
    files: tuple[FileEntry, ...]
    digests: bytes

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    def digest_of(self, index: int) -> bytes:
        """Return the SHA-256 (32 bytes) of piece `index`."""
        return self.digests[index * DIGEST_SIZE : (index + 1) * DIGEST_SIZE]


class Span(NamedTuple):
    """Where a piece is: the number of its file, and its offset and length there in bytes."""

    file: int
    offset: int
    length: int


class Layout:
    """Maps pieces to files of `sizes` bytes; its length is the number of pieces."""

    def __init__(self, sizes: Iterable[int]) -> None:
        self._sizes = tuple(sizes)
        self._first = tuple(accumulate(map(count_pieces, self._sizes), initial=0))

    def __len__(self) -> int:
        return self._first[-1]

    def span(self, index: int) -> Span:
        """Return where piece `index` is; raises IndexError when there is none."""
        if not 0 <= index < len(self):
            raise IndexError(f"there is no piece {index}, they are numbered 0 to {len(self) - 1}")
        file = bisect_right(self._first, index) - 1  # an empty file begins where the next one does
        offset = (index - self._first[file]) * PIECE_SIZE
        return Span(file, offset, min(PIECE_SIZE, self._sizes[file] - offset))

    def pieces(self, file: int) -> range:
        """Return the numbers of the pieces of file number `file`."""
        return range(self._first[file], self._first[file + 1])


class _Header(Struct, frozen=True):
    owner: str
    files: Annotated[tuple[FileEntry, ...], Meta(max_length=MAX_FILES)]


_ENCODER: Final = msgspec.json.Encoder()
_DECODER: Final = msgspec.json.Decoder(_Header)


def decode_bits(length: int, encoded: bytes) -> bitarray:
    """Decode a bitfield of `length` pieces; raises ValueError. `bitarray.tobytes` encodes it.

    As in BEP 3, piece 0 is the highest bit of the first byte, and spare bits at the end are 0.
    """
    expected = (length + 7) // 8
    if len(encoded) != expected:
        raise ValueError(f"{length} pieces need {expected} bytes, not {len(encoded)}")
    bits = bitarray()
    bits.frombytes(encoded)
    if bits[length:].any():
        raise ValueError(f"bits beyond the {length} pieces are set")
    del bits[length:]
    return bits


def count_pieces(size: int) -> int:
    """Return how many pieces a file of `size` bytes has."""
    return -(-size // PIECE_SIZE)


def max_encoded(max_size: int) -> int:
    """Return the most bytes that an encoded manifest of `max_size` bytes of files can have."""
    return _MAX_HEADER + 1 + (max_size // PIECE_SIZE + MAX_FILES) * DIGEST_SIZE


def encode(manifest: Manifest) -> bytes:
    """Return `manifest` as it crosses the wire; equal manifests encode to equal bytes."""
    header = _ENCODER.encode(_Header(manifest.owner, manifest.files))
    return b"%b\n%b" % (header, manifest.digests)


def digest(encoded: bytes) -> str:
    """Return the digest that identifies an encoded manifest: its SHA-256, in hex."""
    return hashlib.sha256(encoded).hexdigest()


def decode(encoded: bytes, max_size: int) -> Manifest:
    """Decode and check a manifest.

    Raises InvalidManifestError when its files have more than `max_size` bytes in all, and when it
    is malformed or inconsistent. It allocates nothing of a size that the manifest claims. For 10 GB
    of files it takes some ms.
    """
    end = encoded.find(b"\n", 0, _MAX_HEADER + 1)
    if end < 0:
        raise InvalidManifestError(f"its first line is longer than {_MAX_HEADER} bytes")
    try:
        header = _DECODER.decode(memoryview(encoded)[:end])
        check_id(header.owner)
    except (ValueError, RecursionError) as error:  # as those of msgspec are
        raise InvalidManifestError(str(error)) from None
    manifest = Manifest(header.owner, header.files, encoded[end + 1 :])
    check(manifest, max_size)
    return manifest


def check(manifest: Manifest, max_size: int) -> None:
    """Raise InvalidManifestError unless sizes and digests are consistent and within `max_size`."""
    if manifest.size > max_size:
        raise InvalidManifestError(
            f"its files have {manifest.size} bytes, more than the {max_size} allowed"
        )
    pieces = sum(count_pieces(file.size) for file in manifest.files)
    if len(manifest.digests) != pieces * DIGEST_SIZE:
        raise InvalidManifestError(
            f"files of these sizes have {pieces} pieces, "
            f"but there are {len(manifest.digests) / DIGEST_SIZE:g} digests"
        )
    for file in manifest.files:
        if not file.size and file.digest != _EMPTY:
            raise InvalidManifestError(f"{file.name!r} is empty but has another digest")

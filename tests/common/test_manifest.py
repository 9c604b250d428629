"""Files cut into pieces, sets of pieces, and manifests, also those of peers who lie."""

import hashlib
import time

import msgspec
import pytest
from bitarray import bitarray
from hypothesis import given
from hypothesis import strategies as st

from common.manifest import (
    DIGEST_SIZE,
    MAX_FILES,
    MAX_NAME,
    PIECE_SIZE,
    FileEntry,
    InvalidManifestError,
    Layout,
    Manifest,
    Span,
    count_pieces,
    decode,
    decode_bits,
    digest,
    encode,
    max_encoded,
)

GB = 10**9
SIZES = st.lists(
    st.one_of(
        st.integers(0, 5 * PIECE_SIZE),
        st.sampled_from([0, 1, PIECE_SIZE - 1, PIECE_SIZE, PIECE_SIZE + 1]),
    ),
    max_size=8,
)
DIGESTS = st.binary(min_size=DIGEST_SIZE, max_size=DIGEST_SIZE).map(bytes.hex)
EMPTY = hashlib.sha256(b"").hexdigest()


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    sizes = draw(SIZES)
    names = st.text(min_size=1, max_size=MAX_NAME)
    files = tuple(FileEntry(draw(names), size, draw(DIGESTS) if size else EMPTY) for size in sizes)
    length = len(Layout(sizes)) * DIGEST_SIZE
    owner = draw(st.sampled_from(["1", "ann", "host.4711", "Zoë"]))
    return Manifest(owner, files, draw(st.binary(min_size=length, max_size=length)))


def manifest_of(*sizes: int) -> Manifest:
    files = tuple(FileEntry(f"{n}.txt", size, EMPTY) for n, size in enumerate(sizes))
    return Manifest("1", files, bytes(DIGEST_SIZE * len(Layout(sizes))))


@given(sizes=SIZES)
def test_the_pieces_of_a_file_follow_each_other_and_are_all_of_it(sizes: list[int]) -> None:
    layout = Layout(sizes)
    spans = [layout.span(index) for index in range(len(layout))]
    for number, size in enumerate(sizes):
        own = [spans[index] for index in layout.pieces(number)]
        assert own == [span for span in spans if span.file == number]
        assert [span.offset for span in own] == list(range(0, size, PIECE_SIZE))
        assert sum(span.length for span in own) == size
        assert all(span.length == PIECE_SIZE for span in own[:-1])


def test_empty_files_have_no_pieces() -> None:
    layout = Layout([0, 1, 0, 0, PIECE_SIZE + 1, 0])
    assert [layout.span(index) for index in range(len(layout))] == [
        Span(1, 0, 1),
        Span(4, 0, PIECE_SIZE),
        Span(4, PIECE_SIZE, 1),
    ]
    assert layout.pieces(0) == range(0)
    assert layout.pieces(5) == range(3, 3)


@pytest.mark.parametrize("index", [-1, 3, 2**70])
def test_a_piece_that_does_not_exist_is_refused(index: int) -> None:
    with pytest.raises(IndexError, match="they are numbered 0 to 2"):
        Layout([1, PIECE_SIZE + 1]).span(index)


@given(st.lists(st.booleans(), max_size=40))
def test_a_set_of_pieces_crosses_the_wire(chosen: list[bool]) -> None:
    bits = bitarray(chosen)
    assert decode_bits(len(bits), bits.tobytes()) == bits


def test_the_first_piece_is_the_highest_bit_as_in_bep_3() -> None:
    assert list(decode_bits(9, b"\x80\x80").search(1)) == [0, 8]
    assert bitarray(9).tobytes() == bytes(2)
    assert (~bitarray(9)).tobytes() == b"\xff\x80"


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        (b"\xff", "9 pieces need 2 bytes, not 1"),
        (b"\xff\x80\x00", "9 pieces need 2 bytes, not 3"),
        (b"\xff\xc0", "bits beyond the 9 pieces are set"),
    ],
)
def test_bits_that_are_no_set_of_so_many_pieces_are_refused(encoded: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        decode_bits(9, encoded)


@given(manifest=manifests())
def test_a_manifest_crosses_the_wire(manifest: Manifest) -> None:
    encoded = encode(manifest)
    assert decode(encoded, manifest.size) == manifest
    assert len(encoded) <= max_encoded(manifest.size)
    assert digest(encoded) == hashlib.sha256(encoded).hexdigest()


@given(encoded=st.binary(max_size=200))
def test_whatever_bytes_come_they_are_a_manifest_or_refused(encoded: bytes) -> None:
    with pytest.raises(InvalidManifestError):
        decode(encoded, GB)


@given(manifest=manifests(), cut=st.integers(1, 3 * DIGEST_SIZE))
def test_a_manifest_that_was_cut_off_or_goes_on_is_refused(manifest: Manifest, cut: int) -> None:
    encoded = encode(manifest)
    for torn in (encoded[:-cut], encoded + bytes(cut)):
        with pytest.raises(InvalidManifestError):
            decode(torn, GB)


def test_each_piece_has_a_digest_of_its_own() -> None:
    manifest = Manifest(
        "1", (FileEntry("a", 2 * PIECE_SIZE, EMPTY),), b"a" * DIGEST_SIZE + b"b" * DIGEST_SIZE
    )
    assert manifest.digest_of(0) == b"a" * DIGEST_SIZE
    assert manifest.digest_of(1) == b"b" * DIGEST_SIZE


def header(files: object, owner: object = "1") -> bytes:
    return msgspec.json.encode({"owner": owner, "files": files}) + b"\n"


def file(**changes: object) -> dict[str, object]:
    return {"name": "a.txt", "size": 1, "digest": "0" * 64} | changes


@pytest.mark.parametrize(
    ("encoded", "message"),
    [
        (header([file(size=10**15)]), "1000000000000000 bytes, more than the 1000000000 allowed"),
        (header([file(size=GB), file()]), "1000000001 bytes, more than"),
        (header([file(size=2**60)]), r"`int` <= 9007199254740991.*size"),
        (header([file(size=-1)]), "`int` >= 0"),
        (header([file(size=1.5)]), "Expected `int`"),
        (header([file(size="1")]), "Expected `int`"),
        (header([file()]), "1 pieces, but there are 0 digests"),
        (header([file()]) + bytes(64), "1 pieces, but there are 2 digests"),
        (header([file()]) + bytes(33), "1 pieces, but there are 1.03125 digests"),
        (header([file(size=0)]), "'a.txt' is empty but has another digest"),
        (header([file(digest="0" * 63)]), "matching regex"),
        (header([file(digest="0" * 64 + "\n")]), "matching regex"),
        (header([file(digest="G" * 64)]), "matching regex"),
        (header([file(name="")]), "length >= 1"),
        (header([file(name="a" * 256)]), "length <= 255"),
        (header([], owner="../etc"), "must not contain /"),
        (header([], owner=""), "1 to 64 characters"),
        (header([], owner=["1"]), "Expected `str`"),
        (b"[" * 100_000 + b"\n", "."),
        (b'{"owner":"\xff"}\n', "."),
        (b'{"owner":"1"}\n', "missing required field"),
        (b"{}", "is longer than"),
    ],
)
def test_a_manifest_that_lies_is_refused_with_the_reason(encoded: bytes, message: str) -> None:
    with pytest.raises(InvalidManifestError, match=message):
        decode(encoded, GB)


def test_as_many_files_as_allowed_with_the_longest_names_fit() -> None:
    worst = FileEntry("\x00" * MAX_NAME, 0, EMPTY)
    manifest = Manifest("1", (worst,) * MAX_FILES, b"")
    encoded = encode(manifest)
    assert decode(encoded, 0) == manifest
    assert len(encoded) <= max_encoded(0)


def test_more_files_than_allowed_are_refused_however_small() -> None:
    empty = file(size=0, digest=EMPTY)
    with pytest.raises(InvalidManifestError, match="length <= 4096"):
        decode(header([empty] * (MAX_FILES + 1)), GB)
    endless = header([empty])[:-3] + b',{"name":"a"}' * 800_000
    with pytest.raises(InvalidManifestError, match="is longer than"):
        decode(endless, GB)


def test_what_a_manifest_claims_costs_nothing_before_it_is_checked() -> None:
    before = time.process_time()
    for _ in range(10):
        with pytest.raises(InvalidManifestError, match="pieces, but there are 0 digests"):
            decode(header([file(size=2**53 - 1)] * 100), 2**63)
    assert time.process_time() - before < 1


@given(size=st.integers(0, 2**50))
def test_the_longest_encoding_leaves_room_for_every_digest(size: int) -> None:
    most = count_pieces(size) + MAX_FILES - 1
    assert max_encoded(size) >= most * DIGEST_SIZE


def test_a_manifest_of_ten_gigabytes_is_five_megabytes() -> None:
    manifest = manifest_of(10 * GB)
    encoded = encode(manifest)
    assert len(encoded) == pytest.approx(4.9e6, rel=0.01)
    assert decode(encoded, 10 * GB).size == 10 * GB

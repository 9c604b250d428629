"""Manifests: whom to ask for one, and which to believe."""

import hashlib

import pytest

from chatctl.share.manifests import ManifestCatalog, ManifestQuery
from common.manifest import (
    PIECE_SIZE,
    FileEntry,
    InvalidManifestError,
    Manifest,
    count_pieces,
    digest,
    encode,
)

OWN = Manifest("1", (), b"")


def manifest(owner: str, size: int = 0) -> Manifest:
    digest = hashlib.sha256(bytes(size)).hexdigest()
    digests = hashlib.sha256(bytes(PIECE_SIZE)).digest() * count_pieces(size)
    return Manifest(owner, (FileEntry("a.bin", size, digest),), digests)


ENCODED = encode(manifest("2"))
DIGEST = digest(ENCODED)


@pytest.fixture
def catalog() -> ManifestCatalog:
    return ManifestCatalog(OWN, max_size=PIECE_SIZE)


def test_the_own_manifest_is_available(catalog: ManifestCatalog) -> None:
    assert catalog.encoded("1") == encode(OWN)
    assert catalog.digest_of("1") == catalog.digest == digest(encode(OWN))
    assert not catalog.is_pending("1")


def test_the_owner_is_asked_before_others_and_once(catalog: ManifestCatalog) -> None:
    catalog.trust_digest("2", DIGEST)
    catalog.add_announcer("3", "2", DIGEST)
    catalog.add_announcer("2", "2", DIGEST)
    assert catalog.queries() == [ManifestQuery("2", "2")]
    assert catalog.queries() == []
    assert catalog.is_requested("2", "2")
    assert not catalog.is_requested("3", "2")


def test_others_are_asked_when_the_owner_is_unreachable(catalog: ManifestCatalog) -> None:
    catalog.trust_digest("2", DIGEST)
    catalog.add_announcer("3", "2", DIGEST)
    assert catalog.queries() == [ManifestQuery("3", "2")]


def test_when_the_peer_that_was_asked_leaves_another_is_asked(catalog: ManifestCatalog) -> None:
    catalog.trust_digest("2", DIGEST)
    catalog.add_announcer("2", "2", DIGEST)
    catalog.add_announcer("3", "2", DIGEST)
    catalog.queries()
    catalog.remove_peer("2")
    assert catalog.queries() == [ManifestQuery("3", "2")]


@pytest.mark.parametrize("digest", ["", "another"])
def test_a_manifest_without_a_trusted_digest_is_not_requested(
    catalog: ManifestCatalog, digest: str
) -> None:
    if digest:
        catalog.trust_digest("2", digest)
    catalog.add_announcer("3", "2", DIGEST)
    assert catalog.queries() == []
    catalog.trust_digest("2", DIGEST)
    assert catalog.queries() == [ManifestQuery("3", "2")]


def test_a_received_manifest_is_kept_and_served(catalog: ManifestCatalog) -> None:
    catalog.trust_digest("2", DIGEST)
    assert catalog.is_pending("2")
    assert catalog.receive("2", ENCODED) == manifest("2")
    assert catalog.encoded("2") == ENCODED
    assert not catalog.is_pending("2")
    catalog.trust_digest("2", "another")
    assert catalog.digest_of("2") == DIGEST


def test_a_manifest_with_another_digest_is_an_error(catalog: ManifestCatalog) -> None:
    catalog.trust_digest("2", DIGEST)
    with pytest.raises(ValueError, match="has not the announced digest"):
        catalog.receive("2", ENCODED + b" ")
    assert catalog.is_pending("2")


@pytest.mark.parametrize(
    ("offered", "why"),
    [
        (manifest("2", size=PIECE_SIZE + 1), "more than the 65536"),
        (manifest("3"), "names '3' as its owner"),
    ],
)
def test_an_invalid_manifest_is_rejected_and_not_requested_again(
    catalog: ManifestCatalog, offered: Manifest, why: str
) -> None:
    encoded = encode(offered)
    catalog.trust_digest("2", digest(encoded))
    with pytest.raises(InvalidManifestError, match=why):
        catalog.receive("2", encoded)
    assert why in catalog.rejected["2"]
    assert not catalog.is_pending("2")
    catalog.add_announcer("3", "2", digest(encoded))
    assert catalog.queries() == []


def test_a_manifest_can_be_rejected_later(catalog: ManifestCatalog) -> None:
    catalog.trust_digest("2", DIGEST)
    catalog.receive("2", ENCODED)
    catalog.reject("2", "it had others")
    assert catalog.rejected == {"2": "it had others"}
    assert catalog.encoded("2") is None

"""Manifests: whom to ask for one, and which to believe."""

import hashlib

import pytest

from chatctl.sharing.owners import Owners, Question
from common import pieces
from common.pieces import PIECE, FileEntry, InvalidManifestError, Manifest

OWN = Manifest("1", (), b"")


def manifest(owner: str, size: int = 0) -> Manifest:
    digest = hashlib.sha256(bytes(size)).hexdigest()
    digests = hashlib.sha256(bytes(PIECE)).digest() * pieces.count_pieces(size)
    return Manifest(owner, (FileEntry("a.bin", size, digest),), digests)


ENCODED = pieces.encode(manifest("2"))
DIGEST = pieces.digest(ENCODED)


@pytest.fixture
def owners() -> Owners:
    return Owners(OWN, max_size=PIECE)


def test_ones_own_manifest_is_there_for_others(owners: Owners) -> None:
    assert owners.encoded("1") == pieces.encode(OWN)
    assert owners.digest_of("1") == owners.digest == pieces.digest(pieces.encode(OWN))
    assert not owners.is_awaited("1")


def test_the_owner_is_asked_before_others_and_once(owners: Owners) -> None:
    owners.trust("2", DIGEST)
    owners.learn("3", "2", DIGEST)
    owners.learn("2", "2", DIGEST)
    assert owners.questions() == [Question("2", "2")]
    assert owners.questions() == []
    assert owners.was_asked("2", "2")
    assert not owners.was_asked("3", "2")


def test_others_are_asked_where_the_owner_is_out_of_reach(owners: Owners) -> None:
    owners.trust("2", DIGEST)
    owners.learn("3", "2", DIGEST)
    assert owners.questions() == [Question("3", "2")]


def test_when_who_was_asked_leaves_another_is_asked(owners: Owners) -> None:
    owners.trust("2", DIGEST)
    owners.learn("2", "2", DIGEST)
    owners.learn("3", "2", DIGEST)
    owners.questions()
    owners.leave("2")
    assert owners.questions() == [Question("3", "2")]


@pytest.mark.parametrize("digest", ["", "another"])
def test_nobody_is_asked_for_a_manifest_that_the_owner_did_not_vouch_for(
    owners: Owners, digest: str
) -> None:
    if digest:
        owners.trust("2", digest)
    owners.learn("3", "2", DIGEST)
    assert owners.questions() == []
    owners.trust("2", DIGEST)
    assert owners.questions() == [Question("3", "2")]


def test_a_manifest_that_came_is_kept_and_handed_on(owners: Owners) -> None:
    owners.trust("2", DIGEST)
    assert owners.is_awaited("2")
    assert owners.take("2", ENCODED) == manifest("2")
    assert owners.encoded("2") == ENCODED
    assert not owners.is_awaited("2")
    owners.trust("2", "another")
    assert owners.digest_of("2") == DIGEST


def test_a_manifest_that_is_not_the_announced_one_is_a_lie(owners: Owners) -> None:
    owners.trust("2", DIGEST)
    with pytest.raises(ValueError, match="not the one it announced"):
        owners.take("2", ENCODED + b" ")
    assert owners.is_awaited("2")


@pytest.mark.parametrize(
    ("offered", "why"),
    [
        (manifest("2", size=PIECE + 1), "more than the 65536"),
        (manifest("3"), "its owner is '3'"),
    ],
)
def test_a_manifest_that_cannot_be_used_is_refused_and_not_asked_for_again(
    owners: Owners, offered: Manifest, why: str
) -> None:
    encoded = pieces.encode(offered)
    owners.trust("2", pieces.digest(encoded))
    with pytest.raises(InvalidManifestError, match=why):
        owners.take("2", encoded)
    assert why in owners.refused["2"]
    assert not owners.is_awaited("2")
    owners.learn("3", "2", pieces.digest(encoded))
    assert owners.questions() == []


def test_files_that_cannot_be_kept_are_refused_later(owners: Owners) -> None:
    owners.trust("2", DIGEST)
    owners.take("2", ENCODED)
    owners.refuse("2", "it had others")
    assert owners.refused == {"2": "it had others"}
    assert owners.encoded("2") is None

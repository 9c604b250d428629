"""Tokens that outlive the program that made them."""

from pathlib import Path

import pytest

from chatctl.identities import Identities, NameInUseError
from common.addresses import Address

SERVER = Address("127.0.0.1", 5555)


@pytest.fixture
def identities(tmp_path: Path) -> Identities:
    return Identities(SERVER, tmp_path / "identities")


def test_a_name_has_the_same_token_every_time(identities: Identities) -> None:
    with identities.borrow("ann") as first:
        pass
    with identities.borrow("ann") as second:
        pass

    assert first == second
    assert len(first) >= 16


@pytest.mark.parametrize("name", ["\uff21\uff2e\uff2e", "Ann"])
def test_two_spellings_of_a_name_are_one_name(identities: Identities, name: str) -> None:
    with identities.borrow("ann") as first:
        pass
    with identities.borrow(name) as second:
        assert first == second


def test_another_name_and_another_server_have_tokens_of_their_own(tmp_path: Path) -> None:
    elsewhere = Identities(Address("::1", 5555), tmp_path)
    here = Identities(SERVER, tmp_path)

    with here.borrow("ann") as one, here.borrow("bob") as two, elsewhere.borrow("ann") as three:
        assert len({one, two, three}) == 3


def test_a_name_that_is_in_use_cannot_be_borrowed(identities: Identities) -> None:
    with (
        identities.borrow("ann"),
        pytest.raises(NameInUseError, match="ann is in use by another chatctl"),
        identities.borrow("ann"),
    ):
        pass

    with identities.borrow("ann"):
        pass


def test_it_knows_which_names_it_has(identities: Identities) -> None:
    with identities.borrow("ann"):
        pass

    assert identities.holds("ann")
    assert not identities.holds("bob")


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "\U0001f600" * 64, "."])
def test_any_name_has_a_file_in_the_folder(tmp_path: Path, name: str) -> None:
    with Identities(SERVER, tmp_path).borrow(name):
        pass

    assert len(list(tmp_path.iterdir())) == 1


def test_nobody_else_may_read_a_token(tmp_path: Path) -> None:
    folder = tmp_path / "identities"
    with Identities(SERVER, folder).borrow("ann"):
        pass

    (file,) = folder.iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700


def test_where_nothing_can_be_kept_a_token_is_for_one_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    identities = Identities(SERVER, tmp_path / "file")

    with identities.borrow("ann") as token:
        assert len(token) >= 16

"""Tokens that outlive the program that made them."""

import subprocess
import sys
from pathlib import Path

import pytest

from chatctl.identities import Identities, NameInUseError
from common.addresses import Address
from common.messages.chat import OutgoingBroadcast

SERVER = Address("127.0.0.1", 5555)


@pytest.fixture
def identities(tmp_path: Path) -> Identities:
    return Identities(SERVER, tmp_path / "identities")


def test_a_name_has_the_same_token_every_time(identities: Identities) -> None:
    with identities.borrow("ann") as first:
        pass
    with identities.borrow("ann") as second:
        pass

    assert first.token == second.token
    assert len(first.token) >= 16


@pytest.mark.parametrize("name", ["\uff21\uff2e\uff2e", "Ann"])
def test_two_spellings_of_a_name_are_one_name(identities: Identities, name: str) -> None:
    with identities.borrow("ann") as first:
        pass
    with identities.borrow(name) as second:
        assert first.token == second.token


def test_another_name_and_another_server_have_tokens_of_their_own(tmp_path: Path) -> None:
    elsewhere = Identities(Address("::1", 5555), tmp_path)
    here = Identities(SERVER, tmp_path)

    with here.borrow("ann") as one, here.borrow("bob") as two, elsewhere.borrow("ann") as three:
        assert len({one.token, two.token, three.token}) == 3


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
def test_any_name_has_its_files_in_the_folder(tmp_path: Path, name: str) -> None:
    with Identities(SERVER, tmp_path).borrow(name):
        pass

    token, ledger = sorted(tmp_path.iterdir())
    assert ledger.name == f"{token.name}.ledger"


def test_nobody_else_may_read_what_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "identities"
    with Identities(SERVER, folder).borrow("ann"):
        pass

    assert [file.stat().st_mode & 0o777 for file in folder.iterdir()] == [0o600, 0o600]
    assert folder.stat().st_mode & 0o777 == 0o700


def test_it_knows_which_names_are_in_use(identities: Identities) -> None:
    assert identities.is_free("ann")
    with identities.borrow("ann"):
        assert not identities.is_free("ann")
    assert identities.is_free("ann")


def test_what_is_kept_is_there_the_next_time(identities: Identities) -> None:
    with identities.borrow("ann") as first:
        assert first.ledger is not None
        first.ledger.keep(OutgoingBroadcast("hi", "r1"))
    with identities.borrow("ann") as second:
        assert second.ledger is not None
        assert second.ledger.unsettled == [OutgoingBroadcast("hi", "r1")]


def test_where_nothing_can_be_kept_a_token_is_for_one_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    identities = Identities(SERVER, tmp_path / "file")

    with identities.borrow("ann") as identity:
        assert len(identity.token) >= 16
        assert identity.ledger is None
        assert "nothing can be kept in" in identity.warning


def test_where_the_disk_is_full_a_token_is_for_one_run(tmp_path: Path) -> None:
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from chatctl.identities import Identities\n"
        "from common.addresses import Address\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))\n"
        "identities = Identities(Address('127.0.0.1', 5555), Path(sys.argv[1]))\n"
        "with identities.borrow('ann') as identity:\n"
        "    print(len(identity.token), identity.ledger, identity.warning)\n"
    )
    for room in ("0", "5"):
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path), room],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith(f"32 None nothing can be kept in {tmp_path}: ")
        assert Identities(SERVER, tmp_path).token_of("ann") == ""


def test_where_only_the_ledger_cannot_be_kept_the_name_is_ours_still(
    identities: Identities, tmp_path: Path
) -> None:
    with identities.borrow("ann") as first:
        pass
    (file,) = (tmp_path / "identities").glob("*.ledger")
    file.unlink()
    file.mkdir()

    with identities.borrow("ann") as second:
        assert second.token == first.token
        assert second.ledger is None
        assert second.warning


def test_a_token_can_be_read_while_a_program_has_the_name(identities: Identities) -> None:
    assert identities.token_of("ann") == ""
    with identities.borrow("ann") as identity:
        assert identities.token_of("ANN") == identity.token

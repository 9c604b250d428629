"""Tokens that outlive the program that made them."""

import subprocess
import sys
from pathlib import Path

import pytest

from chatctl.client.credentials import Credentials, default_directory
from chatctl.client.errors import NameInUseError
from common.messages.chat import OutgoingBroadcast
from common.values import Address

SERVER = Address("127.0.0.1", 5555)


@pytest.fixture
def credentials(tmp_path: Path) -> Credentials:
    return Credentials(SERVER, tmp_path / "identities")


def test_a_name_has_the_same_token_every_time(credentials: Credentials) -> None:
    with credentials.acquire("ann") as first:
        pass
    with credentials.acquire("ann") as second:
        pass

    assert first.token == second.token
    assert len(first.token) >= 16


@pytest.mark.parametrize("name", ["\uff21\uff2e\uff2e", "Ann"])
def test_two_spellings_of_a_name_are_one_name(credentials: Credentials, name: str) -> None:
    with credentials.acquire("ann") as first:
        pass
    with credentials.acquire(name) as second:
        assert first.token == second.token


def test_another_name_and_another_server_have_tokens_of_their_own(tmp_path: Path) -> None:
    elsewhere = Credentials(Address("::1", 5555), tmp_path)
    here = Credentials(SERVER, tmp_path)

    with here.acquire("ann") as one, here.acquire("bob") as two, elsewhere.acquire("ann") as three:
        assert len({one.token, two.token, three.token}) == 3


def test_a_name_that_is_in_use_cannot_be_acquired(credentials: Credentials) -> None:
    with (
        credentials.acquire("ann"),
        pytest.raises(
            NameInUseError, match="another chatctl on this machine is using the name ann"
        ),
        credentials.acquire("ann"),
    ):
        pass

    with credentials.acquire("ann"):
        pass


def test_it_knows_which_names_it_has(credentials: Credentials) -> None:
    with credentials.acquire("ann"):
        pass

    assert credentials.has_token("ann")
    assert not credentials.has_token("bob")


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "\U0001f600" * 64, "."])
def test_any_name_has_its_files_in_the_folder(tmp_path: Path, name: str) -> None:
    with Credentials(SERVER, tmp_path).acquire(name):
        pass

    token, journal = sorted(tmp_path.iterdir())
    assert journal.name == f"{token.name}.ledger"


def test_nobody_else_may_read_what_is_kept(tmp_path: Path) -> None:
    folder = tmp_path / "identities"
    with Credentials(SERVER, folder).acquire("ann"):
        pass

    assert [file.stat().st_mode & 0o777 for file in folder.iterdir()] == [0o600, 0o600]
    assert folder.stat().st_mode & 0o777 == 0o700


def test_it_knows_which_names_are_in_use(credentials: Credentials) -> None:
    assert credentials.is_free("ann")
    with credentials.acquire("ann"):
        assert not credentials.is_free("ann")
    assert credentials.is_free("ann")


def test_what_is_kept_is_there_the_next_time(credentials: Credentials) -> None:
    with credentials.acquire("ann") as first:
        assert first.journal is not None
        first.journal.append(OutgoingBroadcast("hi", "r1"))
    with credentials.acquire("ann") as second:
        assert second.journal is not None
        assert second.journal.unacknowledged == [OutgoingBroadcast("hi", "r1")]


def test_where_nothing_can_be_kept_a_token_is_for_one_run(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    credentials = Credentials(SERVER, tmp_path / "file")

    with credentials.acquire("ann") as credential:
        assert len(credential.token) >= 16
        assert credential.journal is None
        assert "cannot write to" in credential.warning


def test_where_the_disk_is_full_a_token_is_for_one_run(tmp_path: Path) -> None:
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from chatctl.client.credentials import Credentials\n"
        "from common.values import Address\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))\n"
        "credentials = Credentials(Address('127.0.0.1', 5555), Path(sys.argv[1]))\n"
        "with credentials.acquire('ann') as credential:\n"
        "    print(len(credential.token), credential.journal, credential.warning)\n"
    )
    for limit in ("0", "5"):
        done = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path), limit],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.startswith(f"32 None cannot write to {tmp_path}: ")
        assert Credentials(SERVER, tmp_path).token_of("ann") == ""


def test_where_only_the_journal_cannot_be_kept_the_name_is_ours_still(
    credentials: Credentials, tmp_path: Path
) -> None:
    with credentials.acquire("ann") as first:
        pass
    (file,) = (tmp_path / "identities").glob("*.ledger")
    file.unlink()
    file.mkdir()

    with credentials.acquire("ann") as second:
        assert second.token == first.token
        assert second.journal is None
        assert second.warning


def test_a_token_can_be_read_while_a_program_has_the_name(credentials: Credentials) -> None:
    assert credentials.token_of("ann") == ""
    with credentials.acquire("ann") as credential:
        assert credentials.token_of("ANN") == credential.token


@pytest.mark.parametrize(
    ("value", "directory"), [("/var/state", "/var/state"), ("", "{home}/.local/state")]
)
def test_credentials_are_kept_where_xdg_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, value: str, directory: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_STATE_HOME", value)

    expected = Path(directory.format(home=tmp_path)) / "chatctl" / "identities"
    assert default_directory() == expected

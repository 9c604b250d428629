"""The credentials of a person: for each name its token, its journal, and a lock.

A server reserves a name for whoever has its token, so the token must survive the program. While a
program uses a name, it locks the token's file; a second program of the same person then takes
another name instead of replacing the first.
"""

import errno
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from platformdirs import user_state_path

from chatctl.client.errors import NameInUseError
from chatctl.client.journal import ClientJournal
from chatctl.errors import why
from common import names
from common.values import Address

_TOKEN_BYTES: Final = 24
_MAX_TOKEN_SIZE: Final = 256


class Credential(NamedTuple):
    """The token of a name, its journal if there is one, and a `warning` if its state is damaged."""

    token: str
    journal: ClientJournal | None = None
    warning: str = ""


class Credentials:
    """The credentials for one server, two files of mode 0600 for each name in `directory`."""

    def __init__(self, server: Address, directory: Path) -> None:
        self._server = str(server)
        self.directory = directory

    @contextmanager
    def acquire(self, name: str) -> Iterator[Credential]:
        """Lock `name` and yield its credential, a new one at first use.

        If the directory cannot be written, the credential lasts for this run only. Raises
        NameInUseError.
        """
        try:
            file = self._open(name)
        except OSError as error:
            yield Credential(new_token(), None, self._explain(error))
            return
        try:
            _lock(file, name)
            stored = _read(file)
            token = stored or new_token()
            try:
                if not stored:
                    _write(file, token)
                journal = ClientJournal(self._path(name).with_suffix(".ledger"), self._server, name)
            except OSError as error:
                yield Credential(token, None, self._explain(error))
                return
            with closing(journal):
                yield Credential(token, journal, journal.warning)
        finally:
            os.close(file)

    def token_of(self, name: str) -> str:
        """Return the token of `name`, even while another program uses it; "" if there is none."""
        try:
            return self._path(name).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def has_token(self, name: str) -> bool:
        """Tell whether there is a token for `name`."""
        return self._path(name).is_file()

    def is_free(self, name: str) -> bool:
        """Tell whether no program of this person is using `name`."""
        try:
            file = os.open(self._path(name), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return True
        try:
            _lock(file, name)
        except NameInUseError:
            return False
        finally:
            os.close(file)
        return True

    def _explain(self, error: OSError) -> str:
        return (
            f"cannot write to {self.directory}: {why(error)}; "
            "messages not yet acknowledged will be lost on exit"
        )

    def _open(self, name: str) -> int:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(self._path(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _path(self, name: str) -> Path:
        # A name may be longer than a file name, and hold characters that a file name cannot.
        identity = f"{self._server}\n{names.fold(name)}"
        return self.directory / hashlib.sha256(identity.encode()).hexdigest()[:32]


def _lock(file: int, name: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise NameInUseError(
            f"another chatctl on this machine is using the name {name}; choose another name"
        ) from None


def _read(file: int) -> str:
    return os.read(file, _MAX_TOKEN_SIZE).decode("ascii", "replace").strip()


def _write(file: int, token: str) -> None:
    line = f"{token}\n".encode()
    if os.write(file, line) < len(line):
        os.ftruncate(file, 0)  # part of a token would be read as another token
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def new_token() -> str:
    """Return a random token that nobody can guess."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def default_directory() -> Path:
    """Return the directory for the credentials of this person (XDG_STATE_HOME)."""
    return user_state_path("chatctl") / "identities"

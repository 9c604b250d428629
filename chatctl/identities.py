"""The tokens that prove our names, kept from one run to the next.

A server keeps a name for whoever came with its token. Without keeping the token one could not
use one's own name again tomorrow. While a program uses a name it holds a lock on the file, so that
a second one of the same person takes another name instead of throwing the first one out.
"""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from chatctl.errors import ClientError, Exit
from common import names
from common.addresses import Address

_TOKEN_BYTES: Final = 24
_LONGEST: Final = 256


class NameInUseError(ClientError):
    """Another program of the same person, on this machine, uses the name right now."""

    exit_code = Exit.REFUSED


class Identities:
    """The tokens for one server, one file of mode 0600 for each name, in `directory`."""

    def __init__(self, server: Address, directory: Path) -> None:
        self._server = str(server)
        self._directory = directory

    @contextmanager
    def borrow(self, name: str) -> Iterator[str]:
        """Hold `name` and yield its token, a new one at first use.

        Where nothing can be kept the token is for this run only. Raises NameInUseError.
        """
        try:
            file = self._open(name)
        except OSError:
            yield secrets.token_urlsafe(_TOKEN_BYTES)
            return
        try:
            _lock(file, name)
            yield _read_or_make(file)
        finally:
            os.close(file)

    def holds(self, name: str) -> bool:
        """Tell whether there is a token for `name`."""
        return self._path(name).is_file()

    def _open(self, name: str) -> int:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(self._path(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _path(self, name: str) -> Path:
        # A name may hold characters that no file name can, and be longer than one.
        identity = f"{self._server}\n{names.key(name)}"
        return self._directory / hashlib.sha256(identity.encode()).hexdigest()[:32]


def _lock(file: int, name: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise NameInUseError(
            f"{name} is in use by another chatctl here; choose another name"
        ) from None


def _read_or_make(file: int) -> str:
    token = os.read(file, _LONGEST).decode("ascii", "replace").strip()
    if not token:
        token = secrets.token_urlsafe(_TOKEN_BYTES)
        os.write(file, f"{token}\n".encode())
    return token


def default_directory(environment: Mapping[str, str]) -> Path:
    """Return where the tokens of this person are kept."""
    base = environment.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "chatctl" / "identities"

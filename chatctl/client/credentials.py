"""Our names, kept from one run to the next: the token that proves each, and its journal.

A server keeps a name for whoever came with its token. Without keeping the token one could not
use one's own name again tomorrow. While a program uses a name it holds a lock on the file, so that
a second one of the same person takes another name instead of throwing the first one out.
"""

import errno
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from chatctl.client.journal import ClientJournal
from chatctl.errors import ClientError, Exit, why
from common import names
from common.values import Address

_TOKEN_BYTES: Final = 24
_MAX_TOKEN_SIZE: Final = 256


class NameInUseError(ClientError):
    """Another program of the same person, on this machine, uses the name right now."""

    exit_code = Exit.REFUSED


class Credential(NamedTuple):
    """A name of ours: its token, its journal if one can be kept, and in `error` what is wrong."""

    token: str
    journal: ClientJournal | None = None
    warning: str = ""


class Credentials:
    """Our names at one server, with two files of mode 0600 for each in `directory`."""

    def __init__(self, server: Address, directory: Path) -> None:
        self._server = str(server)
        self.directory = directory

    @contextmanager
    def acquire(self, name: str) -> Iterator[Credential]:
        """Hold `name` and yield what there is for it, which is new at first use.

        Where nothing can be kept it is for this run only. Raises NameInUseError.
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
        """Return our token for `name`, which another program may be using; "" if there is none."""
        try:
            return self._path(name).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            return ""

    def has_token(self, name: str) -> bool:
        """Tell whether there is a token for `name`."""
        return self._path(name).is_file()

    def is_free(self, name: str) -> bool:
        """Tell whether no program uses `name` right now."""
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
            f"nothing can be kept in {self.directory}: {why(error)}; "
            "what is not acknowledged when this ends is lost"
        )

    def _open(self, name: str) -> int:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        return os.open(self._path(name), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def _path(self, name: str) -> Path:
        # A name may hold characters that no file name can, and be longer than one.
        identity = f"{self._server}\n{names.fold(name)}"
        return self.directory / hashlib.sha256(identity.encode()).hexdigest()[:32]


def _lock(file: int, name: str) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise NameInUseError(
            f"{name} is in use by another chatctl here; choose another name"
        ) from None


def _read(file: int) -> str:
    return os.read(file, _MAX_TOKEN_SIZE).decode("ascii", "replace").strip()


def _write(file: int, token: str) -> None:
    line = f"{token}\n".encode()
    if os.write(file, line) < len(line):
        os.ftruncate(file, 0)  # a part of a token is another one
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def new_token() -> str:
    """Return a token that nobody can guess."""
    return secrets.token_urlsafe(_TOKEN_BYTES)


def default_directory(environment: Mapping[str, str]) -> Path:
    """Return where the names of this person are kept."""
    base = environment.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "chatctl" / "identities"

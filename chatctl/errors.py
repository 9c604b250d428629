"""What can go wrong for a client, and the exit code that tells a script which it was."""

from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:  # `chatctl --help` starts without msgspec
    from common.messages.base import Error


class Exit(IntEnum):
    """Exit codes of `chatctl`.

    The last two are what a shell tells of a program that SIGINT or SIGPIPE has ended: 128 and the
    number of the signal.
    """

    OK = 0
    USAGE = 2
    CANNOT_CONNECT = 3
    REFUSED = 4
    PROTOCOL = 5
    TIMEOUT = 6
    PARTIAL = 7
    INTERRUPTED = 130
    BROKEN_PIPE = 141


class ClientError(Exception):
    """The base of all that a client raises on purpose; its text says what to do."""

    exit_code: ClassVar[Exit]


class UsageError(ClientError):
    """An option, variable or setting cannot mean anything."""

    exit_code = Exit.USAGE


class CannotConnectError(ClientError):
    """Nobody listens there, or the connection was lost and did not come back in time."""

    exit_code = Exit.CANNOT_CONNECT


class NoSuchHostError(CannotConnectError):
    """Nothing is known by that name, or nobody could be asked."""


class RefusedError(ClientError):
    """The server answered with `error`; `reason` is for programs, `suggestion` a free name."""

    exit_code = Exit.REFUSED

    def __init__(self, error: "Error") -> None:
        super().__init__(error.detail)
        self.error = error
        self.reason = error.reason
        self.detail = error.detail
        self.suggestion = error.suggestion or None


class ProtocolError(ClientError):
    """What came back is not what a chatd of this version sends."""

    exit_code = Exit.PROTOCOL


class AnswerTimeoutError(ClientError):
    """No answer came in time; whether the server took the message is not known."""

    exit_code = Exit.TIMEOUT


class PartialError(ClientError):
    """Some of what was asked for was done, and some was not."""

    exit_code = Exit.PARTIAL


def why(error: Exception) -> str:
    """Return what the system says of an error, to stand within a sentence."""
    strerror = getattr(error, "strerror", None)
    return strerror.lower() if strerror else str(error)

"""The errors of a client, each with the exit code that tells a script what went wrong.

`chatctl.client.errors` has one more, RefusedError. This module imports nothing that takes long.
"""

from enum import IntEnum
from typing import ClassVar


class Exit(IntEnum):
    """Exit codes of `chatctl`.

    The last two are those of a program that SIGINT or SIGPIPE has ended: 128 plus the signal.
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
    """The base of all errors of a client; the text says what to do."""

    exit_code: ClassVar[Exit]


class UsageError(ClientError):
    """An option, variable or setting has an invalid value."""

    exit_code = Exit.USAGE


class CannotConnectError(ClientError):
    """No server listens there, or a lost connection could not be restored in time."""

    exit_code = Exit.CANNOT_CONNECT


class NoSuchHostError(CannotConnectError):
    """The host name cannot be resolved."""


class ProtocolError(ClientError):
    """The answer is not one that a chatd of this version sends."""

    exit_code = Exit.PROTOCOL


class AnswerTimeoutError(ClientError):
    """No answer came in time; the server may or may not have stored the message."""

    exit_code = Exit.TIMEOUT


class PartialError(ClientError):
    """Only a part of the work was done."""

    exit_code = Exit.PARTIAL


def why(error: Exception) -> str:
    """Return the system's words for an error, to stand within a sentence."""
    strerror = getattr(error, "strerror", None)
    return strerror.lower() if strerror else str(error)

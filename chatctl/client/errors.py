"""The errors that only a client of a server raises, and the reasons of the server's refusals.

`chatctl.errors` has the others, and imports no messages.
"""

from collections.abc import Hashable
from typing import Final, TypeAlias

from msgspec import UNSET

from chatctl.errors import ClientError, Exit
from common.messages.base import Error

CorrelationId: TypeAlias = Hashable
"""The value that a request and its answer share, such as a `ref`."""

CLOSING_REASONS: Final = frozenset(
    {"shutting_down", "server_full", "slow_consumer", "idle_timeout"}
)
"""Reasons for which a server closes a connection, after which the client may reconnect."""

TRANSIENT_REASONS: Final = CLOSING_REASONS | {"storage_failed", "rate_limited", "internal_error"}
"""Reasons for a refusal that is temporary."""


class ConnectionLostError(Exception):
    """The connection was lost; the text says how, as far as that is known."""


class NameInUseError(ClientError):
    """Another program of this person on this machine is using the name."""

    exit_code = Exit.REFUSED


class JournalError(ClientError):
    """The journal cannot be written, or is full."""

    exit_code = Exit.PARTIAL


class RefusedError(ClientError):
    """The server answered with `error`.

    `reason` is for programs, `detail` for a person; `suggestion` is a free name, if there is one.
    """

    exit_code = Exit.REFUSED

    def __init__(self, error: Error) -> None:
        super().__init__(error.detail)
        self.error = error
        self.reason = error.reason
        self.detail = error.detail
        self.suggestion = error.suggestion or None

    @property
    def is_transient(self) -> bool:
        """Whether the same request may succeed later."""
        return self.reason in TRANSIENT_REASONS


def correlation_id_of(error: Error) -> CorrelationId:
    """Return the correlation id of the request that `error` answers, or UNSET."""
    return error.request_id if error.ref is UNSET else error.ref

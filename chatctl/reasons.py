"""What an error of the server means to a client."""

from typing import Final

from msgspec import UNSET

from chatctl.questions import CorrelationId
from common.messages.base import Error

CLOSING_REASONS: Final = frozenset(
    {"shutting_down", "server_full", "slow_consumer", "idle_timeout"}
)
"""Reasons for which a server closes a connection whose client may come back."""

TRANSIENT_REASONS: Final = CLOSING_REASONS | {"storage_failed", "rate_limited", "internal_error"}
"""Refusals of a hello that may well be accepted later."""


def correlation_id_of(error: Error) -> CorrelationId:
    """Return what `error` has in common with the request that it answers, or UNSET."""
    return error.request_id if error.ref is UNSET else error.ref

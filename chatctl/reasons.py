"""What an error of the server means to a client."""

from typing import Final

from msgspec import UNSET

from chatctl.questions import Key
from common.messages.base import Error

CLOSING: Final = frozenset({"shutting_down", "server_full", "slow_consumer", "idle_timeout"})
"""Reasons for which a server hangs up on somebody who may come back."""

TRANSIENT: Final = CLOSING | {"storage_failed", "rate_limited", "internal_error"}
"""Refusals of a hello that may well be accepted later."""


def key_of(error: Error) -> Key:
    """Return what `error` has in common with the question that it answers, or UNSET."""
    return error.request_id if error.ref is UNSET else error.ref

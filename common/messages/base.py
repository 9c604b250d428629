"""The base class of all messages, and the error message."""

import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType

if TYPE_CHECKING:
    Reason: TypeAlias = Literal[
        "bad_json",
        "not_object",
        "unknown_code",
        "bad_field",
        "line_too_long",
        "hello_required",
        "hello_repeated",
        "bad_name",
        "name_taken",
        "replaced",
        "no_such_user",
        "duplicate_request",
        "too_many_requests",
        "rate_limited",
        "slow_consumer",
        "server_full",
        "idle_timeout",
        "shutting_down",
        "unauthorized",
        "storage_failed",
        "unsupported",
        "internal_error",
    ]
else:
    # The wire accepts any string, so that newer programs can add reasons; the source, only these.
    Reason = str

SAFE: Final = 2**53 - 1
"""The largest whole number that JSON readers with floats alone keep exactly (RFC 8259, 6)."""


def _code(class_name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", class_name).lower()


class Message(Struct, tag_field="code", tag=_code, frozen=True, gc=False):
    """One JSON object on the wire; its ``code`` is the class name in snake case."""


class Error(Message, frozen=True):
    """A rejection: `reason` for programs, `detail` for people, the other fields to correlate."""

    reason: Reason
    detail: str
    ref: str | UnsetType = UNSET
    request_id: str | int | UnsetType = UNSET
    to: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    suggestion: str | UnsetType = UNSET


class RejectedError(Exception):
    """A service raises this to answer the current message with `error`."""

    def __init__(self, error: Error) -> None:
        super().__init__(error.detail)
        self.error = error

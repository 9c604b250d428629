"""Timestamp exchange: both sides send their date and time at every interval."""

from typing import Annotated, Final, TypeAlias

from msgspec import UNSET, Meta, UnsetType

from common.messages.base import Message

ExchangeId: TypeAlias = Annotated[str, Meta(pattern=r"^(?!\.)[^/\\\x00-\x1f\x7f-\x9f]{1,64}$")]
"""Names the client's file: 1 to 64 characters, no separator, no control character, no leading dot.

A file name made of it stays in its directory.
"""

Moment: TypeAlias = Annotated[
    str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$", max_length=27)
]
"""A UTC time as `common.timestamps` writes it."""


class Exchange(Message, frozen=True):
    """Asks for an exchange: a stamp each way every `interval_ms` (ms), for `duration_s` (s).

    The server sends the same object back when it grants it, and its stamps follow.
    """

    id: ExchangeId
    interval_ms: float | int
    duration_s: float | int


class Stamp(Message, frozen=True):
    """Stamp `n` (from 1) and when it was sent; `heard` is the newest that came from the other side.

    `heard_at` is when that one came in. Both are left out while none has come.
    """

    n: Annotated[int, Meta(ge=1)]
    sent: Moment
    heard: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    heard_at: Moment | UnsetType = UNSET


class ExchangeEnd(Message, frozen=True):
    """Ends the exchange, early or on time; the server answers with its own counts.

    `unwritten` counts stamps that it could not write to its file.
    """

    sent: int | UnsetType = UNSET
    received: int | UnsetType = UNSET
    unwritten: int | UnsetType = UNSET


FROM_CLIENT: Final = (Exchange, Stamp, ExchangeEnd)
FROM_SERVER: Final = (Exchange, Stamp, ExchangeEnd)

"""Timestamp exchange: both sides send their date and time at every interval."""

from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType

from common.messages.base import Message


class Exchange(Message, frozen=True):
    """Asks for an exchange: a stamp each way every `interval_ms` (ms), for `duration_s` (s).

    The server sends the same object back when it grants it, and its stamps follow. `id` names the
    client's file (`common.names.check_id`).
    """

    id: str
    interval_ms: float | int
    duration_s: float | int


class Stamp(Message, frozen=True):
    """Stamp `n` (from 1) and when it was sent; `heard` is the newest that came from the other side.

    `heard_at` is when that one came in. Both are left out while none has come. Times are written as
    in `common.protocol.timestamps`.
    """

    n: Annotated[int, Meta(ge=1)]
    sent: str
    heard: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    heard_at: str | UnsetType = UNSET


class ExchangeEnd(Message, frozen=True):
    """Ends the exchange, early or on time; the server answers with its own counts.

    `unwritten` counts stamps that it could not write to its file.
    """

    sent: int | UnsetType = UNSET
    received: int | UnsetType = UNSET
    unwritten: int | UnsetType = UNSET


FROM_CLIENT: Final = (Exchange, Stamp, ExchangeEnd)
FROM_SERVER: Final = (Exchange, Stamp, ExchangeEnd)

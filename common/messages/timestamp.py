"""Timestamp exchange: both sides send their time at every interval."""

from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType

from common.messages.base import Message


class Exchange(Message, frozen=True):
    """Asks for an exchange: a stamp each way every `interval_ms` (ms), for `duration_s` (s).

    The server accepts it by sending the same object back; its stamps follow. `id` names the
    client's file (`common.names.check_id`).
    """

    id: str
    interval_ms: float | int
    duration_s: float | int


class Stamp(
    Message, frozen=True, rename={"last_received": "heard", "last_received_at": "heard_at"}
):
    """Stamp number `n` (from 1), and when it was sent.

    `last_received` is the number of the other side's newest stamp, `last_received_at` when it
    arrived; on the wire they are ``heard`` and ``heard_at``. Both are left out before the first
    one. Times are written as in `common.protocol.timestamps`.
    """

    n: Annotated[int, Meta(ge=1)]
    sent: str
    last_received: Annotated[int, Meta(ge=0)] | UnsetType = UNSET
    last_received_at: str | UnsetType = UNSET


class ExchangeEnd(Message, frozen=True):
    """Ends the exchange, early or on time; the server answers with its counts.

    `unwritten` counts the stamps that it could not write to its file.
    """

    sent: int | UnsetType = UNSET
    received: int | UnsetType = UNSET
    unwritten: int | UnsetType = UNSET


FROM_CLIENT: Final = (Exchange, Stamp, ExchangeEnd)
FROM_SERVER: Final = (Exchange, Stamp, ExchangeEnd)

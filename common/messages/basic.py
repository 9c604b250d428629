"""Echo and ping, which need no hello."""

from typing import Annotated, Final, TypeAlias

from msgspec import UNSET, Meta, Raw, UnsetType

from common.messages.base import Error, Message

Ref: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
"""A correlation id of 1 to 64 characters: its sender chooses it, and the answer repeats it."""


class Echo(Message, frozen=True):
    """Comes back unchanged; `content` is any JSON value, which the server does not decode."""

    content: Raw | UnsetType = UNSET
    ref: Ref | UnsetType = UNSET


class Ping(Message, frozen=True):
    """Asks for a `pong`, to measure the round trip and the clock offset."""

    ref: Ref | UnsetType = UNSET


class Pong(Message, frozen=True):
    """When the server read the ping and when it made this answer, both in UTC.

    Pings that arrive in one read share both times.
    """

    received: str
    sent: str
    ref: Ref | UnsetType = UNSET


FROM_CLIENT: Final = (Echo, Ping)
FROM_SERVER: Final = (Echo, Pong, Error)

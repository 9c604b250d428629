"""Open to anyone, no hello needed: echo and ping."""

from typing import Annotated, Final, TypeAlias

from msgspec import UNSET, Meta, Raw, UnsetType

from common.messages.base import Error, Message

Ref: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64)]
"""A mark that its author chooses, 1 to 64 characters, and finds again in the answer."""


class Echo(Message, frozen=True):
    """Comes back as it went out; `content` is any JSON value and is not even decoded."""

    content: Raw | UnsetType = UNSET
    ref: Ref | UnsetType = UNSET


class Ping(Message, frozen=True):
    """Asks for a `pong`, to measure the round trip and the offset of the clocks."""

    ref: Ref | UnsetType = UNSET


class Pong(Message, frozen=True):
    """Says when the ping was read and when this answer was made, both UTC on the server's clock.

    Pings that arrive in one read share both times.
    """

    received: str
    sent: str
    ref: Ref | UnsetType = UNSET


FROM_CLIENT: Final = (Echo, Ping)
FROM_SERVER: Final = (Echo, Pong, Error)

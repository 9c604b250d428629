"""All messages of the wire protocol, one module for each mode.

To add a mode, write its module and add it to `_MODES`; to remove one, do the reverse.
"""

from typing import Final, TypeAlias

from common.messages import basic, chat, feed, groups, request, timestamp
from common.messages.base import Error, Message, RejectedError

_MODES: Final = (basic, chat, request, timestamp, feed, groups)

ClientMessage: TypeAlias = Message | request.BareRequest
ServerMessage: TypeAlias = Message | request.BareResponse

FROM_CLIENT: Final[tuple[type[ClientMessage], ...]] = tuple(
    kind for mode in _MODES for kind in mode.FROM_CLIENT
)
FROM_SERVER: Final[tuple[type[ServerMessage], ...]] = tuple(
    kind for mode in _MODES for kind in mode.FROM_SERVER
)

__all__ = [
    "FROM_CLIENT",
    "FROM_SERVER",
    "ClientMessage",
    "Error",
    "Message",
    "RejectedError",
    "ServerMessage",
]

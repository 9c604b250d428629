"""The catalogue: every message either side may send, one module for each mode.

To add a mode, write its module and name it in `MODES`; to remove one, do the reverse.
"""

from typing import Final

from common.messages import basic, chat
from common.messages.base import Error, Message, Refusal

MODES: Final = (basic, chat)

FROM_CLIENT: Final[tuple[type[Message], ...]] = tuple(
    kind for mode in MODES for kind in mode.FROM_CLIENT
)
FROM_SERVER: Final[tuple[type[Message], ...]] = tuple(
    kind for mode in MODES for kind in mode.FROM_SERVER
)

__all__ = ["FROM_CLIENT", "FROM_SERVER", "MODES", "Error", "Message", "Refusal"]

"""A message as one line for people: nothing in it moves the cursor, gives a secret or is long."""

from typing import Final

from msgspec import UNSET, structs

from common.codec import InvalidLine, encode
from common.messages import ClientMessage
from common.messages.chat import Hello, History
from common.text import escape_control

MAX_CHARACTERS: Final = 200
"""Characters shown of a message."""


def summarize(message: ClientMessage | InvalidLine) -> str:
    """Return `message` as JSON, escaped and cut; of what is no message, what is wrong with it."""
    if isinstance(message, InvalidLine):
        return f"not a message: {escape_control(message.error.detail)}"
    if isinstance(message, Hello | History) and message.token is not UNSET:
        message = structs.replace(message, token="(not shown)")  # noqa: S106 - it hides one
    text = encode(message)[:-1].decode()
    omitted = len(text) - MAX_CHARACTERS
    return escape_control(text[:MAX_CHARACTERS]) + (
        f"… and {omitted} characters more" if omitted > 0 else ""
    )

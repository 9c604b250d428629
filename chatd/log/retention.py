"""How much of the log is kept."""

from typing import Final

from msgspec import Struct

DAY_NS: Final = 86_400 * 10**9
"""A day in ns."""


class Retention(Struct, frozen=True):
    """The newest messages are kept, as far as each limit allows; 0 is no limit.

    `age_ns` counts in ns from when a message was sent, `bytes` what all that is kept takes in the
    database. The write-ahead log and room left free by what was trimmed are not in it.
    """

    messages: int = 0
    age_ns: int = 0
    bytes: int = 0

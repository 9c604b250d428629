"""How much of the log is kept."""

from msgspec import Struct

DAY_NS = 86_400 * 10**9


class Retention(Struct, frozen=True):
    """The newest messages are kept, as far as each limit allows; 0 is no limit.

    `age_ns` counts in ns from when a message was sent, `bytes` what all that is kept takes in the
    database. The write-ahead log and room left free by what was trimmed are not in it.
    """

    messages: int = 0
    age_ns: int = 0
    bytes: int = 0

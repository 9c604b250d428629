"""The events and results that a client gives its program, besides the server's own messages."""

from typing import TypeAlias

from msgspec import Struct

from common.entities import Entities
from common.messages.base import Error
from common.messages.chat import (
    Gap,
    Incoming,
    IncomingBroadcast,
    Joined,
    Left,
    Outgoing,
    OutgoingBroadcast,
    Resumed,
)

ChatMessage: TypeAlias = Outgoing | OutgoingBroadcast
"""A message to one person, or to everyone."""


class Reconnecting(Struct, frozen=True, gc=False, tag_field="code", tag="reconnecting"):
    """The connection was lost because of `reason`; the next `attempt` (from 1) is in `delay` s."""

    reason: str
    attempt: int
    delay: float


class Reconnected(Struct, frozen=True, gc=False, tag_field="code", tag="reconnected"):
    """The connection is back after `away` s; missed messages follow, then `Resumed`.

    If the server no longer keeps some of them, a `Gap` comes before the rest.
    """

    away: float


class LogStartedOver(Struct, frozen=True, gc=False, tag_field="code", tag="log_started_over"):
    """The server has a new log, named `log`; its messages after the id `after` follow.

    Both logs are the same up to that id (0: they share nothing). Messages of the old log with
    larger ids may be missing, and the new log uses those ids again.
    """

    log: str
    after: int = 0


class Delivered(Struct, frozen=True, gc=False, tag_field="code", tag="delivered"):
    """A message of an earlier run, or one whose call timed out, is now in the log as `id`.

    `duplicate` when it was there before: only the acknowledgement was lost.
    """

    message: ChatMessage
    id: int
    duplicate: bool


class Undelivered(Struct, frozen=True, gc=False, tag_field="code", tag="undelivered"):
    """A message of an earlier run, or one whose call timed out, was refused.

    When `error` is temporary (`storage_failed`), the message `is_kept` and sent again after the
    next hello.
    """

    message: ChatMessage
    error: Error
    is_kept: bool


Event: TypeAlias = (
    Incoming
    | IncomingBroadcast
    | Joined
    | Left
    | Gap
    | Resumed
    | Error
    | Reconnecting
    | Reconnected
    | LogStartedOver
    | Delivered
    | Undelivered
)
"""What `async for event in client` yields; an `Error` here answers none of your calls."""


class Receipt(Struct, frozen=True, gc=False):
    """A message is in the log as `id`, acknowledged `round_trip` s after it was sent.

    `duplicate` when it was there before: an earlier attempt arrived, its acknowledgement was lost.
    """

    id: int
    round_trip: float
    duplicate: bool = False


class Answer(Struct, frozen=True, gc=False):
    """A request was answered with the entities in it, `wait` s after it was sent."""

    data: Entities
    wait: float


class Probe(Struct, frozen=True, gc=False):
    """One ping: the four timestamps of RFC 5905 (ns since the Unix epoch) and the round trip (s).

    `sent` and `received` are on our clock, `server_received` and `server_sent` on the server's;
    `round_trip` is measured on the monotonic clock, which no time adjustment moves.
    """

    sent: int
    server_received: int
    server_sent: int
    received: int
    round_trip: float

    @property
    def offset(self) -> float:
        """The server's clock minus ours, in s; wrong by at most half of `delay`.

        theta = ((T2 - T1) + (T3 - T4)) / 2, RFC 5905 section 8.
        """
        ahead = (self.server_received - self.sent) + (self.server_sent - self.received)
        return ahead / 2e9

    @property
    def delay(self) -> float:
        """The time spent in the network, both directions together, in s.

        delta = (T4 - T1) - (T3 - T2), RFC 5905 section 8.
        """
        return ((self.received - self.sent) - (self.server_sent - self.server_received)) / 1e9

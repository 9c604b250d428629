"""What a client tells its program besides the server's own messages."""

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


class Reconnecting(Struct, frozen=True, gc=False, tag_field="code", tag="reconnecting"):
    """The connection is gone because of `reason`; try `attempt` (from 1) comes in `delay` s."""

    reason: str
    attempt: int
    delay: float


class Reconnected(Struct, frozen=True, gc=False, tag_field="code", tag="reconnected"):
    """The server is back after `away` s; what was missed follows, then `Resumed`.

    Where some of that is not kept any more a `Gap` comes before what is.
    """

    away: float


class LogStartedOver(Struct, frozen=True, gc=False, tag_field="code", tag="log_started_over"):
    """The server counts in another log by now, named `log`; what is in it after `after` follows.

    Up to there (0: nowhere) it is the same as the old one. Ids begin again from there, and messages
    of the old log may be missing.
    """

    log: str
    after: int = 0


class Delivered(Struct, frozen=True, gc=False, tag_field="code", tag="delivered"):
    """A message of an earlier run, or one whose call gave up, is in the log as `id` at last.

    `duplicate` when it had been there before: only the answer had got lost.
    """

    message: Outgoing | OutgoingBroadcast
    id: int
    duplicate: bool


class Undelivered(Struct, frozen=True, gc=False, tag_field="code", tag="undelivered"):
    """A message of an earlier run, or one whose call gave up, was refused.

    Where `error` may pass (`storage_failed`) it `is_kept` and sent again after the next hello.
    """

    message: Outgoing | OutgoingBroadcast
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
"""What `async for event in client` yields; an `Error` here answers no call of yours."""


class Receipt(Struct, frozen=True, gc=False):
    """A message is in the log as `id`, acknowledged `round_trip` s after it was sent.

    `duplicate` when it was there before: an earlier try had arrived although its answer had not.
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
        """The time on the way there and back, without the server's own, in s.

        delta = (T4 - T1) - (T3 - T2), RFC 5905 section 8.
        """
        return ((self.received - self.sent) - (self.server_sent - self.server_received)) / 1e9

"""The record of a timestamp exchange, and the four timestamps of RFC 5905 that it yields.

The four timestamps of RFC 5905 s. 8 are complete when a stamp of the other side arrives:

====  ========================================================  ===========
T1    this side sent the stamp that `last_received` names       this clock
T2    the other side received it (`last_received_at`)           other clock
T3    the other side sent its own stamp (`sent`)                other clock
T4    that stamp arrived here                                   this clock
====  ========================================================  ===========

Each clock is read as wall time at the start plus monotonic time since. A step of the wall clock
during a run therefore does not look like a delay. All times are ns since the Unix epoch.
"""

from typing import NamedTuple

from msgspec import Struct, field


class ReceivedStamp(Struct, frozen=True, gc=False):
    """Stamp number `n` (from 1) of the other side, and when it arrived.

    `last_received` is the number of this side's newest stamp that the other side had received when
    it sent this one. It is 0 before the first; `last_received_at_ns` then means nothing.
    """

    n: int
    sent_ns: int
    last_received: int
    last_received_at_ns: int
    arrived_ns: int


class FourTimestamps(NamedTuple):
    """T1 to T4 of RFC 5905 s. 8, in ns."""

    t1: int
    t2: int
    t3: int
    t4: int


class ExchangeRecord(Struct):
    """The record of one exchange, as one side sees it.

    `interval_ns` is the time between deadlines, `expected` the number of stamps to send each way.
    ``sent_ns[n - 1]`` says when this side sent its stamp `n`. `send_call_ns` (how long the call
    took that sent it) and `timer_error_ns` (how long after its deadline it was sent) hold one
    figure for each stamp sent. A run that continues on a new connection continues the numbers of
    both sides.
    """

    interval_ns: int
    expected: int
    sent_ns: list[int] = field(default_factory=list)
    arrivals: list[ReceivedStamp] = field(default_factory=list)
    send_call_ns: list[int] = field(default_factory=list)
    timer_error_ns: list[int] = field(default_factory=list)

    def four_timestamps(self, arrival: ReceivedStamp) -> FourTimestamps | None:
        """Return the timestamps that `arrival` completes; None when it acknowledges no stamp.

        Raises ValueError when it acknowledges a stamp that this side never sent.
        """
        if not arrival.last_received:
            return None
        check_last_received(arrival, len(self.sent_ns))
        sent_ns = self.sent_ns[arrival.last_received - 1]
        return FourTimestamps(
            sent_ns, arrival.last_received_at_ns, arrival.sent_ns, arrival.arrived_ns
        )


def check_last_received(arrival: ReceivedStamp, sent: int) -> None:
    """Raise ValueError when `arrival` acknowledges a stamp beyond the `sent` ones."""
    if not 0 <= arrival.last_received <= sent:
        raise ValueError(
            f"stamp {arrival.n} acknowledges stamp {arrival.last_received}, but {sent} were sent"
        )
